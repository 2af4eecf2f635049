"""How much noise footage has, judged without an original: by its flattest places, and by what does not stay over time.

Fine texture looks like noise in one picture. From one to the next it moves along with its object, and noise does not;
so the lesser of both measures is believed.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Frame
from vivae.vae.motion import Motion, absolute_places

PATCH = 16
FLATTEST = 0.2
"""Share of patches, the flattest, that tell noise from texture."""
UNBIASED = 1.07
"""The flattest patches are also those where noise happens to be low."""
CUT_OFF = 119.0
"""Noise of a third of this, and more, measures too low, because black and white cut it off. Found on training clips."""
NOISE_OF_LUMA = {"limited": 0.574, "full": 0.668}
"""Deviation of luma for a unit of independent noise on R, G and B."""
LOOKED_AT = (720, 1280)
"""Lines and columns at most, from the middle of pictures, in which is looked for what changes."""
SMOOTHING = 1.0
"""Deviation in pixels of the blur that keeps the search for motion from following noise."""
Luma = NDArray[np.float32]


def noise_of(frame: Frame) -> float:
    """Standard deviation of Gaussian noise, in 8-bit RGB code values.

    What a second difference in both directions leaves (Immerkaer, CVIU 1996) of the flattest patches: noise has it
    everywhere, texture does not.
    """
    return _level(frame.y, _powers(_finest(frame.y.astype(np.float32))), frame.color.range)


def noise_in(runs: Iterable[Sequence[Frame]]) -> float:
    """The median over frames of noise in 8-bit RGB code values. runs: frames that follow each other; one or more."""
    return float(np.median([noise for run in runs for noise in _noises(run)]))


def _noises(run: Sequence[Frame]) -> list[float]:
    """Of the only frame of a run, or of each but the first."""
    if len(run) < 2:
        return [noise_of(frame) for frame in run]
    return [noise_of(frame) * _share_that_changes(before, frame) for before, frame in pairwise(run)]


def _share_that_changes(before: Frame, frame: Frame) -> float:
    """How much of what looks like noise is left, at most 1, when what the frame before shows has been moved to this one
    and taken away.

    Moving smooths noise; by how much, drawn noise tells that is moved alike. A frame that is shown twice tells nothing.
    """
    if min(frame.y.shape) < PATCH or before.y.shape != frame.y.shape or np.array_equal(before.y, frame.y):
        return 1.0
    now, last = _middle(frame.y), _middle(before.y)
    height, width = now.shape
    here, there = (np.asarray(cv2.GaussianBlur(luma, (0, 0), SMOOTHING), np.uint8) for luma in (now, last))
    maps = absolute_places(Motion().between(here, there), width, height)
    drawn = _drawn(height, width)
    pair = np.dstack([last.astype(np.float32), drawn])
    # Both coordinates are in one map: OpenCV takes None for the other, its stubs do not.
    shown, moved = cv2.split(cv2.remap(pair, maps, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))  # type: ignore[call-overload]
    kept = _powers(_finest(np.asarray(moved, np.float32))) / _powers(_finest(drawn)).mean()
    changing = _level(now, _powers(_finest(now - shown)) / (1 + kept), frame.color.range)
    seen = _level(now, _powers(_finest(now.astype(np.float32))), frame.color.range)
    return min(1.0, changing / seen) if seen else 1.0


def _middle(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of a large picture, as much as is looked at over time."""
    (rows, columns), (most_rows, most_columns) = luma.shape, LOOKED_AT
    top, left = max(0, rows - most_rows) // 2, max(0, columns - most_columns) // 2
    return luma[top : top + most_rows, left : left + most_columns]


@lru_cache(maxsize=2)  # frames of one video are of one size; a server sees many videos
def _drawn(height: int, width: int) -> Luma:
    return np.random.default_rng(0).standard_normal((height, width), np.float32)


def _finest(luma: Luma) -> Luma:
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    return np.asarray(cv2.filter2D(luma, -1, mask), np.float32)


def _powers(finest: Luma) -> Luma:
    return _patches(finest**2)


def _level(luma: NDArray[np.uint8], powers: Luma, span: str) -> float:
    """Noise, from what each patch of a luma has of it. span: of the luma, "limited" or "full"."""
    if not powers.size:
        return 0.0
    means = _patches(luma.astype(np.float32))
    lit = (means > 28) & (means < 226)  # elsewhere clipping hides noise
    chosen = powers[lit] if lit.mean() > 0.1 else powers.ravel()
    seen = UNBIASED * float(np.sqrt(np.quantile(chosen, FLATTEST))) / NOISE_OF_LUMA[span]
    return seen * (1 + (seen / CUT_OFF) ** 2)


def _patches(values: Luma) -> Luma:
    rows, columns = (side // PATCH for side in values.shape)
    part = values[: rows * PATCH, : columns * PATCH]
    return np.asarray(part.reshape(rows, PATCH, columns, PATCH).mean((1, 3)))
