"""Which frames are fit to learn from: black, repeated and flash frames are dropped, cuts end a sequence.

Works on a stream with one frame of look-ahead, on thumbnails of luma; nothing here knows of files or models.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Frame

THUMBNAIL = (32, 18)
"""Columns and rows."""
BLACK_MEAN, BLACK_SPREAD = 24.0, 6.0
"""Luma code values: a frame is black below both."""
CUT = 28.0
"""Mean absolute difference of thumbnails, in code values, that a cut exceeds..."""
CUT_RATIO = 4.0
"""...and by how many times it must exceed the usual motion of the clip."""
LOOKS = 20
"""One frame in so many is remembered to recognise copies of a clip."""


class Kept(NamedTuple):
    """A frame fit for training; `starts` where a new sequence begins with it."""

    frame: Frame
    starts: bool


class Cleaner:
    """Sorts the frames of one clip. `dropped` counts the reasons, `cuts` the cuts found so far.

    max_frames: stop after so many kept frames.
    """

    def __init__(self, max_frames: int):
        self.max_frames = max_frames
        self.dropped: Counter[str] = Counter()
        self.cuts = 0
        self.looks: list[bytes] = []
        """Coarse fingerprints of the kept frames, for finding copies."""

    def sort(self, frames: Iterable[Frame]) -> Iterator[Kept]:
        """The frames to keep, in order."""
        previous: tuple[Frame, NDArray[np.float32]] | None = None
        usual: float | None = None
        starts, kept = True, 0
        for frame, thumbnail, after in _with_next(frames):
            reason = _unfit(frame, thumbnail)
            if reason is None and previous is not None:
                change = _distance(thumbnail, previous[1])
                if change == 0 and np.array_equal(frame.y, previous[0].y):
                    reason = "frozen"
                elif change > CUT and change > CUT_RATIO * (usual or 0):
                    # A flash differs from both neighbours, which resemble one another; a cut does not go back.
                    if after is not None and _distance(after, previous[1]) < change / 3:
                        reason = "flash"
                    else:
                        self.cuts += 1
                        starts, usual = True, None
                else:
                    usual = change if usual is None else 0.8 * usual + 0.2 * change
            if reason is not None:
                self.dropped[reason] += 1
                starts = starts or reason == "black"
                continue
            if kept % LOOKS == 0:
                self.looks.append(fingerprint(thumbnail))
            previous = frame, thumbnail
            yield Kept(frame, starts)
            starts = False
            kept += 1
            if kept == self.max_frames:
                return


def fingerprint(thumbnail: NDArray[np.float32]) -> bytes:
    """An 8x8 picture of which regions are lighter than usual: equal for copies that were coded again."""
    small = cv2.resize(thumbnail, (8, 8), interpolation=cv2.INTER_AREA)
    return np.packbits(small > np.median(small)).tobytes()


def _with_next(
    frames: Iterable[Frame],
) -> Iterator[tuple[Frame, NDArray[np.float32], NDArray[np.float32] | None]]:
    held: tuple[Frame, NDArray[np.float32]] | None = None
    for frame in frames:
        small = cv2.resize(frame.y, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
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


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).mean())
