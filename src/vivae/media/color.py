"""What the numbers of a picture mean (range, matrix, primaries, transfer), and the way to RGB and back.

The matrices are those of ITU-R BT.601, BT.709 and BT.2020 (and the two older ones that files still name). FFmpeg's
swscale converts, bicubic with accurate rounding, so that pictures look the way every other FFmpeg tool shows them; only
where it overflows, the equations are worked out here: it would turn bright, saturated blue into black
(luma from 225 and Cb near 255).

This module does no transfer-function or primaries conversion: HDR needs tone mapping, which the reader refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
Range = Literal["limited", "full"]
Matrix = Literal["bt601", "bt709", "bt2020", "fcc", "smpte240m"]

SWS_FLAGS = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)

UNSPECIFIED = 2  # the code point of ITU-T H.273 for "unknown", in primaries, transfer and matrix alike
PQ, HLG = 16, 18  # transfer code points of high dynamic range


@dataclass(frozen=True, slots=True)
class _MatrixRow:
    kr: float
    kb: float
    code: int  # ITU-T H.273 MatrixCoefficients, as written into files
    sws: Colorspace


_MATRICES: dict[Matrix, _MatrixRow] = {
    "bt601": _MatrixRow(0.299, 0.114, 6, Colorspace.ITU601),
    "bt709": _MatrixRow(0.2126, 0.0722, 1, Colorspace.ITU709),
    "bt2020": _MatrixRow(0.2627, 0.0593, 9, Colorspace.BT2020),
    "fcc": _MatrixRow(0.30, 0.11, 4, Colorspace.FCC),
    "smpte240m": _MatrixRow(0.212, 0.087, 7, Colorspace.SMPTE240M),
}
_MATRIX_OF_CODE: dict[int, Matrix] = {row.code: name for name, row in _MATRICES.items()} | {5: "bt601"}


@dataclass(frozen=True, slots=True)
class ColorInfo:
    """How YUV samples map to light. Codes are those of ITU-T H.273, where 2 means unspecified.

    range: "limited" (luma 16-235, chroma 16-240) or "full" (0-255).
    matrix: which YUV. Never unknown: see `guess`.
    primaries, transfer: carried from input to output untouched.
    """

    range: Range = "limited"
    matrix: Matrix = "bt709"
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @staticmethod
    def guess(height: int, *, full: bool = False) -> ColorInfo:
        """The description of a file that has none: BT.709 from 720 lines up, else BT.601; limited unless `full`.

        This is the rule of most players, and what broadcast practice makes likely."""
        return ColorInfo("full" if full else "limited", "bt709" if height >= 720 else "bt601")

    @staticmethod
    def from_codes(range_: int, matrix: int, primaries: int, transfer: int, height: int) -> ColorInfo | None:
        """From the code points of a stream (range: 0 unknown, 1 limited, 2 full); gaps are filled by `guess`.

        None where the matrix is one that 4:2:0 processing cannot treat as YUV (YCgCo, ICtCp, constant luminance)."""
        guess = ColorInfo.guess(height, full=range_ == ColorRange.JPEG)
        if matrix in (0, UNSPECIFIED, 3):  # 0 is RGB: what it becomes is ours to choose
            return ColorInfo(guess.range, guess.matrix, primaries, transfer)
        name = _MATRIX_OF_CODE.get(matrix)
        return None if name is None else ColorInfo(guess.range, name, primaries, transfer)

    @property
    def matrix_code(self) -> int:
        """ITU-T H.273 MatrixCoefficients."""
        return _MATRICES[self.matrix].code

    @property
    def sws_matrix(self) -> Colorspace:
        """The name swscale has for the matrix."""
        return _MATRICES[self.matrix].sws

    @property
    def sws_range(self) -> ColorRange:
        """The name swscale has for the range."""
        return ColorRange.JPEG if self.range == "full" else ColorRange.MPEG


def planes_of(frame: av.VideoFrame) -> Planes:
    """Copies of the three 8-bit planes of a planar YUV frame, without FFmpeg's row padding."""

    y, u, v = (_rows(p)[: p.height, : p.width].copy() for p in frame.planes[:3])
    return y, u, v


def _rows(plane: VideoPlane) -> NDArray[np.uint8]:
    """A view of the plane's memory, padding and all: (rows, line size)."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)


def rounded_planes(frame: av.VideoFrame) -> Planes:
    """The planes of a yuv420p10le frame, each sample rounded to 8 bits (swscale dithers: noise to a codec)."""

    def rounded(plane: VideoPlane) -> NDArray[np.uint8]:
        samples = _rows(plane).view(np.uint16)[: plane.height, : plane.width]
        return np.minimum((samples + 2) >> 2, 255).astype(np.uint8)

    y, u, v = map(rounded, frame.planes)
    return y, u, v


def video_frame(planes: Planes, color: ColorInfo) -> av.VideoFrame:
    """An FFmpeg frame (yuv420p, tagged) holding a copy of the planes: y (H, W), u and v (ceil(H/2), ceil(W/2))."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    for source, target in zip(planes, frame.planes, strict=True):
        _rows(target)[: source.shape[0], : source.shape[1]] = source
    frame.color_range = color.sws_range
    frame.colorspace = color.matrix_code
    frame.color_primaries = color.primaries
    frame.color_trc = color.transfer
    return frame


def to_yuv420(
    frame: av.VideoFrame,
    color: ColorInfo,
    *,
    target: ColorInfo | None = None,
    size: tuple[int, int] | None = None,
    scaler: VideoReformatter | None = None,
) -> av.VideoFrame:
    """Any FFmpeg frame as 8-bit 4:2:0 with the range and matrix of `target`, or else of `color`.

    color: the description of a YUV frame, or for RGB what it is to become.
    size: (width, height) when it must change too. Pass one `scaler` for a run of like frames: set-up is costly.
    """
    width, height = size or (frame.width, frame.height)
    target = target or color
    rgb = frame.format.is_rgb or frame.format.has_palette
    return (scaler or VideoReformatter()).reformat(
        frame,
        width=width,
        height=height,
        format="yuv420p",
        src_colorspace=color.sws_matrix,
        dst_colorspace=target.sws_matrix,
        src_color_range=ColorRange.JPEG if rgb else color.sws_range,
        dst_color_range=target.sws_range,
        interpolation=SWS_FLAGS,
        threads=1,
    )


def rgb_to_yuv(rgb: NDArray[np.uint8], color: ColorInfo) -> Planes:
    """uint8 (H, W, 3) to planes y (H, W), u and v (ceil(H/2), ceil(W/2)), by swscale."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
    return planes_of(to_yuv420(frame, color))


def recolor(planes: Planes, color: ColorInfo, target: ColorInfo) -> Planes:
    """The same picture under another range or matrix. Primaries and transfer are not converted."""
    if (color.range, color.matrix) == (target.range, target.matrix):
        return planes
    return planes_of(to_yuv420(video_frame(planes, color), color, target=target))


def yuv_to_rgb(planes: Planes, color: ColorInfo) -> NDArray[np.uint8]:
    """Planes of 4:2:0 to uint8 (H, W, 3), by swscale, its overflows repaired."""
    frame = video_frame(planes, color)
    rgb = cast(NDArray[np.uint8], _reformat(frame, "rgb24", color, ColorRange.JPEG).to_ndarray())
    if _may_overflow(planes, color):
        exact = _matrix(planes_of(_reformat(frame, "yuv444p", color, color.sws_range)), color)
        # The two differ by a little where chroma is interpolated; by everything where a sum has wrapped around.
        wrapped = np.abs(exact - rgb) > 128
        rgb[wrapped] = exact[wrapped]
    return rgb


def _reformat(frame: av.VideoFrame, kind: str, color: ColorInfo, out_range: ColorRange) -> av.VideoFrame:
    return VideoReformatter().reformat(
        frame,
        format=kind,
        src_colorspace=color.sws_matrix,
        dst_colorspace=color.sws_matrix,
        src_color_range=color.sws_range,
        dst_color_range=out_range,
        interpolation=SWS_FLAGS,
        threads=1,
    )


def _gains(color: ColorInfo) -> tuple[float, float, float, float]:
    """Black level, and how much one code value of luma, of Cb in blue and of Cr in red counts out of 255."""
    row = _MATRICES[color.matrix]
    black, y_span, c_span = (0, 255, 255) if color.range == "full" else (16, 219, 224)
    return black, 255 / y_span, 2 * (1 - row.kb) * 255 / c_span, 2 * (1 - row.kr) * 255 / c_span


def _may_overflow(planes: Planes, color: ColorInfo) -> bool:
    """True if red or blue, before clipping, could reach the 512 at which swscale's 32-bit sums wrap around."""
    black, to_luma, to_blue, to_red = _gains(color)
    brightest = (int(planes[0].max()) - black) * to_luma

    def largest(plane: NDArray[np.uint8]) -> float:
        low, high = int(plane.min()), int(plane.max())
        return high - 128 + 0.3 * (high - low)  # bicubic interpolation overshoots

    return max(brightest + to_blue * largest(planes[1]), brightest + to_red * largest(planes[2])) > 500


def _matrix(planes: Planes, color: ColorInfo) -> NDArray[np.float32]:
    """Planes of 4:4:4 to RGB (H, W, 3), rounded and clipped, by the equations of the standard."""
    black, to_luma, to_blue, to_red = _gains(color)
    row = _MATRICES[color.matrix]
    kg = 1 - row.kr - row.kb
    y, u, v = (plane.astype(np.float32) for plane in planes)
    luma, cb, cr = (y - black) * to_luma, u - 128, v - 128
    green = luma - (to_blue * row.kb / kg) * cb - (to_red * row.kr / kg) * cr
    return np.clip(np.rint(np.stack([luma + to_red * cr, green, luma + to_blue * cb], axis=-1)), 0, 255)
