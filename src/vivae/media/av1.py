"""AV1 without a container: planes in, packets out, and back, with PyAV's SVT-AV1 and dav1d.

For work that encodes a passage several times before it decides, or that trains on what an encoder does to pictures.
Files are written by `vivae.media.writer` and `vivae.media.packets`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from vivae.errors import FormatError, InputError
from vivae.media.color import Planes, planes_of, rounded_planes
from vivae.media.encoders import start_encoder
from vivae.media.frames import Picture
from vivae.media.memory import release_freed
from vivae.media.source import MAX_SIDE

Depth = Literal[8, 10]
CRF_RANGE = (1.0, 70.0)
"""Of SVT-AV1, in quarter steps; FFmpeg's own option ends at 63."""
LARGE = 2_000_000
"""Pixels of a picture, about 1920x1080, from which an encoder's memory counts for more than its speed."""
LAMBDA_SCALE = 80
"""128ths of SVT-AV1's own price of a bit, by which it decides: more detail for the same quantiser."""
FRAME_TYPES = 7
SMALLEST_SIDE = 16
"""Smaller pictures are refused by some presets of SVT-AV1."""


@dataclass(frozen=True, slots=True)
class Av1Settings:
    """How SVT-AV1 encodes. crf: see `CRF_RANGE`. preset: 0 (slow) to 13. depth: bits a sample inside the codec."""

    crf: float
    preset: int = 6
    depth: Depth = 8
    extra: str = ""
    """More svtav1-params, "key=value:key=value"; keys that SVT-AV1 does not know it ignores without a word."""
    plain: bool = False
    """As others use it, and so for peers and for what networks learn of: without what vivae tells it."""
    restoration: bool = False
    """Loop restoration. Without it files are smaller at equal PSNR on every clip that was tried, and decode sooner."""

    def parameters(self, threads: int, pixels: int = 0) -> str:
        """As SVT-AV1 reads them. One key frame, then as many others as there are: a passage is one group.

        pixels: of a picture. Each level of parallelism holds more of them, so large ones get half as many.
        """
        levels = min(threads, 6)
        if pixels >= LARGE:
            levels = max(1, levels // 2)
        # Each: smaller files at equal PSNR and VMAF on every clip that was tried.
        ours = [
            "enable-dlf=2",
            "tf-strength=1",
            f"lambda-scale-factors=[{','.join([str(LAMBDA_SCALE)] * FRAME_TYPES)}]",
        ]
        parts = [
            "tune=1",
            f"enable-restoration={self.restoration:d}",
            *([] if self.plain else ours),
            f"crf={round(self.crf * 4) / 4:g}",
            "keyint=-1",
            f"lp={levels}",
        ]
        return ":".join([*parts, *filter(None, [self.extra])])


class Unit(NamedTuple):
    """One temporal unit: what decodes to one shown picture."""

    data: bytes
    position: int
    """Of the picture, in the order of display."""
    key: bool


def encode_av1(
    frames: Iterable[Planes], picture: Picture, settings: Av1Settings, *, threads: int = 2
) -> Iterator[Unit]:
    """Encode 8-bit planes of the picture's size as one group that starts with its only key frame.

    Raises InputError where SVT-AV1 refuses the settings or the size.
    """
    context = av.CodecContext.create("libsvtav1", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = picture.width, picture.height
    context.pix_fmt = "yuv420p" if settings.depth == 8 else "yuv420p10le"
    context.framerate = picture.fps
    context.time_base = 1 / picture.fps
    context.color_range = picture.color.sws_range
    context.colorspace = picture.color.matrix_code
    context.color_primaries = picture.color.primaries
    context.color_trc = picture.color.transfer
    parameters = settings.parameters(threads, picture.width * picture.height)
    context.options = {"preset": str(settings.preset), "svtav1-params": parameters}
    try:
        start_encoder(context)
    except av.error.FFmpegError as error:
        raise InputError(
            f"SVT-AV1 refuses {picture.width}x{picture.height} with {parameters}: {error.strerror}"
        ) from error
    try:
        for index, planes in enumerate(frames):
            frame = _video_frame(planes, settings.depth)
            frame.pts, frame.time_base = index, context.time_base
            yield from _coded(context, frame)
        yield from _coded(context, None)
    finally:
        del context
        release_freed()


def _coded(context: VideoCodecContext, frame: av.VideoFrame | None) -> Iterator[Unit]:
    for packet in context.encode(frame):
        assert packet.pts is not None
        yield Unit(bytes(packet), packet.pts, packet.is_keyframe)


def _video_frame(planes: Planes, depth: int) -> av.VideoFrame:
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, "yuv420p" if depth == 8 else "yuv420p10le")
    for plane, samples in zip(frame.planes, planes, strict=True):
        line = np.frombuffer(memoryview(plane), np.uint8 if depth == 8 else np.uint16)
        line = line.reshape(plane.height, -1)[: samples.shape[0], : samples.shape[1]]
        np.left_shift(samples, depth - 8, out=line, dtype=line.dtype)
    return frame


def open_decoder(*, threads: int = 2, grain: bool = True) -> VideoCodecContext:
    """A dav1d that takes packets of any AV1 stream, its size changing as it likes. grain: whether to add film grain.

    It may be let go of at any time, if its packets are of `packet_of`.
    """
    context = av.CodecContext.create("libdav1d", "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = threads
    context.options = {"max_pixels": str(MAX_SIDE * MAX_SIDE)} | ({} if grain else {"filmgrain": "0"})
    return context


def packet_of(data: bytes) -> av.Packet:
    """A packet that holds a copy of the data, in memory of FFmpeg's.

    `av.Packet(data)` would keep Python's own bytes. A decoder's threads free them, for which they wait for the
    interpreter; a decoder that ends with work under way, after an error or let go of, holds the interpreter while it
    waits for its threads: neither would ever go on.
    """
    packet = av.Packet(len(data))
    packet.update(data)
    return packet


def decode_av1(units: Iterable[bytes], *, threads: int = 2, grain: bool = True) -> Iterator[Planes]:
    """Pictures of temporal units in order, as 8-bit planes of the size they were coded in. Raises FormatError."""
    context = open_decoder(threads=threads, grain=grain)
    for packet in itertools.chain(map(packet_of, units), [None]):
        try:
            frames = context.decode(packet)
        except av.error.FFmpegError as error:
            raise FormatError(f"the AV1 stream cannot be decoded: {error.strerror}") from error
        yield from map(eight_bit, frames)


def eight_bit(frame: av.VideoFrame) -> Planes:
    """The planes of a 4:2:0 picture of 8 or 10 bits, rounded to 8."""
    if frame.format.name in ("yuv420p", "yuvj420p"):
        return planes_of(frame)
    if frame.format.name != "yuv420p10le":
        raise FormatError(f"an AV1 picture is {frame.format.name}, not 4:2:0 of 8 or 10 bits")
    return rounded_planes(frame)
