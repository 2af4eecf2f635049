"""How coarsely the key frames of an HEVC stream were coded, read from their headers; FFmpeg's decoder does not tell.

Read are the parameter sets and the headers of IDR slices, as far as `slice_qp_delta`: an IDR slice has neither
references nor weights before it. Section numbers are of ITU-T H.265.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vivae.codec.bits import BitReader
from vivae.errors import FormatError

IDR, SPS, PPS = (19, 20), 33, 34
"""nal_unit_type (table 7-1)."""
PROFILE_BITS, LEVEL_BITS = 88, 8
HEADER_BYTES = 4096
"""Of a unit: more than what is read of the longest."""
_START = re.compile(rb"\x00\x00\x01")


@dataclass(frozen=True, slots=True)
class Sequence:
    """Of a sequence parameter set (7.3.2.2), what slice headers are read by."""

    separate_planes: bool
    chroma: bool
    adaptive_offset: bool


@dataclass(frozen=True, slots=True)
class Pictures:
    """Of a picture parameter set (7.3.2.3), the same."""

    sequence: int
    output_flag: bool
    extra_bits: int
    quantiser: int
    """init_qp, to which slices add."""


def key_quantisers(units: Iterable[bytes]) -> Iterator[int]:
    """SliceQpY of each IDR picture in Annex B byte streams. Raises FormatError where one is damaged."""
    sequences: dict[int, Sequence] = {}
    pictures: dict[int, Pictures] = {}
    for unit in units:
        for nal in _START.split(unit)[1:]:
            kind = nal[0] >> 1 & 63 if nal else 0
            if kind == SPS:
                number, sequence = _sequence(_reader(nal))
                sequences[number] = sequence
            elif kind == PPS:
                number, picture = _pictures(_reader(nal))
                pictures[number] = picture
            elif kind in IDR and nal[2:3] >= b"\x80":  # first_slice_segment_in_pic_flag
                yield _slice(_reader(nal), sequences, pictures)


def _reader(nal: bytes) -> BitReader:
    """What follows the header of a NAL unit, without emulation prevention (7.3.1.1)."""
    return BitReader(nal[2:HEADER_BYTES].replace(b"\x00\x00\x03", b"\x00\x00"), "an HEVC header")


def _sequence(bits: BitReader) -> tuple[int, Sequence]:
    bits.take(4)  # sps_video_parameter_set_id
    layers = bits.take(3)
    bits.take(1)  # sps_temporal_id_nesting_flag
    _skip_profile(bits, layers)
    number = bits.variable()
    chroma = bits.variable()
    separate = chroma == 3 and bool(bits.take(1))
    _skip(bits, 2)  # width and height
    if bits.take(1):  # conformance_window_flag
        _skip(bits, 4)
    _skip(bits, 3)  # depths, log2_max_pic_order_cnt_lsb
    for _ in range(layers + 1 if bits.take(1) else 1):  # sps_sub_layer_ordering_info_present_flag
        _skip(bits, 3)
    _skip(bits, 6)  # sizes and depths of blocks
    if bits.take(1) and bits.take(1):  # scaling lists, of the sequence's own
        _skip_scaling(bits)
    bits.take(1)  # amp_enabled_flag
    return number, Sequence(separate, chroma > 0 and not separate, bool(bits.take(1)))


def _skip_profile(bits: BitReader, layers: int) -> None:
    """profile_tier_level (7.3.3)."""
    bits.take(PROFILE_BITS + LEVEL_BITS)
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in present:
        bits.take(PROFILE_BITS * profile + LEVEL_BITS * level)


def _skip_scaling(bits: BitReader) -> None:
    """scaling_list_data (7.3.4)."""
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if bits.take(1):  # scaling_list_pred_mode_flag
                _skip(bits, min(64, 1 << (4 + 2 * size)) + (size > 1))
            else:
                bits.variable()


def _pictures(bits: BitReader) -> tuple[int, Pictures]:
    number, sequence = bits.variable(), bits.variable()
    bits.take(1)  # dependent_slice_segments_enabled_flag
    output, extra = bool(bits.take(1)), bits.take(3)
    bits.take(2)  # sign_data_hiding_enabled_flag, cabac_init_present_flag
    _skip(bits, 2)  # numbers of references
    return number, Pictures(sequence, output, extra, 26 + _signed(bits))


def _slice(bits: BitReader, sequences: dict[int, Sequence], pictures: dict[int, Pictures]) -> int:
    bits.take(2)  # first_slice_segment_in_pic_flag, no_output_of_prior_pics_flag
    picture = pictures.get(bits.variable())
    sequence = None if picture is None else sequences.get(picture.sequence)
    if picture is None or sequence is None:
        raise FormatError("an HEVC stream is damaged: parameter sets are missing")
    bits.take(picture.extra_bits)
    bits.variable()  # slice_type
    bits.take(picture.output_flag + 2 * sequence.separate_planes)
    if sequence.adaptive_offset:
        bits.take(1 + sequence.chroma)
    return picture.quantiser + _signed(bits)


def _signed(bits: BitReader) -> int:
    """The code se(v) (9.2.2)."""
    value = bits.variable()
    return (value + 1) // 2 if value % 2 else -(value // 2)


def _skip(bits: BitReader, count: int) -> None:
    for _ in range(count):
        bits.variable()
