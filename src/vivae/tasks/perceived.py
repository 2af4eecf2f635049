"""Meeting a perceived quality: the smallest file of the layered codec whose VMAF is what was asked for.

What is missing to 100 halves with nearly equal steps of quality, as sizes double with them, so the search for a size
serves: a file of half the shortfall counts as twice too large.
"""

import math
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from vivae.codec.encoding import Encoded, recolored
from vivae.codec.layered import LayeredJob
from vivae.codec.rate import Search
from vivae.codec.records import QUALITY_UNITS
from vivae.codec.unlayered import Models, decode_layered
from vivae.errors import InputError
from vivae.measure.ffmpeg import vmaf_of
from vivae.media import Picture, open_video, probe

NEAR = 0.5
"""Points of VMAF by which the target may be missed."""
SLOPE = 7.0 / QUALITY_UNITS
"""Halvings of the shortfall with each unit of quality, before anything is measured."""
SHORTFALL = 64.0
"""Points that quality 0 lacks, nearly."""
LEAST = 0.01
"""Points that are always missing."""
TRIES = 7
SPANS, SPAN_SECONDS = 4, 4
"""What is judged of a longer video."""


def encode_to_vmaf(job: LayeredJob, wanted: float, part: Path, models: Models) -> tuple[int, Encoded, float]:
    """Write the file whose mean VMAF (v0.6.1) comes nearest; its quality in units of a file, what it is, and its VMAF.

    Raises InputError for a target beyond 0 to 100, UnsupportedError without the `bench` extra.
    """
    if not 0 < wanted < 100:
        raise InputError(f"the VMAF to reach must lie between 0 and 100, not at {wanted:g}")
    done: dict[int, tuple[Encoded, float]] = {}

    def excess(units: int) -> float:
        found = job.encode(part, units)
        done[units] = found, perceived(job, part, models)
        return (100 - wanted) / max(100 - done[units][1], LEAST)

    tolerance = NEAR / (100 - wanted)
    first = round(math.log2(SHORTFALL / (100 - wanted)) / SLOPE)
    first = min(max(first, 0), QUALITY_UNITS)
    units = Search(excess, tolerance, SLOPE).run(first, TRIES)
    if units != next(reversed(done)):
        excess(units)
    return units, *done[units]


def perceived(job: LayeredJob, part: Path, models: Models) -> float:
    """Mean VMAF of a file against its source, over spans of a long one."""
    info = probe(part)
    begin = Fraction(job.start or 0)
    length = float(info.duration)
    count = 1 if length <= SPANS * SPAN_SECONDS else SPANS
    scores: list[float] = []
    for span in range(count):
        at = None if count == 1 else Fraction(round(length * (span + 0.5) / count - SPAN_SECONDS / 2))
        with open_video(job.src, start=begin + (at or 0), end=job.end) as reader:
            frames = max(2, round(SPAN_SECONDS * float(info.fps))) if count > 1 else None
            picture = Picture(reader.info.width, reader.info.height, reader.info.fps, reader.info.color)
            shown = islice(decode_layered(part, info, models, start=at), frames)
            clean = recolored(islice(reader, frames), info.color)
            scores += vmaf_of(picture, clean, shown, "vmaf", threads=job.threads)
    return float(np.mean(scores))
