"""AV1 packets made elsewhere into mp4, mkv and webm, and out again, unchanged and at exact times.

Writing gives all that `open_writer` gives for pictures: whole or not at all, the other tracks in step. A file may hold
pictures of several sizes and depths, each new one starting at a key frame with its own sequence header; the size that
the container declares is that of `picture`. Decoders give every picture in the size it was coded in, and players scale
it to the place they show it in; FFmpeg and browsers take what they call the size of the video from the stream, not
from the container.
"""

from __future__ import annotations

import io
import itertools
import logging
import os
import struct
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from vivae.errors import FormatError, InputError, UnsupportedError
from vivae.media.atomic import check_target, refuse_overwrite
from vivae.media.av1 import open_decoder, packet_of
from vivae.media.frames import Picture, as_seconds
from vivae.media.muxer import Muxer
from vivae.media.probe import check_size, clock_origin, tagged_duration
from vivae.media.source import DEFAULT_IMAGE_FPS, find_source, open_container, reading, video_stream
from vivae.media.writer import CONTAINERS, Whole, open_muxer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CodedPacket:
    """One temporal unit of AV1: what decodes to one shown picture.

    time: seconds from the start of the clip; duration: seconds until the next picture, above 0.
    key: whether decoding can start with it.
    """

    data: bytes
    time: Fraction
    duration: Fraction
    key: bool


def open_packet_writer(
    path: str | os.PathLike[str],
    *,
    picture: Picture,
    extradata: bytes,
    time_base: Fraction | None = None,
    copy_from: str | os.PathLike[str] | None = None,
    start: float | Fraction | None = None,
    end: float | Fraction | None = None,
    inputs: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
) -> PacketWriter:
    """A writer of AV1 packets for a `with` block, to .mp4, .mkv or .webm; the other arguments are `open_writer`'s.

    picture: the display size, the rate, colour and sample aspect ratio to declare.
    extradata: the sequence header OBU of the first packet (`vivae.codec.obu.configuration_of`).
    Raises InputError, UnsupportedError or OutputError, here or at the start of the block.
    """
    target = Path(path)
    if target.suffix.lower() not in CONTAINERS:
        raise UnsupportedError(f"cannot write '{path}': AV1 packets go into {', '.join(CONTAINERS)}")
    check_size(target, picture.width, picture.height)
    refuse_overwrite(path, *inputs, *([] if copy_from is None else [copy_from]))
    check_target(path, force)
    tracks = None if copy_from is None else (copy_from, as_seconds(start), as_seconds(end))

    def muxer(stack: ExitStack) -> PacketSink:
        return open_muxer(
            stack, target, force, lambda part: PacketSink(part, picture, extradata, time_base), tracks
        )

    return PacketWriter(target, muxer)


class PacketSink(Muxer):
    """A container for packets: `begin`, `write`, `finish`."""

    def __init__(self, part: Path, picture: Picture, extradata: bytes, time_base: Fraction | None) -> None:
        super().__init__(part, picture, time_base)
        with av.open(io.BytesIO(_smallest_file(picture, extradata)), format="ivf") as template:
            # The only way to a track with a full description and without an encoder.
            stream = self.container.add_stream_from_template(template.streams.video[0], opaque=True)
        assert isinstance(stream, VideoStream)
        self._stream = stream
        self._describe(stream.codec_context)
        stream.codec_context.extradata = extradata
        stream.codec_context.framerate = picture.fps  # without which Matroska forgets how long pictures last
        stream.time_base = self.time_base

    def write(self, coded: CodedPacket) -> None:
        """Add one packet at its time, to the nearest tick of the clock."""
        packet = packet_of(coded.data)
        packet.stream = self._stream
        packet.time_base = self.time_base
        packet.pts = packet.dts = self._stamp(coded.time)
        packet.duration = self._ticks(coded.duration)
        packet.is_keyframe = coded.key
        self.container.mux(packet)


class PacketWriter(Whole[PacketSink]):
    """See `open_packet_writer`. Packets must come in the order of their times, a key frame first."""

    def write(self, packet: CodedPacket) -> None:
        """Add a packet. Raises OutputError."""
        if not self.count and not packet.key:
            raise ValueError("the first packet must be a key frame")
        with self._one_more() as sink:
            sink.write(packet)


def read_packets(path: str | os.PathLike[str]) -> Generator[CodedPacket, None, None]:
    """The packets of an AV1 file's first video track, at the times at which `open_video` gives its pictures.

    Memory does not grow with length; the file is closed when the iteration ends or the generator is closed.
    Raises InputError if there is no AV1 video, FormatError where the file is damaged or cut off.
    """
    file = find_source(path).files[0]
    with open_container(file) as container, reading(file):
        stream = video_stream(container, file)
        codec = stream.codec_context.codec.canonical_name
        if codec != "av1":
            raise InputError(f"'{path}' is {codec} video, and AV1 is needed")
        held: CodedPacket | None = None
        count, step = 0, 1 / (stream.average_rate or DEFAULT_IMAGE_FPS)
        for packet in _stamped(container, stream, file):
            if held is not None:
                step = packet.time - held.time
                if step <= 0:
                    raise FormatError(f"'{path}' is damaged: its time stamps do not increase")
                yield replace(held, duration=step)
            held = packet
            count += 1
        if held is None or count < stream.frames:
            raise FormatError(f"'{path}' is cut off: {count} of {stream.frames or 'its'} pictures are there")
        yield replace(held, duration=_last_duration(held, step, container, stream, file))


def decode_packets(
    packets: Iterable[CodedPacket], name: str, *, threads: int = 2, grain: bool = True
) -> Iterator[tuple[CodedPacket, av.VideoFrame]]:
    """Each packet with its picture, in order, in the size and depth in which it was coded.

    name: what messages call the stream. grain: whether to add the film grain that the stream asks for.
    Raises FormatError where the stream cannot be decoded, or a packet does not give one picture.
    """
    waiting: dict[int, CodedPacket] = {}
    decoder = open_decoder(threads=threads, grain=grain)
    for number, coded in enumerate(itertools.chain(packets, [None])):
        packet = None
        if coded is not None:
            packet = packet_of(coded.data)
            packet.pts = number
            waiting[number] = coded
        try:
            frames = decoder.decode(packet)
        except av.error.FFmpegError as error:
            raise FormatError(f"{name} is damaged: its AV1 stream cannot be decoded") from error
        for frame in frames:
            if (shown := frame.pts) is None or next(iter(waiting), None) != shown:
                raise FormatError(f"{name} is damaged: its AV1 stream has lost pictures")
            yield waiting.pop(shown), frame
    if waiting:
        raise FormatError(f"{name} is damaged: its AV1 stream has lost pictures")


def _stamped(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[CodedPacket]:
    """Packets with the durations that the file tells, 0 where it does not."""
    origin = clock_origin(container, stream)
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.is_corrupt:
            raise FormatError(f"'{path}' is damaged: a packet of its AV1 stream is broken")
        if packet.pts is None or packet.time_base is None:
            raise FormatError(f"'{path}' has no time stamps: put it into .mp4 or .mkv first")
        base = packet.time_base
        yield CodedPacket(
            bytes(packet), packet.pts * base - origin, (packet.duration or 0) * base, packet.is_keyframe
        )


def _last_duration(
    last: CodedPacket, step: Fraction, container: InputContainer, stream: VideoStream, path: Path
) -> Fraction:
    """By the length of the track where that is exact, else as the packet tells, or the `step` before."""
    if "mp4" in container.format.name and stream.start_time is not None and stream.duration:
        assert stream.time_base is not None
        end = (stream.start_time + stream.duration) * stream.time_base - clock_origin(container, stream)
        return max(end - last.time, stream.time_base)
    duration = last.duration or step
    declared = tagged_duration(stream)
    if declared is not None and last.time + duration < declared * Fraction(19, 20) - 2 * step:
        logger.warning(
            "'%s' ends at %.2f s, though it says %.2f s: it may be cut off",
            path, last.time + duration, declared,
        )  # fmt: skip
    return duration


def _smallest_file(picture: Picture, extradata: bytes) -> bytes:
    """An AV1 stream that holds its sequence header alone, as IVF: the simplest container that FFmpeg opens."""
    head = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"AV01", picture.width, picture.height, 25, 1, 1, 0)
    return head + struct.pack("<IQ", len(extradata), 0) + extradata
