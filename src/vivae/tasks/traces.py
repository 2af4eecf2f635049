"""What codecs have left of pictures, and how much of what a network would change is to be believed.

The networks that remove traces do not see how coarsely footage was coded, and were taught on footage that is coded
visibly and softer than most. So what they add to finely coded pictures is mostly their own error, and what they add to
coarsely coded ones falls short. Least squares on five DAVIS sequences say by how much: the share of the residual that
leaves the least error rises evenly with the logarithm of the quantiser's step, by a third each time that it doubles,
in every codec; only where it begins differs.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vivae.codec.quantiser import AV1
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
FILTER_LESS = ("mpeg1video", "mpeg2video", "mpeg4", "h263", "flv1", "msmpeg4v3", "mjpeg")
"""Codecs without a filter in their loop. Their blocks are their own, and their quantiser tells how coarse they are."""
CRFS, AV1_SHARES = (22, 26, 34, 41, 48, 55), (0.2, 0.33, 0.48, 0.6, 0.67, 0.75)
"""Of the networks for AV1, which are told the CRF and were taught on 42 and more; what is finer is left alone."""
AV1_CHROMA = 0.7
"""The same for chroma, whatever the CRF."""
STEPS_PER_CRF, STEPS_BELOW = 4, 6
"""Of the median base_q_idx, for each of SVT-AV1's CRF; and how far it lies below so many times the CRF."""


def _by_qp(finest: float) -> Callable[[float], float]:
    """Of H.264 and HEVC, whose step doubles with each 6 of QP. finest: QP at which nothing is worth adding."""
    return lambda qp: (qp - finest) / 18


def _by_step(finest: float) -> Callable[[float], float]:
    """Of codecs that tell a step, or what is proportional to it."""
    return lambda step: float(np.log2(max(step, 1e-3) / finest)) / 3


SHARES: dict[str, Callable[[float], float]] = {
    "h264": _by_qp(21.4),
    "hevc": _by_qp(24.5),
    "mjpeg": _by_step(6.0),
} | dict.fromkeys(FILTER_LESS[:-1], _by_step(5.0))
"""Share of luma's residual, by quantiser: see `vivae.codec.quantiser.quantiser_of`."""


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
    crf, law = 0.0, SHARES.get(codec)
    if codec in AV1:
        crf = 0.0 if quantiser is None else (quantiser + STEPS_BELOW) / STEPS_PER_CRF
        share = float(np.interp(crf, CRFS, AV1_SHARES, left=0.0))
    else:
        share = UNKNOWN_SHARE if law is None or quantiser is None else law(quantiser)
    visible = quantiser is not None and law is not None and share >= VISIBLE_SHARE
    if blockiness > CODED_BEFORE and codec not in (*FILTER_LESS, *AV1):
        share = max(share, UNKNOWN_SHARE)
    if share < LEAST_SHARE:
        return NO_TRACES
    share = min(share, LARGEST_SHARE)
    # Chroma is coded more finely where luma is coarse, and more coarsely where it is fine.
    chroma = AV1_CHROMA if codec in AV1 else 0.2 + 0.62 * share
    return Traces(coded_by(codec), crf, (share, chroma), visible)
