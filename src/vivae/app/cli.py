"""The command line: each verb is one function of the Python API, with the options that all share.

Nothing is computed here, and torch is not imported until a verb needs it.
"""

from pathlib import Path
from typing import Annotated

import typer

import vivae
from vivae.app.console import FAULT, Session
from vivae.app.options import Debug, Device, End, Force, Json, Model, Output, Source, Start, Threads

app = typer.Typer(
    help="Video through variational autoencoders: train, reconstruct, encode and compress, on an ordinary CPU.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

LatentQuality = Annotated[
    float,
    typer.Option("--quality", min=0, max=100, help="Fineness of the latent: 0 coarse, 100 fine."),
]
Channels = Annotated[
    int | None,
    typer.Option(
        "--channels", help="Keep only that many leading latent channels: base works with 16 and 32 too."
    ),
]
VideoCodec = Annotated[
    str | None,
    typer.Option(
        "--video-codec", help="av1, h264, hevc, vp9 or ffv1, for .mp4, .mkv and .webm. [default: av1]"
    ),
]
Crf = Annotated[float | None, typer.Option("--crf", help="Quality of that codec, on its own scale.")]


@app.callback(invoke_without_command=True)
def vivae_command(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"vivae {vivae.__version__}")
        raise typer.Exit


@app.command()
def reconstruct(
    source: Source,
    output: Output,
    model: Model = "base",
    quality: LatentQuality = 100.0,
    channels: Channels = None,
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
    """Send a video through the VAE and back; say how near it came and what its latent costs in bits."""
    with Session(as_json) as session:
        session.show(
            vivae.reconstruct(
                source,
                output,
                model=model,
                quality=quality,
                channels=channels,
                codec=video_codec,
                crf=crf,
                device=device,
                start=start,
                end=end,
                force=force,
                progress=session.progress("reconstructing"),
            )
        )


@app.command()
def encode(
    source: Source,
    output: Output,
    model: Model = "base",
    quality: LatentQuality = 100.0,
    channels: Channels = None,
    device: Device = "cpu",
    threads: Threads = None,
    start: Start = None,
    end: End = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the latent of a video, with its time stamps, to a .safetensors file: features for your own work."""
    with Session(as_json) as session:
        session.show(
            vivae.encode(
                source,
                output,
                model=model,
                quality=quality,
                channels=channels,
                device=device,
                start=start,
                end=end,
                force=force,
                progress=session.progress("encoding"),
            )
        )


@app.command()
def decode(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A file that `vivae encode` wrote.")],
    output: Output,
    model: Annotated[
        str | None, typer.Option("--model", help="The model's path, where it is not a shipped one.")
    ] = None,
    video_codec: VideoCodec = None,
    crf: Crf = None,
    device: Device = "cpu",
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a video of a latent file: .mp4, .mkv, .webm, .y4m, or a folder of PNG."""
    with Session(as_json) as session:
        session.show(
            vivae.decode(
                source,
                output,
                model=model,
                codec=video_codec,
                crf=crf,
                device=device,
                force=force,
                progress=session.progress("decoding"),
            )
        )


@app.command()
def info(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A video, a .vva, a .safetensors, or a model's name.")
    ],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a file is: video, compressed file, latents or model."""
    with Session(as_json) as session:
        session.show(vivae.info(file))


@app.command()
def doctor(threads: Threads = None, as_json: Json = False, debug: Debug = False) -> None:
    """Check this machine and this installation; exit code 1 where something stands in the way."""
    with Session(as_json) as session:
        report = vivae.doctor()
        session.show(report)
    if report["problems"]:
        raise typer.Exit(FAULT)
