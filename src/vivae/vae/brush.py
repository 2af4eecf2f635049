"""Brush strokes without learning: colour and relief drawn out along the shapes of a picture, steady along its motion.

Strokes follow the structure tensor's smaller eigenvector, smoothed over a neighbourhood and over time, so that they
run along edges and swirl where there are none (Kyprianidis & Dollner, 2008). Colours and a field of noise are averaged
along them (line integral convolution: Cabral & Leedom, SIGGRAPH 1993); the noise, which is carried along the motion,
is what tells one stroke from the next.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Planes

LENGTH = 8.5
"""Pixels that a stroke reaches either way in a picture 352 pixels high; it grows with the picture."""
TAPS = 5
"""Samples either way."""
RELIEF = 0.8
"""Luma codes a code of noise, which has a deviation of about 16 after it was drawn out."""
DETAIL = 0.5
"""Share of the picture's own detail that stays."""
WARMTH = (-0.35, 0.22)
"""The same for chroma: lighter strokes are warmer."""
SMOOTH = 5.0
"""Deviation, in pixels of the small luma, of the neighbourhood that decides on a stroke's direction."""
INERTIA = 0.75
"""Share of the last frame's directions in the present one's."""
REFERENCE = 352
WORN = 0.35
"""Share of fresh noise's unevenness, in the evener direction, below which noise was drawn out too far."""
PATCH = 17
"""Side, in pixels, of the neighbourhood that unevenness is judged in."""

Field = NDArray[np.float32]


class Bristles(NamedTuple):
    """What is carried from frame to frame: noise uint8 (H, W), and the structure tensor (H / 2, W / 2, 3)."""

    noise: NDArray[np.uint8]
    tensor: Field


def fresh(height: int, width: int) -> NDArray[np.uint8]:
    """Noise (H, W) for the first frame of a shot; always the same."""
    scale = max(0.6, min(height, width) / REFERENCE)
    noise = np.random.default_rng(0).normal(0, 1, (height, width)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.1 * scale)
    return np.clip(128 + 60 * soft / soft.std(), 0, 255).astype(np.uint8)


def worn(noise: NDArray[np.uint8], whole: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where noise (H, W) that was carried along has lost its grain, next to `whole`: motion that spreads draws it into
    streaks."""
    least = np.minimum(_unevenness(noise, 0), _unevenness(noise, 1))
    usual = min(float(_unevenness(whole, axis).mean()) for axis in (0, 1))
    return np.asarray(least < WORN * usual)


def _unevenness(noise: NDArray[np.uint8], axis: int) -> Field:
    """Mean square of the steps along an axis, around each place."""
    steps = cv2.Sobel(noise, cv2.CV_32F, axis, 1 - axis, ksize=1)
    return np.asarray(cv2.blur(steps * steps, (PATCH, PATCH)), np.float32)


def structure(luma: NDArray[np.uint8]) -> Field:
    """(H, W, 3): smoothed products xx, yy, xy of luma's slopes."""
    soft = cv2.GaussianBlur(luma, (0, 0), 1.0).astype(np.float32)
    x, y = cv2.Scharr(soft, cv2.CV_32F, 1, 0), cv2.Scharr(soft, cv2.CV_32F, 0, 1)
    # Roots of the slopes: a hard edge then does not drown all around it.
    strength = np.sqrt(np.sqrt(x * x + y * y) + 1e-3)
    x, y = x / strength, y / strength
    return np.asarray(cv2.GaussianBlur(cv2.merge([x * x, y * y, x * y]), (0, 0), SMOOTH), np.float32)


def brushed(planes: Planes, bristles: Bristles) -> Planes:
    """The planes of a frame, sides multiples of 8, as strokes."""
    y, u, v = planes
    height, width = y.shape
    xx, yy, xy = cv2.split(cv2.resize(bristles.tensor, (width, height), interpolation=cv2.INTER_LINEAR))
    angle = 0.5 * cv2.phase(xx - yy, 2 * xy) + np.float32(np.pi / 2)
    scale = max(0.6, min(height, width) / REFERENCE)
    across, down = cv2.polarToCart(np.ones_like(angle), angle)
    wide = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in (u, v)]
    source = cv2.merge([y, *wide, bristles.noise])
    total = source.astype(np.float32)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    for tap in range(1, TAPS + 1):
        reach = np.float32(LENGTH * scale * tap / TAPS)
        for side in (-reach, reach):
            sample = cv2.remap(
                source,
                columns + side * across,
                rows + side * down,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT,
            )
            cv2.accumulate(sample, total)
    new_y, new_u, new_v, lines = cv2.split(total / np.float32(2 * TAPS + 1))
    lines -= np.float32(128)
    # Black and white are left less relief than the tones between, as paint has it.
    room = np.minimum(new_y, 255 - new_y) / 96
    lines *= np.minimum(room, 1)
    # Some of the picture's own detail stays, or faces would be lost.
    luma = new_y + np.float32(DETAIL) * (y - new_y) + np.float32(RELIEF) * lines
    size = u.shape[::-1]
    tinted = [
        cv2.resize(plane + np.float32(gain) * lines, size, interpolation=cv2.INTER_AREA)
        for plane, gain in zip((new_u, new_v), WARMTH, strict=True)
    ]
    drawn = [np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in (luma, *tinted)]
    return drawn[0], drawn[1], drawn[2]
