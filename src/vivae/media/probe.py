"""What is in a file, without decoding more than its first frame."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from vivae.errors import FormatError, UnsupportedError
from vivae.media.color import HLG, PQ, ColorInfo
from vivae.media.orientation import Orientation
from vivae.media.source import (
    DEFAULT_IMAGE_FPS,
    MAX_SIDE,
    Source,
    find_source,
    open_container,
    reading,
    video_stream,
)


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """An audio or subtitle track."""

    index: int
    kind: str
    codec: str
    language: str | None
    title: str | None
    details: str = ""  # for people: "48000 Hz stereo"

    def __str__(self) -> str:
        words = (
            self.kind,
            "track",
            str(self.index),
            f"({', '.join(filter(None, (self.codec, self.language)))})",
        )
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What `probe` found. Sizes are as displayed: rotation is applied, the sample aspect ratio is not."""

    path: Path
    width: int
    height: int
    fps: Fraction  # average
    frames: int | None  # as declared by the file, None where it does not say
    duration: Fraction  # seconds of video
    time_base: Fraction  # the unit of the file's time stamps, in seconds
    origin: Fraction  # the file's own time at which our clock starts
    sar: Fraction  # sample aspect ratio, after rotation
    rotation: int  # clockwise degrees (0, 90, 180, 270) that were needed to make the picture upright
    color: ColorInfo  # of the frames as read
    bit_depth: int
    pixel_format: str
    codec: str
    container: str
    has_alpha: bool
    is_image: bool
    variable_rate: bool | None  # None where only reading the whole file would tell
    size_bytes: int
    audio: tuple[StreamInfo, ...] = ()
    subtitles: tuple[StreamInfo, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def estimated_frames(self) -> int:
        """`frames`, or what duration and rate make likely: for progress bars."""
        return self.frames or max(1, round(self.duration * self.fps))


def probe(path: str | os.PathLike[str], *, fps: Fraction | None = None) -> VideoInfo:
    """Describe a video, an image, a folder of images or a pattern (see `open_video`); `fps` is for image sequences.

    Raises InputError (missing, not a video), FormatError (damaged, no frame decodes), UnsupportedError (HDR,
    too large).
    """
    return probe_source(find_source(path), fps)


def probe_source(source: Source, fps: Fraction | None = None) -> VideoInfo:
    """As `probe`, for a source already found."""
    first = source.files[0]
    with open_container(first) as container:
        stream = video_stream(container, first)
        check_size(first, stream.width, stream.height)
        timing = _timing(source, container, stream, fps)
        with reading(first):
            frame = _first_frame(container, stream, first)
        check_size(first, frame.width, frame.height)
        turn = Orientation.of(frame)
        width, height = turn.size(frame.width, frame.height)
        sar = stream.sample_aspect_ratio or Fraction(1)
        return VideoInfo(
            path=source.path,
            width=width,
            height=height,
            fps=timing.fps,
            frames=timing.frames,
            duration=timing.duration,
            time_base=stream.time_base or 1 / timing.fps,
            origin=clock_origin(container, stream),
            sar=1 / sar if turn.transposed else sar,
            rotation=turn.degrees,
            color=frame_color(frame, first),
            bit_depth=max(component.bits for component in frame.format.components),
            pixel_format=frame.format.name,
            codec=stream.codec_context.codec.canonical_name,
            container=container.format.name,
            has_alpha=has_alpha(frame),
            is_image=timing.is_image,
            variable_rate=timing.variable_rate,
            size_bytes=sum(path.stat().st_size for path in source.files),
            audio=tuple(_track(s) for s in container.streams.audio),
            subtitles=tuple(_track(s) for s in container.streams.subtitles),
            metadata=dict(container.metadata),
        )


def check_size(path: Path, width: int, height: int) -> None:
    """Raise UnsupportedError for pictures beyond MAX_SIDE in either direction."""
    if max(width, height) > MAX_SIDE:
        raise UnsupportedError(
            f"'{path}' is {width}x{height}: the limit is {MAX_SIDE} a side; scale it first"
        )


def has_alpha(frame: av.VideoFrame) -> bool:
    """True if the pixel format carries transparency (a palette may, and is said not to)."""
    return len(frame.format.components) in (2, 4) and not frame.format.has_palette


def frame_color(frame: av.VideoFrame, path: Path) -> ColorInfo:
    """The description that the frame has as 8-bit 4:2:0. Raises UnsupportedError for HDR and exotic matrices."""
    transfer = frame.color_trc
    if transfer in (PQ, HLG):
        raise UnsupportedError(
            f"'{path}' is high dynamic range ({'PQ' if transfer == PQ else 'HLG'}): tone-map it to BT.709 first, for "
            "example with ffmpeg's filters zscale=t=linear,tonemap=hable,zscale=p=bt709:t=bt709:m=bt709:r=tv"
        )
    if frame.format.is_rgb or frame.format.has_palette:
        # Limited range, although RGB is full: it is what players and our models expect of 4:2:0 video.
        guess = ColorInfo.guess(frame.height)
        return ColorInfo("limited", guess.matrix, frame.color_primaries, transfer)
    full = frame.format.name.startswith("yuvj") or frame.color_range == 2
    color = ColorInfo.from_codes(
        2 if full else 1, frame.colorspace, frame.color_primaries, transfer, frame.height
    )
    if color is None:
        raise UnsupportedError(
            f"'{path}' uses an unusual colour matrix (code {frame.colorspace}): convert it to BT.709 first"
        )
    return color


def clock_origin(container: InputContainer, stream: VideoStream) -> Fraction:
    """The file's own time at which our clock shows 0.

    Most files start at 0, or a little later where a track is delayed: such a delay is kept. MPEG streams, and files
    that start a second or more after 0, have a clock of their own: it is set to 0 where the first track starts. Time
    below 0 belongs to lead-in that players do not show, unless the video itself starts there.
    """
    tracks = [*container.streams.video, *container.streams.audio]
    starts = [s.start_time * s.time_base for s in tracks if s.start_time is not None and s.time_base]
    first = min(starts, default=Fraction(0))
    own = stream.start_time * stream.time_base if stream.start_time and stream.time_base else Fraction(0)
    if first >= 1 or container.format.name in ("mpegts", "mpeg"):
        return first
    return min(own, Fraction(0))


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> av.VideoFrame:
    stream.thread_count = 1  # frame threads would read far ahead for one frame
    damaged = False
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                return frame
        except av.error.InvalidDataError:
            damaged = True
    raise FormatError(
        f"'{path}' holds no frame that can be decoded" + (": its data are damaged" if damaged else "")
    )


@dataclass(frozen=True, slots=True)
class _Timing:
    fps: Fraction
    frames: int | None
    duration: Fraction
    is_image: bool = False
    variable_rate: bool | None = False


def _timing(source: Source, container: InputContainer, stream: VideoStream, fps: Fraction | None) -> _Timing:
    name = container.format.name
    still = (
        name.endswith("_pipe")
        or name == "image2"
        or bool(stream.disposition & Disposition.still_image)
        or (container.metadata.get("major_brand") in ("avif", "heic", "heix", "mif1") and stream.frames <= 1)
    )
    if source.sequence or still:
        rate, count = fps or DEFAULT_IMAGE_FPS, len(source.files)
        return _Timing(rate, count, count / rate, is_image=not source.sequence)
    rate = stream.average_rate or stream.guessed_rate or DEFAULT_IMAGE_FPS
    frames = stream.frames or None
    if stream.duration and stream.time_base:
        duration = stream.duration * stream.time_base
    elif tagged := tagged_duration(stream):
        duration = tagged
    elif container.duration:
        duration = Fraction(container.duration, av.time_base)
    else:  # a raw stream: counting its packets costs reading, not decoding
        with open_container(source.files[0]) as again:
            frames = sum(1 for packet in again.demux(video_stream(again, source.path)) if packet.size)
        duration = frames / rate
    return _Timing(rate, frames, duration, variable_rate=_variable_rate(stream, frames))


def tagged_duration(stream: VideoStream) -> Fraction | None:
    """Matroska's own for the track, as 00:00:01.040000000; the container's covers the longest track."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return match and (int(match[1]) * 60 + int(match[2])) * 60 + Fraction(match[3])


def _variable_rate(stream: VideoStream, frames: int | None) -> bool | None:
    """From the index, where it is complete (mp4, mov): steps that differ by more than rounding."""
    entries = stream.index_entries
    if frames is None or frames < 3 or len(entries) != frames:
        return None
    stamps = sorted(entry.timestamp for entry in entries)
    steps = [b - a for a, b in zip(stamps, stamps[1:], strict=False)]
    return max(steps) - min(steps) > 1


def _track(stream: AudioStream | SubtitleStream) -> StreamInfo:
    context = stream.codec_context
    details = ""
    if isinstance(stream, AudioStream) and context is not None:
        details = f"{stream.codec_context.sample_rate} Hz {stream.codec_context.layout.name}"
    language = stream.metadata.get("language")
    return StreamInfo(
        index=stream.index,
        kind=stream.type,
        codec=context.codec.canonical_name if context is not None else "unknown",
        language=None if language == "und" else language,
        title=stream.metadata.get("title"),
        details=details,
    )
