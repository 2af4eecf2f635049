"""How much memory a long video takes: `reconstruct` in a process of its own, watched from inside."""

import itertools
import multiprocessing
import resource
import sys
import tempfile
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from vivae.measure.clip import load_clip
from vivae.media import Frame, open_writer
from vivae.tasks.reconstruct import reconstruct

WIDTH, HEIGHT = 640, 352
LOOP = 48
"""Frames of the source that are played forth and back."""


def memory_of_a_long_stream(source: Path, model: str | Path, frames: int) -> dict[str, Any]:
    """Peak memory in MB of `frames` frames of 640x352 from file to file, over their first tenth and over all.

    source: a clip of at least that size, of which the beginning is repeated.
    """
    with tempfile.TemporaryDirectory() as folder:
        long = _long_video(source, Path(folder) / "long.mp4", frames)
        here, there = multiprocessing.Pipe(duplex=False)
        # A fresh process: what this one has allocated before must not count.
        child = multiprocessing.get_context("spawn").Process(
            target=_watched, args=(there, long, Path(folder) / "out.mp4", str(model), frames)
        )
        child.start()
        there.close()
        try:
            early, peak = here.recv()
        finally:
            child.join()
    return {"frames": frames, "width": WIDTH, "height": HEIGHT, "early_mb": early, "peak_mb": peak}


def _watched(pipe: Connection, source: Path, target: Path, model: str, frames: int) -> None:
    early = 0.0

    def watch(done: int, total: int | None) -> None:
        nonlocal early
        if done <= frames // 10:
            early = _peak_mb()

    reconstruct(source, target, model=model, progress=watch)
    pipe.send((early, _peak_mb()))


def _peak_mb() -> float:
    """The most this process has ever held, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def _long_video(source: Path, path: Path, frames: int) -> Path:
    clip = load_clip(source, frames=LOOP, even=True)
    corner = slice(HEIGHT), slice(WIDTH)
    half = slice(HEIGHT // 2), slice(WIDTH // 2)
    pictures = [(frame.y[corner], frame.u[half], frame.v[half]) for frame in clip.frames]
    there_and_back = itertools.cycle([*pictures, *pictures[-2:0:-1]])
    step = Fraction(1, 25)
    with open_writer(
        path,
        width=WIDTH,
        height=HEIGHT,
        fps=1 / step,
        color=clip.picture.color,
        codec="h264",
        preset="ultrafast",
    ) as writer:
        for index, planes in enumerate(itertools.islice(there_and_back, frames)):
            writer.write(Frame(*planes, index * step, step, clip.picture.color))
    return path
