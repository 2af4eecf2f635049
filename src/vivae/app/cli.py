"""The command line: each verb is one function of the Python API, with the options that all share.

Nothing is computed here, and torch is not imported until a verb needs it. Here: the codec, latents, and what tells
about files and machines; the other verbs are in the files that are imported below.
"""

from pathlib import Path
from typing import Annotated

import typer

import vivae
from vivae.app import (
    cli_bench,
    cli_cluster,
    cli_detect,
    cli_enhance,
    cli_export,
    cli_generate,
    cli_segment,
    cli_serve,
    cli_stylize,
    cli_train,
    cli_understand,
)
from vivae.app.archive import accept_archives
from vivae.app.console import FAULT, Session, parts_kept
from vivae.app.options import (
    Channels,
    Crf,
    Debug,
    Device,
    End,
    Force,
    Json,
    LatentQuality,
    Model,
    Output,
    OwnModel,
    Runtime,
    Source,
    Start,
    Threads,
    VideoCodec,
    amount,
)
from vivae.app.root import app

__all__ = [
    "app",
    "cli_bench",
    "cli_cluster",
    "cli_detect",
    "cli_enhance",
    "cli_export",
    "cli_generate",
    "cli_segment",
    "cli_serve",
    "cli_stylize",
    "cli_train",
    "cli_understand",
]


@app.command()
def demo(
    output: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder for the report and its files.")
    ] = Path("demo"),
    clip: Annotated[
        Path | None,
        typer.Option("--clip", metavar="IN", help="A video of your own; its first seconds are taken."),
    ] = None,
    model: Model = "base",
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """The whole tour on a real clip, ending in DIR/report.html."""
    with Session(as_json) as session:
        session.show(
            vivae.demo(output, clip=clip, model=model, force=force, progress=session.share_progress())
        )


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
    runtime: Runtime = "torch",
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
                runtime=runtime,  # type: ignore[arg-type]
                start=start,
                end=end,
                force=force,
                progress=session.progress("reconstructing"),
            )
        )


@app.command()
def compress(
    source: Source,
    output: Output,
    quality: Annotated[
        float | None, typer.Option("--quality", min=0, max=100, help="0 small, 100 good. [default: 50]")
    ] = None,
    ratio: Annotated[
        float | None, typer.Option("--ratio", help="Times smaller than the raw 8-bit 4:2:0 frames.")
    ] = None,
    bitrate: Annotated[
        float | None, typer.Option("--bitrate", metavar="B", parser=amount, help="Bits a second: 300k, 1.5M.")
    ] = None,
    size: Annotated[
        float | None, typer.Option("--size", metavar="S", parser=amount, help="Bytes of the file: 700k, 2M.")
    ] = None,
    target_vmaf: Annotated[
        float | None, typer.Option("--target-vmaf", metavar="V", help="Mean VMAF to reach, 0 to 100.")
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            "--codec", help="layered: an AV1 video for any player. latent: .vva. [default: by OUT's suffix]"
        ),
    ] = None,
    speed: Annotated[
        int | None,
        typer.Option("--speed", min=0, max=10, help="Layered: 0 smallest file, 10 quickest. [default: 6]"),
    ] = None,
    roi: Annotated[
        str | None,
        typer.Option(
            "--roi",
            metavar="MASKS|auto",
            help="Layered: bits for what these masks show, or for what moves by itself; the rest is calmed.",
        ),
    ] = None,
    grain: Annotated[
        bool,
        typer.Option(
            "--grain",
            help="Layered: noise is taken out, and described for players to put grain like it back.",
        ),
    ] = False,
    tune: Annotated[
        str | None,
        typer.Option(
            "--tune",
            metavar="psnr|perceptual",
            help="Layered, for what vivae decodes, slowly: nearer to the original, or with texture like what was lost. "
            "[default: psnr up to speed 4, else neither]",
        ),
    ] = None,
    key_interval: Annotated[
        int | None,
        typer.Option("--key-interval", min=1, help="Latent: frames between seekable ones. [default: 64]"),
    ] = None,
    model: OwnModel = None,
    device: Device = "cpu",
    threads: Threads = None,
    start: Start = None,
    end: End = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compress a video or image: to a quality, or to a size within 3 per cent."""
    with Session(as_json, kept=parts_kept("Finished shots", output)) as session:
        session.show(
            vivae.compress(
                source,
                output,
                quality=quality,
                ratio=ratio,
                bitrate=bitrate,
                size=size,
                target_vmaf=target_vmaf,
                codec=codec,
                speed=speed,
                roi=roi,
                grain=grain,
                tune=tune,
                key_interval=key_interval,
                model=model,
                threads=threads,
                device=device,
                start=start,
                end=end,
                force=force,
                progress=session.progress("compressing"),
                tell=session.tell,
            )
        )


@app.command()
def decompress(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="What `vivae compress` wrote: an AV1 video, or a .vva file.")
    ],
    output: Output,
    best_effort: Annotated[
        bool, typer.Option("--best-effort", help="Of a damaged file, write the frames before the damage.")
    ] = False,
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
    """Make a video of a compressed file: .mp4, .mkv, .webm, .y4m, or a folder of PNG."""
    with Session(as_json) as session:
        session.show(
            vivae.decompress(
                source,
                output,
                best_effort=best_effort,
                model=model,
                codec=video_codec,
                crf=crf,
                device=device,
                start=start,
                end=end,
                force=force,
                progress=session.progress("decompressing"),
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
    runtime: Runtime = "torch",
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
                runtime=runtime,  # type: ignore[arg-type]
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
    model: OwnModel = None,
    video_codec: VideoCodec = None,
    crf: Crf = None,
    device: Device = "cpu",
    runtime: Runtime = "torch",
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
                runtime=runtime,  # type: ignore[arg-type]
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
def doctor(
    speed: Annotated[
        bool, typer.Option("--speed", help="Also measure how fast each verb is here; takes a minute or two.")
    ] = False,
    threads: Threads = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check this machine and this installation; exit code 1 where something stands in the way."""
    with Session(as_json) as session:
        report = vivae.doctor(speed=speed, progress=session.share_progress())
        session.show(report)
    if report["problems"]:
        raise typer.Exit(FAULT)


# Verbs from a file to a file take many files, too; see `vivae.cluster.batch` for how their results are named.
accept_archives(
    app,
    (
        "compress",
        "decompress",
        "enhance",
        "stylize",
        "reconstruct",
        "segment",
        "encode",
        "shots",
        "report",
        "detect score",
    ),
)
