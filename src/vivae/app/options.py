"""The options that several verbs share, said once, and how times and sizes are written on the command line."""

import logging
import os
import re
from pathlib import Path
from typing import Annotated

import typer

from vivae.app.console import DEBUG_VARIABLE

_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d*)?|\.\d+)")
_AMOUNT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ki|Mi|Gi|[kKMG])?(?:B|b|bit/s|bps)?")
_UNITS = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def seconds(text: str) -> float:
    """Seconds from `12.5`, `1:05` or `1:02:03.5`."""
    match = _CLOCK.fullmatch(text.strip())
    if not match:
        raise typer.BadParameter(f"{text!r} is not a time; write seconds (12.5) or [H:]MM:SS (1:05)")
    hours, minutes, rest = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest)


def amount(text: str) -> float:
    """A number with an optional unit: `250k`, `1.5M`, `700ki`, `4MB`; bytes or bits as the option says."""
    match = _AMOUNT.fullmatch(text.strip())
    if not match:
        raise typer.BadParameter(f"{text!r} is not a number with an optional k, M, G, ki, Mi or Gi")
    return float(match[1]) * _UNITS.get(match[2] or "", 1.0)


def _use_threads(count: int | None) -> int | None:
    """Bind torch and OpenCV to `count` threads; imported only if the option is given, or `--help` would wait."""
    if count is not None:
        os.environ["OMP_NUM_THREADS"] = str(count)
        import cv2
        import torch

        torch.set_num_threads(count)
        cv2.setNumThreads(count)
    return count


def known_device(name: str | None) -> str | None:
    """Refuse a device that is not there before any work is begun."""
    if name in (None, "cpu"):
        return name
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError):
        raise typer.BadParameter(f"there is no device {name!r} on this machine that torch can use") from None
    return name


def _use_debug(on: bool) -> bool:
    if on:
        os.environ[DEBUG_VARIABLE] = "1"
        logging.getLogger("vivae").setLevel(logging.DEBUG)
    return on


Source = Annotated[
    Path, typer.Argument(metavar="IN", help="A video, a .y4m, an image, or a folder of numbered images.")
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Where the result goes.")]
Model = Annotated[
    str, typer.Option("--model", help="A shipped model's name, or the folder of a trained one.")
]
Device = Annotated[str, typer.Option("--device", callback=known_device, help="cpu, cuda or cuda:N.")]
Runtime = Annotated[
    str,
    typer.Option(
        "--runtime", help="What the networks run in: torch, or onnx (faster on many CPUs; extra export)."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, callback=_use_threads, help="CPU threads of the networks. [default: all]"
    ),
]
Start = Annotated[
    float | None,
    typer.Option("--start", metavar="TIME", parser=seconds, help="Begin here: seconds or [H:]MM:SS."),
]
End = Annotated[
    float | None,
    typer.Option("--end", metavar="TIME", parser=seconds, help="Stop here: seconds or [H:]MM:SS."),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace the output if it exists.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        callback=_use_debug,
        is_eager=True,
        help="On a failure, print the traceback too.",
        hidden=True,
    ),
]
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
OwnModel = Annotated[
    str | None, typer.Option("--model", help="A model of your own: its path, or its training's folder.")
]
VideoCodec = Annotated[
    str | None,
    typer.Option(
        "--video-codec", help="av1, h264, hevc, vp9 or ffv1, for .mp4, .mkv and .webm. [default: av1]"
    ),
]
Crf = Annotated[float | None, typer.Option("--crf", help="Quality of that codec, on its own scale.")]
