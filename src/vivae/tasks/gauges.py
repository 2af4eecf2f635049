"""What can be read off each frame without knowing the original: light, sharpness, noise, blocks, motion, what moves.

Sharpness is that of Crété-Roffet et al. (SPIE 2007): what blurring once more takes away. Noise is Immerkær's estimate
(CVIU 1996) over the smoothest parts of the picture.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Frame
from vivae.vae.shot_signs import QuickSearch

SMALL = (96, 54)
"""Columns and rows in which motion is looked for."""
MIDDLE = 480
"""Columns at most of the picture whose sharpness is taken."""
MOVES = 0.35
"""Thumbnail pixels a frame, beyond what the camera does, from which a place counts as moving."""
LEAST_AREA = 0.004
"""Of the picture, that a moving thing covers."""
CUT_CHANGE = 28
"""Mean change of the thumbnail, in code values, beyond which motion between two frames means nothing."""
_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one frame. brightness and contrast: per cent of the range; sharpness: 0 to 100; noise: standard deviation in
    code values; blocks: per cent by which steps at the borders of 8x8 blocks exceed others; motion: of the camera or
    all of the picture, in per cent of its width a second; activity: per cent of the picture that moves otherwise;
    objects: how many things that is."""

    time: float
    brightness: float
    contrast: float
    sharpness: float
    noise: float
    blocks: float
    motion: float
    activity: float
    objects: int


class Gauges:
    """Goes along one clip; also sums up where things move."""

    def __init__(self) -> None:
        self._search = QuickSearch()
        self._last: NDArray[np.uint8] | None = None
        rows, columns = np.mgrid[0 : SMALL[1] : 3, 0 : SMALL[0] : 3]
        self._grid = np.stack([np.ones(rows.size), columns.ravel(), rows.ravel()], 1).astype(np.float32)
        rows, columns = np.mgrid[0 : SMALL[1], 0 : SMALL[0]]
        self._every = np.stack([np.ones(rows.shape), columns, rows], -1).astype(np.float32)
        self.moved = np.zeros(SMALL[::-1], np.float32)
        """Seconds for which each place of the picture moved."""
        self.small = np.zeros(SMALL[::-1], np.uint8)
        """The last frame's luma."""

    def read(self, frame: Frame) -> Reading:
        """The next frame's figures."""
        self.small = np.asarray(cv2.resize(frame.y, SMALL, interpolation=cv2.INTER_AREA), np.uint8)
        seconds = max(float(frame.duration), 1e-3)
        motion, activity, objects = self._motion(self.small, seconds)
        self._last = self.small
        mean, deviation = (float(value.item()) for value in cv2.meanStdDev(self.small))
        low, high = (16, 235) if frame.color.range == "limited" else (0, 255)
        return Reading(
            time=float(frame.time),
            brightness=float(np.clip(100 * (mean - low) / (high - low), 0, 100)),
            contrast=100 * deviation / (high - low),
            sharpness=_sharpness(frame.y),
            noise=_noise(frame.y),
            blocks=_blocks(frame.y),
            motion=motion,
            activity=activity,
            objects=objects,
        )

    def _motion(self, small: NDArray[np.uint8], seconds: float) -> tuple[float, float, int]:
        if self._last is None or float(cv2.mean(cv2.absdiff(small, self._last))[0]) > CUT_CHANGE:
            return 0.0, 0.0, 0
        flow = self._search.between(small, self._last)
        field = flow[::3, ::3].reshape(-1, 2)
        weight = np.ones(len(field), np.float32)
        model = np.zeros((3, 2), np.float32)
        for _ in range(3):  # an affine camera, fitted anew without what does not obey it
            model = np.linalg.lstsq(self._grid * weight[:, None], field * weight[:, None], rcond=None)[0]
            off = np.linalg.norm(field - self._grid @ model, axis=1)
            weight = (1 / (1 + (off / 0.3) ** 2)).astype(np.float32)
        camera = self._every @ model
        speed = float(np.linalg.norm(camera, axis=-1).mean()) / SMALL[0] / seconds
        own = (np.linalg.norm(flow - camera, axis=-1) > MOVES).astype(np.uint8)
        own = np.asarray(cv2.morphologyEx(own, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
        self.moved += own * np.float32(seconds)
        _, _, stats, _ = cv2.connectedComponentsWithStats(own)
        objects = int((stats[1:, cv2.CC_STAT_AREA] > LEAST_AREA * own.size).sum())
        return 100 * speed, 100 * float(own.mean()), objects


def _sharpness(luma: NDArray[np.uint8]) -> float:
    if luma.shape[1] > MIDDLE:
        size = (MIDDLE, max(8, round(luma.shape[0] * MIDDLE / luma.shape[1])))
        luma = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)
    shares = []
    for axis, kernel in ((1, (9, 1)), (0, (1, 9))):
        sharp = cv2.absdiff(*_neighbours(luma, axis))
        soft = cv2.absdiff(*_neighbours(np.asarray(cv2.blur(luma, kernel), np.uint8), axis))
        total = float(cv2.sumElems(sharp)[0])
        lost = float(cv2.sumElems(cv2.subtract(sharp, soft))[0])
        shares.append(lost / total if total else 0.0)
    return 100 * min(shares)


def _neighbours(picture: NDArray[np.uint8], axis: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return (picture[:, 1:], picture[:, :-1]) if axis else (picture[1:], picture[:-1])


def _noise(luma: NDArray[np.uint8]) -> float:
    """Of the middle of the picture, in its own pixels: scaling would hide it."""
    height, width = luma.shape
    h, w = min(height, 256), min(width, 448)
    part = luma[(height - h) // 2 :, (width - w) // 2 :][:h, :w].astype(np.float32)
    if min(part.shape) < 16:
        return 0.0
    wave = np.abs(np.asarray(cv2.filter2D(part, -1, _NOISE)))[1:-1, 1:-1]
    cells = np.asarray(cv2.resize(wave, (max(1, w // 16), max(1, h // 16)), interpolation=cv2.INTER_AREA))
    # Texture only adds to it: the smoothest fifth tells what is everywhere.
    return float(np.quantile(cells, 0.2)) * float(np.sqrt(np.pi / 2)) / 6


def _blocks(luma: NDArray[np.uint8]) -> float:
    part = luma[: min(luma.shape[0], 360), : luma.shape[1] // 8 * 8]
    if part.shape[1] < 32:
        return 0.0
    steps = cv2.reduce(cv2.absdiff(part[:, 1:], part[:, :-1]), 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)[0]
    at = np.arange(len(steps)) % 8
    others = float(steps[at != 7].mean()) + 0.05
    return max(0.0, 100 * (float(steps[at == 7].mean()) / others - 1))
