"""The command line: each verb is one function of the Python API, with the options that all share.

Nothing is computed here, and torch is not imported until a verb needs it. Here: training, the codec, and what tells
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
    cli_understand,
)
from vivae.app.archive import accept_archives, train_with_ray
from vivae.app.console import FAULT, Session
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
    known_device,
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
    "cli_understand",
]


@app.command()
def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's path, or a shipped one's name.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="A folder with videos and images.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where the model goes. [default: runs/NAME]"),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0, help="Instead of the recipe's budget.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Instead of the recipe's budget.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False,
    device: Annotated[
        str | None,
        typer.Option("--device", callback=known_device, help="cpu, cuda, cuda:N. [default: cuda if any]"),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="local, or ray: processes on a Ray cluster.")
    ] = "local",
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="With ray: processes that train together.")
    ] = 1,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="A",
            help="Of the cluster: auto, or HOST:PORT. [default: one of its own, here]",
        ),
    ] = None,
    threads: Threads = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Start anew in a folder that holds a training.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a model on footage: cleans it, splits it in halves, trains on one and measures on the other."""
    with Session(as_json, kept="The last checkpoint, if any, is kept: --resume goes on from it.") as session:
        if engine not in ("local", "ray") or (engine == "local" and (workers > 1 or address)):
            raise typer.BadParameter("--engine is local or ray, and --workers and --address go with ray")
        progress = session.stage_progress({"training": "steps/s"})
        if engine == "ray":
            session.show(
                train_with_ray(
                    recipe,
                    data,
                    output=output,
                    workers=workers,
                    address=address,
                    threads=threads,
                    progress=progress,
                    minutes=minutes,
                    steps=steps,
                    resume=resume,
                    force=force,
                    device=device,
                )
            )
            return
        session.show(
            vivae.train(
                recipe,
                data,
                output=output,
                minutes=minutes,
                steps=steps,
                resume=resume,
                force=force,
                device=device,
                progress=progress,
            )
        )


@app.command()
def tune(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's path, or a shipped one's name.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="A folder with videos and images.")],
    trials: Annotated[int, typer.Option("--trials", min=1, help="In all, earlier ones counted.")] = 20,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0, help="Of each trial.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Of each trial.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the study. [default: tuning/NAME]"),
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the settings that suit a recipe on your footage; the same command in two shells makes two workers."""
    kept = "The trials so far are kept: run the same command again to go on."
    with Session(as_json, kept=kept) as session:
        session.show(
            vivae.tune(
                recipe,
                data,
                trials=trials,
                minutes=minutes,
                steps=steps,
                output=output,
                progress=session.share_progress(),
            )
        )


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
        Path | None,
        typer.Option(
            "--roi", metavar="MASKS", help="Layered: bits for what these masks show; the rest is calmed."
        ),
    ] = None,
    grain: Annotated[
        bool,
        typer.Option(
            "--grain",
            help="Layered: noise is taken out, and described for players to put grain like it back.",
        ),
    ] = False,
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
    with Session(as_json) as session:
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
