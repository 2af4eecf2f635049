"""From hints to an outline in one picture: a box, points, or a rough mask and what moves -> the object's pixels.

Colours of object and surroundings are told apart by iterated graph cuts (GrabCut: Rother, Kolmogorov and Blake, 2004);
points grow along paths without edges (geodesic distance: Bai and Sapiro, 2007); where the motion of things is known, it
has its say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Field = NDArray[Any]
"""float32 (h, w)."""
Mask = NDArray[np.bool_]

LINES = 240
"""Height, or width where that is less, that masks are worked out at."""
ROUNDS = 3
"""Of the graph cut."""
SEED = 0.02
"""Radius of what is surely meant by a point, in heights of the picture."""
SPREAD = 0.15
"""Edge-weighted distance, in heights, at which a pixel is as likely as not to belong to a point."""
LEAST = 16
"""Pixels of either side that colours can be learned from."""
BAND = 8
"""Pixels beyond the edge of what moves in which colours decide, and..."""
CORE = 0.6
"""...of its greatest depth, the share from which there is no doubt."""
MOVES = 0.25
"""Share of a box, above which what moves in it is taken for the object."""


@dataclass(frozen=True)
class Hints:
    """What a person says of one object in one picture, in the picture's pixels; x to the right, y down."""

    points: Sequence[tuple[float, float]] = ()
    not_points: Sequence[tuple[float, float]] = ()
    box: tuple[float, float, float, float] | None = None
    """x, y, width, height."""
    mask: Mask | None = field(default=None, repr=False)

    def scaled(self, x: float, y: float) -> "Hints":
        """In a picture x times as wide and y times as high; the mask stays."""
        box = self.box and (self.box[0] * x, self.box[1] * y, self.box[2] * x, self.box[3] * y)
        return Hints(
            [(px * x, py * y) for px, py in self.points],
            [(px * x, py * y) for px, py in self.not_points],
            box or None,
            self.mask,
        )


def outline(picture: Picture, hints: Hints, moving: Field | None = None) -> Field:
    """How likely each pixel belongs to the object: (h, w), 0 to 1.

    picture: uint8 Y, U, V (h, w, 3), some 240 lines. moving: (h, w), 0 to 1, what moves by itself, where that is known.
    """
    height, width = picture.shape[:2]
    sure, barred = _drawn(hints.points, picture.shape[:2]), _drawn(hints.not_points, picture.shape[:2])
    allowed = np.ones((height, width), bool)
    if hints.box is not None:
        allowed = _boxed(hints.box, (height, width))
    core, reach = np.zeros((height, width), bool), np.ones((height, width), bool)
    if hints.mask is not None:
        likely = cv2.resize(hints.mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        likely = _corrected(likely, picture, sure, barred)
    elif hints.points:
        likely = np.exp(-((_geodesic(picture, sure) / (SPREAD * height)) ** 2) * np.log(2))
        if hints.not_points:
            likely *= (_geodesic(picture, barred) > _geodesic(picture, sure)).astype(np.float32)
        if moving is not None and ((moving > 0.5) & sure).any():
            together = connected(moving > 0.5, sure)
            core, reach = _band(together)
            likely = cv2.GaussianBlur(together.astype(np.float32), (0, 0), 2)
    elif hints.box is not None:
        likely = _inside(hints.box, (height, width))
        # Where little of the box moves by itself, motion says nothing.
        if moving is not None and allowed.any() and float(moving[allowed].mean()) > MOVES:
            likely = likely * (0.25 + 0.75 * moving)
    else:
        likely = np.zeros((height, width), np.float32) if moving is None else moving
    likely = np.where(allowed & ~barred, np.maximum(likely, sure), 0).astype(np.float32)
    if hints.mask is not None and not hints.points and not hints.not_points:
        return likely
    return _cut(picture, likely, sure, core & allowed & ~barred, barred | ~allowed | ~reach & ~sure)


def _band(mask: Mask) -> tuple[Mask, Mask]:
    """What surely belongs to an object that moves like this, and what may: flow is coarse at edges."""
    values = mask.astype(np.uint8)
    depth = cv2.distanceTransform(values, cv2.DIST_L2, 3)
    wide = np.ones((2 * BAND + 1, 2 * BAND + 1), np.uint8)
    return np.asarray(depth > CORE * max(1.0, float(depth.max()))), np.asarray(cv2.dilate(values, wide) > 0)


def _cut(picture: Picture, likely: Field, sure: Mask, core: Mask, barred: Mask) -> Field:
    trimap = np.where(likely > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[likely < 0.003] = cv2.GC_BGD
    trimap[barred] = cv2.GC_BGD
    trimap[sure | core] = cv2.GC_FGD
    front = (trimap == cv2.GC_PR_FGD) | (trimap == cv2.GC_FGD)
    if front.sum() < LEAST or (~front).sum() < LEAST:
        return likely
    shown = cv2.cvtColor(picture, cv2.COLOR_YUV2BGR)
    back, fore = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)  # its clustering draws; equal hints are to give equal masks
    cv2.grabCut(shown, trimap, (0, 0, 0, 0), back, fore, ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    if sure.any():
        found = connected(found, sure)
    elif found.any():
        found = largest(found)
    if found.sum() < 0.3 * front.sum():
        # The cut has thrown away what was asked for: colours do not tell the two apart.
        found = front
    return found.astype(np.float32)


def _corrected(likely: Field, picture: Picture, sure: Mask, barred: Mask) -> Field:
    """A mask so far, with what lies around each point added or taken away."""
    reach = SPREAD * picture.shape[0]
    if sure.any():
        likely = np.maximum(likely, np.exp(-((_geodesic(picture, sure) / reach) ** 2) * np.log(2)))
    if barred.any():
        likely = likely * (1 - np.exp(-((_geodesic(picture, barred) / reach) ** 2) * np.log(2)))
    return np.asarray(likely, np.float32)


def connected(mask: Mask, seeds: Mask) -> Mask:
    """The connected parts of a mask that hold a seed; all of it where none does."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    wanted = np.unique(labels[seeds & mask])
    wanted = wanted[wanted > 0]
    return np.isin(labels, wanted) if wanted.size else mask


def redrawn(picture: Picture, mask: Mask, band: int = BAND) -> Mask:
    """A mask whose edge is drawn anew by colours, no farther than `band` pixels away; one round of the graph cut."""
    inside = mask.astype(np.uint8)
    kernel = np.ones((2 * band + 1, 2 * band + 1), np.uint8)
    trimap = np.where(mask, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[cv2.dilate(inside, kernel) == 0] = cv2.GC_BGD
    trimap[cv2.erode(inside, kernel) > 0] = cv2.GC_FGD
    if inside.sum() < LEAST or (trimap & 1 == 0).sum() < LEAST:
        return mask
    back, fore = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)
    cv2.grabCut(
        cv2.cvtColor(picture, cv2.COLOR_YUV2BGR), trimap, (0, 0, 0, 0), back, fore, 1, cv2.GC_INIT_WITH_MASK
    )
    return (trimap & 1) > 0


def largest(mask: Mask, share: float = 0.2) -> Mask:
    """The largest connected part, and those of at least `share` of its area."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].astype(float)
    areas[0] = 0
    return (areas >= share * areas.max())[labels] & mask


def _drawn(points: Sequence[tuple[float, float]], shape: tuple[int, ...]) -> Mask:
    canvas = np.zeros(shape, np.uint8)
    for x, y in points:
        cv2.circle(canvas, (round(x), round(y)), max(1, round(SEED * shape[0])), 1, cv2.FILLED)
    return canvas > 0


def _boxed(box: tuple[float, float, float, float], shape: tuple[int, int]) -> Mask:
    x, y, width, height = box
    allowed = np.zeros(shape, bool)
    allowed[max(0, round(y)) : max(0, round(y + height)), max(0, round(x)) : max(0, round(x + width))] = True
    return allowed


def _inside(box: tuple[float, float, float, float], shape: tuple[int, int]) -> Field:
    """Within a box its middle is likelier the object than its corners: an ellipse, softly."""
    x, y, width, height = box
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    across = (columns - (x + width / 2)) / max(1.0, width / 2)
    down = (rows - (y + height / 2)) / max(1.0, height / 2)
    return np.clip(1.25 - 0.5 * (across**2 + down**2), 0, 1).astype(np.float32)


def _geodesic(picture: Picture, seeds: Mask) -> Field:
    """Distance from the seeds in pixels, along ways where colours change little: sweeps in both directions."""
    height, width = picture.shape[:2]
    colour = cv2.bilateralFilter(picture, 5, 20, 5).astype(np.float32) / 12
    far = np.float32(1e6)
    distance = np.where(seeds, np.float32(0), far)
    right = 1 + np.abs(np.diff(colour, axis=1)).sum(2) * 3
    down = 1 + np.abs(np.diff(colour, axis=0)).sum(2) * 3
    for _ in range(2):
        for row in range(1, height):
            np.minimum(distance[row], distance[row - 1] + down[row - 1], out=distance[row])
        for row in range(height - 2, -1, -1):
            np.minimum(distance[row], distance[row + 1] + down[row], out=distance[row])
        for column in range(1, width):
            np.minimum(
                distance[:, column], distance[:, column - 1] + right[:, column - 1], out=distance[:, column]
            )
        for column in range(width - 2, -1, -1):
            np.minimum(
                distance[:, column], distance[:, column + 1] + right[:, column], out=distance[:, column]
            )
    return np.asarray(distance, np.float32)
