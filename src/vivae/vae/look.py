"""The look of a shot: its colours and tones as statistics, and the map that gives them to another shot.

Luma goes through one smooth monotone curve, the optimal transport between two brightness distributions in one
dimension; chroma through one affine map of luma and chroma, the optimal transport between two Gaussians (Monge's map in
closed form: Pitie & Kokaram, CVMP 2007). Both are fixed for a shot, so nothing can flicker that did not before.
Everything is counted in units of the signal: luma 0 (black) to 1 (white), chroma -0.5 to 0.5, whatever the range.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import ColorInfo, Frame, Planes
from vivae.media.masks import Mask

LEVELS = 256
SAMPLE_SIDE = 160
"""Statistics are taken from pictures made this wide at most."""
SLOPES = (0.4, 1.1)
"""Of the tone curve. A steeper one would raise noise, and whatever else changes from frame to frame, with contrast."""
SMOOTHING = 12.0
"""Deviation of the Gaussian, in levels, that the slope of the tone curve is smoothed with."""
KNEE = 0.08
"""Below this, and as far from white, tones are pressed together and never cut off."""
STRETCH = (0.25, 2.0)
"""Least and greatest gain of the colour map along any axis."""
NOISE_FLOOR = 0.012
"""Deviation added to both sides' colours: without it a grey shot's noise would be stretched into colour."""

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """Joint statistics of a picture or a shot.

    counts: (256,) share of each luma level. chroma: (256, 2) mean of U and V times that share. square: (2, 2) second
    moments of chroma.
    """

    counts: Table
    chroma: Table
    square: Table

    def moments(self, curve: Table) -> tuple[Table, Table]:
        """Mean (3,) and covariance (3, 3) of luma, sent through `curve` (256,), and chroma."""
        mean = np.array([self.counts @ curve, *self.chroma.sum(0)])
        second = np.empty((3, 3))
        second[0, 0] = self.counts @ curve**2
        second[0, 1:] = second[1:, 0] = curve @ self.chroma
        second[1:, 1:] = self.square
        return mean, second - np.outer(mean, mean)


class LookMeter:
    """Gathers the look of a shot frame by frame, in constant memory."""

    def __init__(self) -> None:
        self._count = 0.0
        self._table = np.zeros((LEVELS, 3))
        self._square = np.zeros((2, 2))

    def push(self, planes: Planes, color: ColorInfo, mask: Mask | None = None) -> None:
        """mask: bool (H, W), the only part that counts; an empty one counts nothing."""
        shrink = max(1.0, planes[0].shape[1] / SAMPLE_SIDE)
        size = tuple(max(1, round(side / shrink)) for side in reversed(planes[0].shape))
        y, u, v = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA).ravel() for plane in planes)
        if mask is not None:
            kept = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).ravel() > 0
            y, u, v = y[kept], u[kept], v[kept]
        level = np.clip(np.rint(_light(color)[y] * (LEVELS - 1)), 0, LEVELS - 1).astype(np.int64)
        chroma = _tint(color)[np.stack([u, v])]
        self._count += len(y)
        self._table[:, 0] += np.bincount(level, minlength=LEVELS)
        for plane in range(2):
            self._table[:, 1 + plane] += np.bincount(level, chroma[plane], LEVELS)
        self._square += chroma @ chroma.T

    @property
    def empty(self) -> bool:
        return self._count == 0

    def look(self) -> Look:
        """Of all that was pushed; of mid grey where that is nothing."""
        if self.empty:
            counts = np.zeros(LEVELS)
            counts[LEVELS // 2] = 1
            return Look(counts, np.zeros((LEVELS, 2)), np.zeros((2, 2)))
        table = self._table / self._count
        return Look(table[:, 0], table[:, 1:], self._square / self._count)


def look_of(rgb: NDArray[np.uint8], color: ColorInfo) -> Look:
    """The look of an RGB picture (H, W, 3), as frames of this colour description would show it."""
    meter = LookMeter()
    meter.push(Frame.from_rgb(rgb, color).planes, color)
    return meter.look()


@dataclass(frozen=True)
class Grade:
    """The map from one look to another, for 8-bit planes.

    tones: uint8 (256,) new luma of each code. tint: (256, 2) what luma adds to chroma, by the code of the old luma.
    mix: (2, 2) of chroma. limit: (256,) greatest chroma that the new luma has room for, by the code of the old one.
    """

    tones: NDArray[np.uint8]
    tint: NDArray[np.float32]
    mix: NDArray[np.float32]
    limit: NDArray[np.float32]
    color: ColorInfo

    @classmethod
    def between(
        cls, source: Look, styles: Sequence[tuple[Look, float]], color: ColorInfo, strength: float = 1.0
    ) -> Self:
        """From a shot's look to the weighted mean of others.

        strength: 0 leaves everything, 1 goes all the way; between them the map moves along the Wasserstein geodesic.
        The mean of several styles is that of their maps (a barycentre linearised at the source).
        """
        total = sum(weight for _, weight in styles)
        levels = np.linspace(0, 1, LEVELS)
        curve = np.zeros(LEVELS)
        linear, offset = np.zeros((2, 3)), np.zeros(2)
        for style, weight in styles:
            tone = _tone_curve(source.counts, style.counts)
            mean, spread = source.moments(tone)
            goal, goal_spread = style.moments(levels)
            map_ = _monge(spread, goal_spread)[1:]
            curve += weight / total * tone
            linear += weight / total * map_
            offset += weight / total * (goal[1:] - map_ @ mean)
        light = _light(color)
        # Codes beyond black and white are kept apart as far as the range allows.
        styled = np.interp(light, levels, curve)
        tone = (1 - strength) * light + strength * styled
        tint = strength * (offset + styled[:, None] * linear[:, 0])
        mix = (1 - strength) * np.eye(2) + strength * linear[:, 1:]
        room = 0.06 + 0.9 * np.clip(np.minimum(tone, 1 - tone), 0, 0.5)
        black, span = _luma_range(color)
        tones = np.clip(np.rint(tone * span + black), 0, 255).astype(np.uint8)
        # Without strength nothing may be limited either.
        limit = room / max(strength, 1e-6)
        return cls(tones, tint.astype(np.float32), mix.astype(np.float32), limit.astype(np.float32), color)

    def apply(self, planes: Planes) -> Planes:
        """The planes of a frame, mapped."""
        y, u, v = planes
        new_y = np.asarray(cv2.LUT(y, self.tones), np.uint8)
        small = cv2.resize(y, (u.shape[1], u.shape[0]), interpolation=cv2.INTER_AREA)
        span = np.float32(_chroma_span(self.color))
        old = [(plane.astype(np.float32) - 128) / span for plane in (u, v)]
        new = [
            self.mix[plane, 0] * old[0] + self.mix[plane, 1] * old[1] + cv2.LUT(small, self.tint[:, plane])
            for plane in range(2)
        ]
        # Where luma is near black or white there is little room for colour: it fades there and does not clip.
        ratio = cv2.magnitude(*new) / cv2.LUT(small, self.limit)
        held = 1 / np.sqrt(np.sqrt(1 + ratio**4))
        new_u, new_v = (np.clip(np.rint(plane * held * span + 128), 0, 255).astype(np.uint8) for plane in new)
        return new_y, new_u, new_v


def _tone_curve(source: Table, style: Table) -> Table:
    """(256,) from luma to luma: the smooth, monotone curve nearest to the transport of one histogram to the other."""
    levels = np.linspace(0, 1, LEVELS)
    middle = np.cumsum(source) - source / 2
    exact = np.interp(middle, np.cumsum(style) - style / 2, levels)
    radius = int(3 * SMOOTHING)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SMOOTHING) ** 2)
    slopes = np.clip(np.diff(exact) * (LEVELS - 1), *SLOPES)
    slopes = np.convolve(np.pad(slopes, radius, mode="edge"), kernel / kernel.sum(), mode="valid")
    curve = np.concatenate([[0.0], np.cumsum(slopes)]) / (LEVELS - 1)
    curve += style @ levels - source @ curve
    return _kneed(curve)


def _kneed(curve: Table) -> Table:
    """Values of any size to (0, 1), unchanged but near the ends, smooth and monotone."""
    low = np.where(curve < KNEE, KNEE * np.exp(np.minimum(curve - KNEE, 0) / KNEE), curve)
    return np.where(low > 1 - KNEE, 1 - KNEE * np.exp(-np.maximum(low - 1 + KNEE, 0) / KNEE), low)


def _monge(source: Table, goal: Table) -> Table:
    """(3, 3): the symmetric positive map that takes one covariance to another, its gains held within bounds."""
    floor = NOISE_FLOOR**2 * np.eye(3)
    root = _power(source + floor, 0.5)
    inverse = _power(source + floor, -0.5)
    exact = inverse @ _power(root @ (goal + floor) @ root, 0.5) @ inverse
    gains, axes = np.linalg.eigh((exact + exact.T) / 2)
    return np.asarray((axes * np.clip(gains, *STRETCH)) @ axes.T)


def _power(matrix: Table, exponent: float) -> Table:
    values, axes = np.linalg.eigh((matrix + matrix.T) / 2)
    powers: Table = np.maximum(values, 1e-12).astype(np.float64) ** exponent
    return ((axes * powers) @ axes.T).astype(np.float64)


def _luma_range(color: ColorInfo) -> tuple[float, float]:
    return (0.0, 255.0) if color.range == "full" else (16.0, 219.0)


def _chroma_span(color: ColorInfo) -> float:
    return 255.0 if color.range == "full" else 224.0


def _light(color: ColorInfo) -> Table:
    """(256,) luma of each code."""
    black, span = _luma_range(color)
    return (np.arange(256, dtype=np.float64) - black) / np.float64(span)


def _tint(color: ColorInfo) -> Table:
    """(256,) chroma of each code."""
    return (np.arange(256) - 128) / _chroma_span(color)
