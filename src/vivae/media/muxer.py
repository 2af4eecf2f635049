"""Frames into mp4, mkv and webm: the encoder, the exact clock, and the tracks that come along."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vivae.errors import InputError, OutputError
from vivae.media.color import video_frame
from vivae.media.encoders import Encoder, quieten_encoders
from vivae.media.frames import Frame, Picture
from vivae.media.matroska import set_sample_aspect_ratio
from vivae.media.tracks import TrackCopier

logger = logging.getLogger(__name__)

_FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm"}
_FINEST = 90_000  # ticks a second that a clock of our own choice has at least
_LARGEST = 1_000_000  # and about at most: mp4 counts ticks in 32 bits per track header


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pictures become packets. time_base: the clock, or None for one that suits the rate."""

    encoder: Encoder
    options: Mapping[str, str]
    threads: int | None = None
    time_base: Fraction | None = None


class MuxerSink:
    """An encoder and a container: `begin`, `write`, `finish`; `close` in any case."""

    def __init__(self, part: Path, picture: Picture, encoding: Encoding) -> None:
        quieten_encoders()
        self.time_base = encoding.time_base or fine_time_base(picture.fps)
        self.suffix = part.suffix.lower()
        self._part = part
        self._color, self._sar = picture.color, picture.sar
        self._tracks: TrackCopier | None = None
        self._last: int | None = None
        self._durations: dict[int, int] = {}  # of the frames inside the encoder, by time stamp
        self._finished = False
        # Without bitexact, Matroska's random identifiers make every file differ.
        flags = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if self.suffix == ".mp4" else {})
        self.container = av.open(f"file:{part}", "w", format=_FORMATS[self.suffix], container_options=flags)
        stream = self.container.add_stream(
            encoding.encoder.name, rate=picture.fps, options=dict(encoding.options)
        )
        assert isinstance(stream, VideoStream)
        self._stream = stream
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = picture.width, picture.height, "yuv420p"
        context.time_base = stream.time_base = self.time_base
        context.sample_aspect_ratio = picture.sar
        context.color_range = picture.color.sws_range
        context.colorspace = picture.color.matrix_code
        context.color_primaries = picture.color.primaries
        context.color_trc = picture.color.transfer
        if encoding.threads:
            context.thread_count = encoding.threads

    def carry_tracks(
        self, source: InputContainer, path: Path, start: Fraction | None, end: Fraction | None
    ) -> None:
        """Take the other tracks of `source` along. Call it before `begin`."""
        self._tracks = TrackCopier(source, path, self.container, self.suffix, start, end)

    def begin(self) -> None:
        """Start the encoder and write the header, so that what does not fit is refused before any work."""
        context = self._stream.codec_context
        asked = ", ".join(f"{key}={value}" for key, value in context.options.items())
        try:
            context.open()
        except av.error.FFmpegError as error:
            raise InputError(f"{context.name} refuses its settings ({asked}): {error.strerror}") from error
        if context.options:  # what the encoder has not taken
            raise InputError(f"{context.name} does not know the options {', '.join(sorted(context.options))}")
        self.container.start_encoding()

    def write(self, frame: Frame) -> None:
        """Encode one frame at its time, to the nearest tick of the clock."""
        picture = video_frame(frame.planes, self._color)
        pts = round(frame.time / self.time_base)
        if self._last is not None and pts <= self._last:
            raise OutputError(
                f"frames must come in the order of their times: {float(frame.time):g} s came late"
            )
        self._last = pts
        picture.pts = pts
        self._durations[pts] = max(1, round(frame.duration / self.time_base))
        picture.time_base = self.time_base
        if self._tracks is not None:
            self._tracks.advance(frame.time)
        self._mux(self._stream.encode(picture))

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            if packet.pts is not None:  # encoders forget durations, and no later frame tells that of the last
                packet.duration = self._durations.pop(packet.pts, packet.duration)
            self.container.mux(packet)

    def finish(self) -> None:
        """Flush the encoder and the tracks, write the index."""
        self._mux(self._stream.encode(None))
        if self._tracks is not None:
            self._tracks.advance()
        self.container.close()
        if self.suffix in (".mkv", ".webm") and self._sar != 1:
            try:
                set_sample_aspect_ratio(self._part, self._sar)
            except ValueError as error:
                logger.warning("the sample aspect ratio %s could not be written: %s", self._sar, error)
        self._finished = True

    def close(self) -> None:
        """Let go of the encoder and the file. Without `finish` before, the file is worthless."""
        if not self._finished:
            with suppress(Exception):
                os.truncate(
                    self._part, 0
                )  # else closing would first move all of it to make room for the index
                self.container.close()


def fine_time_base(fps: Fraction) -> Fraction:
    """A clock on which every multiple of 1/fps is exact, and other times are close."""
    if fps.numerator > _LARGEST:
        return Fraction(1, _FINEST)
    return Fraction(1, fps.numerator * -(-_FINEST // fps.numerator))
