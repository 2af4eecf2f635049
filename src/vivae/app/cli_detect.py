"""`detect` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

import vivae
from vivae.app.console import Session
from vivae.app.options import Debug, End, Force, Json, Output, Start, Threads
from vivae.app.root import app, bench

detect = typer.Typer(
    help="Find what is unusual in a camera's view, from normal footage alone.", no_args_is_help=True
)
app.add_typer(detect, name="detect")


@detect.command()
def fit(
    source: Annotated[
        Path, typer.Argument(metavar="NORMAL", help="A folder of ordinary clips of one camera, or one clip.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="MODEL", help="Where the model goes: a .safetensors file."),
    ],
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of the network's training.")] = 400,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the network's start.")] = 0,
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Learn what is usual in a camera's view."""
    with Session(as_json) as session:
        session.show(
            vivae.detect_fit(
                source,
                output,
                steps=steps,
                seed=seed,
                force=force,
                progress=session.progress("learning"),
            )
        )


@detect.command()
def score(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="What `vivae detect fit` wrote.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="A video; - for standard input, a pipe, or an address (rtsp://...)."
        ),
    ],
    output: Output,
    false_alarms: Annotated[
        float, typer.Option("--false-alarms", help="Tolerated in an hour of normal footage.")
    ] = 1.0,
    follow: Annotated[
        bool, typer.Option("--follow", help="IN is still being written: read on while it grows.")
    ] = False,
    maps: Annotated[
        Path | None,
        typer.Option(
            "--maps", metavar="OUT", help="Where: a folder of grey PNG, or a video with colours over it."
        ),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Also a page to look at, beside the scores.")
    ] = False,
    threads: Threads = None,
    start: Start = None,
    end: End = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score every frame of a video: how strange, where, and whether it counts as an event."""
    with Session(as_json) as session:
        session.show(
            vivae.detect_score(
                model,
                source,
                output,
                false_alarms=false_alarms,
                follow=follow,
                maps=maps,
                report=report,
                start=start,
                end=end,
                force=force,
                progress=session.progress("scoring"),
            )
        )


@bench.command("detect")
def bench_detect(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for points and tables.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder that holds anomaly/ped2.")],
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 2,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure detection on UCSD Ped2: frame AUC, dirty normal footage, speed."""
    with Session(as_json) as session:
        session.show(vivae.bench_detect(data, output, threads=threads, progress=session.share_progress()))
