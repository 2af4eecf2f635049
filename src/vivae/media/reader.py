"""Reading: any file FFmpeg decodes, an image, or images in order, as a stream of upright 8-bit 4:2:0 frames.

One frame is held at a time (and the decoder's own few), whatever the length. Formats that differ from 8-bit 4:2:0 are
converted with one line of warning a file; damage is skipped with one line; nothing is ever invented.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from vivae.errors import FormatError, InputError
from vivae.media.color import planes_of, rounded_planes, to_yuv420
from vivae.media.frames import Frame, as_seconds
from vivae.media.jpeg import is_cut_off
from vivae.media.orientation import Orientation
from vivae.media.probe import VideoInfo, check_size, frame_color, has_alpha, probe_source
from vivae.media.source import Source, find_source, open_container, reading, video_stream

logger = logging.getLogger(__name__)

_Stamped = tuple[av.VideoFrame, Fraction | None, Fraction | None]  # frame, its file's time, its duration


def open_video(
    path: str | os.PathLike[str],
    *,
    start: float | Fraction | None = None,
    end: float | Fraction | None = None,
    fps: Fraction | None = None,
    threads: int | None = None,
) -> VideoReader:
    """Open a video file, an image, a folder of numbered images, a glob or a pattern (`%05d.png`) for reading.

    start, end: seconds; frames with start <= time < end are read, and the clock of the result starts at `start`.
    fps: the rate of image sequences (25 unless said); the rate of videos is their own.
    threads: for the decoder; all cores unless said.
    Raises InputError, FormatError or UnsupportedError, here rather than at the first frame where possible.
    """
    return VideoReader(find_source(path), as_seconds(start), as_seconds(end), fps, threads or 0)


class VideoReader:
    """An iterator of `Frame`, to be used in a `with` block. `info` describes the whole file, `start` the trimming."""

    def __init__(
        self, source: Source, start: Fraction | None, end: Fraction | None, fps: Fraction | None, threads: int
    ) -> None:
        if start is not None and start < 0:
            raise InputError(f"the start must not be before 0 (it is {float(start):g} s)")
        if end is not None and end <= (start or 0):
            raise InputError(f"the end ({float(end):g} s) must lie after the start ({float(start or 0):g} s)")
        self.info: VideoInfo = probe_source(source, fps)
        self.start = start or Fraction(0)
        self._end = end
        self._source = source
        self._threads = threads
        self._converter = FrameConverter(self.info)
        self._declared_end: Fraction | None = None
        self._frames = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file and the decoder."""
        self._frames.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        return next(self._frames)

    def _read(self) -> Generator[Frame, None, None]:
        """Trim, convert, and give each frame the time until its successor as duration."""
        pending: Frame | None = None
        last_step: Fraction | None = None
        count, exhausted = 0, True
        stamped = self._images() if self._source.sequence else self._decode()
        with closing(stamped):
            for picture, time, duration in _increasing(stamped, self.info):
                if time < self.start:
                    continue
                time -= self.start
                if pending is not None:
                    last_step = pending.duration = time - pending.time
                if self._end is not None and time + self.start >= self._end:
                    exhausted = False
                    break
                if pending is not None:
                    yield pending
                pending = self._converter.convert(picture, time, duration or last_step or 1 / self.info.fps)
                count += 1
        if pending is not None:
            if self._declared_end is not None and count == self.info.frames:
                # Of the last frame FFmpeg tells a guess; the length of an mp4 track is exact.
                pending.duration = max(self._declared_end - pending.time, self.info.time_base)
            if self._end is not None:
                pending.duration = min(pending.duration, self._end - self.start - pending.time)
            yield pending
        elif self.start or self._end is not None:
            length = float(self.info.duration)
            raise InputError(f"'{self.info.path}' has no frame in the chosen span: it is {length:g} s long")
        else:
            raise FormatError(f"'{self.info.path}' holds no frame that can be decoded")
        if exhausted:
            self._report_missing(count, self.start + pending.time + pending.duration)

    def _report_missing(self, count: int, end: Fraction) -> None:
        """Where all that could be read ends: `count` frames from the start on, and the time."""
        info = self.info
        expected = info.duration if self._end is None else min(info.duration, self._end)
        if not self.start and self._end is None and info.frames is not None and count < info.frames:
            logger.warning("'%s' declares %d frames, %d could be read", info.path, info.frames, count)
        # Some slack, because the sound may outlast the pictures.
        elif end < expected - info.duration / 20 - 2 / info.fps:
            logger.warning(
                "'%s' ends at %.2f s, though it says %.2f s: it may be cut off", info.path, end, info.duration
            )

    def _images(self) -> Generator[_Stamped, None, None]:
        for number, path in enumerate(self._source.files):
            time = number / self.info.fps
            if time + 1 / self.info.fps <= self.start:
                continue  # not worth decoding
            with open_container(path) as container, reading(path):
                stream = video_stream(container, path)
                _warn_of_missing_end(path, stream)
                frame = next(container.decode(stream), None)
            if frame is None:
                raise FormatError(f"'{path}' holds no picture that can be decoded: replace or remove it")
            size = Orientation.of(frame).size(frame.width, frame.height)
            if size != (self.info.width, self.info.height):
                raise InputError(
                    f"'{path}' is {size[0]}x{size[1]}, the first image is {self.info.width}x{self.info.height}: "
                    "all images of a clip need one size"
                )
            yield frame, time, 1 / self.info.fps

    def _decode(self) -> Generator[_Stamped, None, None]:
        path = self._source.files[0]
        damaged = False
        with open_container(path) as container, reading(path):
            stream = video_stream(container, path)
            if self.info.is_image:
                _warn_of_missing_end(path, stream)
            stream.thread_type = "AUTO"
            stream.thread_count = self._threads
            base, stamps = self.info.time_base, _Stamps()
            if "mp4" in container.format.name and stream.start_time is not None and stream.duration:
                self._declared_end = (stream.start_time + stream.duration) * base - self.info.origin
            if self.start and stream.start_time is not None:
                _seek_before(container, stream, int((self.start + self.info.origin) / base))
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    frames = packet.decode() if packet is not None else []
                except (av.error.InvalidDataError, av.error.EOFError):
                    # A broken packet costs its frame, not the rest. The demuxer ends by itself where it cannot go on.
                    if not damaged:
                        logger.warning("'%s' is damaged: what cannot be decoded is left out", path)
                    damaged = True
                    continue
                if packet is None:
                    return
                for frame in frames:
                    stamp = stamps.best(frame.pts, frame.dts)
                    time = None if stamp is None else stamp * base - self.info.origin
                    yield frame, time, frame.duration * base if frame.duration else None


def _warn_of_missing_end(path: Path, stream: VideoStream) -> None:
    """Of an image: most kinds cannot be decoded without their end."""
    if stream.codec_context.name == "mjpeg" and is_cut_off(path.read_bytes()):
        logger.warning("'%s' is cut off: what is missing of the picture is filled in", path)


def _seek_before(container: InputContainer, stream: VideoStream, target: int) -> None:
    """Go to a key frame at or before `target` (in the stream's unit).

    In files without an index (MPEG-TS) FFmpeg may land behind it; the first frame decoded tells. Then from further
    back, at last from the beginning."""
    if stream.codec_context.name == "h264":
        # What old x264s did wrong (4:4:4, up to build 150) FFmpeg mends where it knows the version, which only the
        # first packet tells: without it all that follows is noise.
        with suppress(av.error.InvalidDataError, av.error.EOFError):
            next(container.decode(stream), None)
    first = stream.start_time or 0
    ten_seconds = int(10 / stream.time_base) if stream.time_base else 0
    for place in (target, target - ten_seconds):
        container.seek(max(place, first), stream=stream)
        with suppress(av.error.InvalidDataError, av.error.EOFError):
            frame = next(container.decode(stream), None)
            if frame is not None and frame.pts is not None and frame.pts <= target:
                container.seek(max(place, first), stream=stream)
                return
    container.seek(first, stream=stream)


class FrameConverter:
    """Decoded pictures to frames of the size and colour that `info` promises; warns once of each kind of change."""

    def __init__(self, info: VideoInfo) -> None:
        self._info = info
        self._scaler = VideoReformatter()
        self._said: set[str] = set()

    def convert(self, picture: av.VideoFrame, time: Fraction, duration: Fraction) -> Frame:
        """Raises UnsupportedError where a later part of the file turns HDR or too large."""
        info = self._info
        path = info.path
        check_size(path, picture.width, picture.height)
        turn = Orientation.of(picture)
        size = turn.size(info.width, info.height)
        color = frame_color(picture, path)
        if picture.interlaced_frame:
            self._say(
                "interlaced",
                "is interlaced: its fields are used as they are; deinterlace it for better results",
            )
        if (picture.width, picture.height) != size:
            self._say(
                "size", f"changes its size to {picture.width}x{picture.height}: scaled to the first frame's"
            )
        same_size = (picture.width, picture.height) == size
        if same_size and picture.format.name in ("yuv420p", "yuvj420p"):
            planes = planes_of(picture)
        elif same_size and picture.format.name == "yuv420p10le":
            self._announce(picture)
            planes = rounded_planes(picture)
        else:
            self._announce(picture)
            # The guess of the matrix depends on the height, which may have changed.
            color = replace(color, matrix=info.color.matrix) if picture.colorspace in (0, 2) else color
            planes = planes_of(to_yuv420(picture, color, size=size, scaler=self._scaler))
        return Frame(*turn.apply(planes), time, duration, color)

    def _announce(self, picture: av.VideoFrame) -> None:
        kind = picture.format
        words = []
        if (depth := max(c.bits for c in kind.components)) > 8 and not kind.has_palette:
            words.append(f"{depth}-bit")
        if kind.is_rgb or kind.has_palette:
            words.append("RGB samples")
        elif len(kind.components) >= 3 and not kind.name.startswith(
            ("yuv420", "yuvj420", "yuva420", "nv12", "p01")
        ):
            words.append("chroma beyond 4:2:0")
        if has_alpha(picture):
            words.append("transparency")
        if words and words != ["RGB samples"]:
            self._say("format", f"({kind.name}) is converted to 8-bit 4:2:0; lost: {', '.join(words)}")

    def _say(self, key: str, message: str) -> None:
        if key not in self._said:
            self._said.add(key)
            logger.warning("'%s' %s", self._info.path, message)


class _Stamps:
    """Which of a frame's two time stamps to trust: libavcodec's own rule (`guess_correct_pts`).

    Frames leave the decoder in display order. Some files number them otherwise; there the decoding stamps, which
    always increase, are nearer to the truth.
    """

    def __init__(self) -> None:
        self._last: list[int | None] = [None, None]
        self._faults = [0, 0]

    def best(self, pts: int | None, dts: int | None) -> int | None:
        for kind, stamp in enumerate((pts, dts)):
            last = self._last[kind]
            if stamp is not None:
                self._faults[kind] += last is not None and stamp <= last
                self._last[kind] = stamp
        trusted = self._faults[0] <= self._faults[1] or dts is None
        return pts if trusted and pts is not None else dts


def _increasing(
    stamped: Iterator[_Stamped], info: VideoInfo
) -> Iterator[tuple[av.VideoFrame, Fraction, Fraction | None]]:
    """Give frames without a time stamp their likely one, and those that do not come later the next possible one."""
    previous: Fraction | None = None
    warned = False
    for frame, time, duration in stamped:
        if time is None:
            time = Fraction(0) if previous is None else previous + (duration or 1 / info.fps)
        if previous is not None and time <= previous:
            if not warned:
                logger.warning("'%s' has time stamps that do not increase: they are corrected", info.path)
                warned = True
            time = previous + info.time_base
        previous = time
        yield frame, time, duration


def read_first(path: str | Path) -> Frame:
    """The first frame of anything `open_video` takes: for images, styles and thumbnails."""
    with open_video(path, threads=1) as reader:
        return next(reader)
