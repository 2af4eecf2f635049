"""`export` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

import vivae
from vivae.app.console import Session
from vivae.app.options import Debug, End, Force, Json, Model, Start, Threads
from vivae.app.root import app


@app.command()
def export(
    source: Annotated[
        str, typer.Argument(metavar="MODEL|CLIP", help="A model, by name or path, or a video.")
    ],
    onnx: Annotated[
        Path | None,
        typer.Option(
            "--onnx", metavar="FILE", help="Of a model: FILE.onnx, as three graphs beside each other."
        ),
    ] = None,
    hf: Annotated[
        Path | None,
        typer.Option("--hf", metavar="DIR", help="Of a model: a folder in the Hugging Face layout."),
    ] = None,
    vti: Annotated[
        Path | None,
        typer.Option(
            "--vti", metavar="FILE", help="Of a clip: a VTK volume over x, y and time, and a picture."
        ),
    ] = None,
    content: Annotated[
        list[str] | None,
        typer.Option(
            "--content",
            metavar="WHAT",
            help="Of the volume: video, surprise, latents, masks; may be repeated. [default: video]",
        ),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option("--masks", metavar="MASKS", help="Of the volume: where its masks are.")
    ] = None,
    width: Annotated[
        int | None, typer.Option("--width", min=2, help="Columns of the volume. [default: 320]")
    ] = None,
    model: Model = "base",
    threads: Threads = None,
    start: Start = None,
    end: End = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a model for ONNX or Hugging Face users, or a clip as a volume for ParaView."""
    with Session(as_json) as session:
        session.show(
            vivae.export(
                source,
                onnx=onnx,
                hf=hf,
                vti=vti,
                content=content or ("video",),  # type: ignore[arg-type]
                masks=masks,
                width=width,
                model=model,
                start=start,
                end=end,
                force=force,
                progress=session.progress("exporting"),
            )
        )
