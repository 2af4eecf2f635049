"""Light for dark and flat pictures: a tone curve that follows the shot slowly, so that nothing flickers.

The curve acts on what lighting does, a smoothed picture (Retinex: Land and McCann, JOSA 1971; smoothed by a guided
filter, He, Sun and Tang, ECCV 2010), and detail is multiplied by the same gain: contrast of texture survives.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media.color import ColorInfo, Planes

TARGET = 0.42
"""Median brightness that dark footage is brought towards."""
LARGEST_GAIN = 6.0
PACE = 0.06
"""How far the curve moves to that of each new frame."""
SHARE = 0.85
"""Of the way to the target: night should still look like night."""
SMALL = 240
"""Longer side of the picture on which lighting is judged."""
EDGE = 0.02
"""Variance of luma above which the guided filter takes a step for an edge of lighting."""


class Light:
    """Brightens a video frame by frame, in order; restart at cuts. curve: that of another run, to go on with."""

    def __init__(self, curve: tuple[float, ...] = ()) -> None:
        self._curve = np.array(curve)  # black, white, log2 of gamma

    @property
    def curve(self) -> tuple[float, ...]:
        """What the last frame was brightened by."""
        return tuple(self._curve.tolist())

    def __call__(self, planes: Planes, color: ColorInfo, *, restart: bool) -> Planes:
        """uint8 planes -> the same in better light."""
        black, span, chroma_span = (0, 255, 255) if color.range == "full" else (16, 219, 224)
        luma = np.asarray((planes[0].astype(np.float32) - black) / span, np.float32)
        lighting = _smoothed(luma)
        self._follow(lighting, restart)
        low, high, power = self._curve
        level = ((lighting - low) / (high - low)).clip(1e-3, 1)
        gain = (level ** (2.0**power) / lighting.clip(1e-2, None)).clip(0.3, LARGEST_GAIN)
        bright = _shoulder(luma * gain)
        half = np.asarray(cv2.resize(gain, planes[1].shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
        # Colour grows with light, but less: noise of chroma would shine.
        strength = np.minimum(half, 1 + 0.6 * (half - 1))
        chroma = [
            _rounded((plane.astype(np.float32) - 128) * strength + 128, 128 - chroma_span / 2, chroma_span)
            for plane in planes[1:]
        ]
        return _rounded(bright * span + black, black, span), chroma[0], chroma[1]

    def _follow(self, lighting: NDArray[np.float32], restart: bool) -> None:
        low, middle, high = (float(value) for value in np.percentile(lighting, (1, 50, 99)))
        low = min(max(low, 0.0), 0.15)  # a foggy picture has no black; more than this is meant to be bright
        high = max(min(high, 1.0), low + 0.3)
        centre = min(max((middle - low) / (high - low), 0.02), 0.98)
        wanted = centre + SHARE * max(0.0, TARGET - centre)
        power = min(0.0, np.log2(np.log(wanted) / np.log(centre)))
        now = np.array([low, high, max(power, -1.6)])
        if restart or not self._curve.size:
            self._curve = now
        else:
            self._curve = self._curve + PACE * (now - self._curve)


def _smoothed(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lighting at full size: a guided filter computed on a small picture (He and Sun's fast form, 2015)."""
    height, width = luma.shape
    scale = min(1.0, SMALL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    window = (2 * (max(size) // 24) + 1,) * 2
    mean = cv2.blur(small, window)
    variance = cv2.blur(small * small, window) - mean * mean
    slopes = variance / (variance + EDGE)
    slope, offset = (
        cv2.resize(cv2.blur(part, window), (width, height), interpolation=cv2.INTER_LINEAR)
        for part in (slopes, mean - slopes * mean)
    )
    return np.asarray((slope * luma + offset).clip(0, 1), np.float32)


def _shoulder(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values above 0.9 bend towards 1 and do not clip."""
    over = np.maximum(luma - 0.9, 0)
    return np.where(luma > 0.9, 0.9 + 0.1 * (1 - np.exp(-over / 0.1)), luma)


def _rounded(values: NDArray[np.float32], low: float, span: float) -> NDArray[np.uint8]:
    return np.rint(values.clip(low, low + span)).astype(np.uint8)
