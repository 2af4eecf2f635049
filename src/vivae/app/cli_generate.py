"""`generate` on the command line, and its benchmark."""

from pathlib import Path
from typing import Annotated

import typer

import vivae
from vivae.app.console import Session
from vivae.app.options import Crf, Debug, Device, Force, Json, Output, OwnModel, Threads, VideoCodec
from vivae.app.root import app, bench


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of whole numbers such as 3,7") from None


@app.command()
def generate(
    output: Output,
    model: OwnModel = None,
    frames: Annotated[
        int | None, typer.Option("--frames", min=1, help="New frames. [default: a window of the model]")
    ] = None,
    continue_: Annotated[
        Path | None, typer.Option("--continue", metavar="CLIP", help="Go on from the end of this clip.")
    ] = None,
    between: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--between", metavar="A B", help="Fill between the end of A and the beginning of B."),
    ] = None,
    interpolate: Annotated[
        tuple[str, str] | None,
        typer.Option("--interpolate", metavar="A B", help="Walk from A to B in the latent: clips, or seeds."),
    ] = None,
    traverse: Annotated[
        int | None,
        typer.Option("--traverse", min=1, help="Show so many of the strongest latent directions, one a row."),
    ] = None,
    variations: Annotated[
        int,
        typer.Option(
            "--variations", min=1, help="Clips beside each other; a file each with {} in OUT's name."
        ),
    ] = 1,
    labels: Annotated[
        str | None,
        typer.Option("--labels", metavar="N,N", help="Classes of the things that are to appear, as 3,7."),
    ] = None,
    prior: Annotated[
        str,
        typer.Option(
            "--prior",
            metavar="auto|flow|state-space",
            help="What goes on: flow, window by window, or state-space, moment by moment; auto: as the model can.",
        ),
    ] = "auto",
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same video.")] = 0,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of the solver.")] = 24,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="PNG", help="A contact sheet beside the video.")
    ] = None,
    video_codec: VideoCodec = None,
    crf: Crf = None,
    device: Device = "cpu",
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make new video: from nothing, going on from a clip, between two, or along the latent space."""
    with Session(as_json) as session:
        report = session.stage_progress({"sampling": "steps/s"})
        session.show(
            vivae.generate(
                output,
                model=model,
                frames=frames,
                continue_=continue_,
                between=between,
                interpolate=interpolate,
                traverse=traverse,
                variations=variations,
                labels=_numbers(labels) if labels else (),
                prior=prior,
                seed=seed,
                steps=steps,
                sheet=sheet,
                codec=video_codec,
                crf=crf,
                force=force,
                device=device,
                progress=lambda done, total: report("sampling", done, total),
            )
        )


@bench.command("generate")
def bench_generate(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for points, tables and samples.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the evaluation data.")],
    model: Annotated[
        str, typer.Option("--model", help="A generator of moving digits: a name or a training's folder.")
    ] = "moving-mnist",
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.1, help="Of each rival's training. [default: as the model took]"),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each rival.")] = 1,
    parts: Annotated[
        list[str] | None,
        typer.Option("--part", help="samples, rivals, future or speed; may be repeated. [default: all]"),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 2,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure the learned prior beside a plain one and a GAN, and the future of clips; goes on if interrupted."""
    with Session(
        as_json, kept="What was measured so far is kept: run the same command again to go on."
    ) as session:
        session.show(
            vivae.bench_generate(
                data,
                output,
                model=model,
                minutes=minutes,
                seeds=seeds,
                parts=parts or (),
                threads=threads,
                progress=session.share_progress(),
            )
        )
