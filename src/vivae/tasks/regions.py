"""What moves before a camera that stands still: regions around it, with their look, motion, shape and place.

A region is a square around a peak of what differs from the background. It keeps what `RegionVAE` looks at, and seven
figures whose nearest neighbours among normal ones tell how unusual it moves: mean flow, speed, how much of a body and
of its surroundings is filled, and where it is.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Frame
from vivae.vae.region import CONDITIONS, LOOKS, SIDE

Map = NDArray[np.float32]
SHORT_SIDE = 240
"""Frames are looked at at this size of the shorter side; pixels below are of that size."""
REGION = 36
"""Pixels of a region's side: a person who walks some 20 to 50 m away."""
BODY = (15, 27)
"""Columns and rows of a body, over which motion is averaged: legs swing to and fro."""
AROUND = (37, 37)
APART = 11
"""Pixels within which there is one peak."""
DIFFERENT = 12
"""Code values by which what moves differs from the background..."""
FILLED = 0.25
"""...in so much of a body."""
CONTRAST = 40.0
"""Code values that are 1 to the network."""
MOST = 48
"""Regions of a frame, the most filled first: bounds the time that a frame takes."""
FIGURES = ("across", "down", "speed", "filled", "surroundings", "y", "x")
ADAPT_SECONDS = 4.0
"""The background gives way by one code value in so long (sigma-delta, Manzanera and Richefeu 2007)."""


class Regions(NamedTuple):
    """Of one frame.

    looks (N, 2, 32, 32), conditions (N, 4, 32, 32): for `RegionVAE`. figures (N, 7): flow in pixels a second, shares,
    and place from 0 to 1, see `FIGURES`. boxes (N, 4): x y width height, in pixels looked at.
    """

    looks: NDArray[np.float16]
    conditions: NDArray[np.float16]
    figures: Map
    boxes: NDArray[np.int32]


@dataclass(frozen=True)
class View:
    """What is known of a camera before its regions are looked at. background: luma, as looked at; gap: seconds over
    which motion is measured; speed: pixels a second of what commonly moves, the unit of the network's flow."""

    background: NDArray[np.uint8]
    gap: float
    speed: float


class RegionWatcher:
    """Frames of one camera, in order, to their regions; holds the few frames over which motion is measured."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._search = flow_search()
        self._background = view.background.astype(np.float32)
        self._adapted = 0.0

    def watch(self, frames: Iterable[Frame], every: int = 1) -> Iterator[tuple[Frame, Regions]]:
        """Every frame once, or each `every`-th; of the first, nothing is known that moves."""
        before: deque[tuple[float, NDArray[np.uint8]]] = deque()
        for number, frame in enumerate(frames):
            luma, time = shrunk_luma(frame), float(frame.time)
            before.append((time, luma))
            # The one before that is nearest to a gap ago.
            while len(before) > 2 and time - before[1][0] >= self._view.gap * 0.99:
                before.popleft()
            if number % every == 0:
                yield frame, self._regions(luma, before[0][1], time - before[0][0])
            self._adapt(luma, time)

    def _regions(self, luma: NDArray[np.uint8], past: NDArray[np.uint8], seconds: float) -> Regions:
        light = float(np.median(luma[::4, ::4] - self._background[::4, ::4]))
        ground = self._background + light  # a cloud before the sun is no event
        now, then = luma - ground, past - ground
        differs = (np.abs(cv2.GaussianBlur(now, (3, 3), 0)) > DIFFERENT).astype(np.uint8)
        moves = cv2.morphologyEx(differs, cv2.MORPH_CLOSE, np.ones((5, 3), np.uint8)).astype(np.float32)
        filled = _mean(moves, BODY)
        smooth = cv2.GaussianBlur(filled, (0, 0), 2)
        peak = (smooth >= cv2.dilate(smooth, np.ones((APART, APART), np.uint8))) & (filled > FILLED)
        rows, columns = np.nonzero(peak)
        if len(rows) > MOST:
            chosen = np.sort(np.argsort(-filled[rows, columns])[:MOST])
            rows, columns = rows[chosen], columns[chosen]
        if not len(rows) or seconds <= 0:
            return NOTHING
        still = np.zeros((*luma.shape, 2), np.float32)
        flow = -self._search.calc(luma, past, still) / np.float32(seconds)
        figures = _figures(moves, filled, flow, rows, columns)
        layers = np.dstack(
            [now / CONTRAST, then / CONTRAST, flow * moves[..., None] / (2 * self._view.speed)]
        )
        half = REGION // 2
        padded = cv2.copyMakeBorder(layers, half, half, half, half, cv2.BORDER_CONSTANT)
        seen = np.stack([
            cv2.resize(padded[y : y + REGION, x : x + REGION], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            for y, x in zip(rows, columns, strict=True)
        ]).transpose(0, 3, 1, 2)  # fmt: skip
        place = np.broadcast_to(figures[:, [6, 5], None, None], (len(rows), 2, SIDE, SIDE))
        conditions = np.concatenate([seen[:, LOOKS:], place], 1)
        assert conditions.shape[1] == CONDITIONS
        boxes = _boxes(moves, rows, columns)
        return Regions(seen[:, :LOOKS].astype(np.float16), conditions.astype(np.float16), figures, boxes)

    def _adapt(self, luma: NDArray[np.uint8], time: float) -> None:
        if time - self._adapted >= ADAPT_SECONDS:
            self._adapted = time
            self._background += np.sign(luma - self._background)


NOTHING = Regions(
    np.zeros((0, LOOKS, SIDE, SIDE), np.float16),
    np.zeros((0, CONDITIONS, SIDE, SIDE), np.float16),
    np.zeros((0, len(FIGURES)), np.float32),
    np.zeros((0, 4), np.int32),
)


def joined(found: Sequence[Regions]) -> Regions:
    """All of them, in order."""
    return Regions(
        np.concatenate([regions.looks for regions in found]),
        np.concatenate([regions.conditions for regions in found]),
        np.concatenate([regions.figures for regions in found]),
        np.concatenate([regions.boxes for regions in found]),
    )


def picked(regions: Regions, which: NDArray[np.intp]) -> Regions:
    """Those of the given numbers."""
    looks, conditions, figures, boxes = regions
    return Regions(looks[which], conditions[which], figures[which], boxes[which])


def flow_search() -> cv2.DISOpticalFlow:
    """Dense inverse search (Kroeger et al. 2016) at the fineness used here."""
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def shrunk_luma(frame: Frame) -> NDArray[np.uint8]:
    """Luma, scaled down so that the shorter side is `SHORT_SIDE`, never up."""
    scale = min(1.0, SHORT_SIDE / min(frame.height, frame.width))
    if scale == 1.0:
        return np.ascontiguousarray(frame.y)
    size = max(8, round(frame.width * scale)), max(8, round(frame.height * scale))
    return np.asarray(cv2.resize(frame.y, size, interpolation=cv2.INTER_AREA), np.uint8)


def _mean(values: Map, window: tuple[int, int]) -> Map:
    return np.asarray(cv2.boxFilter(values, -1, window, borderType=cv2.BORDER_CONSTANT), np.float32)


def _figures(moves: Map, filled: Map, flow: Map, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Map:
    """(N, 7), see `FIGURES`: flow is the mean over what moves of a body, speed its root mean square."""
    at = rows, columns
    share = filled[at] + 1e-6
    across, down = (_mean(moves * flow[..., axis], BODY)[at] / share for axis in range(2))
    speed = np.sqrt(np.maximum(_mean(moves * (flow**2).sum(2), BODY)[at] / share, 0))
    height, width = moves.shape
    return np.stack(
        [across, down, speed, filled[at], _mean(moves, AROUND)[at], rows / height, columns / width], 1
    ).astype(np.float32)


def _boxes(moves: Map, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.int32]:
    """Around what moves and is connected, at most a region to either side of the peak."""
    height, width = moves.shape
    _, labels, stats, _ = cv2.connectedComponentsWithStats(moves.astype(np.uint8))
    boxes = []
    for y, x in zip(rows.tolist(), columns.tolist(), strict=True):
        left, top, right, bottom = x - REGION // 2, y - REGION // 2, x + REGION // 2, y + REGION // 2
        label = int(labels[y, x])
        if label:
            own = stats[label]
            left, top = max(x - REGION, int(own[0])), max(y - REGION, int(own[1]))
            right, bottom = min(x + REGION, int(own[0] + own[2])), min(y + REGION, int(own[1] + own[3]))
        left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
        boxes.append((left, top, right - left, bottom - top))
    return np.array(boxes, np.int32)
