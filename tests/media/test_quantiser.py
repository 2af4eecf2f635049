"""How coarsely AV1 was coded, from its headers."""

from fractions import Fraction

import numpy as np
import pytest

from vivae.errors import UnsupportedError
from vivae.media import ColorInfo, Picture, open_video
from vivae.media.av1 import Av1Settings, encode_av1
from vivae.media.frame_header import read_sequence
from vivae.media.obu import configuration_of
from vivae.media.packets import CodedPacket, open_packet_writer
from vivae.media.quantiser import ShownCrfs, av1_quantiser, shown_crfs


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


def test_every_picture_tells_how_coarse_it_is():
    told = list(shown_crfs(units(50)))
    assert len(told) == 12
    assert max(told) == 50
    assert 0 < min(told) == told[0] < 45  # the key frame
    assert len(set(told[1:])) > 1


def test_pictures_behind_damage_are_unknown():
    whole = units(50)
    told = list(shown_crfs([*whole[:5], whole[5][:3], *whole[6:]]))
    assert told[:5] == list(shown_crfs(whole))[:5]
    assert told[5:] == [0] * 7


@pytest.mark.parametrize("container", ["mp4", "mkv", "webm"])
def test_a_file_tells_by_the_times_of_its_pictures(tmp_path, container):
    coded = list(units(50))
    path = tmp_path / f"clip.{container}"
    picture = Picture(192, 128, Fraction(25), ColorInfo.guess(128))
    with open_packet_writer(path, picture=picture, extradata=configuration_of(coded[0])) as writer:
        for index, unit in enumerate(coded):
            writer.write(CodedPacket(unit, index * Fraction(1, 25), Fraction(1, 25), index == 0))
    expected = list(shown_crfs(coded))
    with open_video(path) as reader, ShownCrfs(path) as crfs:
        assert [crfs.at(frame.time) for frame in reader] == expected
    with open_video(path, start=Fraction(1, 5)) as reader, ShownCrfs(path) as crfs:
        assert [crfs.at(frame.time + reader.start) for frame in reader] == expected[5:]
    with ShownCrfs(path) as crfs:
        assert crfs.at(Fraction(1, 100)) == 0  # no picture begins there
        assert crfs.at(Fraction(2, 25)) == expected[2]
        assert crfs.at(Fraction(1000)) == 0


def test_of_what_is_not_av1_nothing_is_known(tmp_path):
    path = tmp_path / "none.mp4"
    for content in (None, b"", b"no video"):
        if content is not None:
            path.write_bytes(content)
        with ShownCrfs(path) as crfs:
            assert crfs.at(Fraction(0)) == 0


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
