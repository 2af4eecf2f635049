"""How coarsely codecs quantised, on one scale for all of them, which networks that remove traces are told.

The scale comes from least squares on five DAVIS sequences: what share of the residual of a network that does not know
would have left the least error. That share rises evenly with the logarithm of the quantiser's step, by a third each
time that it doubles, in every codec; only where it begins differs. 0 is what hardly shows, 1 what nobody overlooks.
"""

from collections.abc import Callable, Sequence

import numpy as np

MPEG = ("mpeg1video", "mpeg2video", "mpeg4", "h263", "flv1", "msmpeg4v3")
"""MPEG-1, MPEG-2, MPEG-4 part 2 and what is made like them, by FFmpeg's names."""
FILTER_LESS = (*MPEG, "mjpeg")
"""Codecs without a filter in their loop."""
HEVC_ABOVE_CRF = 5
"""QP of x265's key frames, for a CRF of 0."""
JPEG_STEP = 2.41
"""Mean step of the lowest nine frequencies in FFmpeg's Motion JPEG, for a quantiser of 1."""


def _by_qp(finest: float) -> Callable[[float], float]:
    """Of H.264 and HEVC, whose step doubles with each 6 of QP. finest: QP at which nothing is worth adding."""
    return lambda qp: (qp - finest) / 18


def _by_step(finest: float) -> Callable[[float], float]:
    """Of codecs that tell a step, or what is proportional to it."""
    return lambda step: float(np.log2(max(step, 1e-3) / finest)) / 3


LAWS: dict[str, Callable[[float], float]] = {
    "h264": _by_qp(21.4),
    "hevc": _by_qp(24.5),
    "mjpeg": _by_step(6.0),
} | dict.fromkeys(MPEG, _by_step(5.0))


def coarseness(codec: str, quantiser: float) -> float | None:
    """From `vivae.codec.quantiser.quantiser_of`; None for a codec that was not asked."""
    law = LAWS.get(codec)
    return None if law is None else law(quantiser)


def coarseness_asked(codec: str, quality: float, told: Sequence[float]) -> float:
    """Of what `vivae.train.degrade.through_codec` has coded. told: what it tells of the quantisers of its pictures."""
    usual = {"hevc": quality + HEVC_ABOVE_CRF, "mjpeg": JPEG_STEP * quality}
    return coarseness(codec, float(np.mean(told)) if told else usual[codec]) or 0.0
