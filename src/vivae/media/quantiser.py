"""How coarsely an AV1 stream was coded, read from the headers of its frames; nothing is decoded."""

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from itertools import islice
from types import TracebackType
from typing import Self

import numpy as np

from vivae.errors import FormatError, InputError, UnsupportedError
from vivae.media.frame_header import FrameHeader, HeaderReader, read_sequence
from vivae.media.obu import FRAME, FRAME_HEADER, SEQUENCE_HEADER, obus_of
from vivae.media.packets import CodedPacket, read_packets

LOOKED_AT = 64
"""Temporal units at the beginning of a stream."""
STEPS_PER_CRF = 4
"""Of base_q_idx, for each step of SVT-AV1's CRF, in the frames that it codes most coarsely."""
STEPS_BELOW = 6
"""How far the median base_q_idx lies below that."""
NEVER = Fraction(10**12), 0.0


def av1_quantiser(units: Iterable[bytes]) -> float | None:
    """The median base_q_idx (0, without loss, to 255; about four times a CRF) of the frames in the first units.

    None where the headers are damaged, or have what `frame_header` does not read.
    """
    found = [
        header.quantiser
        for headers in _headers(islice(units, LOOKED_AT))
        for header in headers or ()
        if not header.existing and header.quantiser is not None
    ]
    return float(np.median(found)) if found else None


def crf_of(quantiser: float) -> float:
    """What CRF of SVT-AV1's leads to a median base_q_idx."""
    return (quantiser + STEPS_BELOW) / STEPS_PER_CRF


def shown_crfs(units: Iterable[bytes]) -> Iterator[float]:
    """For each unit, how coarsely the picture that it shows was coded: a fourth of its base_q_idx, in steps of CRF.

    Encoders code pictures that others refer to more finely, by some 12 steps of CRF within one group. 0 where it is not
    known: where the headers are damaged, or have what `frame_header` does not read.
    """
    for headers in _headers(units):
        # What a unit shows is what ends it (section 7.5).
        quantiser = headers[-1].quantiser if headers else None
        yield 0.0 if quantiser is None else quantiser / STEPS_PER_CRF


class ShownCrfs:
    """`shown_crfs` of a file by the times of its pictures, for a `with` block. Memory does not grow with length."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises nothing: of what is not AV1, cannot be opened or is damaged, nothing is known."""
        self._packets = read_packets(path)
        self._found = _timed(self._packets)
        self._time, self._crf = Fraction(-1), 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._found.close()
        self._packets.close()

    def at(self, time: Fraction) -> float:
        """0 where no picture is shown from just this time on, in seconds. To be asked in order."""
        while self._time < time:
            self._time, self._crf = next(self._found, NEVER)
        return self._crf if self._time == time else 0.0


def _timed(packets: Iterable[CodedPacket]) -> Generator[tuple[Fraction, float], None, None]:
    times = deque[Fraction]()

    def units() -> Iterator[bytes]:
        try:
            for packet in packets:
                times.append(packet.time)
                yield packet.data
        except (FormatError, InputError):
            return

    for crf in shown_crfs(units()):
        yield times.popleft(), crf


def _headers(units: Iterable[bytes]) -> Iterator[list[FrameHeader] | None]:
    """Of each unit; None from where they cannot be read until a key frame begins anew."""
    reader: HeaderReader | None = None
    for unit in units:
        headers = []
        try:
            for obu in obus_of(unit):
                if obu.kind == SEQUENCE_HEADER:
                    sequence = read_sequence(obu.body)
                    if reader is None or reader.sequence != sequence:
                        reader = HeaderReader(sequence)
                elif obu.kind in (FRAME, FRAME_HEADER) and reader is not None:
                    headers.append(reader.read(obu.body))
        except (FormatError, UnsupportedError):
            reader = None
            yield None
        else:
            yield headers
