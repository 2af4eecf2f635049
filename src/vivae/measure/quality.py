"""How near decoded frames are to their originals: PSNR by plane, SSIM, MS-SSIM, and steadiness over time.

Works on 8-bit 4:2:0 planes, one pair of frames at a time, in memory that does not grow with the clip. Figures of a clip
are means over its frames. What networks see is in `vivae.measure.perceptual`, VMAF in `vivae.measure.ffmpeg`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Frame, Planes

PEAK = 255.0
PSNR_CAP = 100.0
"""dB given to identical planes, whose PSNR is infinite."""
WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of MS-SSIM, finest first."""


@dataclass(frozen=True, slots=True)
class FrameQuality:
    """One frame against its original, or the means of many."""

    psnr_y: float
    psnr_u: float
    psnr_v: float
    psnr_yuv: float
    """dB; (6 Y + U + V) / 8."""
    ssim: float
    """Of luma."""
    ms_ssim: float
    """Of luma; frames below 176 lines or columns have room for fewer than the usual five scales."""


@dataclass(frozen=True, slots=True)
class ClipQuality(FrameQuality):
    """Means over a clip, and its steadiness."""

    flicker: float
    """Mean absolute error of frame differences, in luma code values; 0 for a single frame."""
    frames: int


_FIELDS = fields(FrameQuality)


def compare(reference: Frame | Planes, other: Frame | Planes) -> FrameQuality:
    """Quality of one 8-bit 4:2:0 picture. Raises ValueError if the sizes differ."""
    a, b = _planes(reference), _planes(other)
    if [plane.shape for plane in a] != [plane.shape for plane in b]:
        raise ValueError(f"a picture of {b[0].shape} cannot be compared with one of {a[0].shape}")
    y, u, v = (psnr(*pair) for pair in zip(a, b, strict=True))
    ssim, ms_ssim = structural_similarity(a[0], b[0])
    return FrameQuality(y, u, v, psnr_yuv(y, u, v), ssim, ms_ssim)


def psnr(reference: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """dB of one plane of 8-bit values; at most `PSNR_CAP`."""
    error = mean_squared_error(reference, other)
    return PSNR_CAP if error == 0 else min(PSNR_CAP, float(10 * np.log10(PEAK**2 / error)))


def psnr_yuv(y: float, u: float, v: float) -> float:
    """The planes' PSNR as one figure, luma six times as heavy as each chroma plane."""
    return (6 * y + u + v) / 8


def picture_psnr(reference: Planes, other: Planes) -> float:
    """PSNR-YUV in dB of one picture of 8-bit planes; each plane's is at most `PSNR_CAP`."""
    return psnr_yuv(*(psnr(*pair) for pair in zip(reference, other, strict=True)))


def mean_squared_error(reference: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """In squared code values."""
    # OpenCV sums the squares of 8-bit differences without a copy in a wider type.
    return float(cv2.norm(reference, other, cv2.NORM_L2SQR)) / reference.size


def structural_similarity(reference: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[float, float]:
    """SSIM and MS-SSIM of one plane of 8-bit values, with the authors' Gaussian window of 11x11.

    Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004; Wang, Simoncelli, Bovik, Asilomar 2003. The window stays inside
    the plane. Scales that are smaller than the window are left out and the weights of the others raised to sum to
    one; a plane that is itself smaller has a window of its own size.
    """
    a, b = reference.astype(np.float32), other.astype(np.float32)
    factors: list[float] = []
    ssim = 1.0
    for scale in range(len(SCALE_WEIGHTS)):
        if scale and min(a.shape) < WINDOW:
            break
        luminance, contrast = _similarity_maps(a, b)
        if scale == 0:
            ssim = float((luminance * contrast).mean())
        coarsest = scale + 1 == len(SCALE_WEIGHTS) or min(a.shape) // 2 < WINDOW
        factors.append(float((luminance * contrast if coarsest else contrast).mean()))
        a, b = _halved(a), _halved(b)
    weights = np.array(SCALE_WEIGHTS[: len(factors)])
    # Where two pictures are anti-correlated a factor is negative and has no such power.
    ms_ssim = np.prod(np.maximum(factors, 0.0) ** (weights / weights.sum()))
    return ssim, float(ms_ssim)


class ClipMeter:
    """Gathers the quality of a clip, pair after pair."""

    def __init__(self) -> None:
        self._sums = np.zeros(len(_FIELDS))
        self._frames = 0
        self._error: NDArray[np.int16] | None = None
        self._flicker = 0.0

    def push(self, reference: Frame | Planes, other: Frame | Planes) -> FrameQuality:
        """Add one pair; returns its own quality."""
        quality = compare(reference, other)
        self._sums += [getattr(quality, field.name) for field in _FIELDS]
        error = _planes(other)[0].astype(np.int16) - _planes(reference)[0]
        if self._error is not None and self._error.shape == error.shape:
            self._flicker += float(np.abs(error - self._error).mean())
        self._error = error
        self._frames += 1
        return quality

    def result(self) -> ClipQuality:
        """Means so far. Raises ValueError before the first pair."""
        if not self._frames:
            raise ValueError("no frame was measured")
        means = {
            field.name: float(total) / self._frames for field, total in zip(_FIELDS, self._sums, strict=True)
        }
        return ClipQuality(**means, flicker=self._flicker / max(1, self._frames - 1), frames=self._frames)


def compare_clips(
    reference: Iterable[Frame], other: Iterable[Frame]
) -> tuple[ClipQuality, list[FrameQuality]]:
    """Means over two clips of equal length, and each frame's own figures. Raises ValueError if one is longer."""
    meter = ClipMeter()
    frames = [meter.push(a, b) for a, b in zip(reference, other, strict=True)]
    return meter.result(), frames


def seam_ratio(chunked: Sequence[float], whole: Sequence[float], chunk: int) -> float:
    """Error at the borders of chunks over error elsewhere; 1.00 is right, above it the chunks can be seen.

    chunked, whole: mean squared error of each frame, coded in chunks of `chunk` frames and in one piece. Both are
    needed because the frames beside a border may be harder than others by themselves: each group's error counts
    relative to what the unbroken run has there.
    """
    index = np.arange(len(whole))
    beside = (index >= chunk) & (index % chunk == 0) | (index % chunk == chunk - 1) & (index < len(whole) - 1)
    if len(chunked) != len(whole) or not beside.any() or beside.all():
        raise ValueError(f"{len(whole)} frames have no borders and insides of chunks of {chunk}")
    broken, unbroken = np.asarray(chunked, float), np.asarray(whole, float)
    floor = 1e-9  # a run without any error has no seam either
    at, elsewhere = (
        (broken[part].mean() + floor) / (unbroken[part].mean() + floor) for part in (beside, ~beside)
    )
    return float(at / elsewhere)


def drift(
    frames: Sequence[Frame], round_trip: Callable[[Sequence[Frame]], list[Frame]], trips: int = 5
) -> list[float]:
    """PSNR-YUV in dB against the first `frames` after 1, 2, ... `trips` passes, each through the result of the last."""
    found: list[float] = []
    current = frames
    for _ in range(trips):
        current = round_trip(current)
        pairs = zip(frames, current, strict=True)
        planes = [[psnr(*pair) for pair in zip(a.planes, b.planes, strict=True)] for a, b in pairs]
        found.append(float(np.mean([psnr_yuv(*values) for values in planes])))
    return found


def _planes(picture: Frame | Planes) -> Planes:
    return picture.planes if isinstance(picture, Frame) else picture


def _similarity_maps(
    a: NDArray[np.float32], b: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The luminance term, and contrast times structure, wherever the window fits."""
    window = min(WINDOW, *(side - 1 + side % 2 for side in a.shape))
    mean_a, mean_b = _blurred(a, window), _blurred(b, window)
    var_a = _blurred(a * a, window) - mean_a**2
    var_b = _blurred(b * b, window) - mean_b**2
    covariance = _blurred(a * b, window) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    structure = (2 * covariance + C2) / (var_a + var_b + C2)
    return np.asarray(luminance, np.float32), np.asarray(structure, np.float32)


def _blurred(plane: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    margin = window // 2
    blurred = np.asarray(cv2.GaussianBlur(plane, (window, window), SIGMA), np.float32)
    return blurred[margin : plane.shape[0] - margin, margin : plane.shape[1] - margin]


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2x2 samples; an odd last line or column is dropped."""
    height, width = (side // 2 * 2 for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // 2, 2, width // 2, 2)
    return np.asarray(blocks.mean((1, 3)), np.float32)
