"""What state footage is in, judged without an original: noise, traces of a codec, soft focus, darkness.

Each figure is the median over sampled frames, so that a title or a black frame does not decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.measure.noise import noise_in
from vivae.media import Frame, VideoInfo

SHARP_EDGE = 0.85
"""Width (standard deviation, pixels) of the strongest edges of footage in focus."""
LOSSY: dict[str, float] = {
    "mpeg1video": 0.3,
    "mpeg2video": 0.3,
    "mpeg4": 0.2,
    "mjpeg": 1.0,
    "h263": 0.2,
    "h264": 0.09,
    "hevc": 0.06,
    "vp8": 0.09,
    "vp9": 0.06,
    "av1": 0.045,
}
"""Bits a pixel below which each codec usually leaves traces."""


@dataclass(frozen=True)
class Condition:
    """What `measure_condition` found."""

    noise: float
    """Standard deviation in 8-bit RGB code values."""
    blockiness: float
    """Steps across the borders of 8x8 blocks over steps elsewhere: 1 without a trace."""
    bits_per_pixel: float
    """Of the file; 0 where it is not known."""
    coded: bool
    """Whether traces of a codec are likely."""
    blur: float
    """Standard deviation in pixels of the blur that the sharpest edges show beyond good focus."""
    brightness: float
    """Median luma from 0 (black) to 1 (white)."""
    spread: float
    """Luma between the darkest and the brightest two per cent, from 0 to 1."""


def measure_condition(runs: Sequence[Sequence[Frame]], info: VideoInfo) -> Condition:
    """Judge one video by frames from several places in it.

    runs: of each place at least one frame. Of those that follow it only the noise is judged, which is told from texture
    by them: see `vivae.measure.noise`.
    """
    frames = [run[0] for run in runs]
    blockiness = _median([_blockiness(frame.y) for frame in frames])
    pixels = info.estimated_frames * info.width * info.height
    bits = 0.0 if info.is_image or info.path.is_dir() else 8 * info.size_bytes / pixels
    low, middle, high = np.median([np.percentile(_light(frame), (2, 50, 98)) for frame in frames], axis=0)
    return Condition(
        noise_in(runs),
        blockiness,
        bits,
        blockiness > 1.12 or 0 < bits < LOSSY.get(info.codec, 0),
        _median([_blur(frame.y) for frame in frames]),
        float(middle),
        float(high - low),
    )


def _blockiness(luma: NDArray[np.uint8]) -> float:
    """Of the two directions, the larger; large steps are edges and count as 24."""
    found = []
    for picture in (luma, luma.T):
        steps = np.minimum(np.abs(np.diff(picture.astype(np.int16), axis=1)), 24).mean(0)
        at_border = np.arange(1, len(steps) + 1) % 8 == 0
        if at_border.sum() < 2:
            return 1.0
        found.append((steps[at_border].mean() + 0.1) / (steps[~at_border].mean() + 0.1))
    return float(max(found))


def _blur(luma: NDArray[np.uint8]) -> float:
    """From how much a known blur lowers the steepest gradients: an edge of width s becomes one of sqrt(s^2 + 1)."""
    first = np.asarray(cv2.GaussianBlur(luma.astype(np.float32), (0, 0), 0.7), np.float32)  # against noise
    steep, lower = _gradient(first), _gradient(np.asarray(cv2.GaussianBlur(first, (0, 0), 1.0), np.float32))
    strongest = steep > max(float(np.quantile(steep, 0.98)), 4.0)
    if strongest.sum() < 16:
        return 0.0
    ratio = min(float(np.median(lower[strongest] / steep[strongest])), 0.98)
    width = ratio**2 / (1 - ratio**2) - 0.7**2
    return float(np.sqrt(max(0.0, width - SHARP_EDGE**2)))


def _gradient(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.hypot(cv2.Sobel(values, -1, 1, 0), cv2.Sobel(values, -1, 0, 1)), np.float32)


def _light(frame: Frame) -> NDArray[np.float32]:
    luma = frame.y[::4, ::4].astype(np.float32)
    black, span = (0, 255) if frame.color.range == "full" else (16, 219)
    return np.asarray(((luma - black) / span).clip(0, 1), np.float32)


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))
