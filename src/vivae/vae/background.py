"""What a still camera sees when nothing passes: a latent background, learned online, and what differs from it.

For each place a Gaussian (mean and deviation of Y, U, V) and a second one, the candidate, that becomes the background
once it has been seen for longer (dual-mode model: Yi et al., CVPR Workshops 2013). A coarse field of gains is the
latent of the light: it is inferred from each frame and explains clouds and automatic exposure. What is left is weighed
against the deviations, against what shadows do (darker, same hue, same texture), and against how restless a place is
(feedback as in SuBSENSE: St-Charles et al., 2015). No network, no training; the state is the memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Planes

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class BackgroundSettings:
    """Chosen on the first half of the ground truth of CDnet-2014 `highway`."""

    limit: float = 3.2
    """Deviations from which a place counts as changed, on average over its neighbourhood."""
    seed: float = 2.2
    """Times `limit` that some part of every object exceeds."""
    floor: tuple[float, float] = (5.0, 2.6)
    """Least deviation of luma and of chroma, in code values: sensors and codecs are no better."""
    lasting: int = 400
    """Frames after which what stands still belongs to the background, at most."""
    smoothing: int = 5
    """Side of the neighbourhood, in pixels at 240 lines."""
    smallest: float = 1 / 1500
    """Share of the picture that is no object but a speck."""
    shadow: tuple[float, float] = (0.45, 0.97)
    """Light that is left in a shadow."""
    shadow_chroma: float = 3.5
    """Code values by which the chroma of a shaded place may differ."""
    restless: float = 1.5
    """How many limits a place that flickers may be raised by."""


LEARNED = ("_mean", "_other", "_spread", "_age", "_other_age", "_unrest", "_raw", "_last")


class Background:
    """Frame in, mask out. Holds some twenty numbers a pixel, whatever the length."""

    def __init__(self, settings: BackgroundSettings | None = None) -> None:
        self.settings = settings or BackgroundSettings()
        self._count = 0
        self._last: Mask | None = None

    def push(self, planes: Planes) -> Mask:
        """uint8 planes of one size -> bool (H, W): what differs from the background; the model learns the frame."""
        y, u, v = planes
        size = y.shape[::-1]
        wide = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (u, v)]
        frame = np.asarray(cv2.GaussianBlur(cv2.merge([y, *wide]).astype(np.float32), (3, 3), 0), np.float32)
        if not self._count:
            self._begin(frame)
        lit = self._lit(frame)
        score, change = self._score(frame, lit)
        mask = self._decide(score)
        self._learn(frame, change, mask)
        self._count += 1
        return mask

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """All that was learned of one frame or more, by name: for another one to go on as this one would."""
        return {"count": np.array(self._count)} | {name: getattr(self, name).copy() for name in LEARNED}

    @state.setter
    def state(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._begin(state["_mean"])
        self._count = int(state["count"])
        for name in LEARNED:
            setattr(self, name, state[name])

    def _begin(self, frame: Field) -> None:
        shape = frame.shape[:2]
        floor = np.array([self.settings.floor[0], self.settings.floor[1], self.settings.floor[1]], np.float32)
        self._mean, self._other = frame.copy(), frame.copy()
        self._floor = floor
        self._spread = np.ones_like(frame) * floor * 1.5
        self._age, self._other_age = np.ones(shape, np.float32), np.zeros(shape, np.float32)
        self._unrest = np.zeros(shape, np.float32)
        self._raw = np.zeros(shape, bool)

    def _lit(self, frame: Field) -> Field:
        """The background in the light of this frame."""
        rows, columns = frame.shape[:2]
        small = (max(4, columns // 16), max(4, rows // 16))
        y, mean = frame[..., 0], self._mean[..., 0]
        known = np.ones_like(y) if self._last is None else (~self._last).astype(np.float32)
        # Where much has changed nothing is said of the light.
        known *= np.abs(y - mean) < 0.25 * mean + 8
        over = cv2.resize(y * known, small, interpolation=cv2.INTER_AREA)
        under = cv2.resize(mean * known, small, interpolation=cv2.INTER_AREA)
        steady = 8.0
        gain = (cv2.GaussianBlur(over, (0, 0), 3) + steady) / (cv2.GaussianBlur(under, (0, 0), 3) + steady)
        self._gain = cv2.resize(np.clip(gain, 0.6, 1.6).astype(np.float32), (columns, rows))
        lit = self._mean.copy()
        lit[..., 0] *= self._gain
        return lit

    def _score(self, frame: Field, lit: Field) -> tuple[Field, Field]:
        """Deviations from the background, shadows discounted, and the same before that."""
        setting = self.settings
        rest = frame - lit
        against = rest / self._spread
        change = cv2.magnitude(against[..., 0], cv2.magnitude(against[..., 1], against[..., 2]))
        ratio = (frame[..., 0] + 2) / (lit[..., 0] + 2)
        low, high = setting.shadow
        mean = cv2.blur(ratio, (5, 5))
        roughness = cv2.blur(ratio * ratio, (5, 5)) - mean * mean
        shaded = (
            (ratio > low) & (ratio < high)
            & (np.abs(rest[..., 1]) < setting.shadow_chroma) & (np.abs(rest[..., 2]) < setting.shadow_chroma)
            & (roughness < 0.004)
        )  # fmt: skip
        unshaded = np.where(shaded, np.minimum(change, setting.limit * 0.5), change)
        return np.asarray(unshaded, np.float32), np.asarray(change, np.float32)

    def _decide(self, score: Field) -> Mask:
        setting = self.settings
        scale = max(1.0, min(score.shape) / 240)
        side = round(setting.smoothing * scale) | 1
        level = score / (setting.limit * (1 + self._unrest * setting.restless))
        level = np.minimum(level, 4)
        raw = level > 1
        self._unrest += 0.02 * ((raw != self._raw) - self._unrest)
        self._raw = raw
        smooth = cv2.GaussianBlur(level, (side, side), 0)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        wide = cv2.morphologyEx((smooth > 1).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
        return _objects(np.asarray(wide, np.uint8), smooth > setting.seed, setting.smallest)

    def _learn(self, frame: Field, change: Field, mask: Mask) -> None:
        setting = self.settings
        fits = (change < setting.limit) & ~mask
        lasting = min(setting.lasting, 2 * self._count + 10)
        self._age = np.where(fits, np.minimum(self._age + 1, lasting), self._age)
        rate = np.where(fits, 1 / np.minimum(self._age, 60), 0).astype(np.float32)[..., None]
        rest = frame - self._mean
        self._mean += rate * rest
        self._spread += 0.5 * rate * (np.maximum(1.3 * np.abs(rest), self._floor) - self._spread)
        aside = np.abs(frame - self._other)
        same = ~fits & (aside[..., 0] < 2.5 * self._floor[0]) & (aside[..., 1:].max(2) < 3 * self._floor[1])
        self._other_age = np.where(same, self._other_age + 1, np.where(fits, self._other_age * 0.98, 1))
        step = np.where(same, 1 / np.clip(self._other_age, 1, 30), np.where(fits, 0, 1)).astype(np.float32)
        self._other += step[..., None] * (frame - self._other)
        wins = self._other_age > self._age
        if wins.any():
            self._mean[wins], self._other[wins] = self._other[wins], self._mean[wins]
            self._age[wins], self._other_age[wins] = self._other_age[wins], 1
            self._spread[wins] = 1.5 * self._floor
        self._last = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def _objects(wide: NDArray[np.uint8], sure: Mask, smallest: float) -> Mask:
    """The connected parts that are large enough and somewhere sure, with their holes filled."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(wide, connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest * wide.size
    certain = np.zeros(count, bool)
    certain[np.unique(labels[sure])] = True
    keep &= certain
    keep[0] = False
    mask = keep[labels]
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled > 0
