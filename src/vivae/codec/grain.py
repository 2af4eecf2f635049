"""Film grain: what a denoised video has lost, as the parameters of AV1's grain synthesis.

Noise is dear to code and cheap to describe. Its strength is told as a function of brightness, its look by a small
autoregressive filter, and every player that decodes AV1 puts grain like it back (sections 5.9.30, 6.8.20 and 7.18.3 of
the AV1 specification). Written into a stream that was coded without grain, the parameters change no coded picture (see
`frame_header`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from vivae.codec.bits import BitWriter
from vivae.codec.fields import Whole
from vivae.codec.frame_header import INTER, REFERENCES, FrameHeader, HeaderReader, read_sequence
from vivae.codec.obu import FRAME, FRAME_HEADER, SEQUENCE_HEADER, Obu, obus_of
from vivae.media import Planes
from vivae.media.av1 import Unit

LAG = 2
"""Rows and columns that the filter looks back: enough for grain of a few pixels."""
BINS = 8
"""Steps of brightness in which strength is measured."""
BLOCK = 16
FLAT = 0.35
"""Share of blocks, those with the least detail, in which what is lost is taken for grain."""
GAUSS = 32.0
"""Standard deviation of the synthesis' random numbers, in 8-bit code values."""
UNIT = 128
"""Steps of an AR coefficient of one."""
WILDEST = 3.0
"""How much the filter may amplify: near the border of stability, rounding would let the synthesis run away."""
SHIFTS = (8, 11)
LEAST = 0.35
"""Code values of grain below which there is none worth putting back."""
PLANES = 3
_LEB128 = Whole(0, (1 << 32) - 1)
Points = tuple[tuple[int, int], ...]


def neighbours() -> list[tuple[int, int]]:
    """(rows back, columns) of the samples that the filter sees, in the order of its coefficients."""
    return [
        (row, column) for row in range(-LAG, 1) for column in range(-LAG, LAG + 1) if row < 0 or column < 0
    ]


@dataclass(frozen=True, slots=True)
class Grain:
    """Parameters of the synthesis, as they are written. Points: (brightness 0 to 255, scaling 0 to 255), ascending."""

    points: tuple[Points, Points, Points]
    """Of luma, blue and red difference; chroma grain goes by the brightness of luma."""
    shift: int
    """grain_scaling: 8 to 11."""
    filters: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    """AR coefficients in 128ths; those of chroma end with the share of luma's grain."""
    limited: bool
    """Whether the pictures keep to the limited range of code values."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to put back."""
        return not any(self.points)


class GrainMeter:
    """Gathers what a denoiser takes from frames, and says what grain it is."""

    def __init__(self) -> None:
        self._power = np.zeros((PLANES, BINS))
        self._count = np.zeros((PLANES, BINS))
        size = len(neighbours()) + 1
        self._normal = np.zeros((PLANES, size, size))
        self._mixed = np.zeros((PLANES, size))
        self._energy = np.zeros(PLANES)

    def add(self, noisy: Planes, clean: Planes) -> None:
        """A frame and what the denoiser made of it, uint8 planes."""
        luma_noise: NDArray[np.float32] | None = None
        for plane in range(PLANES):
            lost = noisy[plane].astype(np.float32) - clean[plane]
            size = BLOCK if plane == 0 else BLOCK // 2
            light = clean[0] if plane == 0 else _halved(clean[0], lost.shape)
            flat = _flat_blocks(clean[plane], size)
            if flat is None:
                continue
            self._strength(plane, lost, light, flat, size)
            if plane == 0:
                luma_noise = lost
            self._look(plane, lost, luma_noise, flat, size)

    def _strength(
        self, plane: int, lost: NDArray[np.float32], light: NDArray, flat: NDArray[np.bool_], size: int
    ) -> None:
        means = _blocks(lost, size).mean((1, 3))
        power = (_blocks(lost, size) ** 2).mean((1, 3)) - means**2
        bins = np.clip(_blocks(light.astype(np.float32), size).mean((1, 3)) * BINS / 256, 0, BINS - 1)
        for index in range(BINS):
            chosen = flat & (bins.astype(int) == index)
            self._power[plane, index] += power[chosen].sum()
            self._count[plane, index] += chosen.sum()

    def _look(
        self,
        plane: int,
        lost: NDArray[np.float32],
        luma: NDArray[np.float32] | None,
        flat: NDArray[np.bool_],
        size: int,
    ) -> None:
        """Sums for the least squares of each sample by those before it, and by luma's at its place."""
        inside = np.repeat(np.repeat(flat, size, 0), size, 1)
        rows, columns = inside.shape
        inside[:LAG], inside[:, :LAG], inside[:, columns - LAG :] = False, False, False
        seen = [
            np.roll(lost[:rows, :columns], (-row, -column), (0, 1))[inside] for row, column in neighbours()
        ]
        if plane and luma is not None:
            seen.append(_halved(luma, lost.shape)[:rows, :columns][inside])
        else:
            seen.append(np.zeros(int(inside.sum()), np.float32))
        wanted = lost[:rows, :columns][inside].astype(np.float64)
        table = np.stack(seen).astype(np.float64)
        self._normal[plane] += table @ table.T
        self._mixed[plane] += table @ wanted
        self._energy[plane] += wanted @ wanted

    def grain(self, *, limited: bool = True) -> Grain:
        """What was gathered, as parameters; `Grain.empty` where there is hardly any."""
        filters = [self._filter(plane) for plane in range(PLANES)]
        amplified = _amplification(filters)
        while max(amplified) > WILDEST * GAUSS:
            filters = [tuple(round(0.9 * value) for value in own) for own in filters]
            amplified = _amplification(filters)
        strengths = [self._curve(plane) for plane in range(PLANES)]
        strongest = max(
            (level / amplified[plane] for plane, curve in enumerate(strengths) for _, level in curve),
            default=0.0,
        )
        shift = SHIFTS[1]
        while shift > SHIFTS[0] and strongest * 2**shift > 255:
            shift -= 1
        points = [
            tuple(
                (at, min(255, round(level / amplified[plane] * 2**shift))) for at, level in strengths[plane]
            )
            for plane in range(PLANES)
        ]
        if not points[0]:
            points = [()] * PLANES  # the synthesis of 4:2:0 has no grain of chroma alone
        return Grain((points[0], points[1], points[2]), shift, (filters[0], filters[1], filters[2]), limited)

    def _curve(self, plane: int) -> list[tuple[int, float]]:
        """(brightness, deviation) where there were flat places; none for a plane without grain."""
        count = self._count[plane]
        found = [
            (
                round((index + 0.5) * 256 / BINS),
                float(np.sqrt(max(0.0, self._power[plane, index] / count[index]))),
            )
            for index in range(BINS)
            if count[index] >= max(8, 0.005 * count.sum())
        ]
        return found if found and max(level for _, level in found) >= LEAST else []

    def _filter(self, plane: int) -> tuple[int, ...]:
        size = len(neighbours()) + (plane > 0)
        normal = self._normal[plane, :size, :size]
        ridge = 1e-3 * max(float(np.trace(normal)) / size, 1e-9)
        solved = np.linalg.solve(normal + ridge * np.eye(size), self._mixed[plane, :size])
        return tuple(int(value) for value in np.clip(np.rint(solved * UNIT), -UNIT, UNIT - 1))


def _flat_blocks(plane: NDArray[np.uint8], size: int) -> NDArray[np.bool_] | None:
    """Which blocks of the clean plane hold the least detail; None of a plane that has no whole block."""
    if min(plane.shape) < 2 * size:
        return None
    values = plane.astype(np.float32)
    steep = np.hypot(cv2.Sobel(values, -1, 1, 0), cv2.Sobel(values, -1, 0, 1))
    detail = _blocks(np.asarray(steep, np.float32), size).mean((1, 3))
    light = _blocks(values, size).mean((1, 3))
    fair = (light > 20) & (light < 232)  # elsewhere clipping hides grain
    return fair & (detail <= np.quantile(detail[fair], FLAT)) if fair.any() else None


def _blocks(values: NDArray, size: int) -> NDArray:
    rows, columns = (side // size for side in values.shape)
    return values[: rows * size, : columns * size].reshape(rows, size, columns, size)


def _halved(luma: NDArray, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The mean of each 2x2 samples, as the synthesis takes luma's grain for chroma."""
    return np.asarray(
        cv2.resize(luma.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA), np.float32
    )


def _amplification(filters: Sequence[tuple[int, ...]]) -> list[float]:
    """Deviation of each plane's filtered template, in code values: what a scaling of one is multiplied by."""
    rng = np.random.default_rng(0)
    luma = _filtered(rng.normal(0, GAUSS, (74, 82)), filters[0])
    found = [float(luma.std())]
    for coefficients in filters[1:]:
        own = rng.normal(0, GAUSS, (37, 41)) + coefficients[-1] / UNIT * _blocks(luma, 2).mean((1, 3))
        found.append(float(_filtered(own, coefficients[:-1]).std()))
    return found


def _filtered(grain: NDArray[np.float64], coefficients: Sequence[int]) -> NDArray[np.float64]:
    """Noise through the filter, which sees nothing beyond the borders."""
    weights = dict(zip(neighbours(), np.array(coefficients) / UNIT, strict=True))
    along = [1.0, *(-weights[0, -column] for column in range(1, LAG + 1))]
    padded = np.pad(grain, LAG)
    width = grain.shape[1]
    for row in range(LAG, LAG + len(grain)):
        for (down, across), weight in weights.items():
            if down:
                padded[row, LAG : LAG + width] += (
                    weight * padded[row + down, LAG + across : LAG + across + width]
                )
        padded[row, LAG : LAG + width] = lfilter([1.0], along, padded[row, LAG : LAG + width])
    return padded[LAG : LAG + len(grain), LAG : LAG + width]


def with_grain(units: Iterable[Unit], grain: Grain, *, seed: int = 0) -> Iterator[Unit]:
    """A group of units that starts with a key frame, every picture with grain; nothing else changes.

    seed: where the random numbers of the pictures start. Raises FormatError for a damaged stream, UnsupportedError for
    one with what SVT-AV1 does not write.
    """
    stream = _Graining(grain, seed)
    for unit in units:
        yield unit._replace(data=b"".join(map(stream.passed, obus_of(unit.data))))


class _Graining:
    """A stream on its way through, with what later frames depend on."""

    def __init__(self, grain: Grain, seed: int) -> None:
        self._grain, self._seed = grain, seed
        self._reader: HeaderReader | None = None
        self._known: set[int] = set()
        """Slots of frames that have the parameters."""

    def passed(self, obu: Obu) -> bytes:
        if obu.kind == SEQUENCE_HEADER:
            sequence = read_sequence(obu.body)
            self._reader = self._reader or HeaderReader(sequence)
            return _sized(obu.kind, _declared(obu.body, sequence.grain_bit))
        if obu.kind not in (FRAME, FRAME_HEADER) or self._reader is None:
            return obu.whole
        header = self._reader.read(obu.body)
        if header.existing:
            return obu.whole
        slots = {slot for slot in range(REFERENCES) if header.refreshed >> slot & 1}
        if not header.shown:
            self._known -= slots
            return obu.whole
        bits = BitWriter(obu.body, header.end)
        self._put(bits, header)
        self._known |= slots
        if obu.kind == FRAME_HEADER:
            bits.put(1, 1)  # trailing_one_bit
            return _sized(obu.kind, bits.bytes())
        # Tiles begin with a whole byte.
        return _sized(obu.kind, bits.bytes() + obu.body[-(-header.end // 8) :])

    def _put(self, bits: BitWriter, header: FrameHeader) -> None:
        """film_grain_params() (section 5.9.30)."""
        bits.put(1, 1)  # apply_grain
        self._seed = (self._seed * 25173 + 13849) & 0xFFFF
        bits.put(self._seed, 16)
        if header.kind == INTER:
            same = next((slot for slot in header.references if slot in self._known), None)
            bits.put(same is None, 1)  # update_grain
            if same is not None:
                bits.put(same, 3)
                return
        luma, *chroma = self._grain.points
        _put_points(bits, luma)
        bits.put(0, 1)  # chroma_scaling_from_luma
        if luma:
            for points in chroma:
                _put_points(bits, points)
        bits.put(self._grain.shift - SHIFTS[0], 2)
        bits.put(LAG, 2)
        for points, coefficients in zip(self._grain.points, self._grain.filters, strict=True):
            if points:
                for value in coefficients:
                    bits.put(value + UNIT, 8)
        bits.put(1, 2)  # ar_coeff_shift 7: 128 steps
        bits.put(0, 2)  # grain_scale_shift
        for points in chroma:
            if points:
                bits.put(0x80, 8)  # cb_mult 0: not by the chroma itself
                bits.put(0xC0, 8)  # cb_luma_mult 64: by luma as it is
                bits.put(0x100, 9)  # cb_offset 0
        bits.put(1, 1)  # overlap_flag
        bits.put(self._grain.limited, 1)  # clip_to_restricted_range


def _put_points(bits: BitWriter, points: Points) -> None:
    bits.put(len(points), 4)
    for at, scaling in points:
        bits.put(at, 8)
        bits.put(scaling, 8)


def _declared(body: bytes, place: int) -> bytes:
    """A sequence header with film_grain_params_present set."""
    value = int.from_bytes(body, "big") | 1 << (8 * len(body) - 1 - place)
    return value.to_bytes(len(body), "big")


def _sized(kind: int, body: bytes) -> bytes:
    return bytes([kind << 3 | 2]) + _LEB128.write(len(body)) + body
