"""The records of a .vva file. What is declared here is the format: `vivae.codec.fields` writes and reads it."""

from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Annotated, Any, Self

from vivae.codec.fields import WIDEST, Choice, Digest, Many, Offset, Prefix, Ratio, Rest, Text, Whole
from vivae.media import ColorInfo
from vivae.media.source import MAX_SIDE

VERSION = 1
MAX_GROUP = 1024
"""Frames in one group."""
MAX_KEYS = 1 << 24
RATIO_LIMIT = (1 << 31) - 1
"""Of numerators and denominators, as in other containers."""
QUALITY_UNITS = 255 * 41
"""Quality 1 in the units of a file. The prior sees a whole number of 1/255: with an odd multiple of it, no quality
lies half way between two, where machines could round differently."""

STILL_TIMES: dict[str, Any] = {"fps": Fraction(25), "time_base": Fraction(1, 25), "origin": Fraction(0)}
"""What a lone picture's header says of time, one tick of which it is shown: as FFmpeg says of images."""
HASH_BYTES = 8
"""Of a model's hash, in a file of one picture: as in the layered codec's records."""

Version = Annotated[int, Whole(VERSION, VERSION)]
Side = Annotated[int, Whole(1, MAX_SIDE)]
Positive = Annotated[Fraction, Ratio(1, RATIO_LIMIT)]
Range = Annotated[str, Choice(("limited", "full"))]
Matrix = Annotated[str, Choice(("bt601", "bt709", "bt2020", "fcc", "smpte240m"))]
CodePoint = Annotated[int, Whole(0, 255)]
"""Of ITU-T H.273."""
Name = Annotated[str, Text(64)]
Quality = Annotated[int, Whole(0, QUALITY_UNITS)]


@dataclass(frozen=True, slots=True)
class Header:
    """What holds for the whole file."""

    version: Version
    width: Side
    height: Side
    fps: Positive
    """Average; the exact times are in the groups."""
    time_base: Positive
    """Seconds of one tick."""
    origin: Annotated[Fraction, Ratio(0, WIDEST)]
    """Seconds at which the first frame is shown; ticks count from there."""
    sar: Positive
    """Sample aspect ratio."""
    color_range: Range
    color_matrix: Matrix
    color_primaries: CodePoint
    color_transfer: CodePoint
    model: Name
    model_hash: Annotated[str, Digest()]
    """SHA-256 of the weights file, and with it of the frequency tables, which are part of it."""
    quality: Quality

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


LONE = Group(1, 0, 0, (Span(1, 1),), b"")
"""The group of a picture, without what it holds."""


@dataclass(frozen=True, slots=True)
class Still:
    """The whole file of one picture: what of `Header` and `Group` is not the same for each of them.

    A thumbnail is hundreds of bytes; header, group and index would add more than a hundred.
    """

    version: Version
    width: Side
    height: Side
    sar: Positive
    color_range: Range
    color_matrix: Matrix
    color_primaries: CodePoint
    color_transfer: CodePoint
    model: Name
    model_hash: Annotated[str, Prefix(HASH_BYTES)]
    quality: Quality
    payload: Annotated[bytes, Rest()]

    @classmethod
    def of(cls, header: Header, group: Group) -> Self | None:
        """What a file of this group alone is, or None where that would not say all."""
        if replace(header, **STILL_TIMES) != header or replace(group, payload=LONE.payload) != LONE:
            return None
        told = {name: getattr(header, name) for name in cls._in_header()}
        told["model_hash"] = header.model_hash[: 2 * HASH_BYTES]
        return cls(**told, payload=group.payload)

    @property
    def header(self) -> Header:
        """With the beginning of the model's hash for all of it."""
        return Header(**{name: getattr(self, name) for name in self._in_header()}, **STILL_TIMES)

    @property
    def group(self) -> Group:
        return replace(LONE, payload=self.payload)

    @classmethod
    def _in_header(cls) -> list[str]:
        """The fields that a header has, too."""
        return [part.name for part in fields(cls) if part.name != "payload"]


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
