"""What quick encodes of a shot teach."""

import math
from fractions import Fraction

import numpy as np
import pytest

from vivae.codec import plan
from vivae.codec.choose import SLOPES, effort_of
from vivae.codec.shot import Base
from vivae.codec.spool import write_shot
from vivae.media import ColorInfo, Frame, Picture
from vivae.media.av1 import Av1Settings
from vivae.vae.zoo import load_enhancer


def shot_of(luma, room):
    """Frames (T, H, W) as a shot."""
    _, height, width = luma.shape
    picture = Picture(width, height, Fraction(25), ColorInfo.guess(height))
    grey = np.full((height // 2, width // 2), 128, np.uint8)
    frames = [
        Frame(y, grey, grey, Fraction(index, 25), Fraction(1, 25), picture.color)
        for index, y in enumerate(luma)
    ]
    return write_shot(frames, picture, room / "shot.yuv", 0)


def probes(luma, room, monkeypatch):
    """Of a shot, with the base sizes that were encoded and those that were enhanced."""
    encoded, enhanced = [], []
    encode, decode = plan.encode_shots, plan.decode_shot

    def watched(shot, bases, *, threads):
        encoded.extend(base.shrink for base in bases)
        return encode(shot, bases, threads=threads)

    def decoded(coded, model, **span):
        if model is not None:
            enhanced.append(coded.base.shrink)
        return decode(coded, model, **span)

    monkeypatch.setattr(plan, "encode_shots", watched)
    monkeypatch.setattr(plan, "decode_shot", decoded)
    found = plan.ShotProbes(
        shot_of(luma, room), 50.0, effort_of(6), load_enhancer("upscale"), plan._ms_ssim, threads=2
    )
    return found, encoded, enhanced


def test_fine_detail_is_not_tried_at_half_the_size(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    wide = (rng.random((160, 260)) < 0.5).astype(np.uint8) * 160 + 40
    luma = np.stack([wide[:144, 2 * step : 2 * step + 192] for step in range(8)])
    found, encoded, enhanced = probes(luma, tmp_path, monkeypatch)
    assert encoded == [1.0] * 3 + [2.0]
    assert enhanced == []
    assert {option.what.shrink for option in found.menu(50.0).options} == {1.0}


def test_what_is_soft_is_tried_at_half_the_size(tmp_path, monkeypatch):
    rows, columns = np.mgrid[:144, :192]
    luma = np.stack(
        [
            np.rint(120 + 60 * np.sin((columns + 2 * step) / 23) * np.cos((rows - step) / 31)).astype(
                np.uint8
            )
            for step in range(8)
        ]
    )
    found, encoded, enhanced = probes(luma, tmp_path, monkeypatch)
    assert encoded == [1.0] * 3 + [2.0] * 2
    assert enhanced == [2.0], "what the model brings at one quantiser goes for its neighbour"
    assert {option.what.shrink for option in found.menu(50.0).options} == {1.0, 2.0}


def test_a_curve_is_read_between_its_points_and_goes_on_beyond_them():
    curve = [
        plan.Probe(crf, bits, quality, 0.0)
        for crf, bits, quality in [(30.0, 4000, 40.0), (40.0, 2000, 36.0), (50.0, 1000, 32.0)]
    ]
    assert plan._log_bits(curve, 38.0) == pytest.approx(math.log(math.sqrt(4000 * 2000)))
    assert plan._log_bits(curve, 28.0) == pytest.approx(math.log(500))
    assert plan._log_bits(curve, 44.0) == pytest.approx(math.log(8000))
    assert plan._log_bits(curve[:1], 10.0) == pytest.approx(math.log(4000))


def test_every_option_knows_the_slope_of_its_curve_there(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 256, (8, 144, 192), np.uint8)
    found, _, _ = probes(luma, tmp_path, monkeypatch)
    assert all(SLOPES[0] <= option.what.slope <= SLOPES[1] for option in found.menu(50.0).options)
    curve = [
        plan.Probe(30.0, 4000, 90, 44.0),
        plan.Probe(40.0, 2000, 80, 40.0),
        plan.Probe(50.0, 1000, 70, 38.0),
    ]
    assert plan._slope(curve, 35.0) == pytest.approx(4 / math.log(2), abs=1e-3)
    assert plan._slope(curve, 50.0) == pytest.approx(2 / math.log(2), abs=1e-3)
    assert plan._slope(curve[:1], 30.0) is None


def test_of_a_long_shot_the_beginning_is_tried_and_the_whole_is_counted(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    luma = np.repeat(rng.integers(0, 256, (1, 64, 64), np.uint8), plan.TRIED_FRAMES + 16, 0)
    lengths = []
    encode = plan.encode_shots

    def watched(shot, bases, *, threads):
        lengths.append(len(shot))
        return encode(shot, bases, threads=threads)

    monkeypatch.setattr(plan, "encode_shots", watched)
    shot = shot_of(luma, tmp_path)
    plan.ShotProbes(shot, 30.0, effort_of(6), load_enhancer("upscale"), plan._ms_ssim, threads=1)
    assert set(lengths) == {plan.TRIED_FRAMES}
    (coded,) = encode(shot, [Base(Av1Settings(30.0, 9))], threads=1)
    assert plan._bits(coded, len(shot)) == coded.bits
    key, rest = 8 * len(coded.units[0].data), coded.bits - 8 * len(coded.units[0].data)
    assert plan._bits(coded, 2 * len(shot) - 1) == key + 2 * rest
