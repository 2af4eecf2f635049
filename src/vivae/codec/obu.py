"""Our records inside an AV1 stream: metadata that travel with a key frame through containers, and that players skip.

A temporal unit (what one packet holds) is a row of open bitstream units, OBUs. References are to the AV1 Bitstream &
Decoding Process Specification, version 1.0.0 with errata 1. Ours is a metadata OBU of the kind "ITU-T T.35":

    metadata_type       leb128, 4: ITU-T T.35 (section 6.7.1)
    country code        FF FF: an extension that stands for no country, so that no provider is imitated
    identifier          16 bytes that are only ours
    payload             as given
    check               CRC-32 of the payload, little endian
    trailing bits       80

Nothing is decoded here, and no size is believed before it is found inside the bytes at hand.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from vivae.codec.bits import BitReader
from vivae.codec.fields import Cursor, Whole
from vivae.errors import FormatError, InputError

IDENTIFIER = bytes.fromhex("87016678629547cd8c98fe106fb9db11")
"""What begins the T.35 payloads that are ours."""
MAX_PAYLOAD = 1 << 20
"""Bytes of a record at most: far more than any needs, and nothing that strains a player."""

# OBU types (section 6.2.2).
SEQUENCE_HEADER, FRAME_HEADER, FRAME = 1, 3, 6
_METADATA = 5
_PICTURES = frozenset([3, 4, 6, 7, 8])  # frame headers, frames, tile groups and lists
_T35 = 4
_COUNTRY = b"\xff\xff"
_MARK = bytes([_T35]) + _COUNTRY + IDENTIFIER
_LEB128 = Whole(0, (1 << 32) - 1)
_NAME = "an AV1 temporal unit"


class Obu(NamedTuple):
    kind: int
    whole: bytes
    """With header and size."""
    body: bytes


@dataclass(frozen=True, slots=True)
class SequenceHeader:
    """What a stream says of the pictures up to the next such header. Sizes are the largest that a frame may have."""

    width: int
    height: int
    depth: int
    """Bits a sample: 8, 10 or 12."""


def with_metadata(unit: bytes, payload: bytes) -> bytes:
    """The temporal unit carrying `payload` before its first frame, in place of any record of ours it had.

    Section 7.5 wants metadata behind the temporal delimiter and the sequence header. Raises FormatError if the bytes
    are no temporal unit, InputError if the payload is longer than `MAX_PAYLOAD`.
    """
    if len(payload) > MAX_PAYLOAD:
        raise InputError(f"a record of {len(payload)} bytes is too long for an AV1 stream: {MAX_PAYLOAD} fit")
    obus = [obu for obu in obus_of(unit) if not _is_ours(obu)]
    place = next((i for i, obu in enumerate(obus) if obu.kind in _PICTURES), None)
    if place is None:
        raise FormatError(f"{_NAME} is damaged: it holds no frame")
    body = _MARK + payload + _check(payload) + b"\x80"
    record = bytes([_METADATA << 3 | 2]) + _LEB128.write(len(body)) + body
    return b"".join([*(o.whole for o in obus[:place]), record, *(o.whole for o in obus[place:])])


def without_metadata(unit: bytes) -> bytes:
    """The temporal unit without our records, intact or not; others' metadata stay. Raises FormatError."""
    return b"".join(obu.whole for obu in obus_of(unit) if not _is_ours(obu))


def has_metadata(unit: bytes) -> bool:
    """Whether a record of ours is there, intact or not. Raises FormatError if the bytes are no temporal unit."""
    return any(map(_is_ours, obus_of(unit)))


def metadata_of(unit: bytes) -> list[bytes]:
    """The payloads of our records; none in a stream that carries none. Raises FormatError where one is damaged."""
    return [_payload(obu.body) for obu in obus_of(unit) if _is_ours(obu)]


def configuration_of(unit: bytes) -> bytes:
    """The sequence header OBU, from which FFmpeg's muxers make a file's configuration record (av1C).

    Raises FormatError where the unit has none: only key frames do.
    """
    header = next((obu for obu in obus_of(unit) if obu.kind == SEQUENCE_HEADER), None)
    if header is None:
        raise FormatError(f"{_NAME} does not begin a stream: it holds no sequence header")
    return bytes([SEQUENCE_HEADER << 3 | 2]) + _LEB128.write(len(header.body)) + header.body


def sequence_header_of(unit: bytes) -> SequenceHeader | None:
    """The first sequence header of a temporal unit (section 5.5), or None: only key frames need one.

    Raises FormatError where it is damaged.
    """
    for obu in obus_of(unit):
        if obu.kind == SEQUENCE_HEADER:
            return _sequence_header(BitReader(obu.body, "an AV1 sequence header"))
    return None


def obus_of(unit: bytes) -> Iterator[Obu]:
    """The units in order (sections 5.3.1 to 5.3.3). The last may leave its size out, as in ISO and Matroska files."""
    cursor = Cursor(unit, _NAME)
    while cursor.left:
        begin = len(unit) - cursor.left
        header = cursor.take(1)[0]
        if header & 0x80:
            raise cursor.damaged("a forbidden bit is set")
        if header & 0x04:
            cursor.take(1)  # the extension: which layer of a layered stream
        size = _LEB128.read(cursor) if header & 0x02 else cursor.left
        body = cursor.take(size)
        yield Obu(header >> 3 & 15, unit[begin : len(unit) - cursor.left], body)


def _is_ours(obu: Obu) -> bool:
    return obu.kind == _METADATA and obu.body.startswith(_MARK)


def _payload(body: bytes) -> bytes:
    """What is between our identifier and the trailing bits, a one and zeros (section 5.3.4), if its sum is right."""
    content = body.rstrip(b"\0")
    payload, check = content[len(_MARK) : -5], content[-5:-1]
    if (
        len(content) < len(_MARK) + 5
        or content[-1] != 0x80
        or len(payload) > MAX_PAYLOAD
        or check != _check(payload)
    ):
        raise FormatError("a record of vivae's in the AV1 stream is damaged")
    return payload


def _check(payload: bytes) -> bytes:
    return zlib.crc32(payload).to_bytes(4, "little")


def _sequence_header(bits: BitReader) -> SequenceHeader:
    """Section 5.5.1, up to the bit depth, which comes last of what is wanted."""
    profile = bits.take(3)
    bits.take(1)  # still_picture
    reduced = bits.take(1)
    if reduced:
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    if not reduced and bits.take(1):  # frame_id_numbers_present_flag
        bits.take(7)
    bits.take(3)  # 128x128 superblocks, filter intra, intra edge filter
    if not reduced:
        _skip_tools(bits)
    bits.take(3)  # super-resolution, CDEF, restoration
    high = bits.take(1)
    return SequenceHeader(width, height, 12 if high and profile == 2 and bits.take(1) else 10 if high else 8)


def _skip_operating_points(bits: BitReader) -> None:
    """Sections 5.5.1, 5.5.3, 5.5.4 and 5.5.5."""
    delay_bits = 0
    if bits.take(1):  # timing_info_present_flag
        bits.take(64)
        if bits.take(1):  # equal_picture_interval
            bits.variable()
        if bits.take(1):  # decoder_model_info_present_flag
            delay_bits = bits.take(5) + 1
            bits.take(42)
    delays = bits.take(1)  # initial_display_delay_present_flag
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:  # seq_level_idx
            bits.take(1)
        if delay_bits and bits.take(1):  # decoder_model_present_for_this_op
            bits.take(2 * delay_bits + 1)
        if delays and bits.take(1):
            bits.take(4)


def _skip_tools(bits: BitReader) -> None:
    bits.take(4)  # inter-intra and masked compound, warped motion, dual filter
    order_hint = bits.take(1)
    if order_hint:
        bits.take(2)
    choose = bits.take(1)  # seq_choose_screen_content_tools
    screen_content = choose or bits.take(1)
    if screen_content and not bits.take(1):  # seq_choose_integer_mv
        bits.take(1)
    if order_hint:
        bits.take(3)
