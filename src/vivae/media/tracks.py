"""What travels with the pictures: sound, subtitles, attachments, chapters and metadata of another file.

Packets are copied unchanged where the container allows. Otherwise sound is re-encoded, and text subtitles become the
container's text format; each such change, and all that cannot travel, is named in a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.subtitles.stream import SubtitleStream

from vivae.media.carriers import Carrier, PacketCarrier, SoundCarrier, TextCarrier
from vivae.media.probe import clock_origin
from vivae.media.source import reading, video_stream

if TYPE_CHECKING:
    from av.container.core import Chapter

logger = logging.getLogger(__name__)

# What a container gets where it cannot hold the original.
_SOUND = {".mp4": "aac", ".mkv": "flac", ".webm": "libopus"}
_TEXT = {".mp4": "mov_text", ".mkv": "subrip", ".webm": "webvtt"}

# Statements about the old file that would be untrue of the new one.
_STALE = frozenset(
    [
        "major_brand",
        "minor_version",
        "compatible_brands",
        "encoder",
        "duration",
        "handler_name",
        "vendor_id",
        "bps",
    ]
)
_STALE_PREFIXES = ("_statistics_", "number_of_", "bps-", "duration-")


class TrackCopier:
    """Carries the tracks of an open input into an open output, in step with the pictures.

    start, end: seconds on the clock of `open_video`; what lies outside is left out, what stays is moved by `start`.
    Create it when the output has its video stream, and before its first packet.
    """

    def __init__(
        self,
        container: InputContainer,
        path: Path,
        output: OutputContainer,
        suffix: str,
        start: Fraction | None,
        end: Fraction | None,
    ) -> None:
        self._container = container
        self._path = path
        self._output = output
        self._suffix = suffix
        video = video_stream(container, path)
        self._start = start or Fraction(0)
        self._shift = clock_origin(container, video) + self._start
        self._end = None if end is None else end - self._start
        self._carriers: dict[int, Carrier] = {}
        for stream in container.streams:
            if stream.index != video.index:
                self._add(stream)
            if stream.index not in self._carriers:
                stream.discard = Discard.all
        output.metadata.update(_fresh(container.metadata))
        output.streams.video[0].metadata.update(_fresh(video.metadata))
        output.set_chapters(list(self._chapters()))
        self._packets = self._demux()
        self._held: tuple[Fraction, Packet] | None = None

    def advance(self, until: Fraction | None = None) -> None:
        """Write all that starts before `until` (seconds of the output; None: all that is left)."""
        while True:
            with reading(self._path):
                held, self._held = self._held or next(self._packets, None), None
            if held is None:
                break
            if until is not None and held[0] >= until:
                self._held = held
                return
            self._output.mux(list(self._carriers[held[1].stream.index].send(held[1])))
        for carrier in self._carriers.values():
            self._output.mux(list(carrier.send(None)))
        self._carriers.clear()

    def _demux(self) -> Iterator[tuple[Fraction, Packet]]:
        """Packets to be carried, with their start on the output's clock, in the order of the file."""
        streams = [stream for stream in self._container.streams if stream.index in self._carriers]
        if not streams:
            return
        # The lead-in of a sound codec lies before zero. An .mp4 can say so, and Matroska where it came from Matroska;
        # else it would delay the pictures.
        leads_in = not self._start and (self._suffix == ".mp4" or "matroska" in self._container.format.name)
        if self._start:
            # Some way ahead: in files without an index a seek may land late, and packets before zero are dropped.
            self._container.seek(int(max(self._shift - 5, self._shift - self._start) * av.time_base))
        for packet in self._container.demux(*streams):
            if packet.pts is None:
                continue
            time = packet.pts * packet.time_base - self._shift
            if time < 0 and not leads_in:
                continue
            if self._end is None or time < self._end:
                yield time, packet

    def _add(self, stream: Stream) -> None:
        if isinstance(stream, AttachmentStream):
            if self._suffix == ".mkv":
                name = stream.metadata.get("filename", "attachment")
                self._output.add_attachment(name, stream.mimetype or "application/octet-stream", stream.data)
            else:
                self._lost(stream, "attachment")
        elif not isinstance(stream, AudioStream | SubtitleStream) or stream.codec_context is None:
            picture = bool(stream.disposition & Disposition.attached_pic)
            self._lost(stream, "cover picture" if picture else stream.type)
        elif (target := self._twin(stream)) is not None:
            self._carry(stream, target, PacketCarrier(target, self._shift))
        else:
            self._convert(stream)

    def _twin(self, stream: AudioStream | SubtitleStream) -> Stream | None:
        """An output stream for unchanged packets, or None where the container cannot hold them."""
        codec = stream.codec_context.codec
        if stream.type == "subtitle" and self._suffix == ".mp4" and codec.canonical_name != "mov_text":
            return None  # FFmpeg would put bitmaps into .mp4 too, where no player finds them
        with suppress(ValueError):
            return self._output.add_stream_from_template(stream)
        return None

    def _convert(self, stream: AudioStream | SubtitleStream) -> None:
        name = (_SOUND if isinstance(stream, AudioStream) else _TEXT)[self._suffix]
        if isinstance(stream, AudioStream):
            sound = self._output.add_stream(name)
            assert isinstance(sound, AudioStream)
            self._carry(stream, sound, SoundCarrier(stream, sound, self._shift))
        elif stream.codec_context.codec.text_sub:
            text = self._output.add_stream(name)
            assert isinstance(text, SubtitleStream)
            self._carry(stream, text, TextCarrier(stream, text, self._shift))
        else:
            self._lost(stream, "subtitle")
            return
        logger.warning(
            "'%s': %s track %d (%s) becomes %s, because %s cannot hold it",
            self._path, stream.type, stream.index, stream.codec_context.codec.canonical_name, name, self._suffix,
        )  # fmt: skip

    def _carry(self, source: Stream, target: Stream, carrier: Carrier) -> None:
        target.metadata.update(_fresh(source.metadata))
        target.disposition = source.disposition
        self._carriers[source.index] = carrier

    def _lost(self, stream: Stream, kind: str) -> None:
        context = stream.codec_context
        codec = context.codec.canonical_name if context is not None else "unknown"
        logger.warning(
            "'%s': %s track %d (%s) cannot travel in %s and is left out",
            self._path, kind, stream.index, codec, self._suffix,
        )  # fmt: skip

    def _chapters(self) -> Iterator[Chapter]:
        for chapter in self._container.chapters():
            base = chapter["time_base"] or Fraction(1, av.time_base)
            begin = max(Fraction(0), chapter["start"] * base - self._shift)
            finish = chapter["end"] * base - self._shift
            if self._end is not None:
                finish = min(finish, self._end)
            if finish > begin:
                moved = {"start": round(begin / base), "end": round(finish / base), "time_base": base}
                yield chapter | moved  # type: ignore[misc]


def name_lost_tracks(path: Path, container: InputContainer, suffix: str) -> None:
    """Warn that a frames-only output cannot take the sound and subtitles of `path` along."""
    tracks = [s for s in container.streams if s.type in ("audio", "subtitle")]
    if tracks:
        logger.warning("'%s': %d sound or subtitle tracks cannot travel in %s", path, len(tracks), suffix)


def _fresh(metadata: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _STALE and not key.lower().startswith(_STALE_PREFIXES)
    }
