"""How coarsely AV1 was coded, from its headers."""

from fractions import Fraction

import numpy as np

from vivae.codec.quantiser import av1_quantiser
from vivae.media import ColorInfo, Picture
from vivae.media.av1 import Av1Settings, encode_av1


def units(crf, count=12):
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 255, (12, 20)), np.ones((16, 16))).astype(np.uint8)
    grey = np.full((64, 96), 128, np.uint8)
    frames = ((wide[:128, 3 * step : 3 * step + 192], grey, grey) for step in range(count))
    picture = Picture(192, 128, Fraction(25), ColorInfo.guess(128))
    return [unit.data for unit in encode_av1(frames, picture, Av1Settings(crf, 9), threads=1)]


def test_a_coarser_quantiser_is_seen():
    fine, middle, coarse = (av1_quantiser(units(crf)) for crf in (20, 40, 60))
    assert fine < middle < coarse
    assert abs(coarse - 4 * 60) < 25


def test_what_cannot_be_read_is_unknown():
    assert av1_quantiser([]) is None
    damaged = [bytes(unit[: len(unit) // 3]) for unit in units(40, 4)]
    assert av1_quantiser(damaged) is None or av1_quantiser(damaged) > 0
    assert av1_quantiser(unit[40:] for unit in units(40, 2)) is None
