"""What noise that was cut off at black and white has done to brightness, taken back.

A camera or a file cannot hold values beyond black and white. Noise there is cut off on one side, so its mean is no
longer zero: shadows look brighter than they were and highlights darker, and averaging noise away leaves that.
"""

from functools import lru_cache
from math import erf, exp, pi, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media.color import ColorInfo, Planes, rgb_to_yuv, yuv_to_rgb

LEAST = 8.0
"""Deviation of noise, in 8-bit RGB code values, from which on its cutting off shows."""
CARE = 0.85
"""The way back is that for so much of the noise: near black and white it also enlarges what noise is left."""


def unclipped(planes: Planes, noise: float, color: ColorInfo) -> Planes:
    """Planes of a frame whose noise of a deviation, in 8-bit RGB code values, was removed, without what clipping left.

    Only what lies near black or white changes.
    """
    if noise < LEAST:
        return planes
    rgb = yuv_to_rgb(planes, color)
    right = rgb_to_yuv(np.asarray(cv2.LUT(rgb, _true_values(round(CARE * noise))), np.uint8), color)
    there_and_back = rgb_to_yuv(rgb, color)
    # Only the difference is added, so that what does not change stays as it is, to the code.
    y, u, v = (
        np.clip(plane.astype(np.int16) + new.astype(np.int16) - old, 0, 255).astype(np.uint8)
        for plane, new, old in zip(planes, right, there_and_back, strict=True)
    )
    return y, u, v


@lru_cache(maxsize=8)
def _true_values(noise: int) -> NDArray[np.uint8]:
    """(256,) the value that, with noise, has each code as its mean."""
    values = np.arange(256)
    means = [_clipped_mean(float(value), float(noise)) for value in values]
    return np.rint(np.interp(values, means, values)).astype(np.uint8)


def _clipped_mean(value: float, deviation: float) -> float:
    """Of a normal variable that is cut off at 0 and 255."""
    low, high = (0 - value) / deviation, (255 - value) / deviation
    below, above = ((1 + erf(edge / sqrt(2))) / 2 for edge in (low, high))
    inside = exp(-low * low / 2) - exp(-high * high / 2)
    return value * (above - below) + deviation * inside / sqrt(2 * pi) + 255 * (1 - above)
