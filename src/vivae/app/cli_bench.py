"""The benchmarks on the command line."""

from pathlib import Path
from typing import Annotated, Any

import typer

import vivae
from vivae.app.console import Session
from vivae.app.options import Debug, Json, Model
from vivae.app.root import bench


@bench.command("vae")
def bench_vae(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for points and tables.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the evaluation clips.")],
    model: Model = "base",
    frames: Annotated[int, typer.Option("--frames", min=2, help="Of each clip, at most.")] = 64,
    clips: Annotated[
        list[str] | None, typer.Option("--clip", help="Only this clip; may be repeated. [default: all]")
    ] = None,
    parts: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="reconstruction, codec, speed or memory; may be repeated. [default: all but memory]",
        ),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 2,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a model's reconstruction, its codec against others, speed and memory; an interrupted run goes on."""
    with Session(
        as_json, kept="What was measured so far is kept: run the same command again to go on."
    ) as session:
        chosen: dict[str, Any] = {"parts": parts} if parts else {}
        session.show(
            vivae.bench_vae(
                data,
                output,
                model=model,
                frames=frames,
                threads=threads,
                clips=clips or (),
                progress=session.share_progress(),
                **chosen,
            )
        )


@bench.command("codec")
def bench_codec(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for points, tables and curves.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the evaluation clips.")],
    model: Model = "upscale",
    speed: Annotated[int, typer.Option("--speed", min=0, max=10, help="Of the layered codec.")] = 6,
    frames: Annotated[int, typer.Option("--frames", min=2, help="Of each clip, at most.")] = 64,
    clips: Annotated[
        list[str] | None, typer.Option("--clip", help="Only this clip; may be repeated. [default: all]")
    ] = None,
    parts: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="curves, multishot, images, roi or domain; may be repeated. [default: all but domain]",
        ),
    ] = None,
    peers: Annotated[
        list[str] | None,
        typer.Option("--peer", help="Beside SVT-AV1 at preset 6. [default: 'x265 medium', 'x264 medium']"),
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", help="Of each camera's training.")] = 6.0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 2,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure the layered codec against others: rate-quality curves, shots, images, cameras; goes on if interrupted."""
    with Session(
        as_json, kept="What was measured so far is kept: run the same command again to go on."
    ) as session:
        chosen: dict[str, Any] = {"parts": parts} if parts else {}
        session.show(
            vivae.bench_codec(
                data,
                output,
                model=model,
                speed=speed,
                frames=frames,
                threads=threads,
                clips=clips or (),
                peers=peers or (),
                minutes=minutes,
                progress=session.share_progress(),
                **chosen,
            )
        )
