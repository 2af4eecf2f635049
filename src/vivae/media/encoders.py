"""The video encoders: which there are, what containers and sizes they take, and how our few options become theirs.

All come inside PyAV's FFmpeg. Quality is one number a codec, its own CRF scale; what else a codec can do is reached
through its native options.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from av.video.codeccontext import VideoCodecContext

from vivae.errors import InputError, UnsupportedError

Codec = Literal["av1", "h264", "hevc", "vp9", "ffv1"]

# SVT-AV1 ignores parameters it does not know, without a word. These are shown by a test to change the output.
SVT_KEYS = frozenset({"tune", "lossless", "keyint", "film-grain", "enable-qm", "enable-overlays", "lp"})

SVT_LOSSLESS_PRESET = 10  # faster ones write lossless streams that no decoder reads


@dataclass(frozen=True, slots=True)
class Encoder:
    """One encoder of FFmpeg. `crf` is (lowest, usual, highest), absent where there is no such scale."""

    name: str
    containers: tuple[str, ...]
    crf: tuple[int, int, int] | None = None
    preset: tuple[str, str] | None = None  # the option's name, the usual value
    fixed: dict[str, str] = field(default_factory=dict)
    lossless: Mapping[str, str] | None = None
    even_sides: bool = False
    smallest_side: int = 1


ENCODERS: Mapping[Codec, Encoder] = MappingProxyType(
    {
        "av1": Encoder(
            "libsvtav1",
            (".mp4", ".mkv", ".webm"),
            (1, 30, 63),
            ("preset", "6"),
            lossless={"svtav1-params": "lossless=1"},
            smallest_side=4,
        ),
        "h264": Encoder(
            "libx264",
            (".mp4", ".mkv"),
            (0, 23, 51),
            ("preset", "medium"),
            lossless={"qp": "0"},
            even_sides=True,
            smallest_side=2,
        ),
        "hevc": Encoder(
            "libx265",
            (".mp4", ".mkv"),
            (0, 28, 51),
            ("preset", "medium"),
            fixed={"x265-params": "log-level=none"},
            lossless={"x265-params": "lossless=1"},
            even_sides=True,
            smallest_side=16,
        ),
        "vp9": Encoder(
            "libvpx-vp9",
            (".mp4", ".mkv", ".webm"),
            (0, 32, 63),
            ("cpu-used", "2"),
            fixed={"row-mt": "1", "b": "0"},
            lossless={"lossless": "1"},
        ),
        "ffv1": Encoder("ffv1", (".mkv",), fixed={"level": "3", "slicecrc": "1"}, lossless={}),
    }
)


def encoder_for(codec: str | None, suffix: str, width: int, height: int) -> Encoder:
    """Choose and check: AV1 unless said. Raises InputError or UnsupportedError with what would work instead."""
    encoder = ENCODERS.get(codec or "av1")  # type: ignore[call-overload]
    if encoder is None:
        raise InputError(f"there is no codec '{codec}': choose one of {', '.join(ENCODERS)}")
    if suffix not in encoder.containers:
        raise UnsupportedError(
            f"{codec} cannot be written to {suffix}: use {' or '.join(encoder.containers)}"
        )
    if encoder.even_sides and (width % 2 or height % 2):
        raise UnsupportedError(
            f"{codec} needs an even width and height, not {width}x{height}: use av1, vp9 or ffv1"
        )
    if min(width, height) < encoder.smallest_side:
        raise UnsupportedError(
            f"{codec or 'av1'} needs at least {encoder.smallest_side} lines and columns, not {width}x{height}: "
            "use vp9 or ffv1"
        )
    if (
        encoder.name == "ffv1" and min(width, height) < 64
    ):  # FFmpeg's own number of slices fails for some such sizes
        return replace(encoder, fixed=encoder.fixed | {"slices": "1"})
    return encoder


def encoder_options(
    encoder: Encoder,
    *,
    crf: float | None,
    preset: str | int | None,
    lossless: bool,
    threads: int | None,
    extra: Mapping[str, str],
) -> dict[str, str]:
    """FFmpeg's options for an encoder; `extra` wins, except that parameter lists (`x265-params`) are joined."""
    options = dict(encoder.fixed)
    if lossless:
        if crf is not None:
            raise InputError("crf and lossless exclude each other: leave one out")
        if encoder.lossless is None:
            raise UnsupportedError(f"{encoder.name} cannot code without loss")
        _merge(options, encoder.lossless)
    elif encoder.crf:
        low, usual, high = encoder.crf
        crf = usual if crf is None else crf
        if not low <= crf <= high:
            raise InputError(f"crf must lie between {low} and {high} for {encoder.name}, not {crf:g}")
        options["crf"] = f"{crf:g}"
    elif crf is not None:
        raise InputError(f"{encoder.name} codes without loss and has no crf: leave it out")
    if encoder.name == "libsvtav1" and lossless and preset is not None and int(preset) > SVT_LOSSLESS_PRESET:
        raise InputError(f"av1 without loss needs a preset of at most {SVT_LOSSLESS_PRESET}, not {preset}")
    if encoder.preset:
        name, value = encoder.preset
        options[name] = str(preset) if preset is not None else value
    elif preset is not None:
        raise InputError(f"{encoder.name} has no presets: leave it out")
    if threads and encoder.name == "libsvtav1":
        _merge(options, {"svtav1-params": f"lp={min(threads, 6)}"})  # levels of parallelism; 6 is the highest
    if threads and encoder.name == "libx265":
        _merge(options, {"x265-params": f"pools={threads}"})
    _merge(options, extra)
    for entry in filter(None, options.get("svtav1-params", "").split(":")):
        if (key := entry.partition("=")[0]) not in SVT_KEYS:
            raise UnsupportedError(
                f"svtav1-params '{key}' is not known to have an effect: use {sorted(SVT_KEYS)}"
            )
    return options


def start_encoder(context: VideoCodecContext) -> None:
    """Open an encoder, quiet and at the process's own priority. Raises av.error.FFmpegError where it refuses.

    SVT-AV1 writes a banner to stderr (x265 has an option for that; a user's own choice stands), and makes the whole
    process a real-time one wherever it may, as root: all else on the machine would wait until it has encoded.
    """
    os.environ.setdefault("SVT_LOG", "0")
    if not hasattr(os, "sched_getscheduler"):  # systems without it have no such encoder's trick either
        context.open()
        return
    usual, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    context.open()
    if os.sched_getscheduler(0) == usual:
        return
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it may have ended
            os.sched_setscheduler(int(thread.name), usual, parameters)


def _merge(options: dict[str, str], more: Mapping[str, str]) -> None:
    for key, value in more.items():
        joined = key.endswith("-params") and key in options
        options[key] = f"{options[key]}:{value}" if joined else str(value)
