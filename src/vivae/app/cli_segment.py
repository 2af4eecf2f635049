"""`segment` on the command line."""

from typing import Annotated

import typer

import vivae
from vivae.app.console import Session
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
from vivae.app.root import app


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
    with Session(as_json) as session:
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
