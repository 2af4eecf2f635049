"""What codecs have left of pictures, and how much of what a network would change is to be believed.

Networks take footage that they did not learn from for more spoilt than it is, the more so the finer it is coded. What
share of their residual leaves the least error was asked by least squares on five DAVIS sequences, codec by codec.
"""

from typing import NamedTuple

import numpy as np

from vivae.codec.quantiser import AV1
from vivae.train.coarseness import FILTER_LESS, coarseness
from vivae.train.degrade import coded_by
from vivae.vae.enhancer import Known

LEFT_ALONE = "vp9"
"""A codec whose own filters leave little, and of which nothing was learned."""
FINEST, COARSEST = 0.1, 1.5
"""Of `coarseness`: below, there is nothing worth removing; above, nothing was learned."""
UNKNOWN = 0.6
"""Where the quantiser is not known: right in the middle, of use to the coarse, and no great harm to the fine."""
VISIBLE = 0.4
"""From where on traces are worth removing unasked."""
VISIBLE_CRF = 41
"""The same of AV1: a tenth of a dB is to be had there, see the lab notes."""
CODED_BEFORE = 1.3
"""Blockiness (see `Condition`) of pictures that something without a filter has coded before, whatever has since."""
COARSE: tuple[float, ...] = (0.1, 0.3, 0.55, 0.8, 1.0, 1.5)
CRFS: tuple[float, ...] = (22, 26, 34, 41, 48, 55, 62)
"""The networks for AV1 are told the CRF and were taught on 42 and more; what is finer than the first is left alone."""


class Shares(NamedTuple):
    """What to believe of luma and of chroma, by coarseness, and of AV1 by CRF."""

    luma: tuple[float, ...]
    chroma: tuple[float, ...]
    av1_luma: tuple[float, ...]
    av1_chroma: tuple[float, ...]


QUICK = Shares(
    (0.28, 0.46, 0.63, 0.78, 0.88, 1.0),
    (0.36, 0.55, 0.65, 0.75, 0.8, 0.82),
    (0.2, 0.33, 0.48, 0.6, 0.67, 0.75, 0.75),
    (0.7,) * len(CRFS),
)
DEEP = Shares(
    (0.25, 0.43, 0.68, 0.9, 1.03, 1.15),
    (0.36, 0.52, 0.65, 0.77, 0.83, 0.92),
    (0.33, 0.43, 0.62, 0.74, 0.8, 0.83, 0.9),
    (0.58, 0.61, 0.7, 0.78, 0.83, 0.86, 0.9),
)
"""Of the best preset's networks and search for motion: they err less, and add too little where coding is coarse."""
STEPS_PER_CRF, STEPS_BELOW = 4, 6
"""Of the median base_q_idx, for each of SVT-AV1's CRF; and how far it lies below so many times the CRF."""


class Traces(NamedTuple):
    """What there is to remove of a codec's."""

    deblock: float = 0.0
    """As `Known.coded`; 0 for nothing."""
    crf: float = 0.0
    """Of AV1, as `Known.crf`; 0 for another codec."""
    coarse: float = UNKNOWN
    """Of another codec, as `Known.coarse`."""
    visible: bool = False
    """Whether the quantiser says that there is something to be seen."""


NO_TRACES = Traces()


def left_by(codec: str, quantiser: float | None = None, blockiness: float = 1.0) -> Traces:
    """What a codec has left.

    codec: by FFmpeg's name. quantiser: see `quantiser_of`. blockiness: as measured on the pictures, see `Condition`.
    """
    if codec == LEFT_ALONE:
        return NO_TRACES
    if codec in AV1:
        crf = 0.0 if quantiser is None else (quantiser + STEPS_BELOW) / STEPS_PER_CRF
        return NO_TRACES if crf < CRFS[0] else Traces(coded_by(codec), crf, visible=crf >= VISIBLE_CRF)
    known = None if quantiser is None else coarseness(codec, quantiser)
    coarse = UNKNOWN if known is None else known
    if blockiness > CODED_BEFORE and codec not in FILTER_LESS:
        coarse = max(coarse, UNKNOWN)
    if coarse < FINEST:
        return NO_TRACES
    visible = known is not None and known >= VISIBLE
    return Traces(coded_by(codec), coarse=min(coarse, COARSEST), visible=visible)


def believed(known: Known, shares: Shares = QUICK) -> tuple[float, float]:
    """What share to add of what the network for traces would change that is told this, of luma and of chroma."""
    if known.crf:
        at, steps, luma, chroma = known.crf, CRFS, shares.av1_luma, shares.av1_chroma
    else:
        at, steps, luma, chroma = known.coarse, COARSE, shares.luma, shares.chroma
    return float(np.interp(at, steps, luma)), float(np.interp(at, steps, chroma))
