"""Where one shot ends and the next begins: hard cuts, told from thumbnails of luma and the changes around them.

The limits were set on real footage, where panning and shaken cameras change as much from frame to frame as some cuts
do. Dissolves and fades are no cuts.
"""

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media.frames import Frame

Thumbnail = NDArray[np.float32]
THUMBNAIL = (32, 18)
"""Columns and rows."""
CUT = 5.0
"""Mean absolute difference of thumbnails, in code values, times their decorrelation, that a cut exceeds..."""
CUT_RATIO = 2.0
"""...and by how many times its difference must exceed those of the frames around it."""
AROUND = 5
"""Changes before a cut that it is compared with; shaken cameras and doubled frames need more than one."""


class CutWatch:
    """Goes along one clip; asked of each pair of neighbours, in order."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=AROUND)

    def cuts(self, before: Thumbnail, now: Thumbnail, after: Thumbnail | None) -> bool:
        """Whether a new shot begins with `now`; `after` is the frame that follows, if any does."""
        change = distance(now, before)
        around = max([*self._recent, 0.0 if after is None else distance(after, now)])
        cut = change > CUT_RATIO * around and change * (1 - _correlation(now, before)) > CUT
        if cut:
            self._recent.clear()
        else:
            self._recent.append(change)
        return cut


def thumbnail_of(frame: Frame) -> Thumbnail:
    """Luma of 32x18 samples, in code values."""
    return np.asarray(cv2.resize(frame.y, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)


def distance(a: Thumbnail, b: Thumbnail) -> float:
    """Mean absolute difference in code values."""
    return float(np.abs(a - b).mean())


def _correlation(a: Thumbnail, b: Thumbnail) -> float:
    """-1 to 1; 0 where one of the two is flat."""
    energy = float(a.std() * b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean()) / energy if energy else 0.0
