"""`bench cluster` on the command line."""

from pathlib import Path
from typing import Annotated, Any

import typer

import vivae
from vivae.app.console import Session
from vivae.app.options import Debug, Json
from vivae.app.root import bench


@bench.command("cluster")
def bench_cluster(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for points and tables.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the evaluation clips.")],
    jobs: Annotated[
        list[int] | None,
        typer.Option("--jobs", min=1, help="Processes; may be repeated. [default: 1 and 2]"),
    ] = None,
    engines: Annotated[
        list[str] | None,
        typer.Option("--engine", help="local or ray; may be repeated. [default: both]"),
    ] = None,
    frames: Annotated[int, typer.Option("--frames", min=2, help="Of each clip, at most.")] = 48,
    clips: Annotated[
        list[str] | None, typer.Option("--clip", help="Only this clip; may be repeated. [default: four]")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure what more processes bring, on this machine and by Ray."""
    with Session(
        as_json, kept="What was measured so far is kept: run the same command again to go on."
    ) as session:
        chosen: dict[str, Any] = {"jobs": jobs} if jobs else {}
        chosen |= {"engines": engines} if engines else {}
        session.show(
            vivae.bench_cluster(
                data,
                output,
                frames=frames,
                clips=clips or (),
                progress=session.share_progress(),
                **chosen,
            )
        )
