"""Which of many segments that look alike is the one: those of a camera that stands still all have the same background.

Laid over the query at one place, what they all show is taken off, and what is left, what moves, has to agree too.
"""

from collections.abc import Sequence
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.tasks.fingerprint import Array, Laid, Picture, detail, size_of

ZOOMS = (-0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03)
SHIFTS = (-0.5, -0.25, 0.0, 0.25, 0.5)
"""Shares of the width, and thumbnail pixels, around the place that was found: details are finer than its steps."""
FEWEST = 6
"""Segments that tell what is common to them."""
EDGE = 4
"""Thumbnail pixels inside a query's border whose details what lay beyond it had a part in."""
NOISE = 0.3
"""Deviation of a detail, in code values, that encoding leaves uncertain: where less than that moves, all agree."""


def settle(
    takes: Sequence[Sequence[Picture]], laid: Laid, best: int, group: NDArray[np.uint8], aspect: float
) -> Array:
    """How well each segment of a group fits the query, -1 to 1, all at the place where one of them lies best.

    takes: as in `fingerprint.fit`. group: luma (N, 2, 36, 64) of segments that look alike, of width over height
    `aspect`; best: the one of them that `laid` is about. Returns (N,).
    """
    size = size_of(laid.zoom, aspect, takes[0][0].aspect)
    if size is None:
        return np.full(len(group), -1.0, np.float32)
    window = (
        slice(laid.top + EDGE, laid.top + size[1] - EDGE),
        slice(laid.left + EDGE, laid.left + size[0] - EDGE),
    )
    details = np.stack([[detail(one.astype(np.float32))[window] for one in segment] for segment in group])
    common = np.median(details, axis=(0, 1))
    still = len(group) >= FEWEST
    like = np.stack([common, common])[None] if still else details[best : best + 1]

    def agreeing(place: tuple[float, float, float]) -> float:
        return float(_agreement(_laid_over(takes[laid.take], size, *place)[None], like)[0, 0])

    zoom, *_ = max(((zoom, 0.0, 0.0) for zoom in ZOOMS), key=agreeing)
    place = max(((zoom, x, y) for x, y in product(SHIFTS, SHIFTS)), key=agreeing)
    queries = np.stack([_laid_over(take, size, *place) for take in takes])
    plain = _agreement(queries, details)
    if not still or queries.shape[1] == 1:  # what moves differs from one picture to the next
        return np.asarray(plain.max(1), np.float32)
    known = _background(common)
    moving = _agreement(_beyond(queries, known), _beyond(details, known), NOISE**2 * common.size)
    return np.asarray(((plain + moving) / 2).max(1), np.float32)


def _background(common: Array) -> Array:
    """What a slight shift, scaling or change of contrast makes of a background: orthonormal rows (5, pixels)."""
    down, across = np.gradient(common)
    rows, columns = (np.linspace(-1, 1, count) for count in common.shape)
    bigger = down * rows[:, None] + across * columns
    made = np.stack([np.ones_like(common), common, across, down, bigger]).reshape(5, -1)
    return np.asarray(np.linalg.qr(made.T)[0].T, np.float32)


def _beyond(pictures: Array, known: Array) -> Array:
    """What a background does not explain."""
    flat = pictures.reshape(-1, known.shape[1])
    return np.asarray((flat - flat @ known.T @ known).reshape(pictures.shape), np.float32)


def _laid_over(take: Sequence[Picture], size: tuple[int, int], zoom: float, x: float, y: float) -> Array:
    """Details (pictures, rows, columns) of a take, without the edge, in the candidate's pixels, scaled about the middle
    and shifted."""
    columns, rows = size
    found = []
    for picture in take:
        height, width = picture.luma.shape
        across, down = columns / width * (1 + zoom), rows / height * (1 + zoom)
        matrix = np.array([
            [across, 0, (columns - 1) / 2 - across * (width - 1) / 2 + x],
            [0, down, (rows - 1) / 2 - down * (height - 1) / 2 + y],
        ])  # fmt: skip
        moved = cv2.warpAffine(
            picture.luma, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        found.append(detail(np.asarray(moved))[EDGE:-EDGE, EDGE:-EDGE])
    return np.stack(found)


def _agreement(queries: Array, segments: Array, noise: float = 0.0) -> Array:
    """Normalised correlation (segments, takes), the mean over pictures; a single picture may be either of a segment's.

    queries: (takes, pictures, rows, columns); segments: (N, 2, rows, columns); noise: energy in which all agree.
    """
    left = queries - queries.mean((2, 3), keepdims=True)
    right = segments - segments.mean((2, 3), keepdims=True)
    if left.shape[1] == 1:
        left = np.repeat(left, 2, 1)
    energy = [np.sqrt((part**2).sum((2, 3)) + noise + 1e-9) for part in (left, right)]
    common = np.einsum("tpij,npij->ntp", left, right, optimize=True) + noise
    every = common / (energy[0][None] * energy[1][:, None])
    return np.asarray(every.max(2) if queries.shape[1] == 1 else every.mean(2), np.float32)
