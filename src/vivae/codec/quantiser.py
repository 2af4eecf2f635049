"""How coarsely a video was coded: from the headers of its stream, or by what FFmpeg's decoder tells of it."""

import os
from collections.abc import Iterable
from contextlib import closing
from itertools import islice

import numpy as np

from vivae.codec.frame_header import HeaderReader, read_sequence
from vivae.codec.hevc_header import key_quantisers
from vivae.codec.obu import FRAME, FRAME_HEADER, SEQUENCE_HEADER, obus_of
from vivae.errors import FormatError, InputError, UnsupportedError
from vivae.media.jpeg import luma_step
from vivae.media.packets import read_packets
from vivae.media.quantisers import decoded_quantisers, first_packets
from vivae.train.coarseness import MPEG

LOOKED_AT = 64
"""Temporal units at the beginning of a stream."""
PACKETS = 300
"""In which key frames are looked for."""
AV1 = ("av1", "libdav1d")
BY_DECODER = ("h264", *MPEG)
"""Codecs of which FFmpeg's decoder tells."""


def quantiser_of(path: str | os.PathLike[str], codec: str) -> float | None:
    """How coarsely the pictures of a file were coded, by what its codec has for it; None where that is not told.

    codec: FFmpeg's name. AV1: base_q_idx, 0 to 255. HEVC: QP of the key frames' slices. Motion JPEG, and images: the
    mean step of the lowest nine frequencies of luma. H.264: QP, as of 8 bits a sample, the mean of frames and blocks;
    MPEG-1, MPEG-2, MPEG-4, H.263: twice the quantiser's scale, the mean again.
    """
    try:
        found: list[float]
        if codec in AV1:
            with closing(read_packets(path)) as packets:
                return av1_quantiser(packet.data for packet in packets)
        if codec == "hevc":
            found = list(map(float, key_quantisers(first_packets(path, PACKETS))))
        elif codec == "mjpeg":
            steps = map(luma_step, first_packets(path, LOOKED_AT))
            found = [step for step in steps if step is not None]
        else:
            found = decoded_quantisers(path) if codec in BY_DECODER else []
    except (FormatError, InputError, UnsupportedError):
        return None
    return float(np.mean(found)) if found else None


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
