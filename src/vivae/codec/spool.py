"""Shots of a stream, on disk while they are worked on: encoders go over them several times, memory holds a frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vivae.media import Frame, Picture, Planes
from vivae.media.cuts import CutWatch, Thumbnail, thumbnail_of

SHORTEST = 8
"""Frames of a shot at least: a key frame costs as much as many others."""


@dataclass
class Shot:
    """Consecutive frames between two cuts, in a file of raw planes. Iterating reads them from the first on."""

    path: Path
    picture: Picture
    first: int
    """Index of its first frame in the stream."""
    times: list[tuple[Fraction, Fraction]] = field(default_factory=list)
    """Time and duration of each frame, in seconds."""
    last: bool = False
    """Whether the stream ends with it."""

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[Planes]:
        return self.part(0, len(self))

    def part(self, first: int, last: int) -> Iterator[Planes]:
        """The frames from `first` up to `last`."""
        width, height = self.picture.width, self.picture.height
        chroma = (-(-height // 2), -(-width // 2))
        luma_size, chroma_size = width * height, chroma[0] * chroma[1]
        size = luma_size + 2 * chroma_size
        with self.path.open("rb") as file:
            file.seek(first * size)
            for _ in range(first, last):
                data = np.frombuffer(file.read(size), np.uint8)
                y, u, v = np.split(data, [luma_size, luma_size + chroma_size])
                yield y.reshape(height, width), u.reshape(chroma), v.reshape(chroma)

    def remove(self) -> None:
        """Free the disk."""
        self.path.unlink(missing_ok=True)


def shots_of(frames: Iterable[Frame], picture: Picture, folder: Path, longest: int) -> Iterator[Shot]:
    """Cut a stream into shots of at most `longest` frames. Each is removed when the next one is asked for."""
    shot = Shot(folder / "shot.yuv", picture, 0)
    try:
        with ExitStack() as stack:
            file = stack.enter_context(shot.path.open("wb"))
            for frame, starts in with_cuts(frames):
                if ends_before(len(shot), starts, longest):
                    file.close()
                    yield shot
                    shot = Shot(shot.path, picture, shot.first + len(shot))
                    file = stack.enter_context(shot.path.open("wb"))
                _append(shot, frame, file)
        if len(shot):
            shot.last = True
            yield shot
    finally:
        shot.remove()


def ends_before(length: int, starts: bool, longest: int) -> bool:
    """Whether a shot that has `length` frames ends before a frame with which a new one may start."""
    return length == longest or (starts and length >= SHORTEST)


def write_shot(frames: Iterable[Frame], picture: Picture, path: Path, first: int) -> Shot:
    """All of `frames` as one shot, the first of them being frame `first` of its stream."""
    shot = Shot(path, picture, first)
    with path.open("wb") as file:
        for frame in frames:
            _append(shot, frame, file)
    return shot


def _append(shot: Shot, frame: Frame, file: BinaryIO) -> None:
    for plane in frame.planes:
        file.write(np.ascontiguousarray(plane).data)
    shot.times.append((frame.time, frame.duration))


def with_cuts(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Frames, and whether a shot begins with each; one frame behind."""
    watch = CutWatch()
    before: Thumbnail | None = None
    held: tuple[Frame, Thumbnail] | None = None
    for frame in frames:
        thumbnail = thumbnail_of(frame)
        if held is not None:
            yield held[0], before is None or watch.cuts(before, held[1], thumbnail)
            before = held[1]
        held = frame, thumbnail
    if held is not None:
        yield held[0], before is None or watch.cuts(before, held[1], None)
