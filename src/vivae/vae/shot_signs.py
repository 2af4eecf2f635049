"""What tells one shot from the next: a row of figures for each frame, from thumbnails of the frames around it.

Differences at several distances say cut or flash, differences after motion compensation say cut or moving camera, and
how well a frame is explained as a mixture of an earlier and a later one says dissolve or motion. Nothing is decided
here: `vivae.vae.shot_head` reads the rows.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Planes

Array = NDArray[np.float32]
Rows = NDArray[np.float32]

FINE = (64, 36)
"""Columns and rows of the luma that motion is searched in: any shape of picture is brought to it."""
COARSE = (32, 18)
"""Columns and rows of luma and chroma that are compared."""
LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
"""Frames between the two that are compared, placed evenly about the frame of the row."""
MOTION_LAGS = (1, 3)
MIX_STEPS = (2, 4, 8, 12)
"""How far from the frame of the row its supposed ingredients lie, on either side."""
REACH = 12
"""Frames before and after that a row depends on."""
SIGNS = 4 * len(LAGS) + 4 * len(MOTION_LAGS) + 4 * len(MIX_STEPS) + 4
"""Figures in a row."""
LUMA_BINS, CHROMA_BINS = 32, 8
COLUMNS = {
    "rest": SIGNS - 4 - 3 * len(MIX_STEPS),
    "either": SIGNS - 4 - 2 * len(MIX_STEPS),
    "deviation": SIGNS - 3,
}
"""Where some of the figures stand in a row; of the mixtures those of the least step."""


@dataclass(frozen=True, slots=True)
class Thumb:
    """A frame in small. fine: uint8 luma; coarse: float32 (Y, U, V samples), 0 to 1; histogram: sums to 2."""

    fine: NDArray[np.uint8]
    coarse: Array
    histogram: Array
    mean: float
    deviation: float
    edges: float


def thumb_of(planes: Planes) -> Thumb:
    """Of 8-bit planes of any size."""
    y, u, v = planes
    fine = np.asarray(cv2.resize(y, FINE, interpolation=cv2.INTER_AREA), np.uint8)
    parts = [cv2.resize(plane, COARSE, interpolation=cv2.INTER_AREA) for plane in (fine, u, v)]
    coarse = np.concatenate([part.ravel() for part in parts]).astype(np.float32) / np.float32(255)
    luma = np.bincount(fine.ravel() >> 3, minlength=LUMA_BINS).astype(np.float32)
    luma = (np.convolve(luma, [0.25, 0.5, 0.25], "same") / fine.size).astype(np.float32)
    # Chroma lives near the middle of its range: the outer bins are wide.
    cells = [
        np.clip((part.ravel().astype(np.int32) - 128) // 10 + CHROMA_BINS // 2, 0, CHROMA_BINS - 1)
        for part in parts[1:]
    ]
    chroma = np.bincount(cells[0] * CHROMA_BINS + cells[1], minlength=CHROMA_BINS**2) / cells[0].size
    histogram = np.concatenate([luma, chroma]).astype(np.float32)
    level = fine.astype(np.float32)
    edges = float(np.abs(np.diff(level, axis=0)).mean() + np.abs(np.diff(level, axis=1)).mean())
    return Thumb(fine, coarse, histogram, float(level.mean()) / 255, float(level.std()) / 255, edges / 255)


def rows_of(thumbs: Iterable[Thumb]) -> Iterator[Array]:
    """A row of `SIGNS` figures for each frame, in order."""
    maker = RowMaker()
    for thumb in thumbs:
        yield from maker.push(thumb)
    yield from maker.finish()


class QuickSearch:
    """Dense inverse search at its quickest: for thumbnails, where it finds what slower settings find."""

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def between(self, here: NDArray[np.uint8], there: NDArray[np.uint8]) -> Array:
        """(H, W, 2): how far right and down what is `here` lies `there`, in pixels."""
        # Zeros, because the search starts from what it is given.
        start = np.zeros((*here.shape, 2), np.float32)
        return np.asarray(self._search.calc(here, there, start), np.float32)


class RowMaker:
    """Thumbnails in, rows of `SIGNS` figures out; a row comes when `REACH` later frames have been seen.

    Beyond either end of the clip its first and last frames stand still. What is held has a fixed size.
    """

    def __init__(self) -> None:
        self._search = QuickSearch()
        self._before = np.array([REACH - (lag + 1) // 2 for lag in LAGS])
        self._after = self._before + np.array(LAGS)
        self._held: deque[Thumb] = deque(maxlen=2 * REACH + 1)
        self._waiting = 0

    def push(self, thumb: Thumb) -> list[Array]:
        """The next frame; the rows that are now known, one at most."""
        if not self._held:
            self._held.extend([thumb] * REACH)
        self._held.append(thumb)
        self._waiting += 1
        if self._waiting <= REACH:
            return []
        self._waiting -= 1
        return [self._row(list(self._held))]

    def finish(self) -> list[Array]:
        """The rows of the last frames."""
        if not self._waiting:
            return []
        held = list(self._held)
        line = held + [held[-1]] * REACH
        first = len(held) - self._waiting - REACH
        rows = [self._row(line[first + k : first + k + 2 * REACH + 1]) for k in range(self._waiting)]
        self._waiting = 0
        return rows

    def _row(self, thumbs: list[Thumb]) -> Array:
        """thumbs: 2 * REACH + 1 of them, the frame itself in the middle."""
        pictures = np.stack([thumb.coarse for thumb in thumbs])
        histograms = np.stack([thumb.histogram for thumb in thumbs])
        middle = thumbs[REACH]
        parts = [self._differences(pictures, histograms), self._motions(thumbs), _mixtures(pictures)]
        change = middle.mean - thumbs[REACH - 1].mean
        parts.append(np.array([middle.mean, _log(middle.deviation), _log(middle.edges), 10 * change]))
        return np.concatenate(parts).astype(np.float32)

    def _differences(self, pictures: Array, histograms: Array) -> Array:
        """Luma, chroma, what correlation is missing, and histograms, at each lag."""
        a, b = pictures[self._before], pictures[self._after]
        luma = COARSE[0] * COARSE[1]
        far = np.abs(a - b)
        da, db = (part[:, :luma] - part[:, :luma].mean(1, keepdims=True) for part in (a, b))
        # The constant makes flat pictures alike: their noise should not count as structure.
        energy = np.sqrt((da * da).mean(1) * (db * db).mean(1)) + 1e-4
        alike = (da * db).mean(1) / energy
        bins = np.abs(histograms[self._before] - histograms[self._after]).sum(1)
        return np.concatenate([_log(far[:, :luma].mean(1)), _log(far[:, luma:].mean(1)), 1 - alike, bins])

    def _motions(self, thumbs: list[Thumb]) -> Array:
        """What motion leaves unexplained, its share of the difference, how fast it is, and how uneven."""
        found: list[float] = []
        for lag in MOTION_LAGS:
            first = REACH - (lag + 1) // 2
            a, b = thumbs[first].fine, thumbs[first + lag].fine
            flow = self._search.between(b, a)
            left = cv2.mean(cv2.absdiff(_fetched(a, flow), b))[0] / 255
            plain = cv2.mean(cv2.absdiff(a, b))[0] / 255
            speed = cv2.mean(cv2.magnitude(flow[..., 0], flow[..., 1]))[0]
            uneven = float(cv2.meanStdDev(flow)[1].mean())
            found += [_log(left), left / (plain + 0.004), np.log1p(speed), np.log1p(uneven)]
        return np.array(found, np.float32)


PLACES = np.stack(np.meshgrid(np.arange(FINE[0]), np.arange(FINE[1])), -1).astype(np.float32)


def _fetched(picture: NDArray[np.uint8], flow: Array) -> NDArray[np.uint8]:
    places = PLACES + flow
    return np.asarray(
        cv2.remap(picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def _mixtures(pictures: Array) -> Array:
    """For each step: share of the later picture in this one, what the best mixture leaves, what the better of the two
    leaves at each sample (as wipes do), and how far apart the two are."""
    steps = np.array(MIX_STEPS)
    a, b, middle = pictures[REACH - steps], pictures[REACH + steps], pictures[REACH][None]
    apart = b - a
    power = (apart * apart).mean(1) + 1e-5
    share = ((middle - a) * apart).mean(1) / power
    rest = ((middle - a - np.clip(share, 0, 1)[:, None] * apart) ** 2).mean(1) / power
    either = np.minimum(np.abs(middle - a), np.abs(middle - b)).mean(1) / (np.abs(apart).mean(1) + 0.004)
    return np.concatenate(
        [np.clip(share, -1, 2), np.minimum(np.sqrt(rest), 3), np.minimum(either, 3), np.log(power)]
    )


def _log(value: Any) -> Any:
    """Differences span decades; below half a code value they are noise."""
    return np.log(np.asarray(value) + 0.002)
