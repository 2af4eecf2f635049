"""How coarsely AV1 was coded, from its headers."""

from fractions import Fraction

import numpy as np
import pytest

from vivae.codec.frame_header import read_sequence
from vivae.codec.quantiser import av1_quantiser
from vivae.errors import UnsupportedError
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


FROM_THE_COMMAND_LINE = bytes.fromhex("0200002d6a67fd9e357cc120")
"""The sequence header of a 1280x720 file that FFmpeg's command line writes by SVT-AV1 4.2: with display delays."""


def test_the_header_of_an_ordinary_file_is_read():
    found = read_sequence(FROM_THE_COMMAND_LINE)
    assert (found.width, found.height) == (1280, 720)
    assert found.cdef
    assert found.order_hint_bits == 7


@pytest.mark.parametrize("decoder_model", [0, 1])
def test_timing_information_is_passed_over(decoder_model):
    bits = "".join(f"{byte:08b}" for byte in FROM_THE_COMMAND_LINE)
    timed = f"{bits[:5]}1{1:032b}{25:032b}1{'1'}{decoder_model}{bits[6:]}"
    timed += "0" * (-len(timed) % 8)
    header = int(timed, 2).to_bytes(len(timed) // 8, "big")
    if decoder_model:
        with pytest.raises(UnsupportedError, match="decoder model"):
            read_sequence(header)
    else:
        assert read_sequence(header).width == 1280
