"""How coarsely pictures were coded, as far as FFmpeg's decoders tell; and packets, for those who read it there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.sidedata.encparams import VideoEncParams
from av.sidedata.sidedata import SideDataContainer
from av.video.stream import VideoStream

from vivae.media.source import find_source, open_container, reading, video_stream

PLACES, RUN = 4, 12
"""Places over a file, and frames from each on, that are looked at: each kind of picture has a quantiser of its own."""
ASKED = {"export_side_data": "venc_params"}
"""Options of a decoder that is to tell."""
_DELTA = slice(16, 20)
"""Bytes of delta_qp in an AVVideoBlockParams, behind its place and size."""
ANNEX_B = {"hevc": "hevc_mp4toannexb"}
"""Filters that bring packets of mp4 and mkv into the form of a byte stream."""


def decoded_quantisers(path: str | os.PathLike[str]) -> list[float]:
    """The mean quantiser of each of some frames, in the codec's own unit: QP of H.264; twice the quantiser's scale of
    MPEG-1, MPEG-2, MPEG-4 and H.263. Nothing for other codecs. Raises InputError and FormatError."""
    file = find_source(path).files[0]
    found: list[float] = []
    with open_container(file) as container, reading(file):
        stream = video_stream(container, file)
        stream.codec_context.options = ASKED
        for frame in _spread(container, stream):
            found += told_by(frame)
    return found


def first_packets(path: str | os.PathLike[str], count: int) -> Iterator[bytes]:
    """The first packets of the pictures, as a byte stream has them. Raises InputError and FormatError."""
    file = find_source(path).files[0]
    with open_container(file) as container, reading(file):
        stream = video_stream(container, file)
        name = ANNEX_B.get(stream.codec_context.name)
        form = None if name is None else BitStreamFilterContext(name, stream)
        for packet in islice(container.demux(stream), count):
            for part in (packet,) if form is None else form.filter(packet):
                yield bytes(part)


def _spread(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Frames from several places on; where a file does not tell its length, its first ones."""
    length, first = container.duration or 0, container.start_time or 0
    for place in range(PLACES if length else 1):
        with suppress(av.error.FFmpegError):
            if place:
                container.seek(first + length * place // PLACES)
            yield from islice(container.decode(stream), RUN)


def told_by(frame: av.VideoFrame) -> list[float]:
    """The mean quantiser of one picture, or nothing: of a decoder with the options `ASKED`."""
    try:
        # As in `Orientation.of`: `frame.side_data` would keep the frame.
        side_data = SideDataContainer(frame)  # type: ignore[call-arg]  # as the stub has it
    except ValueError:
        return []
    # FFmpeg counts the steps that more bits a sample add (6 for each) to the quantiser of H.264.
    deeper = 6 * (frame.format.components[0].bits - 8)
    return [_mean(data) - deeper for data in side_data if isinstance(data, VideoEncParams)]


def _mean(told: VideoEncParams) -> float:
    """Of all blocks. PyAV's own map refuses interlaced pictures, whose rows of blocks are padded to pairs."""
    count, size = told.nb_blocks, told.block_size
    if not count:
        return float(told.qp)
    whole: Any = told  # a buffer, which its stub does not say
    blocks = np.frombuffer(whole, np.uint8, count * size, told.blocks_offset).reshape(count, size)
    return told.qp + float(np.ascontiguousarray(blocks[:, _DELTA]).view(np.int32).mean())
