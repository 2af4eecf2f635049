"""How much memory a long video takes: a verb in a process of its own, watched from inside."""

import itertools
import math
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from vivae.measure.clip import load_clip
from vivae.media import Frame, Planes, open_writer
from vivae.media.resample import enlarged
from vivae.tasks.compress import compress
from vivae.tasks.decompress import decompress
from vivae.tasks.reconstruct import reconstruct

Verb = Literal["reconstruct", "compress", "decompress"]
VERBS: dict[Verb, Callable[..., Any]] = {
    "reconstruct": reconstruct,
    "compress": compress,
    "decompress": decompress,
}
LOOP = 48
"""Frames of the source that are played forth and back."""


def memory_of_a_long_stream(
    source: Path, model: str | Path, frames: int, size: tuple[int, int] = (640, 352)
) -> dict[str, Any]:
    """Peak memory in MB of reconstructing `frames` frames, over their first tenth and over all.

    source, size: see `long_video`.
    """
    with tempfile.TemporaryDirectory() as folder:
        long = long_video(source, Path(folder) / "long.mp4", frames, size)
        early, peak = peak_of("reconstruct", long, Path(folder) / "out.mp4", frames, model=model)
    return {"frames": frames, "width": size[0], "height": size[1], "early_mb": early, "peak_mb": peak}


def peak_of(verb: Verb, source: Path, target: Path, frames: int, **options: Any) -> tuple[float, float]:
    """Peak memory in MB of a verb from file to file, over the first tenth of its `frames` and over all."""
    here, there = multiprocessing.Pipe(duplex=False)
    # A fresh process: what this one has allocated before must not count.
    child = multiprocessing.get_context("spawn").Process(
        target=_watched, args=(there, verb, source, target, frames, options)
    )
    child.start()
    there.close()
    try:
        early, peak = here.recv()
    finally:
        child.join()
    return early, peak


def _watched(
    pipe: Connection, verb: Verb, source: Path, target: Path, frames: int, options: dict[str, Any]
) -> None:
    early = 0.0

    def watch(done: int, total: int | None) -> None:
        nonlocal early
        if (
            not early or done <= frames // 10
        ):  # what works shot by shot tells of its first shot at the earliest
            early = _peak_mb()

    VERBS[verb](source, target, progress=watch, **options)
    pipe.send((early, _peak_mb()))


def _peak_mb() -> float:
    """The most this process has ever held, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def long_video(source: Path, path: Path, frames: int, size: tuple[int, int]) -> Path:
    """The beginning of a clip forth and back, as an .mp4 of `frames` frames of `size`, width and height.

    A smaller clip is enlarged, of a larger one a corner is taken.
    """
    clip = load_clip(source, frames=LOOP, even=True)
    width, height = size
    shown = clip.picture.width, clip.picture.height
    larger = max(1.0, width / shown[0], height / shown[1])
    full_width, full_height = (2 * math.ceil(larger * side / 2) for side in shown)
    pictures = [_corner(enlarged(frame.planes, full_width, full_height), size) for frame in clip.frames]
    there_and_back = itertools.cycle([*pictures, *pictures[-2:0:-1]])
    step = Fraction(1, 25)
    with open_writer(
        path, width=width, height=height, fps=1 / step, color=clip.picture.color, codec="h264", preset="ultrafast"
    ) as writer:  # fmt: skip
        for index, planes in enumerate(itertools.islice(there_and_back, frames)):
            writer.write(Frame(*planes, index * step, step, clip.picture.color))
    return path


def _corner(planes: Planes, size: tuple[int, int]) -> Planes:
    width, height = size
    y, u, v = planes
    return y[:height, :width], u[: height // 2, : width // 2], v[: height // 2, : width // 2]
