"""Footage in small and in memory, parted at its own cuts: what splices are made of."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.media import Frame, open_video
from vivae.media.cuts import CutWatch, Thumbnail, thumbnail_of

LEAST = 24
"""Frames of a shot that is worth having."""


def footage_of(
    paths: Iterable[str | os.PathLike[str]], size: tuple[int, int], frames: int
) -> dict[str, list[NDArray[np.uint8]]]:
    """By name of the file, its shots: (T, H, W, 3) uint8 Y, U, V of `size` (columns, rows).

    frames: at most, of each file. Raises InputError where nothing can be read.
    """
    found: dict[str, list[NDArray[np.uint8]]] = {}
    for path in sorted(Path(path) for path in paths):
        with open_video(path) as reader:
            shots = [np.stack(shot) for shot in _parted(reader, size, frames) if len(shot) >= LEAST]
        if shots:
            found[path.stem] = shots
    if not found:
        raise InputError("no footage was found: give a folder with videos")
    return found


def _parted(reader: Iterable[Frame], size: tuple[int, int], most: int) -> Iterator[list[NDArray[np.uint8]]]:
    watch = CutWatch()
    thumbs: list[Thumbnail] = []
    small: list[NDArray[np.uint8]] = []
    shot: list[NDArray[np.uint8]] = []
    for number, frame in enumerate(reader):
        if number >= most:
            break
        small.append(_shrunk(frame, size))
        thumbs.append(thumbnail_of(frame))
        if len(thumbs) == 2:
            shot.append(small[0])
        if len(thumbs) == 3:
            if watch.cuts(*thumbs):
                yield shot
                shot = []
            shot.append(small[1])
            del thumbs[0], small[0]
    yield shot


def _shrunk(frame: Frame, size: tuple[int, int]) -> NDArray[np.uint8]:
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in frame.planes]
    return np.asarray(np.stack(planes, -1), np.uint8)
