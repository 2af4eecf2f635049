"""Records in AV1 streams: carried, found, checked, taken out again; nothing else is touched, nonsense is refused."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivae.codec.obu import (
    MAX_PAYLOAD,
    SequenceHeader,
    configuration_of,
    has_metadata,
    metadata_of,
    sequence_header_of,
    with_metadata,
    without_metadata,
)
from vivae.errors import FormatError, InputError
from vivae.media import ColorInfo, Picture
from vivae.media.av1 import Av1Settings, decode_av1, encode_av1


def encoded(width=64, height=48, depth=8, count=4):
    """Temporal units of a moving ramp."""
    y, x = np.mgrid[:height, :width]
    half = (-(-height // 2), -(-width // 2))
    frames = [
        ((x + 2 * y + 6 * n) % 200 + 20, np.full(half, 110 + n), np.full(half, 140 - n)) for n in range(count)
    ]
    planes = [tuple(p.astype(np.uint8) for p in frame) for frame in frames]
    picture = Picture(width, height, Fraction(25), ColorInfo())
    return [unit.data for unit in encode_av1(planes, picture, Av1Settings(40, 12, depth), threads=1)]


@pytest.fixture(scope="module")
def units():
    return encoded()


def other_metadata(unit):
    """The unit with somebody else's T.35 (a country, a provider, zeros) in front."""
    body = bytes([4, 0xB5, 0, 0x3C]) + bytes(12) + b"\x80"
    return unit[:2] + bytes([0x2A, len(body)]) + body + unit[2:]


@given(payload=st.binary(max_size=400))
@settings(max_examples=50, deadline=None)
def test_what_is_put_in_comes_out(units, payload):
    for unit in units:
        marked = with_metadata(unit, payload)
        assert metadata_of(marked) == [payload]
        assert without_metadata(marked) == unit


@pytest.mark.parametrize("payload", [b"", b"\0" * 9, b"\x80", b"\x80\0\0", bytes(range(256)) * 100])
def test_any_bytes_make_a_payload(units, payload):
    assert metadata_of(with_metadata(units[0], payload)) == [payload]


def test_a_second_record_replaces_the_first(units):
    marked = with_metadata(with_metadata(units[0], b"one"), b"two")
    assert metadata_of(marked) == [b"two"]
    assert marked == with_metadata(units[0], b"two")


def test_a_stream_without_records_has_none(units):
    assert [metadata_of(unit) for unit in units] == [[]] * len(units)
    assert not any(map(has_metadata, units))


def test_the_metadata_of_others_are_theirs(units):
    theirs = other_metadata(units[0])
    assert metadata_of(theirs) == []
    assert without_metadata(theirs) == theirs
    assert without_metadata(with_metadata(theirs, b"ours")) == theirs


def test_order_is_that_of_the_standard(units):
    """Delimiter and sequence header come first, section 7.5."""
    marked = with_metadata(units[0], b"ours")
    header = configuration_of(units[0])
    assert marked.startswith(units[0][:2] + header)
    assert marked.index(b"ours") > marked.index(header)


def test_decoders_show_the_same_pictures(units):
    plain = list(decode_av1(units, threads=1))
    marked = list(decode_av1([with_metadata(unit, b"x" * 300) for unit in units], threads=1))
    assert len(plain) == len(marked) == len(units)
    for one, other in zip(plain, marked, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_units_without_delimiter_and_with_the_last_size_left_out(units):
    """As they may lie in ISO and Matroska files."""
    bare = units[1][2:]
    size = len(bare) - 1 - (1 if bare[1] < 128 else 2)
    unsized = bytes([bare[0] & ~2]) + bare[-size:]
    first = with_metadata(unsized, b"ours")
    assert metadata_of(first) == [b"ours"]
    assert without_metadata(first) == unsized


def test_every_flipped_bit_of_a_record_is_noticed(units):
    marked = with_metadata(units[0], b"a record of ours")
    at = marked.index(b"a record of ours")
    for bit in range(8 * (len(b"a record of ours") + 4)):
        damaged = bytearray(marked)
        damaged[at + bit // 8] ^= 1 << bit % 8
        assert has_metadata(bytes(damaged))
        with pytest.raises(FormatError, match="damaged"):
            metadata_of(bytes(damaged))


@pytest.mark.parametrize("width, height, depth", [(64, 48, 8), (90, 62, 10), (33, 65, 8), (320, 176, 10)])
def test_sequence_headers_tell_size_and_depth(width, height, depth):
    first, second = encoded(width, height, depth, count=2)
    assert sequence_header_of(first) == SequenceHeader(width, height, depth)
    assert sequence_header_of(second) is None
    assert sequence_header_of(configuration_of(first)) == SequenceHeader(width, height, depth)
    with pytest.raises(FormatError, match="sequence header"):
        configuration_of(second)


def bits(*fields):
    """(value, width) pairs as an OBU with size."""
    text = "".join(f"{value:0{width}b}" for value, width in fields) + "1"
    text += "0" * (-len(text) % 8)
    body = int(text, 2).to_bytes(len(text) // 8, "big")
    return bytes([0x0A, len(body)]) + body


def test_sequence_headers_with_everything_in_them():
    """Timing, decoder model, delays, two operating points, frame numbers, 12 bits: section 5.5.1 field by field."""
    fields = [
        (2, 3), (0, 2),
        (1, 1), (1, 32), (25, 32), (1, 1), (0b010, 3),  # timing: equal intervals, their length as uvlc
        (1, 1), (9, 5), (7, 32), (4, 5), (5, 5),  # decoder model
        (1, 1), (1, 5),  # display delays, two operating points
        (0, 12), (8, 5), (1, 1), (1, 1), (3, 10), (4, 10), (0, 1), (1, 1), (6, 4),
        (0, 12), (5, 5), (0, 1), (0, 1),
        (10, 4), (8, 4), (1919, 11), (270, 9),
        (1, 1), (3, 4), (2, 3), (7, 3),  # frame numbers, three tools
        (15, 4), (1, 1), (3, 2), (0, 1), (1, 1), (0, 1), (1, 1), (5, 3), (7, 3),  # order hints, screen content
        (1, 1), (1, 1),
    ]  # fmt: skip
    assert sequence_header_of(bits(*fields)) == SequenceHeader(1920, 271, 12)


def test_sequence_headers_of_still_pictures():
    fields = [(0, 3), (1, 1), (1, 1), (4, 5), (5, 4), (5, 4), (63, 6), (47, 6), (0, 3), (0, 3), (0, 1)]
    assert sequence_header_of(bits(*fields)) == SequenceHeader(64, 48, 8)


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_damage_is_refused_or_read_never_more(units, data):
    """Flipped, cut, doubled bytes of a unit, or bytes out of nowhere: FormatError or an answer."""
    unit = bytearray(with_metadata(data.draw(st.sampled_from(units)), b"ours" * 5))
    for place in data.draw(st.lists(st.integers(0, 8 * len(unit) - 1), max_size=6)):
        unit[place // 8] ^= 1 << place % 8
    unit = unit[: data.draw(st.integers(0, len(unit)))]
    for sample in (bytes(unit), data.draw(st.binary(max_size=60))):
        for read in (metadata_of, has_metadata, without_metadata, sequence_header_of, configuration_of):
            try:
                answer = read(sample)
            except FormatError:
                continue
            if read is metadata_of:
                assert sum(map(len, answer)) <= len(sample)
        try:
            assert metadata_of(with_metadata(sample, b"new")) == [b"new"]
        except FormatError:
            continue


def test_impossible_requests(units):
    with pytest.raises(InputError, match="too long"):
        with_metadata(units[0], bytes(MAX_PAYLOAD + 1))
    with pytest.raises(FormatError, match="no frame"):
        with_metadata(configuration_of(units[0]), b"ours")
    for nonsense in (b"\x80", b"\x0a", b"\x0a\x05\0", b"\x0a" + b"\xff" * 30, b"\x36\0"):
        with pytest.raises(FormatError):
            with_metadata(nonsense, b"ours")
