"""`stylize` on the command line, and its benchmark."""

from pathlib import Path
from typing import Annotated

import typer

import vivae
from vivae.app.console import Session
from vivae.app.options import (
    Crf,
    Debug,
    End,
    Force,
    Json,
    Output,
    Source,
    Start,
    Threads,
    VideoCodec,
)
from vivae.app.root import app, bench


@app.command()
def stylize(
    source: Source,
    output: Output,
    style: Annotated[
        list[str],
        typer.Option(
            "--style",
            metavar="STYLE[=WEIGHT]",
            help="A picture, or a shipped style's name; may be repeated.",
        ),
    ],
    mode: Annotated[
        str, typer.Option("--mode", help="photo: colour and tone. art: strokes and texture, too.")
    ] = "photo",
    strength: Annotated[float, typer.Option("--strength", min=0, max=1, help="0 nothing, 1 all.")] = 1.0,
    mask: Annotated[
        Path | None, typer.Option("--mask", metavar="MASKS", help="Style only what these masks show.")
    ] = None,
    invert_mask: Annotated[bool, typer.Option("--invert-mask", help="Style all but that.")] = False,
    video_codec: VideoCodec = None,
    crf: Crf = None,
    threads: Threads = None,
    start: Start = None,
    end: End = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Give a video the colours of a picture, or paint it the way a painter did, without flicker."""
    with Session(as_json) as session:
        session.show(
            vivae.stylize(
                source,
                output,
                style=style,
                mode=mode,  # type: ignore[arg-type]
                strength=strength,
                mask=mask,
                invert_mask=invert_mask,
                codec=video_codec,
                crf=crf,
                start=start,
                end=end,
                force=force,
                progress=session.progress("styling"),
            )
        )


@bench.command("stylize")
def bench_stylize(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for points and tables.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the evaluation clips.")],
    style: Annotated[
        list[Path], typer.Option("--style", metavar="IMAGE", help="A picture; may be repeated.")
    ],
    frames: Annotated[int, typer.Option("--frames", min=2, help="Of each clip, at most.")] = 24,
    clips: Annotated[
        list[str] | None, typer.Option("--clip", help="Only this clip; may be repeated. [default: four]")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 2,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure how steady styled clips are, against their input and against AdaIN, and how fast."""
    with Session(
        as_json, kept="What was measured so far is kept: run the same command again to go on."
    ) as session:
        session.show(
            vivae.bench_stylize(
                data,
                output,
                styles=style,
                frames=frames,
                threads=threads,
                clips=clips or (),
                progress=session.share_progress(),
            )
        )
