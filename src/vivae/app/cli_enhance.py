"""`enhance` on the command line."""

from pathlib import Path
from typing import Annotated, Any, Literal

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
    OwnModel,
    Source,
    Start,
    Threads,
    VideoCodec,
    seconds,
)
from vivae.app.root import app, bench


def noise(text: str) -> float | Literal["auto"]:
    """`auto`, or a number of code values."""
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither auto nor a number of code values") from None


def times(text: str | int) -> int:
    """A factor such as 2x."""
    try:
        return int(str(text).removesuffix("x"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no factor: write 2x or 4x") from None


@app.command()
def enhance(
    source: Source,
    output: Output,
    denoise: Annotated[
        str | None,
        typer.Option(
            "--denoise",
            metavar="auto|SIGMA",
            parser=noise,
            help="Remove noise: measured, or of this deviation (0-255).",
        ),
    ] = None,
    deblock: Annotated[
        bool, typer.Option("--deblock", help="Remove traces of compression: blocks, ringing, mosquitoes.")
    ] = False,
    scale: Annotated[
        int, typer.Option("--scale", min=1, max=4, help="2, 3 or 4 times wider and higher.")
    ] = 1,
    light: Annotated[
        bool, typer.Option("--light", help="Brighten dark and flat footage, without flicker.")
    ] = False,
    deblur: Annotated[bool, typer.Option("--deblur", help="Sharpen soft focus.")] = False,
    rate: Annotated[
        int,
        typer.Option("--fps", metavar="2x|4x", parser=times, help="2 or 4 times as many frames a second."),
    ] = 1,
    auto: Annotated[
        bool,
        typer.Option(
            "--auto", help="Measure first and do what is needed. [default without other treatments]"
        ),
    ] = False,
    mask: Annotated[
        Path | None, typer.Option("--mask", metavar="MASKS", help="Enhance only what these masks show.")
    ] = None,
    invert_mask: Annotated[bool, typer.Option("--invert-mask", help="Enhance all but that.")] = False,
    preset: Annotated[str, typer.Option("--preset", help="fast or best.")] = "fast",
    preview: Annotated[
        float | None,
        typer.Option(
            "--preview",
            metavar="TIME",
            parser=seconds,
            help="Only 3 seconds from here, source and result side by side.",
        ),
    ] = None,
    model: OwnModel = None,
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
    """Make a video better: less noise and compression, more pixels, light and focus. Measures first what it needs."""
    with Session(as_json, kept=parts_kept("Finished segments", output)) as session:
        session.show(
            vivae.enhance(
                source,
                output,
                denoise=denoise,  # type: ignore[arg-type]
                deblock=deblock,
                scale=scale,
                light=light,
                deblur=deblur,
                rate=rate,
                auto=auto,
                mask=mask,
                invert_mask=invert_mask,
                preset=preset,  # type: ignore[arg-type]
                preview=preview,
                model=model,
                codec=video_codec,
                crf=crf,
                device=device,
                threads=threads,
                start=start,
                end=end,
                force=force,
                progress=session.progress("enhancing"),
                tell=session.tell,
            )
        )


@bench.command("enhance")
def bench_enhance(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for points and tables.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the evaluation clips.")],
    model: OwnModel = None,
    preset: Annotated[str, typer.Option("--preset", help="fast or best.")] = "fast",
    frames: Annotated[int, typer.Option("--frames", min=4, help="Of each clip, at most.")] = 32,
    clips: Annotated[
        list[str] | None, typer.Option("--clip", help="Only this clip; may be repeated. [default: all]")
    ] = None,
    parts: Annotated[
        list[str] | None,
        typer.Option("--part", help="noise, coded, scale or speed; may be repeated. [default: all]"),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 2,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure denoising, deblocking and scaling beside the tools people use; an interrupted run goes on."""
    kept = "What was measured so far is kept: run the same command again to go on."
    with Session(as_json, kept=kept) as session:
        chosen: dict[str, Any] = {"parts": parts} if parts else {}
        session.show(
            vivae.bench_enhance(
                data,
                output,
                model=model,
                preset=preset,
                frames=frames,
                threads=threads,
                clips=clips or (),
                progress=session.share_progress(),
                **chosen,
            )
        )
