"""The sample aspect ratio of Matroska and WebM files.

FFmpeg's muxer takes it from a field that PyAV cannot set, so the two elements that hold it, DisplayWidth and
DisplayHeight (RFC 9559, section 5.1.4.1.28), are added to the finished file. Room comes from the padding that the muxer
leaves behind its table of contents; nothing behind the track list moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from fractions import Fraction
from pathlib import Path

_SEGMENT, _SEEK_HEAD, _VOID, _TRACKS, _CLUSTER, _CRC = (
    0x18538067,
    0x114D9B74,
    0xEC,
    0x1654AE6B,
    0x1F43B675,
    0xBF,
)
_SEEK, _SEEK_POSITION = 0x4DBB, 0x53AC
_TRACK, _VIDEO = 0xAE, 0xE0
_PIXEL_WIDTH, _PIXEL_HEIGHT = 0xB0, 0xBA
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_HEAD = 1 << 20  # where the track list must end: fonts and the like come behind it


def set_sample_aspect_ratio(path: Path, sar: Fraction) -> None:
    """Declare the display size of all video tracks in a file that FFmpeg's Matroska muxer wrote.

    The display size is in whole pixels, as FFmpeg's own: the ratio is exact to half a column. Raises ValueError where
    the file is laid out otherwise.
    """
    with path.open("r+b") as file:
        data = file.read(_HEAD)
        segment = next((e for e in _elements(data, 0, len(data)) if e[0] == _SEGMENT), None)
        if segment is None:
            raise ValueError("no Matroska segment")
        origin = segment[2]
        parts: dict[int, tuple[int, int, int]] = {}
        for identity, begin, body, end in _elements(data, origin, len(data)):
            if identity == _CLUSTER:
                break
            parts.setdefault(identity, (begin, body, end))
        seek, void, tracks = (parts.get(i) for i in (_SEEK_HEAD, _VOID, _TRACKS))
        if (
            seek is None
            or void is None
            or tracks is None
            or not seek[2] == void[0] < tracks[0] <= tracks[2] <= len(data)
        ):
            raise ValueError("unexpected order of Matroska elements")
        new_tracks = _element(_TRACKS, _with_display(data[tracks[1] : tracks[2]], sar))
        between = data[void[2] : tracks[0]]
        moved = tracks[2] - len(new_tracks) - tracks[0]
        new_seek = _element(
            _SEEK_HEAD, _moved_positions(data[seek[1] : seek[2]], void[2] - origin, tracks[2] - origin, moved)
        )
        room = tracks[2] - len(new_tracks) - len(between) - seek[0] - len(new_seek) - 9
        if room < 0:
            raise ValueError("no padding left in the Matroska header")
        padding = bytes([_VOID, 0x01]) + room.to_bytes(7, "big") + bytes(room)
        file.seek(seek[0])
        file.write(new_seek + padding + between + new_tracks)


def _with_display(tracks: bytes, sar: Fraction) -> bytes:
    def track(entry: bytes) -> bytes:
        return _rewrite(entry, {_VIDEO: video})

    def video(settings: bytes) -> bytes:
        found = {i: settings[body:end] for i, _, body, end in _elements(settings, 0, len(settings))}
        width, height = (int.from_bytes(found[i], "big") for i in (_PIXEL_WIDTH, _PIXEL_HEIGHT))
        shown = _element(_DISPLAY_WIDTH, _number(round(width * sar))) + _element(
            _DISPLAY_HEIGHT, _number(height)
        )
        return _rewrite(settings, {}, drop={_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT}) + shown

    return _rewrite(tracks, {_TRACK: track})


def _moved_positions(seek_head: bytes, first: int, last: int, moved: int) -> bytes:
    """The table of contents after the elements between `first` and `last` (from the segment's start) have moved."""

    def position(value: bytes) -> bytes:
        old = int.from_bytes(value, "big")
        return _number(old + moved if first <= old < last else old)

    return _rewrite(seek_head, {_SEEK: lambda entry: _rewrite(entry, {_SEEK_POSITION: position})})


def _rewrite(data: bytes, change: dict[int, Callable[[bytes], bytes]], drop: Set[int] = frozenset()) -> bytes:
    """The child elements in `data`, some changed, some dropped; checksums, which are optional, go with the change."""
    kept = []
    for identity, begin, body, end in _elements(data, 0, len(data)):
        if identity in change:
            kept.append(_element(identity, change[identity](data[body:end])))
        elif identity != _CRC and identity not in drop:
            kept.append(data[begin:end])
    return b"".join(kept)


def _elements(data: bytes, at: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """(identity, begin, body, end) of the elements side by side in data[at:stop]; the last may reach beyond."""
    while at + 2 <= stop:
        length = 9 - data[at].bit_length()
        size_at = at + length
        if length > 4 or size_at >= stop:
            return
        width = 9 - data[size_at].bit_length()
        body = size_at + width
        size = int.from_bytes(data[size_at:body], "big") & ((1 << 7 * width) - 1)
        yield int.from_bytes(data[at:size_at], "big"), at, body, body + size
        at = body + size


def _element(identity: int, body: bytes) -> bytes:
    size = ((1 << 56) | len(body)).to_bytes(8, "big")
    name = _number(identity)
    if len(body) < 0x7F:
        size = bytes([0x80 | len(body)])
    return name + size + body


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, -(-value.bit_length() // 8)), "big")
