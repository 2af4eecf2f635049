"""`segment` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

import vivae
from vivae.app.console import Session, parts_kept
from vivae.app.options import (
    Crf,
    Debug,
    Device,
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
def segment(
    source: Source,
    output: Output,
    point: Annotated[
        list[str] | None,
        typer.Option("--point", metavar="X,Y@T", help="On the object, in pixels, at T; may be repeated."),
    ] = None,
    not_point: Annotated[
        list[str] | None,
        typer.Option("--not-point", metavar="X,Y@T", help="Not on the object; may be repeated."),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option("--box", metavar="X,Y,W,H@T", help="Around the object; may be repeated."),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option("--mask", metavar="PNG@T", help="Its mask, or object ids; may be repeated."),
    ] = None,
    static_camera: Annotated[
        bool, typer.Option("--static-camera", help="What passes a camera that stands still.")
    ] = False,
    auto: Annotated[
        bool, typer.Option("--auto", help="What moves by itself. [default without prompts]")
    ] = False,
    form: Annotated[
        str,
        typer.Option("--as", help="masks: a folder of PNG. cutout: with transparency. overlay: to look at."),
    ] = "masks",
    model: Annotated[
        str, typer.Option("--model", help="What tells how things move: a shipped one, or your own.")
    ] = "motion",
    video_codec: VideoCodec = None,
    crf: Crf = None,
    device: Device = "cpu",
    threads: Threads = None,
    start: Start = None,
    end: End = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Cut objects out of a video: those you point at, those that move, or what passes a camera that stands still."""
    with Session(as_json, kept=parts_kept("Labelled frames", output)) as session:
        session.show(
            vivae.segment(
                source,
                output,
                point=point or (),
                not_point=not_point or (),
                box=box or (),
                mask=mask or (),
                static_camera=static_camera,
                auto=auto,
                form=form,  # type: ignore[arg-type]
                model=model,
                codec=video_codec,
                crf=crf,
                device=device,
                start=start,
                end=end,
                force=force,
                progress=session.stage_progress({}),
            )
        )


@bench.command("segment")
def bench_segment(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for points and tables.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the evaluation clips.")],
    model: Annotated[str, typer.Option("--model", help="What tells how things move.")] = "motion",
    clips: Annotated[
        list[str] | None, typer.Option("--clip", help="Only this sequence; may be repeated. [default: all]")
    ] = None,
    parts: Annotated[
        list[str] | None,
        typer.Option("--part", help="auto, prompted, peers or still; may be repeated. [default: all]"),
    ] = None,
    frames: Annotated[
        int | None, typer.Option("--frames", min=4, help="Of each DAVIS sequence, the first. [default: all]")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 2,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure masks against the truth on DAVIS and CDnet sequences, beside classical peers; goes on if interrupted."""
    with Session(
        as_json, kept="What was measured so far is kept: run the same command again to go on."
    ) as session:
        session.show(
            vivae.bench_segment(
                data,
                output,
                model=model,
                frames=frames,
                threads=threads,
                clips=clips or (),
                parts=parts or (),
                progress=session.share_progress(),
            )
        )
