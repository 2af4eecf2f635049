"""What codecs have left of pictures, and how much of what a network would change is to be believed.

Networks that do not see how coarsely footage is coded, and were taught on footage that is coded visibly, add to finely
coded pictures mostly their own error, and too little to coarsely coded ones. What share of their residual leaves the
least error is a straight line over the logarithm of the quantiser's step: `vivae.train.coarseness`.
"""

from typing import NamedTuple

import numpy as np

from vivae.codec.quantiser import AV1
from vivae.train.coarseness import FILTER_LESS, coarseness
from vivae.train.degrade import coded_by

LEFT_ALONE = "vp9"
"""A codec whose own filters leave little, and of which nothing was learned."""
LEAST_SHARE, LARGEST_SHARE = 0.1, 1.2
"""Below, there is nothing worth removing. Above, the footage of other people was not asked."""
UNKNOWN_SHARE = 0.6
"""Where the quantiser is not known: right in the middle, of use to the coarse, and no great harm to the fine."""
VISIBLE_SHARE = 0.4
"""From where on traces are worth removing unasked."""
CODED_BEFORE = 1.3
"""Blockiness (see `Condition`) of pictures that something without a filter has coded before, whatever has since."""
CRFS, AV1_SHARES = (22, 26, 34, 41, 48, 55), (0.2, 0.33, 0.48, 0.6, 0.67, 0.75)
"""Of the networks for AV1, which are told the CRF and were taught on 42 and more; what is finer is left alone."""
AV1_CHROMA = 0.7
"""The same for chroma, whatever the CRF."""
STEPS_PER_CRF, STEPS_BELOW = 4, 6
"""Of the median base_q_idx, for each of SVT-AV1's CRF; and how far it lies below so many times the CRF."""


class Traces(NamedTuple):
    """What there is to remove of a codec's."""

    deblock: float = 0.0
    """As `Known.coded`; 0 for nothing."""
    crf: float = 0.0
    """Of AV1, as `Known.crf`; 0 for another codec."""
    shares: tuple[float, float] = (1.0, 1.0)
    """What share to add of what a network would change, of luma and of chroma."""
    visible: bool = False
    """Whether the quantiser says that there is something to be seen."""


NO_TRACES = Traces(shares=(0.0, 0.0))


def left_by(codec: str, quantiser: float | None = None, blockiness: float = 1.0) -> Traces:
    """What a codec has left.

    codec: by FFmpeg's name. quantiser: see `quantiser_of`. blockiness: as measured on the pictures, see `Condition`.
    """
    if codec == LEFT_ALONE:
        return NO_TRACES
    crf = 0.0
    known = None if quantiser is None else coarseness(codec, quantiser)
    if codec in AV1:
        crf = 0.0 if quantiser is None else (quantiser + STEPS_BELOW) / STEPS_PER_CRF
        share = float(np.interp(crf, CRFS, AV1_SHARES, left=0.0))
    else:
        share = UNKNOWN_SHARE if known is None else known
    visible = known is not None and known >= VISIBLE_SHARE
    if blockiness > CODED_BEFORE and codec not in (*FILTER_LESS, *AV1):
        share = max(share, UNKNOWN_SHARE)
    if share < LEAST_SHARE:
        return NO_TRACES
    share = min(share, LARGEST_SHARE)
    # Chroma is coded more finely where luma is coarse, and more coarsely where it is fine.
    chroma = AV1_CHROMA if codec in AV1 else 0.2 + 0.62 * share
    return Traces(coded_by(codec), crf, (share, chroma), visible)
