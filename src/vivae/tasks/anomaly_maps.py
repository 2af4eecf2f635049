"""Where a video is strange, frame by frame: maps of the scores of its regions, as pictures or laid over the video.

A map holds, for each pixel, the score of the strangest region around it: 0 what is ordinary, 1 the strangest of normal
footage. As a picture it is 8-bit grey, `UNIT` a score of 1, so that scores up to 2.55 are told apart.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.media import Frame, VideoInfo, atomic_dir, open_writer
from vivae.media.color import rgb_to_yuv
from vivae.media.masks import mixed

UNIT = 100
"""Grey of a score of 1."""
EDGE = 0.2
"""Share of a region's box over which its map fades out."""
STRONGEST = 0.7
"""Share of the colours, over the picture, where it is strangest."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the video."""
Where = Sequence[tuple[Box, float]]
"""The regions of a frame, each with its score."""
Write = Callable[[Frame, Where], None]


def strangeness_map(height: int, width: int, where: Where) -> NDArray[np.float32]:
    """(height, width), at least 0: for each pixel the highest score of a region whose box it lies in."""
    found = np.zeros((height, width), np.float32)
    for (x, y, across, down), score in where:
        left, top = max(0, x), max(0, y)
        right, bottom = min(width, x + across), min(height, y + down)
        if score <= 0 or left >= right or top >= bottom:
            continue
        rows = _fade(np.arange(top, bottom) - y, down)
        columns = _fade(np.arange(left, right) - x, across)
        part = found[top:bottom, left:right]
        np.maximum(part, np.float32(score) * rows[:, None] * columns, out=part)
    return found


def _fade(places: NDArray[np.intp], length: int) -> NDArray[np.float32]:
    """1 inside, falling towards both ends of a box's side."""
    inside = np.minimum(places + 0.5, length - places - 0.5) / max(1.0, EDGE * length)
    return np.clip(inside, 0, 1).astype(np.float32)


def as_grey(strange: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A map as 8-bit grey, see `UNIT`."""
    return np.clip(np.rint(UNIT * strange), 0, 255).astype(np.uint8)


def overlaid(frame: Frame, strange: NDArray[np.float32]) -> Frame:
    """The frame with a map over it: the stranger, the more of the colours."""
    grey = as_grey(strange)
    if not grey.any():
        return frame
    colours = np.asarray(
        cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB), np.uint8
    )
    share = np.asarray((STRONGEST / 255) * np.minimum(255, 2 * grey.astype(np.float32)), np.float32)
    return Frame(
        *mixed(frame.planes, rgb_to_yuv(colours, frame.color), share), frame.time, frame.duration, frame.color
    )


@contextmanager
def open_maps(
    dst: str | os.PathLike[str],
    info: VideoInfo,
    src: str | os.PathLike[str] | None,
    force: bool,
    *,
    start: float | None = None,
    end: float | None = None,
) -> Iterator[Write]:
    """What writes a frame's map: a name without a suffix becomes a folder with one grey PNG a frame (00000.png
    upward), a video's name the video with the maps over it.

    src: whose sound, between start and end (seconds), goes into that video; None for sources that are read once.
    Raises InputError, OutputError.
    """
    target = Path(dst)
    if not target.suffix:
        with atomic_dir(target, force) as folder:
            yield _Pictures(folder).write
        return
    if target.suffix.lower() not in (".mp4", ".mkv", ".webm"):
        raise InputError(f"maps become a folder or a video (.mp4, .mkv, .webm), not '{target.name}'")
    with open_writer(
        target, width=info.width, height=info.height, fps=info.fps, color=info.color, sar=info.sar,
        time_base=info.time_base, copy_from=src, start=start, end=end, force=force,
    ) as video:  # fmt: skip
        yield lambda frame, where: video.write(
            overlaid(frame, strangeness_map(frame.height, frame.width, where))
        )


class _Pictures:
    """One PNG a frame."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def write(self, frame: Frame, where: Where) -> None:
        grey = as_grey(strangeness_map(frame.height, frame.width, where))
        _, data = cv2.imencode(".png", grey)
        (self._folder / f"{self._count:05d}.png").write_bytes(data.tobytes())
        self._count += 1
