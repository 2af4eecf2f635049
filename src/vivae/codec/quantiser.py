"""How coarsely an AV1 stream was coded, read from the headers of its frames; nothing is decoded."""

from collections.abc import Iterable
from itertools import islice

import numpy as np

from vivae.codec.frame_header import HeaderReader, read_sequence
from vivae.codec.obu import FRAME, FRAME_HEADER, SEQUENCE_HEADER, obus_of
from vivae.errors import FormatError, UnsupportedError

LOOKED_AT = 64
"""Temporal units at the beginning of a stream."""


def av1_quantiser(units: Iterable[bytes]) -> float | None:
    """The median base_q_idx (0, without loss, to 255; about four times a CRF) of the frames in the first units.

    None where the headers are damaged, or have what `frame_header` does not read.
    """
    found: list[int] = []
    reader: HeaderReader | None = None
    try:
        for unit in islice(units, LOOKED_AT):
            for obu in obus_of(unit):
                if obu.kind == SEQUENCE_HEADER:
                    reader = reader or HeaderReader(read_sequence(obu.body))
                elif obu.kind in (FRAME, FRAME_HEADER) and reader is not None:
                    quantiser = reader.read(obu.body).quantiser
                    found += [] if quantiser is None else [quantiser]
    except (FormatError, UnsupportedError):
        return None
    return float(np.median(found)) if found else None
