"""The frame between two others."""

import numpy as np
import pytest

from vivae.media import pack
from vivae.vae.between import Interpolator, met_half_way
from vivae.vae.motion import Motion
from vivae.vae.zoo import load_enhancer


def moving(step, height=96, width=160):
    rng = np.random.default_rng(3)
    texture = np.kron(rng.integers(40, 220, (16, 32)), np.ones((12, 12))).astype(np.float32)
    shifted = np.roll(texture, step, 1)[:height, :width]
    chroma = np.full((-(-height // 2), -(-width // 2)), 120, np.uint8)
    return shifted.astype(np.uint8), chroma, chroma


def error(a, b):
    inside = slice(8, -8), slice(16, -16)
    return float(((a[0][inside].astype(float) - b[0][inside]) ** 2).mean())


def test_motion_meets_half_way():
    before, middle, after = (moving(step) for step in (0, 3, 6))
    met = met_half_way(Motion(), pack(before), pack(after))
    halves = [pack(middle)] * 2
    plain = np.abs(pack(before).astype(int) - halves[0]).mean()
    assert np.abs(met.last.astype(int) - halves[0]).mean() < plain / 2
    assert np.abs(met.following.astype(int) - halves[1]).mean() < plain / 2


def test_the_model_finds_the_middle():
    before, middle, after = (moving(step) for step in (0, 3, 6))
    made = Interpolator(load_enhancer("between")).between(before, after)
    mean = ((before[0].astype(int) + after[0]) // 2).astype(np.uint8)
    assert error(made, middle) < error((mean,), middle) / 2


@pytest.mark.parametrize("size", [(17, 33), (2, 4)])
def test_odd_and_tiny_frames(size):
    frame = moving(0, *size)
    filled = Interpolator(load_enhancer("between")).filled(frame, frame, 2)
    assert len(filled) == 3
    assert all(made[0].shape == size for made in filled)
