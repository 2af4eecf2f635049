"""How steady a video is: the warping error of Lai et al. (ECCV 2018), along the motion of another video.

E = mean over the pixels that are seen in both frames of |x(t) - warped x(t-1)|^2, in squared 8-bit RGB code values.
"""

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.vae.motion import Motion

Picture = NDArray[np.uint8]


def warping_errors(moving: Iterable[Picture], *results: Iterable[Picture]) -> list[float]:
    """Of the first clip itself and of each of the others, all RGB (H, W, 3), along the first one's motion.

    A pixel counts where the flow there and back ends within a pixel of its start (Sundaram et al., ECCV 2010).
    """
    motion = Motion()
    sums: list[list[float]] = []
    last: tuple[Picture, ...] | None = None
    for now in zip(moving, *results, strict=True):
        if last is not None:
            here, there = (cv2.cvtColor(pictures[0], cv2.COLOR_RGB2GRAY) for pictures in (now, last))
            flow = motion.between(np.asarray(here, np.uint8), np.asarray(there, np.uint8))
            back = motion.between(np.asarray(there, np.uint8), np.asarray(here, np.uint8))
            turned = flow + _fetched(back, flow)
            bound = 0.01 * ((flow**2).sum(-1) + (back**2).sum(-1)) + 0.5
            seen = (turned**2).sum(-1) < bound
            sums.append([_error(new, _fetched(old, flow), seen) for new, old in zip(now, last, strict=True)])
        last = now
    return [float(np.mean(column)) for column in zip(*sums, strict=True)]


def _error(new: Picture, old: Picture, seen: NDArray[np.bool_]) -> float:
    return float(((new.astype(np.float32) - old) ** 2).mean(-1)[seen].mean()) if seen.any() else 0.0


def _fetched(what: NDArray[Any], flow: NDArray[np.float32]) -> NDArray[Any]:
    height, width = flow.shape[:2]
    columns = flow[..., 0] + np.arange(width, dtype=np.float32)
    rows = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(what, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
