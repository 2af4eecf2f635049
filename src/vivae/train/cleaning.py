"""Which frames are fit to learn from: black, repeated and flash frames are dropped, cuts end a sequence.

Works on a stream with one frame of look-ahead, on thumbnails of luma; nothing here knows of files or models. The limits
were set on real footage, where panning and shaken cameras change as much from frame to frame as some cuts do.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Frame
from vivae.media.cuts import CutWatch, distance, thumbnail_of

BLACK_MEAN, BLACK_SPREAD = 24.0, 6.0
"""Luma code values: a frame is black below both."""
STILL = 2.0
"""A frame repeats the one before if no block of 8x8 pixels differs by more than this, in mean code values."""
FLASH = 12.0
"""Mean absolute difference, in code values, from both neighbours that makes a lone frame a flash..."""
FLASH_RATIO = 4.0
"""...if they are that many times nearer to one another."""
LOOK = (16, 9)
"""Columns and rows of the pictures that are remembered to recognise copies of a clip."""
LOOKS = 20
"""One frame in so many of a clip is searched for in the others."""
COPY_SHARE = 0.8
"""A clip of whose looks so many are found in others is a copy."""


class Kept(NamedTuple):
    """A frame fit for training; `starts` where a new sequence begins with it."""

    frame: Frame
    starts: bool


class Cleaner:
    """Sorts the frames of one clip. `dropped` counts the reasons, `cuts` the cuts found so far."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.cuts = 0
        self.looks: list[NDArray[np.uint8]] = []
        """Of the kept frames, uint8 (9, 16), for finding copies."""

    def sort(self, frames: Iterable[Frame]) -> Iterator[Kept]:
        """The frames to keep of one span of the clip, in order."""
        previous: tuple[Frame, NDArray[np.float32]] | None = None
        watch = CutWatch()
        starts = True
        for frame, thumbnail, after in _with_next(frames):
            cut = False
            if previous is not None and _is_flash(previous[1], thumbnail, after):
                reason: str | None = "flash"
            elif (reason := _unfit(frame, thumbnail)) is None and previous is not None:
                cut = watch.cuts(previous[1], thumbnail, after) and not starts
                if not cut and _repeats(frame, previous[0]):
                    reason = "frozen"
            if reason is not None:
                self.dropped[reason] += 1
                starts = starts or reason == "black"
                continue
            if cut:
                self.cuts += 1
            self.looks.append(cv2.resize(thumbnail, LOOK, interpolation=cv2.INTER_AREA).astype(np.uint8))
            previous = frame, thumbnail
            yield Kept(frame, starts or cut)
            starts = False


def is_copy(looks: NDArray[np.uint8], others: NDArray[np.uint8]) -> bool:
    """Whether a clip's pictures are among those of others; looks of all frames, (N, 9, 16) and (M, 9, 16).

    The same pictures in another encoding count; one place at another time does not, as soon as something moves there.
    """
    asked = looks[::LOOKS]
    means = others.mean((1, 2))
    known = 0
    for look in asked:
        # Measured: other encodings of a frame differ by up to a fifth of the contrast, walkers of one street by half.
        limit = max(3.0, 0.25 * float(look.std()))
        near = others[np.abs(means - look.mean()) <= limit].astype(np.int16)
        known += bool((np.abs(near - look) <= limit).all((1, 2)).any())
    return bool(len(asked)) and known >= COPY_SHARE * len(asked)


def _with_next(
    frames: Iterable[Frame],
) -> Iterator[tuple[Frame, NDArray[np.float32], NDArray[np.float32] | None]]:
    held: tuple[Frame, NDArray[np.float32]] | None = None
    for frame in frames:
        small = thumbnail_of(frame)
        if held is not None:
            yield *held, small
        held = frame, small
    if held is not None:
        yield *held, None


def _unfit(frame: Frame, thumbnail: NDArray[np.float32]) -> str | None:
    if min(frame.height, frame.width) < 16:
        return "smaller than 16 pixels"
    if thumbnail.mean() < BLACK_MEAN and thumbnail.std() < BLACK_SPREAD:
        return "black"
    return None


def _is_flash(
    before: NDArray[np.float32], now: NDArray[np.float32], after: NDArray[np.float32] | None
) -> bool:
    if after is None:
        return False
    least = min(distance(before, now), distance(now, after))
    return least > FLASH and least > FLASH_RATIO * distance(before, after)


def _repeats(frame: Frame, previous: Frame) -> bool:
    blocks = (max(1, frame.width // 8), max(1, frame.height // 8))
    difference = cv2.absdiff(frame.y, previous.y)
    return float(cv2.resize(difference, blocks, interpolation=cv2.INTER_AREA).max()) <= STILL
