"""The .vva file: chunks of the records that `vivae.codec.records` declares.

    SIGNATURE
    chunk HEAD   Header
    chunk SIDE   a piece of a Matroska file with the sound, subtitles, chapters and metadata; any number, in order
    chunk GRUP   Group: consecutive frames; any number, in order
    chunk INDX   Index: the groups that decoding can start at
    chunk TAIL   Tail: where the index lies

or, where there is nothing but one picture,

    SIGNATURE
    chunk PICT   Still: all of it

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
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self, TypeVar

from vivae.codec.fields import WIDEST, Cursor, Whole, read_record, write_record
from vivae.codec.records import MAX_GROUP, VERSION, Group, Header, Index, Key, Still, Tail
from vivae.errors import FormatError, InputError, UnsupportedError

logger = logging.getLogger(__name__)
R = TypeVar("R")

SIGNATURE = b"\x89VVA\r\n\x1a\n"
"""As in PNG: no text, and damaged by what changes line ends or clears the highest bit."""
MAX_PIXELS = 1 << 26
"""Of a frame: 8192 x 8192. With it, what a decoder allocates is bounded."""
MAX_CHUNK = 1 << 28
LONGEST = 10**9
"""Seconds; what is shown later is damage."""
PIECE = 1 << 20
"""Bytes of SIDE in one chunk."""

_FRAME = struct.Struct("<4sII")


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
        self._file, self._header = file, header
        self._begun = False
        self._still: Still | None = None
        self._keys: list[Key] = []
        self._frames = self._ticks = 0
        self.size = file.write(SIGNATURE)
        """Bytes written."""

    def side(self, file: BinaryIO) -> int:
        """Carry another file's bytes along, in pieces. How many they take."""
        taken = 0
        while piece := file.read(PIECE):
            self._begin()
            taken += self._chunk(b"SIDE", piece)
        return taken

    def group(self, group: Group) -> None:
        if not self._begun and self._still is None:
            # It may be all there is.
            self._still = Still.of(self._header, group)
            if self._still is not None:
                return
        self._begin()
        self._add(group)

    def finish(self) -> None:
        """Write the index. Without it the file counts as truncated."""
        if self._still is not None:
            self._chunk(b"PICT", write_record(self._still))
            return
        self._begin()
        offset = self.size
        self._chunk(b"INDX", write_record(Index(self._frames, self._ticks, tuple(self._keys))))
        self._chunk(b"TAIL", write_record(Tail(offset)))

    def _begin(self) -> None:
        """Write the header, and the group that is not all there is."""
        if not self._begun:
            self._begun = True
            self._chunk(b"HEAD", write_record(self._header))
            if self._still is not None:
                self._add(self._still.group)
                self._still = None

    def _add(self, group: Group) -> None:
        if group.key:
            self._keys.append(Key(self.size, group.first, group.start))
        self._frames, self._ticks = group.first + group.frames, group.end
        self._chunk(b"GRUP", write_record(group))

    def _chunk(self, kind: bytes, content: bytes) -> int:
        if len(content) > MAX_CHUNK:
            raise UnsupportedError(f"a chunk of {len(content)} bytes is too large for a .vva file")
        taken = self._file.write(_FRAME.pack(kind, len(content), _checksum(kind, content)) + content)
        self.size += taken
        return taken


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
        self._index: Index | None = None
        self._still: Still | None = None
        try:
            self.header = self._header()
            if self._still is None:
                with suppress(FormatError):
                    self._body_end = self._tail().index
        except BaseException:
            self.close()
            raise

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
        if self._still is not None:
            yield self._still.group
            return
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
        if chunk.kind not in (b"HEAD", b"PICT"):
            raise FormatError(f"{self.name} is damaged: it does not begin with a header")
        version = Whole(0, WIDEST).read(Cursor(chunk.content, self.name))
        if version > VERSION:
            raise UnsupportedError(f"{self.name} was made by a newer vivae (format {version}): update vivae")
        if chunk.kind == b"PICT":
            self._still = self._parse(Still, chunk)
            self._body_end = chunk.end
            self._index = Index(1, 1, (Key(chunk.offset, 0, 0),))
            header = self._still.header
        else:
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
