"""What comes, as each frame of a passage sees it: of noise every frame shows another part, later ones as earlier ones.

From the last frame of the passage backwards, what follows is averaged along the motion, of each place as many frames as
show the same thing there, and shown to the network in place of the next frame alone: a recursive temporal filter
(Dubois and Sabri, IEEE Trans. Communications 32(7), 1984), against the direction in which the network remembers.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import pack, unpack
from vivae.vae.enhancing import Packed, Sight, along
from vivae.vae.motion import Motion, absolute_places, fetched

LUMA = 0.57
"""Deviation of luma where that of R, G and B is 1."""
WINDOW = (9, 9)
"""Pixels around a place that have to show the same thing."""
QUARTER, PLAUSIBLE = 25, (0.6, 1.5)
"""Per cent of the places that surely show the same, and by how many times their error may differ from what the noise
would leave: noise is known roughly."""
FITTING, FALLING = 1.1, 0.7
"""Up to so many times the error of those a place shows the same thing; from there the share of the mean falls to 0."""
MOST = 8.0
"""Frames that count in the mean: more bring nothing, and keep what has changed slowly."""


def averaged(frames: Sequence[Packed], sight: Sight, motion: Motion, begin: int = 0) -> list[Packed | None]:
    """For each frame from `begin` on: the mean of what follows, moved to where it has things; None for the last."""
    brought: list[Packed | None] = [None] * len(frames)
    mean, counted = frames[-1], np.ones([side * 4 for side in frames[-1].shape[1:]], np.float32)
    for index in range(len(frames) - 2, begin - 1, -1):
        present = frames[index]
        flow = sight.flow(motion, present, mean)
        brought[index] = came = along(mean, flow, sight.sharp)
        if index > begin:
            places = absolute_places(flow, counted.shape[1], counted.shape[0])
            mean, counted = _with(present, came, fetched(counted, places, sharp=False), sight.noise)
    return brought


def _with(
    present: Packed, mean: Packed, counted: NDArray[np.float32], noise: float
) -> tuple[Packed, NDArray[np.float32]]:
    """The mean with the present frame, and how many frames it is of, place by place."""
    height, width = counted.shape
    here, there = unpack(present, height, width), unpack(mean, height, width)
    error = np.asarray(cv2.sqrBoxFilter(cv2.absdiff(here[0], there[0]), cv2.CV_32F, WINDOW))
    error = error / (max((LUMA * noise) ** 2, 0.5) * (1 + 1 / counted))
    usual = np.clip(np.percentile(error[::4, ::4], QUARTER), *PLAUSIBLE)
    matching = np.clip((FITTING + FALLING - error / usual) / FALLING, 0, 1)
    counted = np.minimum(counted * matching, MOST - 1).astype(np.float32)
    share = counted / (counted + 1)
    planes = []
    for now, then in zip(here, there, strict=True):
        part = (
            share
            if now.shape == share.shape
            else cv2.resize(share, now.shape[::-1], interpolation=cv2.INTER_AREA)
        )
        planes.append(np.rint(now + part * (then.astype(np.float32) - now)).astype(np.uint8))
    return pack((planes[0], planes[1], planes[2])), counted + 1
