"""The .vva file. What is declared here is the format: `vivae.codec.fields` writes and reads the declarations.

    SIGNATURE
    chunk HEAD   Header
    chunk SIDE   a piece of a Matroska file with the sound, subtitles, chapters and metadata; any number, in order
    chunk GRUP   Group: consecutive frames; any number, in order
    chunk INDX   Index: the groups that decoding can start at
    chunk TAIL   Tail: where the index lies

A chunk is its kind (4 ASCII letters), the length of its content and a CRC-32 (both 32 bits, little-endian), then the
content; the CRC covers kind, length and content. Chunks of unknown kind are skipped. Without an index, or with a
damaged one, it is made again from the groups; a file that does not reach its index is truncated.

Nothing here knows what is in a group's payload: that is the business of `vivae.codec.latent`.
"""

import logging
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Annotated, BinaryIO, NamedTuple, Self, TypeVar

from vivae.codec.fields import (
    WIDEST,
    Choice,
    Cursor,
    Digest,
    Many,
    Offset,
    Ratio,
    Rest,
    Text,
    Whole,
    read_record,
    write_record,
)
from vivae.errors import FormatError, InputError, UnsupportedError
from vivae.media import ColorInfo
from vivae.media.source import MAX_SIDE

logger = logging.getLogger(__name__)
R = TypeVar("R")

SIGNATURE = b"\x89VVA\r\n\x1a\n"
"""As in PNG: no text, and damaged by what changes line ends or clears the highest bit."""
VERSION = 1
MAX_PIXELS = 1 << 26
"""Of a frame: 8192 x 8192. With it, what a decoder allocates is bounded."""
MAX_GROUP = 1024
"""Frames in one group."""
MAX_KEYS = 1 << 24
MAX_CHUNK = 1 << 28
RATIO_LIMIT = (1 << 31) - 1
"""Of numerators and denominators, as in other containers."""
LONGEST = 10**9
"""Seconds; what is shown later is damage."""
PIECE = 1 << 20
"""Bytes of SIDE in one chunk."""
QUALITY_UNITS = 255 * 41
"""Quality 1 in the units of a file. The prior sees a whole number of 1/255: with an odd multiple of it, no quality
lies half way between two, where machines could round differently."""

_FRAME = struct.Struct("<4sII")


@dataclass(frozen=True, slots=True)
class Header:
    """What holds for the whole file."""

    version: Annotated[int, Whole(VERSION, VERSION)]
    width: Annotated[int, Whole(1, MAX_SIDE)]
    height: Annotated[int, Whole(1, MAX_SIDE)]
    fps: Annotated[Fraction, Ratio(1, RATIO_LIMIT)]
    """Average; the exact times are in the groups."""
    time_base: Annotated[Fraction, Ratio(1, RATIO_LIMIT)]
    """Seconds of one tick."""
    origin: Annotated[Fraction, Ratio(0, WIDEST)]
    """Seconds at which the first frame is shown; ticks count from there."""
    sar: Annotated[Fraction, Ratio(1, RATIO_LIMIT)]
    """Sample aspect ratio."""
    color_range: Annotated[str, Choice(("limited", "full"))]
    color_matrix: Annotated[str, Choice(("bt601", "bt709", "bt2020", "fcc", "smpte240m"))]
    color_primaries: Annotated[int, Whole(0, 255)]
    """Of ITU-T H.273, as the transfer."""
    color_transfer: Annotated[int, Whole(0, 255)]
    model: Annotated[str, Text(64)]
    model_hash: Annotated[str, Digest()]
    """SHA-256 of the weights file, and with it of the frequency tables, which are part of it."""
    quality: Annotated[int, Whole(0, QUALITY_UNITS)]

    @property
    def color(self) -> ColorInfo:
        return ColorInfo(self.color_range, self.color_matrix, self.color_primaries, self.color_transfer)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Span:
    """Frames that are shown equally long."""

    count: Annotated[int, Whole(1, MAX_GROUP)]
    ticks: Annotated[int, Whole(1, WIDEST)]


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive frames whose symbols share one run of the range coder."""

    key: Annotated[int, Whole(0, 1)]
    """1 where decoding can start: nothing before is needed."""
    first: Annotated[int, Whole(0, WIDEST)]
    """Number of the first frame."""
    start: Annotated[int, Whole(0, WIDEST)]
    """Its time in ticks. Each further one is shown when its predecessor ends."""
    spans: Annotated[tuple[Span, ...], Many(Span, MAX_GROUP)]
    payload: Annotated[bytes, Rest()]

    @property
    def frames(self) -> int:
        return sum(span.count for span in self.spans)

    @property
    def end(self) -> int:
        """Ticks at which its last frame ends."""
        return self.start + sum(span.count * span.ticks for span in self.spans)


@dataclass(frozen=True, slots=True)
class Key:
    """A group that decoding can start at."""

    offset: Annotated[int, Whole(0, WIDEST)]
    """Of its chunk, in bytes from the start of the file."""
    first: Annotated[int, Whole(0, WIDEST)]
    start: Annotated[int, Whole(0, WIDEST)]


@dataclass(frozen=True, slots=True)
class Index:
    """All keys, and how much there is."""

    frames: Annotated[int, Whole(0, WIDEST)]
    ticks: Annotated[int, Whole(0, WIDEST)]
    """From the first frame's start to the last one's end."""
    keys: Annotated[tuple[Key, ...], Many(Key, MAX_KEYS)]
    complete: bool = True
    """Not in the file: whether it reaches its end."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last chunk, of fixed size."""

    index: Annotated[int, Offset()]
    """Of the INDX chunk."""


_TAIL_BYTES = _FRAME.size + 8


class Chunk(NamedTuple):
    """One verified chunk. offset: of the chunk; end: of what follows it."""

    kind: bytes
    content: bytes
    offset: int
    end: int


class VvaWriter:
    """Writes a file front to back into an open binary file; `finish` makes it whole."""

    def __init__(self, file: BinaryIO, header: Header):
        if header.width * header.height > MAX_PIXELS:
            raise UnsupportedError(
                f"a frame of {header.width}x{header.height} is too large for a .vva file: scale it to at most "
                f"{MAX_PIXELS >> 20} million pixels"
            )
        self._file = file
        self._keys: list[Key] = []
        self._frames = self._ticks = 0
        self.size = file.write(SIGNATURE)
        """Bytes written."""
        self._chunk(b"HEAD", write_record(header))

    def side(self, file: BinaryIO) -> None:
        """Carry another file's bytes along, in pieces."""
        while piece := file.read(PIECE):
            self._chunk(b"SIDE", piece)

    def group(self, group: Group) -> None:
        if group.key:
            self._keys.append(Key(self.size, group.first, group.start))
        self._frames, self._ticks = group.first + group.frames, group.end
        self._chunk(b"GRUP", write_record(group))

    def finish(self) -> None:
        """Write the index. Without it the file counts as truncated."""
        offset = self.size
        self._chunk(b"INDX", write_record(Index(self._frames, self._ticks, tuple(self._keys))))
        self._chunk(b"TAIL", write_record(Tail(offset)))

    def _chunk(self, kind: bytes, content: bytes) -> None:
        if len(content) > MAX_CHUNK:
            raise UnsupportedError(f"a chunk of {len(content)} bytes is too large for a .vva file")
        self.size += self._file.write(_FRAME.pack(kind, len(content), _checksum(kind, content)) + content)


class VvaReader:
    """An open file: `header`, `index`, `groups`, `side`. Raises InputError, FormatError, UnsupportedError.

    What it allocates is bounded by the size of the file.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"there is no file '{path}'")
        self.name = f"'{path}'"
        self.size = self.path.stat().st_size
        self._file = self.path.open("rb")
        self._body_end: int | None = None
        try:
            self.header = self._header()
            with suppress(FormatError):
                self._body_end = self._tail().index
        except BaseException:
            self.close()
            raise
        self._index: Index | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    @property
    def index(self) -> Index:
        """Of the file; made again from the groups where it is damaged or missing."""
        if self._index is None:
            try:
                self._index = self._stored_index()
            except FormatError as error:
                logger.warning("%s; its index is made again", error)
                self._index = self._scanned_index()
        return self._index

    def groups(self, key: Key | None = None) -> Iterator[Group]:
        """All groups in order, or those from a key of the index on. Raises FormatError at the first damage."""
        expected = 0 if key is None else key.first
        fresh = True
        for chunk in self.chunks(None if key is None else key.offset):
            if chunk.kind != b"GRUP":
                continue
            group = self._parse(Group, chunk)
            if group.first != expected or (fresh and not group.key) or not 0 < group.frames <= MAX_GROUP:
                raise FormatError(f"{self.name} is damaged: frames are missing before frame {group.first}")
            if group.end * self.header.time_base + self.header.origin > LONGEST:
                raise FormatError(f"{self.name} is damaged: the times of frame {group.first} are impossible")
            fresh, expected = False, group.first + group.frames
            yield group

    def side(self) -> Iterator[bytes]:
        """The pieces of what is carried along."""
        for chunk in self.chunks():
            if chunk.kind == b"GRUP":
                return
            if chunk.kind == b"SIDE":
                yield chunk.content

    def chunks(self, offset: int | None = None) -> Iterator[Chunk]:
        """Chunk after chunk up to the index, from an offset or the first. Raises FormatError."""
        offset = len(SIGNATURE) if offset is None else offset
        while offset != self._body_end:
            chunk = self._chunk(offset)
            if chunk.kind == b"INDX":
                return
            yield chunk
            offset = chunk.end

    def _chunk(self, offset: int) -> Chunk:
        if offset >= self.size:
            raise self.truncated()
        self._file.seek(offset)
        front = self._file.read(_FRAME.size)
        if len(front) < _FRAME.size:
            raise self.truncated()
        kind, length, checksum = _FRAME.unpack(front)
        if not kind.isalpha() or length > MAX_CHUNK:
            raise FormatError(f"{self.name} is damaged at byte {offset}")
        end = offset + _FRAME.size + length
        if end > self.size:
            raise self.truncated()
        content = self._file.read(length)
        if _checksum(kind, content) != checksum:
            raise FormatError(f"{self.name} is damaged at byte {offset}: a checksum is wrong")
        return Chunk(kind, content, offset, end)

    def _parse(self, record: type[R], chunk: Chunk) -> R:
        cursor = Cursor(chunk.content, self.name)
        found = read_record(record, cursor)
        if cursor.left:
            raise cursor.damaged("a chunk is longer than what it holds")
        return found

    def _header(self) -> Header:
        if self._file.read(len(SIGNATURE)) != SIGNATURE:
            raise FormatError(f"{self.name} is no .vva file, or its first bytes are damaged")
        chunk = self._chunk(len(SIGNATURE))
        if chunk.kind != b"HEAD":
            raise FormatError(f"{self.name} is damaged: it does not begin with a header")
        version = Whole(0, WIDEST).read(Cursor(chunk.content, self.name))
        if version > VERSION:
            raise UnsupportedError(f"{self.name} was made by a newer vivae (format {version}): update vivae")
        header = self._parse(Header, chunk)
        if header.width * header.height > MAX_PIXELS:
            raise FormatError(f"{self.name} claims frames of {header.width}x{header.height}: it is damaged")
        return header

    def _tail(self) -> Tail:
        chunk = self._chunk(max(len(SIGNATURE), self.size - _TAIL_BYTES))
        if chunk.kind != b"TAIL":
            raise self.truncated()
        return self._parse(Tail, chunk)

    def _stored_index(self) -> Index:
        chunk = self._chunk(self._tail().index)
        if chunk.kind != b"INDX":
            raise FormatError(f"{self.name} is damaged: its end points elsewhere")
        return self._parse(Index, chunk)

    def _scanned_index(self) -> Index:
        keys: list[Key] = []
        frames = ticks = 0
        complete = True
        try:
            for chunk in self.chunks():
                if chunk.kind == b"GRUP":
                    group = self._parse(Group, chunk)
                    frames, ticks = group.first + group.frames, group.end
                    if group.key:
                        keys.append(Key(chunk.offset, group.first, group.start))
        except FormatError:
            complete = False
        return Index(frames, ticks, tuple(keys), complete)

    def truncated(self) -> FormatError:
        """The error that names this file as cut off."""
        return FormatError(f"{self.name} is truncated: its end is missing")


def _checksum(kind: bytes, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(kind + len(content).to_bytes(4, "little")))
