"""What a second of video is recognised by, also re-encoded, cropped or mirrored: vectors to look up, pictures to check.

A vector is the layout of light and colour in coarse cells, of the whole picture and of windows of it, so that a crop
finds its window. Looked up alone, it would mistake one smooth sky for another: candidates are then laid over the query
picture by picture, at any scale and place (normalised cross-correlation, Lewis 1995), and how well that fits is a
score that means the same everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Frame

Array = NDArray[np.float32]

THUMB = (64, 36)
"""Columns and rows of a picture for checking, whatever its shape."""
CELLS = (12, 7)
CHROMA_CELLS = (4, 3)
CHROMA_WEIGHT = 0.6
WINDOWS = tuple(
    (x * (1 - side), y * (1 - side), side)
    for side, places in (
        (1.0, ((0, 0),)),
        (0.85, ((0.5, 0.5), (0, 0), (1, 0), (0, 1), (1, 1))),
        (0.7, ((0.5, 0.5), (0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0), (0.5, 1), (0, 0.5), (1, 0.5))),
    )
    for x, y in places
)
"""Left, top and side, in shares of the picture's own."""
LENGTH = CELLS[0] * CELLS[1] + 2 * CHROMA_CELLS[0] * CHROMA_CELLS[1]
ZOOMS = tuple(np.arange(1.0, 0.66, -0.04).tolist())
"""Shares of its width that a crop may keep: smaller ones have no window, and fit many things by chance."""
FINE, BROAD = 0.8, 5.0
"""Blurs, in thumbnail pixels, between which details lie that are compared: finer ones do not survive encoding, coarser
ones are alike in many pictures."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame in small. luma: float32 (36, 64); chroma: float32 (2, 18, 32); aspect: width over height as shown."""

    luma: Array
    chroma: Array
    aspect: float

    def mirrored(self) -> "Picture":
        """Left and right exchanged."""
        return Picture(
            np.ascontiguousarray(self.luma[:, ::-1]),
            np.ascontiguousarray(self.chroma[..., ::-1]),
            self.aspect,
        )


def picture_of(frame: Frame, sar: float = 1.0) -> Picture:
    """sar: width over height of one sample."""
    half = (THUMB[0] // 2, THUMB[1] // 2)
    luma = cv2.resize(frame.y, THUMB, interpolation=cv2.INTER_AREA)
    chroma = [cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (frame.u, frame.v)]
    return Picture(
        np.asarray(luma, np.float32),
        np.asarray(np.stack(chroma), np.float32),
        frame.width * sar / frame.height,
    )


def vectors_of(pictures: Sequence[Picture], windows: Sequence[tuple[float, float, float]] = WINDOWS) -> Array:
    """(windows, LENGTH), each of unit length: the mean over pictures."""
    return np.stack([_vector(pictures, window) for window in windows])


def _vector(pictures: Sequence[Picture], window: tuple[float, float, float]) -> Array:
    parts = []
    for picture in pictures:
        light = _cells(picture.luma, window, CELLS)
        light = light - light.mean()
        light /= np.linalg.norm(light) + 8.0  # a flat picture has no layout, only noise
        colour = [(_cells(plane, window, CHROMA_CELLS) - 128) / 64 for plane in picture.chroma]
        parts.append(np.concatenate([light.ravel(), *(CHROMA_WEIGHT * part.ravel() for part in colour)]))
    mean = np.mean(parts, axis=0)
    return np.asarray(mean / (np.linalg.norm(mean) + 1e-6), np.float32)


def _cells(plane: Array, window: tuple[float, float, float], cells: tuple[int, int]) -> Array:
    height, width = plane.shape
    left, top, side = window
    x, y = round(left * width), round(top * height)
    part = plane[y : y + max(2, round(side * height)), x : x + max(2, round(side * width))]
    return np.asarray(cv2.resize(part, cells, interpolation=cv2.INTER_AREA), np.float32)


@dataclass(frozen=True, slots=True)
class Laid:
    """How a query lies over a candidate: how well, -1 to 1; at which share of its width, and where, in thumbnail
    pixels; and which of the takes it was."""

    score: float
    zoom: float = 1.0
    left: int = 0
    top: int = 0
    take: int = 0


def fit(takes: Sequence[Sequence[Picture]], candidate: Sequence[Array], aspect: float) -> Laid:
    """How some take of the query lies best over the candidate's pictures, at any scale and place.

    A take with as many pictures as the candidate is laid over all of them at one place; a single one over any.
    candidate: luma; aspect: width over height as shown.
    """
    details = [detail(luma) for luma in candidate]
    middle = takes[len(takes) // 2]
    zooms = [zoom for zoom in ZOOMS if size_of(zoom, aspect, middle[0].aspect) is not None]
    if not zooms:
        return Laid(-1.0)
    scores = [_at(middle, details, zoom, aspect).score for zoom in zooms]
    # The phase hardly moves the best scale: it is looked for with one take, and refined with all.
    likely = {zooms[0], *(zooms[k] for k in np.argsort(scores)[-2:])}
    every = (
        replace(_at(take, details, zoom, aspect), take=number)
        for number, take in enumerate(takes)
        for zoom in likely
    )
    return max(every, key=lambda laid: laid.score)


def size_of(zoom: float, aspect: float, own: float) -> tuple[int, int] | None:
    """Columns and rows that a query of aspect `own` takes, `zoom` of the width; None where it cannot lie inside."""
    height = round(THUMB[1] * zoom * aspect / own)
    return (round(THUMB[0] * zoom), min(height, THUMB[1])) if 10 <= height <= THUMB[1] * 1.04 else None


def _at(take: Sequence[Picture], details: Sequence[Array], zoom: float, aspect: float) -> Laid:
    size = size_of(zoom, aspect, take[0].aspect)
    if size is None:
        return Laid(-1.0)
    templates = [detail(np.asarray(cv2.resize(p.luma, size, interpolation=cv2.INTER_AREA))) for p in take]
    if len(templates) == len(details):
        maps = [
            cv2.matchTemplate(d, t, cv2.TM_CCOEFF_NORMED) for d, t in zip(details, templates, strict=True)
        ]
        found = [np.mean(maps, axis=0)]
    else:
        found = [cv2.matchTemplate(d, t, cv2.TM_CCOEFF_NORMED) for d in details for t in templates]
    best = max(found, key=lambda map_: float(map_.max()))
    top, left = np.unravel_index(int(best.argmax()), best.shape)
    return Laid(float(best.max()), zoom, int(left), int(top))


def detail(luma: Array) -> Array:
    """What lies between two blurs."""
    return np.asarray(
        cv2.GaussianBlur(luma, (0, 0), FINE) - cv2.GaussianBlur(luma, (0, 0), BROAD), np.float32
    )
