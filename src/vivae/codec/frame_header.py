"""Headers of AV1 frames: how coarsely they were coded, and where the headers end, which must be known to put film grain
into a stream that was coded without.

Film grain parameters are the last element of a frame's header, and whether there are any is the last of the sequence
header; so a stream gains them by a few bits in either place, and its pictures stay as they were coded. To find the
place, everything before it is read. Section numbers are of the AV1 Bitstream & Decoding Process Specification, version
1.0.0 with errata 1. Read is what SVT-AV1 writes for 4:2:0 video; what it does not write is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vivae.codec.bits import BitReader
from vivae.errors import UnsupportedError

REFERENCES, REFS_PER_FRAME, NO_PRIMARY = 8, 7, 7
KEY, INTER, INTRA_ONLY, SWITCH = range(4)
_SELECT = 2
_WARP_PRECISION = 16
_IDENTITY = (0, 0, 1 << _WARP_PRECISION, 0, 0, 1 << _WARP_PRECISION)
GlobalMotion = tuple[tuple[int, ...], ...]
_STILL: GlobalMotion = (_IDENTITY,) * REFS_PER_FRAME


@dataclass(frozen=True, slots=True)
class Sequence:
    """Of the sequence header (section 5.5), what frame headers are read by."""

    width: int
    height: int
    width_bits: int
    height_bits: int
    wide_superblocks: bool
    warped_motion: bool
    order_hint_bits: int
    """0 where order hints are not enabled."""
    reference_motion: bool
    screen_content: int
    integer_motion: int
    super_resolution: bool
    cdef: bool
    restoration: bool
    separate_chroma: bool
    """separate_uv_delta_q."""
    grain_bit: int
    """Bit of the header at which film_grain_params_present is."""


def read_sequence(body: bytes) -> Sequence:
    """A sequence header OBU's body. Raises FormatError where it is damaged, UnsupportedError for what is not read."""
    bits = BitReader(body, "an AV1 sequence header")
    _only(bits.take(3) == 0, "profile")
    bits.take(1)  # still_picture
    _only(not bits.take(1), "a reduced header")
    if bits.take(1):  # timing_info_present_flag
        bits.take(64)
        if bits.take(1):  # equal_picture_interval
            bits.variable()
        _only(not bits.take(1), "a decoder model")
    delays = bits.take(1)  # initial_display_delay_present_flag
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delays and bits.take(1):
            bits.take(4)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    _only(not bits.take(1), "frame numbers")
    wide = bool(bits.take(1))
    bits.take(4)  # filter intra, intra edge filter, inter-intra and masked compound
    warped = bool(bits.take(1))
    bits.take(1)  # dual filter
    hints = bits.take(1)
    reference_motion = bool(bits.take(2) & 1) if hints else False
    screen_content = _SELECT if bits.take(1) else bits.take(1)
    integer_motion = _SELECT
    if screen_content and not bits.take(1):
        integer_motion = bits.take(1)
    hint_bits = bits.take(3) + 1 if hints else 0
    super_resolution, cdef, restoration = (bool(bits.take(1)) for _ in range(3))
    bits.take(1)  # high_bitdepth; profile 0 has no third depth
    _only(not bits.take(1), "monochrome")
    if bits.take(1):  # color_description_present_flag
        _only(bits.take(24) != 0x010D00, "RGB")
    bits.take(3)  # range, and the place of chroma
    separate = bool(bits.take(1))
    return Sequence(
        width, height, width_bits, height_bits, wide, warped, hint_bits, reference_motion, screen_content,
        integer_motion, super_resolution, cdef, restoration, separate, bits.place,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What film grain needs of a frame's header, and where it ends."""

    kind: int
    shown: bool
    """Now, or perhaps later; only such frames carry grain."""
    existing: bool
    """Whether it only shows a frame that was sent before."""
    references: tuple[int, ...]
    """Slots of the references of an inter frame."""
    refreshed: int
    """Which slots it is kept in, a bit each."""
    end: int
    """Bits of the header."""
    quantiser: int | None = None
    """base_q_idx, 0 to 255; None for a frame that was sent before."""


@dataclass
class HeaderReader:
    """Reads the headers of a stream's frames in order, and keeps what later ones depend on."""

    sequence: Sequence
    _hints: list[int] = field(default_factory=lambda: [0] * REFERENCES)
    _motions: list[GlobalMotion] = field(default_factory=lambda: [_STILL] * REFERENCES)

    def read(self, body: bytes) -> FrameHeader:
        """The body of a frame or frame header OBU (section 5.9.2). Raises FormatError, UnsupportedError."""
        bits = BitReader(body, "an AV1 frame header")
        if bits.take(1):  # show_existing_frame
            bits.take(3)
            # One that shows a key frame would load its state anew: SVT-AV1 does it for overlays of such frames only.
            return FrameHeader(INTER, True, True, (), 0, bits.place)
        return _Frame(self.sequence, self._hints, self._motions, bits).read()


class _Frame:
    """The header of one frame, read element after element."""

    def __init__(
        self, sequence: Sequence, hints: list[int], motions: list[GlobalMotion], bits: BitReader
    ) -> None:
        self.sequence, self.hints, self.motions, self.bits = sequence, hints, motions, bits
        self.references = [0] * REFS_PER_FRAME
        self.fine_motion = False
        self.block_copy = False

    def read(self) -> FrameHeader:
        bits, sequence = self.bits, self.sequence
        self.kind = bits.take(2)
        _only(self.kind != SWITCH, "a switch frame")
        self.intra = self.kind in (KEY, INTRA_ONLY)
        show = bool(bits.take(1))
        showable = self.kind != KEY if show else bool(bits.take(1))
        self.resilient = True if self.kind == KEY and show else bool(bits.take(1))
        if self.kind == KEY and show:
            self.hints[:] = [0] * REFERENCES
        fixed_tables = bits.take(1)  # disable_cdf_update
        screen = bits.take(1) if sequence.screen_content == _SELECT else sequence.screen_content
        integer = 0
        if screen:
            integer = bits.take(1) if sequence.integer_motion == _SELECT else sequence.integer_motion
        own_size = bool(bits.take(1))
        self.hint = bits.take(sequence.order_hint_bits)
        self.primary = NO_PRIMARY if self.intra or self.resilient else bits.take(3)
        refresh = 0xFF if self.kind == KEY and show else bits.take(8)
        if (not self.intra or refresh != 0xFF) and self.resilient and sequence.order_hint_bits:
            for slot in range(REFERENCES):
                self.hints[slot] = bits.take(sequence.order_hint_bits)
        if self.intra:
            self._size(own_size)
            self.block_copy = bool(screen and bits.take(1))
        else:
            self._inter(own_size, integer or 0)
        if not fixed_tables:
            bits.take(1)  # disable_frame_end_update_cdf
        self._tiles()
        self._quantisers()
        self._filters()
        motion = self._modes()
        for slot in range(REFERENCES):
            if refresh >> slot & 1:
                self.hints[slot], self.motions[slot] = self.hint, motion
        return FrameHeader(
            self.kind, show or showable, False, tuple(self.references), refresh, bits.place, self.quantiser
        )

    def _size(self, own: bool) -> None:
        """Sections 5.9.5, 5.9.6 and 5.9.8."""
        bits, sequence = self.bits, self.sequence
        self.width, self.height = sequence.width, sequence.height
        if own:
            self.width = bits.take(sequence.width_bits) + 1
            self.height = bits.take(sequence.height_bits) + 1
        _only(not (sequence.super_resolution and bits.take(1)), "super-resolution")
        if bits.take(1):  # render_and_frame_size_different
            bits.take(32)

    def _inter(self, own_size: bool, integer: int) -> None:
        bits, sequence = self.bits, self.sequence
        if sequence.order_hint_bits:
            _only(not bits.take(1), "short signalling of references")
        self.references = [bits.take(3) for _ in range(REFS_PER_FRAME)]
        _only(not own_size or self.resilient, "a size taken from references")
        self._size(own_size)
        self.fine_motion = not integer and bool(bits.take(1))
        if not bits.take(1):  # is_filter_switchable
            bits.take(2)
        bits.take(1)  # is_motion_mode_switchable
        if not self.resilient and sequence.reference_motion:
            bits.take(1)

    def _tiles(self) -> None:
        """Section 5.9.15."""
        bits = self.bits
        shift = 5 if self.sequence.wide_superblocks else 4
        columns, rows = (
            (2 * (-(-side // 8)) + (1 << shift) - 1) >> shift for side in (self.width, self.height)
        )
        side_shift = shift + 2
        widest, largest = 4096 >> side_shift, (4096 * 2304) >> (2 * side_shift)
        least_columns = _log2(widest, columns)
        least = max(least_columns, _log2(largest, rows * columns))
        _only(bool(bits.take(1)), "tiles of several sizes")
        across = self._grown(least_columns, _log2(1, min(columns, 64)))
        down = self._grown(max(least - across, 0), _log2(1, min(rows, 64)))
        if across or down:
            bits.take(across + down + 2)

    def _grown(self, least: int, most: int) -> int:
        while least < most and self.bits.take(1):
            least += 1
        return least

    def _quantisers(self) -> None:
        """Sections 5.9.12 to 5.9.14, 5.9.17 and 5.9.18."""
        bits = self.bits
        quantiser = self.quantiser = bits.take(8)
        deltas = [self._delta()]
        apart = self.sequence.separate_chroma and bits.take(1)
        deltas += [self._delta() for _ in range(4 if apart else 2)]
        if bits.take(1):  # using_qmatrix
            bits.take(12 if self.sequence.separate_chroma else 8)
        _only(not bits.take(1), "segmentation")
        if quantiser and bits.take(1):  # delta_q_present
            bits.take(2)
            if not self.block_copy and bits.take(1):  # delta_lf_present
                bits.take(3)
        self.lossless = not quantiser and not any(deltas)

    def _delta(self) -> int:
        return self.bits.take(7) if self.bits.take(1) else 0

    def _filters(self) -> None:
        """Sections 5.9.11, 5.9.19 and 5.9.20."""
        bits, sequence = self.bits, self.sequence
        if self.lossless or self.block_copy:
            return
        if bits.take(12):  # levels of luma, then of chroma
            bits.take(12)
        bits.take(3)
        if bits.take(1) and bits.take(1):  # loop_filter_delta_update
            for _ in range(REFERENCES + 2):
                if bits.take(1):
                    bits.take(7)
        if sequence.cdef:
            bits.take(2)
            bits.take(12 << bits.take(2))
        if sequence.restoration:
            self._restoration()

    def _restoration(self) -> None:
        bits = self.bits
        kinds = [bits.take(2) for _ in range(3)]
        if not any(kinds):
            return
        if bits.take(1) and not self.sequence.wide_superblocks:
            bits.take(1)
        if any(kinds[1:]):
            bits.take(1)

    def _modes(self) -> GlobalMotion:
        """Sections 5.9.21 to 5.9.24; what global motion the frame tells."""
        bits, sequence = self.bits, self.sequence
        if not self.lossless:
            bits.take(1)  # tx_mode_select
        compound = not self.intra and bool(bits.take(1))
        if compound and self._skip_mode_allowed():
            bits.take(1)
        if not (self.intra or self.resilient) and sequence.warped_motion:
            bits.take(1)
        bits.take(1)  # reduced_tx_set
        if self.intra:
            return _STILL
        before = _STILL if self.primary == NO_PRIMARY else self.motions[self.references[self.primary]]
        return tuple(self._global_motion(before[index]) for index in range(REFS_PER_FRAME))

    def _skip_mode_allowed(self) -> bool:
        """Section 5.9.22: whether there is a reference on either side, or two different ones before."""
        if not self.sequence.order_hint_bits:
            return False
        distances = [self._distance(self.hints[slot], self.hint) for slot in self.references]
        before = [distance for distance in distances if distance < 0]
        if not before:
            return False
        return any(distance > 0 for distance in distances) or min(before) < max(before)

    def _distance(self, one: int, other: int) -> int:
        """Section 7.12.2's get_relative_dist."""
        half = 1 << (self.sequence.order_hint_bits - 1)
        difference = one - other
        return (difference & (half - 1)) - (difference & half)

    def _global_motion(self, before: tuple[int, ...]) -> tuple[int, ...]:
        """Section 5.9.24 for one reference."""
        bits, motion = self.bits, list(_IDENTITY)
        if not bits.take(1):
            return _IDENTITY
        zoom = bool(bits.take(1))
        shift = not zoom and bool(bits.take(1))
        if not shift:
            for index in (2, 3):
                motion[index] = self._parameter(before, index, 12, 15)
            if zoom:
                motion[4], motion[5] = -motion[3], motion[2]
            else:
                for index in (4, 5):
                    motion[index] = self._parameter(before, index, 12, 15)
        size, precision = (9 - (not self.fine_motion), 3 - (not self.fine_motion)) if shift else (12, 6)
        for index in (0, 1):
            motion[index] = self._parameter(before, index, size, precision)
        return tuple(motion)

    def _parameter(self, before: tuple[int, ...], index: int, size: int, precision: int) -> int:
        """Section 5.9.25."""
        coarse = _WARP_PRECISION - precision
        diagonal = index in (2, 5)
        reference = (before[index] >> coarse) - ((1 << precision) if diagonal else 0)
        largest = 1 << size
        value = self._near(2 * largest + 1, reference + largest) - largest
        return (value << coarse) + ((1 << _WARP_PRECISION) if diagonal else 0)

    def _near(self, count: int, reference: int) -> int:
        """Sections 5.9.27 and 5.9.28: a number below `count`, told by its distance from one that is known."""
        value = self._subexp(count)
        if 2 * reference <= count:
            return _recentred(reference, value)
        return count - 1 - _recentred(count - 1 - reference, value)

    def _subexp(self, count: int) -> int:
        """Section 5.9.28's decode_subexp."""
        step, base = 0, 0
        while True:
            width = 3 + max(0, step - 1)
            span = 1 << width
            if count <= base + 3 * span:
                return base + self.bits.below(count - base)
            if not self.bits.take(1):
                return base + self.bits.take(width)
            step, base = step + 1, base + span


def _recentred(reference: int, value: int) -> int:
    if value > 2 * reference:
        return value
    return reference - ((value + 1) >> 1) if value & 1 else reference + (value >> 1)


def _log2(block: int, target: int) -> int:
    """The least k with block << k at or above target (section 5.9.16)."""
    count = 0
    while block << count < target:
        count += 1
    return count


def _only(fulfilled: bool, what: str) -> None:
    if not fulfilled:
        raise UnsupportedError(f"the headers of this AV1 stream are not read: it uses {what}")
