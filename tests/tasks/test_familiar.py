"""Users are told when their video is unlike what a model learned from, and only then."""

import logging
from fractions import Fraction

import numpy as np
import pytest

import vivae
from vivae.media import ColorInfo, Frame, open_writer
from vivae.tasks.familiar import check_familiar
from vivae.vae.familiar import Bits, limits
from vivae.vae.zoo import load_model, notes_of

WORDS = "out of distribution"


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    path = tmp_path_factory.mktemp("noise") / "noise.y4m"
    rng = np.random.default_rng(0)
    color = ColorInfo.guess(72)
    with open_writer(path, width=128, height=72, fps=Fraction(25), color=color) as writer:
        for number in range(4):
            planes = [rng.integers(0, 256, size, dtype=np.uint8) for size in ((72, 128), (36, 64), (36, 64))]
            writer.write(Frame(*planes, Fraction(number, 25), Fraction(1, 25), color))
    return path


def test_noise_is_unlike_footage_and_footage_is_not(noise, bikes, bunny, caplog):
    vae, notes = load_model("base"), notes_of("base")
    with caplog.at_level(logging.WARNING):
        assert check_familiar(bikes, vae, notes) is None
        assert check_familiar(bunny, vae, notes) is None
        assert WORDS not in caplog.text
        assert check_familiar(noise, vae, notes) == "looks and moves"
    assert caplog.text.count(WORDS) == 1
    assert "noise.y4m" in caplog.text


def test_a_verb_says_so_once(noise, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        vivae.encode(noise, tmp_path / "z.safetensors")
    assert caplog.text.count(WORDS) == 1


def test_a_model_knows_its_own_footage(noise, bikes, monkeypatch):
    vae = load_model("base")
    monkeypatch.setattr(vae, "hash", "not among the shipped ones, whose figures stand beside them")
    assert check_familiar(noise, vae, {"familiar": {"still": 1e3, "moving": 1e3}}) is None
    assert check_familiar(bikes, vae, {"familiar": {"still": 0.0, "moving": 1e3}}) == "looks"


def test_limits_lie_above_what_was_seen():
    seen = [Bits(still / 100, 0.5) for still in range(101)]
    assert limits(seen)["still"] > 0.98
    assert limits(seen)["moving"] > 0.5
