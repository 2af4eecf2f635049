"""The .vva file: what goes in comes out, and whatever is done to its bytes ends in a typed error or a result."""

import io
import zlib
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivae.codec import container
from vivae.codec.container import LONGEST, SIGNATURE, VvaReader, VvaWriter
from vivae.codec.fields import WIDEST, Cursor, Many, Text, Whole, read_record, write_record
from vivae.codec.records import QUALITY_UNITS, RATIO_LIMIT, VERSION, Group, Header, Index, Key, Span
from vivae.errors import FormatError, InputError, UnsupportedError, VivaeError

numbers = st.integers(1, RATIO_LIMIT)
ratios = st.builds(Fraction, numbers, numbers)
headers = st.builds(
    Header,
    version=st.just(VERSION),
    width=st.integers(1, 8192),
    height=st.integers(1, 8192),
    fps=ratios,
    time_base=ratios,
    origin=st.fractions(0, 10**6, max_denominator=10**12),
    sar=ratios,
    color_range=st.sampled_from(["limited", "full"]),
    color_matrix=st.sampled_from(["bt601", "bt709", "bt2020", "fcc", "smpte240m"]),
    color_primaries=st.integers(0, 255),
    color_transfer=st.integers(0, 255),
    model=st.text(max_size=16),
    model_hash=st.binary(min_size=32, max_size=32).map(bytes.hex),
    quality=st.integers(0, QUALITY_UNITS),
)
spans = st.lists(st.builds(Span, st.integers(1, 90), st.integers(1, 10**6)), min_size=1, max_size=4)
bodies = st.lists(st.tuples(st.booleans(), spans, st.binary(max_size=50)), max_size=8)

HEADER = Header(
    version=VERSION,
    width=64,
    height=48,
    fps=Fraction(25),
    time_base=Fraction(1, 12800),
    origin=Fraction(0),
    sar=Fraction(1),
    color_range="limited",
    color_matrix="bt709",
    color_primaries=1,
    color_transfer=1,
    model="base",
    model_hash="ab" * 32,
    quality=5000,
)


def chained(parts):
    """Groups that follow one another; the first is a key."""
    first = start = 0
    groups = []
    for key, durations, payload in parts:
        group = Group(int(key or not groups), first, start, tuple(durations), payload)
        groups.append(group)
        first, start = first + group.frames, group.end
    return groups


GROUPS = chained([(i % 2 == 0, [Span(5, 512)], bytes([i]) * 12) for i in range(6)])


def file_of(header, groups, side=b""):
    out = io.BytesIO()
    writer = VvaWriter(out, header)
    writer.side(io.BytesIO(side))
    for group in groups:
        writer.group(group)
    writer.finish()
    assert writer.size == len(out.getvalue())
    return out.getvalue()


@pytest.fixture
def open_bytes(tmp_path):
    """Write bytes to a file and open it; each call closes the last one's."""
    with ExitStack() as stack:

        def open_it(data):
            stack.close()
            path = tmp_path / "a.vva"
            path.write_bytes(data)
            return stack.enter_context(VvaReader(path))

        yield open_it


def read_all(reader):
    return reader.header, list(reader.groups()), reader.index


@given(headers, bodies, st.binary(max_size=30))
@settings(max_examples=60, deadline=None)
def test_round_trip(tmp_path_factory, header, parts, side):
    path = tmp_path_factory.getbasetemp() / "a.vva"
    groups = chained(parts)
    path.write_bytes(file_of(header, groups, side))
    with VvaReader(path) as reader:
        assert reader.header == header
        if not groups or groups[-1].end * header.time_base + header.origin <= LONGEST:
            assert list(reader.groups()) == groups
        assert b"".join(reader.side()) == side
        index = reader.index
        assert index.frames == sum(group.frames for group in groups)
        assert index.ticks == (groups[-1].end if groups else 0)
        assert [key.first for key in index.keys] == [group.first for group in groups if group.key]


PICTURE = replace(HEADER, fps=Fraction(25), time_base=Fraction(1, 25))
ALONE = Group(1, 0, 0, (Span(1, 1),), bytes(range(200)))


def test_a_lone_picture_has_little_around_it(open_bytes):
    data = file_of(PICTURE, [ALONE])
    assert len(data) < len(ALONE.payload) + 50
    reader = open_bytes(data)
    assert reader.header == replace(PICTURE, model_hash=PICTURE.model_hash[:16])
    assert list(reader.groups()) == list(reader.groups(reader.index.keys[0])) == [ALONE]
    assert (reader.index.frames, reader.index.ticks, reader.index.complete) == (1, 1, True)
    assert list(reader.side()) == []


@pytest.mark.parametrize(
    ("header", "groups", "side"),
    [
        (replace(PICTURE, fps=Fraction(30)), [ALONE], b""),
        (replace(PICTURE, origin=Fraction(1)), [ALONE], b""),
        (PICTURE, [replace(ALONE, spans=(Span(1, 2),))], b""),
        (PICTURE, [replace(ALONE, spans=(Span(2, 1),))], b""),
        (PICTURE, [ALONE, replace(ALONE, first=1, start=1)], b""),
        (PICTURE, [ALONE], b"sound"),
        (PICTURE, [], b""),
    ],
)
def test_what_is_more_than_a_picture_is_told_in_full(open_bytes, header, groups, side):
    reader = open_bytes(file_of(header, groups, side))
    assert reader.header == header
    assert list(reader.groups()) == groups
    assert b"".join(reader.side()) == side
    assert reader.index.frames == sum(group.frames for group in groups)


def test_no_damage_of_a_picture_goes_unnoticed(open_bytes):
    data = file_of(PICTURE, [ALONE])
    for bit in range(8 * len(data)):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VivaeError):
            open_bytes(bytes(broken))
    for length in range(len(data)):
        with pytest.raises(FormatError):
            open_bytes(data[:length])


def test_reading_starts_at_any_key(open_bytes):
    reader = open_bytes(file_of(HEADER, GROUPS, bytes(100)))
    for key in reader.index.keys:
        assert list(reader.groups(key)) == GROUPS[GROUPS.index(next(reader.groups(key))) :]
        assert next(reader.groups(key)).first == key.first


def test_large_sides_travel_in_pieces(open_bytes, monkeypatch):
    monkeypatch.setattr(container, "PIECE", 10)
    reader = open_bytes(file_of(HEADER, GROUPS, bytes(range(95))))
    assert [len(piece) for piece in reader.side()] == [10] * 9 + [5]
    assert b"".join(reader.side()) == bytes(range(95))


def test_every_flipped_bit_is_noticed(open_bytes):
    """The frames come out as they went in, or with a typed error; an index that was hit is made again."""
    data = file_of(HEADER, GROUPS)
    whole = read_all(open_bytes(data))
    refused = 0
    for bit in range(8 * len(data)):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        try:
            assert read_all(open_bytes(bytes(broken))) == whole
        except VivaeError:
            refused += 1
            assert bit // 8 < len(data) - 30, "the index can be made again"
    assert refused > 8 * 0.7 * len(data)


def test_truncation_is_noticed_and_what_is_whole_is_read(open_bytes):
    data = file_of(HEADER, GROUPS)
    best = 0
    for length in range(len(data) - 20):
        try:
            reader = open_bytes(data[:length])
        except FormatError:
            continue
        found = []
        if reader.index.complete:
            continue  # only the index itself was cut
        with pytest.raises(FormatError):
            found.extend(reader.groups())
        assert reader.index.frames % 5 == 0
        best = max(best, reader.index.frames)
    assert best == 30


def test_missing_and_repeated_groups_are_noticed(open_bytes):
    for wrong in (GROUPS[:3] + GROUPS[4:], GROUPS[:3] + GROUPS[2:], GROUPS[1:], GROUPS[:2] + GROUPS[3:]):
        with pytest.raises(FormatError):
            list(open_bytes(file_of(HEADER, wrong)).groups())


def test_random_contents_with_right_checksums(open_bytes):
    """Whoever can compute a CRC can write anything behind it."""
    rng = np.random.default_rng(0)
    with open_bytes(file_of(HEADER, GROUPS[:3])) as reader:
        chunks = [(chunk.kind, chunk.content) for chunk in reader.chunks()]
    chunks.append((b"INDX", write_record(Index(15, 15 * 512, ()))))
    refused = 0
    for _ in range(400):
        data = bytearray(SIGNATURE)
        for kind, content in chunks:
            changed = bytearray(content)
            for _ in range(rng.integers(0, 3)):
                changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
            data += container._FRAME.pack(kind, len(changed), container._checksum(kind, bytes(changed)))
            data += changed
        try:
            read_all(open_bytes(bytes(data)))
        except VivaeError:
            refused += 1
    assert 100 < refused < 400


def test_claims_beyond_the_file_allocate_nothing():
    for data in (b"\xff\xff\xff\x07" + bytes(8), b"\x05" + b"\x01" * 3):
        with pytest.raises(FormatError):
            Many(Key, 1 << 60).read(Cursor(data, "it"))
    with pytest.raises(FormatError):
        Text(100).read(Cursor(b"\x63abc", "it"))
    with pytest.raises(FormatError):
        Whole(0, WIDEST).read(Cursor(b"\xff" * 40, "it"))


@pytest.mark.parametrize("kind", [b"HEAD", b"PICT"])
def test_a_newer_format_is_named(open_bytes, kind):
    content = bytes([VERSION + 1]) + b"whatever a later version needs"
    frame = container._FRAME.pack(kind, len(content), container._checksum(kind, content))
    with pytest.raises(UnsupportedError, match="newer"):
        open_bytes(SIGNATURE + frame + content)


def test_unknown_chunks_are_skipped(open_bytes):
    data = file_of(HEADER, GROUPS)
    content = b"from the future"
    extra = container._FRAME.pack(b"XTRA", len(content), container._checksum(b"XTRA", content)) + content
    front = len(SIGNATURE) + container._FRAME.size + len(write_record(HEADER))
    assert list(open_bytes(data[:front] + extra + data[front:]).groups()) == GROUPS


@pytest.mark.parametrize("data", [b"", b"RIFF" * 40, SIGNATURE, SIGNATURE + bytes(100)])
def test_foreign_files_are_refused(open_bytes, data):
    with pytest.raises(FormatError):
        open_bytes(data)


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(InputError):
        VvaReader(tmp_path / "nothing.vva")


def test_oversized_frames_are_refused(open_bytes):
    huge = replace(HEADER, width=16384, height=16384)
    with pytest.raises(UnsupportedError):
        VvaWriter(io.BytesIO(), huge)
    content = write_record(huge)
    crc = zlib.crc32(content, zlib.crc32(b"HEAD" + len(content).to_bytes(4, "little")))
    with pytest.raises(FormatError):
        open_bytes(
            SIGNATURE + b"HEAD" + len(content).to_bytes(4, "little") + crc.to_bytes(4, "little") + content
        )


def test_impossible_times_are_refused(open_bytes):
    late = Group(1, 0, WIDEST >> 2, (Span(1, WIDEST >> 2),), b"")
    with pytest.raises(FormatError):
        list(open_bytes(file_of(HEADER, [late])).groups())


def test_values_out_of_bounds_are_not_written():
    with pytest.raises(UnsupportedError):
        write_record(Span(0, 1))
    assert read_record(Span, Cursor(write_record(Span(3, 4)), "it")) == Span(3, 4)
