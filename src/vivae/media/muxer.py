"""Into mp4, mkv and webm: the container, its exact clock, the tracks that come along; and frames through an encoder."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vivae.errors import InputError, OutputError
from vivae.media.color import video_frame
from vivae.media.encoders import Encoder, start_encoder
from vivae.media.frames import Frame, Picture
from vivae.media.matroska import set_sample_aspect_ratio
from vivae.media.source import find_source, open_container
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


class Muxer:
    """A container, the clock of its pictures, and what comes along; its children add the pictures. `close` in any case.

    time_base: the clock, or None for one that suits the rate.
    """

    def __init__(self, part: Path, picture: Picture, time_base: Fraction | None) -> None:
        self.time_base = time_base or fine_time_base(picture.fps)
        self.suffix = part.suffix.lower()
        self._part = part
        self._picture = picture
        self._tracks: TrackCopier | None = None
        self._last: int | None = None
        self._finished = False
        # Without bitexact, Matroska's random identifiers make every file differ.
        flags = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if self.suffix == ".mp4" else {})
        self.container = av.open(f"file:{part}", "w", format=_FORMATS[self.suffix], container_options=flags)

    def carry_tracks(
        self, stack: ExitStack, path: str | os.PathLike[str], start: Fraction | None, end: Fraction | None
    ) -> None:
        """Take the other tracks of a video along; `stack` closes it. Call it when the pictures have their track."""
        source = find_source(path)
        if not source.sequence:
            container = stack.enter_context(open_container(source.files[0]))
            self._tracks = TrackCopier(container, source.files[0], self.container, self.suffix, start, end)

    def begin(self) -> None:
        """Write the header."""
        self.container.start_encoding()

    def _describe(self, context: VideoCodecContext) -> None:
        """Declare what the pictures are."""
        picture = self._picture
        context.width, context.height = picture.width, picture.height
        context.sample_aspect_ratio = picture.sar
        context.color_range = picture.color.sws_range
        context.colorspace = picture.color.matrix_code
        context.color_primaries = picture.color.primaries
        context.color_trc = picture.color.transfer

    def _stamp(self, time: Fraction) -> int:
        """The nearest tick of the clock; the other tracks are written up to there."""
        pts = round(time / self.time_base)
        if self._last is not None and pts <= self._last:
            raise OutputError(f"frames must come in the order of their times: {float(time):g} s came late")
        self._last = pts
        if self._tracks is not None:
            self._tracks.advance(time)
        return pts

    def _ticks(self, duration: Fraction) -> int:
        return max(1, round(duration / self.time_base))

    def finish(self) -> None:
        """Write what is left of the tracks, and the index."""
        if self._tracks is not None:
            self._tracks.advance()
        self.container.close()
        if self.suffix in (".mkv", ".webm") and self._picture.sar != 1:
            try:
                set_sample_aspect_ratio(self._part, self._picture.sar)
            except ValueError as error:
                logger.warning(
                    "the sample aspect ratio %s could not be written: %s", self._picture.sar, error
                )
        self._finished = True

    def close(self) -> None:
        """Let go of the file. Without `finish` before, it is worthless."""
        if not self._finished:
            with suppress(Exception):
                os.truncate(
                    self._part, 0
                )  # else closing would first move all of it to make room for the index
                self.container.close()


class MuxerSink(Muxer):
    """An encoder and a container: `begin`, `write`, `finish`."""

    def __init__(self, part: Path, picture: Picture, encoding: Encoding) -> None:
        super().__init__(part, picture, encoding.time_base)
        self._durations: dict[int, int] = {}  # of the frames inside the encoder, by time stamp
        stream = self.container.add_stream(
            encoding.encoder.name, rate=picture.fps, options=dict(encoding.options)
        )
        assert isinstance(stream, VideoStream)
        self._stream = stream
        context = stream.codec_context
        self._describe(context)
        context.pix_fmt = "yuv420p"
        context.time_base = stream.time_base = self.time_base
        if encoding.threads:
            context.thread_count = encoding.threads

    def begin(self) -> None:
        """Start the encoder and write the header, so that what does not fit is refused before any work."""
        context = self._stream.codec_context
        asked = ", ".join(f"{key}={value}" for key, value in context.options.items())
        try:
            start_encoder(context)
        except av.error.FFmpegError as error:
            raise InputError(f"{context.name} refuses its settings ({asked}): {error.strerror}") from error
        if context.options:  # what the encoder has not taken
            raise InputError(f"{context.name} does not know the options {', '.join(sorted(context.options))}")
        super().begin()

    def write(self, frame: Frame) -> None:
        """Encode one frame at its time, to the nearest tick of the clock."""
        picture = video_frame(frame.planes, self._picture.color)
        picture.pts = pts = self._stamp(frame.time)
        picture.time_base = self.time_base
        self._durations[pts] = self._ticks(frame.duration)
        self._mux(self._stream.encode(picture))

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            if packet.pts is not None:  # encoders forget durations, and no later frame tells that of the last
                packet.duration = self._durations.pop(packet.pts, packet.duration)
            self.container.mux(packet)

    def finish(self) -> None:
        """Flush the encoder and the tracks, write the index."""
        self._mux(self._stream.encode(None))
        super().finish()


def fine_time_base(fps: Fraction) -> Fraction:
    """A clock on which every multiple of 1/fps is exact, and other times are close."""
    if fps.numerator > _LARGEST:
        return Fraction(1, _FINEST)
    return Fraction(1, fps.numerator * -(-_FINEST // fps.numerator))
