"""The guided filter (He, Sun and Tang, ECCV 2010) out of box filters: a soft mask takes on the edges of a picture.

Within each window the mask is the best linear function of the picture's luma, so it steps where that steps and nowhere
else. This is the fast form (He and Sun, 2015): the linear functions are found in small and applied in large.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[Any]
"""float32 (h, w)."""


def sharpen_mask(
    mask: Field, small: NDArray[np.uint8], full: NDArray[np.uint8], radius: int, softness: float
) -> Field:
    """A soft mask (h, w) that was found for the luma `small` (h, w), for that luma at full size: float32 (H, W).

    radius: of the windows, in pixels of `small`. softness: variance of the luma, on a scale of 0 to 1, below which it
    counts as flat.
    """
    side = (2 * radius + 1, 2 * radius + 1)
    guide = small.astype(np.float32) / 255
    mean, level = cv2.blur(guide, side), cv2.blur(mask, side)
    slope = cv2.blur(guide * mask, side) - mean * level
    slope = slope / (cv2.blur(guide * guide, side) - mean * mean + np.float32(softness))
    shift = cv2.blur(level - slope * mean, side)
    size = full.shape[1], full.shape[0]
    slope = cv2.resize(cv2.blur(slope, side), size, interpolation=cv2.INTER_LINEAR)
    shift = cv2.resize(shift, size, interpolation=cv2.INTER_LINEAR)
    return slope * (full.astype(np.float32) / 255) + shift
