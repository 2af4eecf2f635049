"""Lossless outputs made of plain frames: one .y4m file, a folder of PNG, or a single PNG."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.video.codeccontext import VideoCodecContext

from vivae.errors import OutputError
from vivae.media.color import ColorInfo
from vivae.media.frames import Frame, Picture

logger = logging.getLogger(__name__)


class Y4mSink:
    """YUV4MPEG2: the samples as they are. Holds one constant rate, and no matrix: readers guess it by the height."""

    def __init__(self, file: BinaryIO, name: Path, picture: Picture) -> None:
        self._file = file
        self._name = name
        self._fps = picture.fps
        self._count = 0
        self._even = True
        header = (
            f"YUV4MPEG2 W{picture.width} H{picture.height} F{picture.fps.numerator}:{picture.fps.denominator} Ip "
            f"A{picture.sar.numerator}:{picture.sar.denominator} C420jpeg XYSCSS=420JPEG "
            f"XCOLORRANGE={picture.color.range.upper()}\n"
        )
        file.write(header.encode())
        if picture.color.matrix != ColorInfo.guess(picture.height).matrix:
            logger.warning("'%s': .y4m cannot say that the colours are %s", name, picture.color.matrix)

    def write(self, frame: Frame) -> None:
        """Append one frame."""
        if self._even and abs(frame.time - self._count / self._fps) > 1 / (2 * self._fps):
            self._even = False
            logger.warning("'%s': .y4m has one rate for all frames: the uneven times are lost", self._name)
        self._count += 1
        self._file.write(b"FRAME\n")
        for plane in frame.planes:
            self._file.write(plane.tobytes())

    def finish(self) -> None:
        """Nothing is held back."""


class PngSink:
    """One RGB PNG a frame: folder/00000.png upward, or the single file where `folder` is None."""

    def __init__(self, path: Path, *, single: bool) -> None:
        self._path = path
        self._single = single
        self._count = 0

    def write(self, frame: Frame) -> None:
        """Write one file. Raises OutputError for a second frame into a single image."""
        if self._single and self._count:
            raise OutputError("a video does not fit into one image: give a folder, or a video file")
        target = self._path if self._single else self._path / f"{self._count:05d}.png"
        target.write_bytes(encode_png(frame))
        self._count += 1

    def finish(self) -> None:
        """Nothing is held back."""


def encode_png(frame: Frame) -> bytes:
    """The frame as an RGB PNG file."""
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "rgb24"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {
        "compression_level": "4",
        "pred": "up",
    }  # near the smallest size at a fifth of the time
    picture = av.VideoFrame.from_ndarray(frame.to_rgb(), "rgb24")
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
