"""Where things went between two pictures: dense inverse search (DIS) optical flow, and moving pictures along it.

Kroeger, Timofte, Dai, Van Gool, ECCV 2016, as OpenCV has it. Everything here is numpy: flow conditions pictures only,
never what an entropy coder reads, because it differs between machines.

A search follows noise where nothing moves, and smears the motion of things over what is around them. Where flow is to
be `settled`, each place also tries the motions of its neighbours, as patches do (PatchMatch, Barnes et al., SIGGRAPH
2009), and standing still, and keeps the one that explains it best.
"""

from functools import lru_cache
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Planes

Effort = Literal["fast", "medium"]
Sample = TypeVar("Sample", np.uint8, np.float32)
EFFORTS: dict[Effort, int] = {
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
SHORTEST_SIDE = 32
"""Smaller pictures have no room for the patches of the search: they count as still."""
WINDOW = (9, 9)
"""Samples around a place over which a motion has to explain it."""
REACH = 12
"""Samples to the neighbours whose motion a place tries."""
PLAINLY = 0.95
"""A neighbour's motion is taken where it leaves less than this share of the error of the own."""
STILL = 1.2
"""Nothing moves where standing still leaves less than so many times the error of the best motion."""


class Motion:
    """Flow between frames of one size; keeps the search's buffers.

    effort: OpenCV's preset. "medium" searches closer and takes three to five times as long: for pictures that consist
    of what was moved, where "fast" is enough for a condition.
    finest: the last level of the pyramid that is searched; 1 (half the size) follows outlines closer than the 2 of
    "fast" and takes four times as long, 0 (the whole size) ten times. As the preset has it unless said.
    """

    def __init__(self, effort: Effort = "fast", finest: int | None = None) -> None:
        self._search = cv2.DISOpticalFlow.create(EFFORTS[effort])
        if finest is not None:
            self._search.setFinestScale(finest)

    def between(self, here: NDArray[np.uint8], there: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 2): for each pixel `here` how far right and down the same thing lies `there`, in pixels."""
        if min(here.shape) < SHORTEST_SIDE:
            return np.zeros((*here.shape, 2), np.float32)
        # OpenCV's search reads whole rows: views of a larger array confuse it. It begins at the flow that it is given,
        # so memory as it was found would lead it anywhere, even out of the picture.
        flow = np.zeros((*here.shape, 2), np.float32)
        found = self._search.calc(np.ascontiguousarray(here), np.ascontiguousarray(there), flow)
        return np.asarray(found, np.float32)


def moved(planes: Planes, flow: NDArray[np.float32], sharp: bool = False) -> Planes:
    """Fetch from `planes` what the flow of another picture (of any size) says lies there; edges are repeated.

    sharp: between pixels by a bicubic filter instead of a bilinear one.
    """
    y, u, v = planes
    maps = absolute_places(flow, y.shape[1], y.shape[0])
    chroma_maps = absolute_places(flow, u.shape[1], u.shape[0])
    return (
        fetched(y, maps, sharp),
        fetched(u, chroma_maps, sharp),
        fetched(v, chroma_maps, sharp),
    )


def absolute_places(flow: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """The flow at another size, as absolute places (height, width, 2)."""
    # What is small is scaled, and the grid is added in one pass: that took half of a search for motion.
    scaled = flow * np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
    if flow.shape[:2] != (height, width):
        scaled = np.asarray(cv2.resize(scaled, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.add(scaled, _own_places(width, height), out=scaled)


@lru_cache(maxsize=4)
def _own_places(width: int, height: int) -> NDArray[np.float32]:
    """Where each pixel is itself: across and down, (height, width, 2)."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([columns, rows], -1)


def fetched(plane: NDArray[Sample], places: NDArray[np.float32], sharp: bool) -> NDArray[Sample]:
    """What lies at absolute places (H, W, 2) of a plane of uint8 or float32; edges are repeated."""
    method = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    # Both coordinates are in one map: OpenCV takes None for the other, its stubs do not.
    seen = cv2.remap(plane, places, None, method, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(seen, plane.dtype)


def settled(
    here: NDArray[np.uint8], there: NDArray[np.uint8], flow: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The flow (H, W, 2) from `here` to `there`, both (H, W) uint8, with the best of a few motions at each place."""
    best = flow.copy()
    least = _error_along(here, there, flow)
    for across, down in ((REACH, 0), (-REACH, 0), (0, REACH), (0, -REACH)):
        tried = _shifted(flow, across, down)
        error = _error_along(here, there, tried)
        better = cv2.compare(error, least * PLAINLY, cv2.CMP_LT)
        cv2.copyTo(tried, better, best)
        cv2.copyTo(error, better, least)
    still = cv2.compare(_error(here, there), least * STILL, cv2.CMP_LE)
    # Between what stands and what moves the flow changes over a few samples, as the search's own does.
    moving = 1 - cv2.blur(still, (5, 5)).astype(np.float32) / 255
    return np.asarray(best * moving[..., None], np.float32)


def _error_along(
    here: NDArray[np.uint8], there: NDArray[np.uint8], flow: NDArray[np.float32]
) -> NDArray[np.float32]:
    height, width = here.shape
    return _error(here, fetched(there, absolute_places(flow, width, height), sharp=False))


def _error(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean squared error over the window around each place."""
    return np.asarray(cv2.sqrBoxFilter(cv2.absdiff(one, other), cv2.CV_32F, WINDOW))


def _shifted(flow: NDArray[np.float32], across: int, down: int) -> NDArray[np.float32]:
    """The motion so far to the left and above, edges repeated."""
    height, width = flow.shape[:2]
    wide = cv2.copyMakeBorder(
        flow, max(down, 0), max(-down, 0), max(across, 0), max(-across, 0), cv2.BORDER_REPLICATE
    )
    top, left = max(-down, 0), max(-across, 0)
    return np.asarray(wide[top : top + height, left : left + width])
