"""The frame that travels through vivae, and the packed layout that its networks read.

A frame is 8-bit YUV 4:2:0 with its time and its colour description. Files, codecs and pixel formats are the business
of the reader and the writer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vivae.media.color import ColorInfo, Planes, rgb_to_yuv, yuv_to_rgb

PACKED_CHANNELS = 24
PACKED_CELLS = ((0, 4), (16, 2), (20, 2))
"""Of Y, U and V: the first channel, and how many samples of a position lie along either side."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What all frames of a clip share. fps: frames a second, on average; sar: width over height of one sample."""

    width: int
    height: int
    fps: Fraction
    color: ColorInfo
    sar: Fraction = Fraction(1)


@dataclass(slots=True)
class Frame:
    """One upright picture.

    y: uint8 (H, W); u, v: uint8 (ceil(H/2), ceil(W/2)).
    time: seconds from the start of the clip; duration: seconds until the next frame, always above 0.
    """

    y: NDArray[np.uint8]
    u: NDArray[np.uint8]
    v: NDArray[np.uint8]
    time: Fraction
    duration: Fraction
    color: ColorInfo

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def planes(self) -> Planes:
        return self.y, self.u, self.v

    def to_rgb(self) -> NDArray[np.uint8]:
        """uint8 (H, W, 3), within one code value of FFmpeg's bicubic, accurately rounded conversion."""
        return yuv_to_rgb(self.planes, self.color)

    @staticmethod
    def from_rgb(
        rgb: NDArray[np.uint8],
        color: ColorInfo | None = None,
        time: Fraction = Fraction(0),
        duration: Fraction = Fraction(1, 25),
    ) -> Frame:
        """From uint8 (H, W, 3); without `color`, limited range and the matrix usual for the height."""
        color = color or ColorInfo.guess(rgb.shape[0])
        return Frame(*rgb_to_yuv(rgb, color), time, duration, color)


def as_seconds(value: float | Fraction | None) -> Fraction | None:
    """Decimal seconds as a person means them: 0.1 is a tenth, not the float beside it."""
    return None if value is None else Fraction(value).limit_denominator(1_000_000)


def pack(frame: Frame | Planes) -> NDArray[np.uint8]:
    """Space to depth: planes to uint8 (24, ceil(H/4), ceil(W/4)), edges repeated up to whole 4x4 blocks.

    Channels: the 16 luma samples of a block row by row, its 4 of U, its 4 of V. Every sample keeps its exact value.
    """
    y, u, v = frame.planes if isinstance(frame, Frame) else frame
    rows, columns = -(-y.shape[0] // 4), -(-y.shape[1] // 4)
    return np.concatenate(
        [_to_depth(y, 4, rows, columns), _to_depth(u, 2, rows, columns), _to_depth(v, 2, rows, columns)]
    )


def packed_order(change: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> NDArray[np.int64]:
    """The order of the packed channels in a picture that is mirrored or transposed; positions are moved likewise.

    change: does it to an array (rows, columns), such as numpy's fliplr.
    """
    cells = (np.arange(first, first + side * side).reshape(side, side) for first, side in PACKED_CELLS)
    return np.concatenate([change(cell).ravel() for cell in cells])


def unpack(packed: NDArray[np.uint8], height: int, width: int) -> Planes:
    """Undo `pack`: (24, ceil(H/4), ceil(W/4)) to y (height, width), u and v (ceil(height/2), ceil(width/2))."""
    expected = (PACKED_CHANNELS, -(-height // 4), -(-width // 4))
    if packed.shape != expected:
        raise ValueError(f"packed frame of shape {packed.shape}, expected {expected} for {width}x{height}")
    half = (-(-height // 2), -(-width // 2))
    return (
        _from_depth(packed[:16], 4, (height, width)),
        _from_depth(packed[16:20], 2, half),
        _from_depth(packed[20:], 2, half),
    )


def _to_depth(plane: NDArray[np.uint8], block: int, rows: int, columns: int) -> NDArray[np.uint8]:
    missing = (rows * block - plane.shape[0], columns * block - plane.shape[1])
    if any(missing):
        plane = np.pad(plane, ((0, missing[0]), (0, missing[1])), mode="edge")
    blocks = plane.reshape(rows, block, columns, block).transpose(1, 3, 0, 2)
    return blocks.reshape(block * block, rows, columns)


def _from_depth(channels: NDArray[np.uint8], block: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    _, rows, columns = channels.shape
    blocks = channels.reshape(block, block, rows, columns).transpose(2, 0, 3, 1)
    plane = blocks.reshape(rows * block, columns * block)
    return np.ascontiguousarray(plane[: size[0], : size[1]])
