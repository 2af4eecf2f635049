"""Noise is told from texture."""

from fractions import Fraction
from itertools import islice

import cv2
import numpy as np
import pytest

from vivae.measure import noise
from vivae.measure.noise import noise_in, noise_of
from vivae.media import Frame, open_video
from vivae.train.disturb import with_noise


@pytest.fixture(scope="module")
def clean(bikes):
    with open_video(bikes) as reader:
        shown = [
            cv2.resize(frame.to_rgb(), (320, 180), interpolation=cv2.INTER_AREA)
            for frame in islice(reader, 4)
        ]
    return [
        Frame.from_rgb(rgb, time=Fraction(index, 25), duration=Fraction(1, 25))
        for index, rgb in enumerate(shown)
    ]


def like(frame: Frame, planes) -> Frame:
    return Frame(*planes, frame.time, frame.duration, frame.color)


def noisy(frames, sigma):
    rng = np.random.default_rng(0)
    return [like(frame, with_noise(frame.planes, sigma, rng, frame.color)) for frame in frames]


@pytest.mark.parametrize("sigma", [5, 15, 40])
def test_noise_is_measured(clean, sigma):
    assert noise_in([noisy(clean[:3], sigma)]) == pytest.approx(sigma, rel=0.3)
    assert noise_in([[frame] for frame in noisy(clean[:3], sigma)]) == pytest.approx(sigma, rel=0.3)


def textured(clean, count=3):
    """Grain that was painted onto a thing, which moves: by (1, 2) pixels from frame to frame."""
    painted = np.random.default_rng(1).normal(126, 8, (160, 240))
    painted = (
        painted + np.roll(painted, 1, 1) + np.roll(painted, 1, 0)
    ) / 3  # so that there is a motion to be found
    painted += 40 * np.sin(np.arange(240) / 9) * np.sin(np.arange(160) / 7)[:, None]
    grey = np.full((64, 96), 128, np.uint8)
    return [
        like(
            clean[0],
            (np.rint(painted[step : 128 + step, 2 * step : 192 + 2 * step]).astype(np.uint8), grey, grey),
        )
        for step in range(count)
    ]


def test_texture_that_moves_along_is_none(clean):
    frames = textured(clean)
    alone, together = noise_in([[frame] for frame in frames]), noise_in([frames])
    assert together < 0.4 * alone
    spoiled = noisy(frames, 12)
    assert noise_in([spoiled]) == pytest.approx(12, rel=0.3)


def test_what_shows_nothing_of_the_frame_before_is_judged_alone(clean):
    frame = noisy(clean[:1], 10)[0]
    alone = noise_of(frame)
    other = like(frame, tuple(np.ascontiguousarray(plane[::-1, ::-1]) for plane in frame.planes))
    smaller = like(frame, tuple(np.ascontiguousarray(plane[:16, :16]) for plane in frame.planes))
    for before in (frame, other, smaller):  # shown twice, behind a cut, of another size
        assert noise_in([[before, frame]]) == pytest.approx(alone, rel=0.02)


def test_of_large_pictures_the_middle_is_followed(clean, monkeypatch):
    frames = textured(clean)
    whole = noise_in([frames])
    monkeypatch.setattr(noise, "LOOKED_AT", (64, 96))
    assert noise_in([frames]) == pytest.approx(whole, rel=0.5)
    assert noise_in([noisy(frames, 12)]) == pytest.approx(12, rel=0.3)


@pytest.mark.parametrize("size", [(2, 2), (8, 40), (18, 34), (33, 47)])
def test_any_size_is_judged(clean, size):
    height, width = size
    half = (-(-height // 2), -(-width // 2))
    rng = np.random.default_rng(0)
    frames = [
        like(clean[0], [rng.integers(60, 200, shape, dtype=np.uint8) for shape in (size, half, half)])
        for _ in range(2)
    ]
    assert 0 <= noise_in([frames]) < 200
    flat = [
        like(clean[0], [np.full(shape, 90 + step, np.uint8) for shape in (size, half, half)])
        for step in (0, 1)
    ]
    assert noise_in([flat]) == 0
