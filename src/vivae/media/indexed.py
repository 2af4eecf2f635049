"""Label maps as PNG files whose pixels are object ids, with a palette, so that they look like what they are.

0 is background; ids 1, 2, ... have the colours of the DAVIS data set (the bits of the id, spread over the channels).
"""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import FormatError

Labels = NDArray[np.uint8]


def palette() -> NDArray[np.uint8]:
    """(256, 3) RGB."""
    ids = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((ids >> channel) & 1) << (7 - bit)).astype(np.uint8)
        ids = ids >> 3
    return colours


_PALETTE = palette().tobytes()


def encode_indexed(labels: Labels) -> bytes:
    """uint8 (H, W) as a PNG file of 8-bit palette indices."""
    height, width = labels.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row is led by its filter, none
    rows[:, 1:] = labels
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", _PALETTE),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 3)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def read_indexed(path: Path) -> Labels:
    """Object ids (H, W) of an image: the indices of a palette, small grey values, or 1 where a plain mask is set.

    Raises FormatError for what is no image.
    """
    indices = _palette_indices(f"file:{path}")
    if indices is not None:
        return indices
    picture: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise FormatError(f"'{path}' is no mask that can be read: give a PNG")
    if picture.ndim == 3:
        # Of a picture with transparency only what shows counts.
        picture = picture[..., :3].max(2) if picture.shape[2] < 4 else picture[..., 3]
    if picture.max() >= 128 or picture.dtype != np.uint8:
        return np.asarray(picture > picture.max() // 2, np.uint8)
    return np.asarray(picture, np.uint8)


def decode_indexed(data: bytes) -> Labels:
    """Object ids (H, W) of what `encode_indexed` made. Raises FormatError."""
    indices = _palette_indices(BytesIO(data))
    if indices is None:
        raise FormatError("a label map is no PNG of palette indices")
    return indices


def _palette_indices(source: str | BinaryIO) -> Labels | None:
    try:
        with av.open(source, "r") as container:
            frame = next(container.decode(video=0), None)
            if frame is None or frame.format.name != "pal8":
                return None
            plane = frame.planes[0]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            return np.ascontiguousarray(rows[: frame.height, : frame.width])
    except (av.error.FFmpegError, OSError, IndexError):
        return None
