"""Declared fields: records whose annotations say how they lie in a file, so that the declaration is the format.

    @dataclass(frozen=True, slots=True)
    class Point:
        x: Annotated[int, Whole(0, 1000)]
        name: Annotated[str, Text(16)]

`write_record` and `read_record` go through the annotated fields in order. Both hold every value to its bounds, so
nothing is allocated on the word of a damaged file: a list is never longer than the bytes that could hold it.
"""

from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cache
from typing import Annotated, Any, Protocol, TypeVar, get_args, get_origin, get_type_hints

from vivae.errors import FormatError, UnsupportedError

R = TypeVar("R")
WIDEST = (1 << 63) - 1
"""The largest whole number of any field."""


class Cursor:
    """Reads forward through bytes; says where in `name` something is wrong."""

    def __init__(self, data: bytes, name: str):
        self._data, self._at, self._name = data, 0, name

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise self.damaged("it ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def damaged(self, what: str) -> FormatError:
        return FormatError(f"{self._name} is damaged: {what}")


class Kind(Protocol):
    """How one value is written."""

    def write(self, value: Any) -> bytes: ...

    def read(self, cursor: Cursor) -> Any: ...


@dataclass(frozen=True)
class Whole:
    """A whole number, low to high, seven bits a byte, least significant first; the high bit says that more follow."""

    low: int
    high: int

    def write(self, value: int) -> bytes:
        if not self.low <= value <= self.high:
            raise UnsupportedError(
                f"a compressed file cannot hold {value} where {self.low} to {self.high} fit"
            )
        out = bytearray()
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        return bytes(out) + bytes([value])

    def read(self, cursor: Cursor) -> int:
        value = shift = 0
        while True:
            byte = cursor.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            if shift > 63:
                raise cursor.damaged("a number is too long")
        if not self.low <= value <= self.high:
            raise cursor.damaged(f"{value} does not lie between {self.low} and {self.high}")
        return value


@dataclass(frozen=True)
class Ratio:
    """A fraction: numerator (low to high), then denominator (1 to high)."""

    low: int
    high: int

    def write(self, value: Fraction) -> bytes:
        return Whole(self.low, self.high).write(value.numerator) + Whole(1, self.high).write(
            value.denominator
        )

    def read(self, cursor: Cursor) -> Fraction:
        return Fraction(Whole(self.low, self.high).read(cursor), Whole(1, self.high).read(cursor))


@dataclass(frozen=True)
class Offset:
    """A place in the file: 8 bytes, little-endian, so that a record can have a fixed size."""

    def write(self, value: int) -> bytes:
        return value.to_bytes(8, "little")

    def read(self, cursor: Cursor) -> int:
        return int.from_bytes(cursor.take(8), "little")


@dataclass(frozen=True)
class Text:
    """UTF-8 of at most `limit` bytes behind its length."""

    limit: int

    def write(self, value: str) -> bytes:
        data = value.encode()
        return Whole(0, self.limit).write(len(data)) + data

    def read(self, cursor: Cursor) -> str:
        try:
            return cursor.take(Whole(0, self.limit).read(cursor)).decode()
        except UnicodeDecodeError as error:
            raise cursor.damaged("a text is not UTF-8") from error


@dataclass(frozen=True)
class Digest:
    """A SHA-256: 32 bytes in the file, 64 hexadecimal digits in the record."""

    def write(self, value: str) -> bytes:
        data = bytes.fromhex(value)
        assert len(data) == 32
        return data

    def read(self, cursor: Cursor) -> str:
        return cursor.take(32).hex()


@dataclass(frozen=True)
class Prefix:
    """The first `count` bytes of a digest: twice as many hexadecimal digits in the record."""

    count: int

    def write(self, value: str) -> bytes:
        data = bytes.fromhex(value)
        assert len(data) == self.count
        return data

    def read(self, cursor: Cursor) -> str:
        return cursor.take(self.count).hex()


@dataclass(frozen=True)
class Choice:
    """One of a fixed list, as its place in it. New ones are only ever added at the end."""

    options: tuple[str, ...]

    def write(self, value: str) -> bytes:
        return Whole(0, len(self.options) - 1).write(self.options.index(value))

    def read(self, cursor: Cursor) -> str:
        return self.options[Whole(0, len(self.options) - 1).read(cursor)]


@dataclass(frozen=True)
class Many:
    """A tuple of records behind their number."""

    record: type
    limit: int

    def write(self, value: tuple[Any, ...]) -> bytes:
        return Whole(0, self.limit).write(len(value)) + b"".join(map(write_record, value))

    def read(self, cursor: Cursor) -> tuple[Any, ...]:
        count = Whole(0, self.limit).read(cursor)
        if count > cursor.left:
            raise cursor.damaged("a list is longer than its file")
        return tuple(read_record(self.record, cursor) for _ in range(count))


@dataclass(frozen=True)
class Rest:
    """All bytes to the end of the chunk."""

    def write(self, value: bytes) -> bytes:
        return value

    def read(self, cursor: Cursor) -> bytes:
        return cursor.take(cursor.left)


@cache  # whose stub takes no class for hashable
def _kinds(record: type) -> tuple[tuple[str, Kind], ...]:
    hints = get_type_hints(record, include_extras=True)
    return tuple(
        (field.name, get_args(hints[field.name])[1])
        for field in fields(record)
        if get_origin(hints[field.name]) is Annotated
    )


def write_record(record: Any) -> bytes:
    """The annotated fields of a dataclass, in order. Raises UnsupportedError for a value out of bounds."""
    return b"".join(kind.write(getattr(record, name)) for name, kind in _kinds(type(record)))  # type: ignore[arg-type]


def read_record(record: type[R], cursor: Cursor) -> R:
    """Undo `write_record`. Raises FormatError."""
    return record(**{name: kind.read(cursor) for name, kind in _kinds(record)})  # type: ignore[arg-type]
