"""Motion between pictures that are known badly: settled, it explains them better, and stands still where they do."""

import cv2
import numpy as np
import pytest

from vivae.vae.motion import Motion, absolute_places, settled


def texture(seed, height=160, width=240):
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(0, 256, (height, width), np.uint8), (0, 0), 2)


def noisy(picture, sigma, seed):
    rng = np.random.default_rng(seed)
    return np.clip(picture + rng.normal(0, sigma, picture.shape), 0, 255).astype(np.uint8)


def error(here, there, flow):
    places = absolute_places(flow, here.shape[1], here.shape[0])
    seen = cv2.remap(there, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return float(np.mean((here.astype(np.float32) - seen) ** 2))


def test_what_stands_still_is_not_led_astray_by_noise():
    scene = texture(1)
    here, there = noisy(scene, 25, 2), noisy(scene, 5, 3)
    sought = Motion().between(here, there)
    found = settled(here, there, sought)
    assert np.abs(sought).mean() > 0.1
    assert np.abs(found).mean() < np.abs(sought).mean() / 4


@pytest.mark.parametrize("step", [3, 7])
def test_things_before_a_background_are_explained_better(step):
    def scene(left):
        picture = texture(4)
        picture[50:110, left : left + 70] = texture(5)[:60, :70]
        return picture

    here, there = scene(60), scene(60 + step)
    sought = Motion().between(here, there)
    assert error(here, there, settled(here, there, sought)) < 0.8 * error(here, there, sought)


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (33, 47), (90, 8)])
def test_any_size(shape):
    here, there = (np.random.default_rng(seed).integers(0, 256, shape, np.uint8) for seed in (1, 2))
    flow = Motion().between(here, there)
    found = settled(here, there, flow)
    assert found.shape == (*shape, 2)
    assert np.isfinite(found).all()
    assert np.array_equal(settled(here, here, flow), np.zeros_like(flow))
