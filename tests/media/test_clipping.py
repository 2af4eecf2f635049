"""What noise cut off at black and white has done is taken back."""

import numpy as np
import pytest

from vivae.media import ColorInfo, Frame
from vivae.media.clipping import unclipped

COLOR = ColorInfo.guess(480)


def planes_of(values):
    """A picture of grey columns."""
    rgb = np.repeat(np.asarray(values, np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    return Frame.from_rgb(rgb, COLOR).planes


@pytest.mark.parametrize("noise", [20, 40])
def test_the_mean_of_clipped_noise_becomes_the_value_it_was(noise):
    rng = np.random.default_rng(0)
    true = np.repeat([6, 20, 128, 240, 250], 16)
    noisy = np.clip(np.rint(true + rng.normal(0, noise, (20_000, len(true)))), 0, 255)
    means = planes_of(np.rint(noisy.mean(0)))
    wanted = planes_of(true)
    before, after = (
        np.abs(got[0].astype(int) - wanted[0])[:, 1::16].mean(0)
        for got in (means, unclipped(means, noise, COLOR))
    )
    ends = [0, 1, 3, 4]
    assert (after[ends] < before[ends] / 2).all()
    assert after[2] <= 1


def test_light_noise_and_grey_stay_as_they_are():
    dark, grey = planes_of([4] * 32), planes_of([120] * 32)
    assert unclipped(dark, 4, COLOR) is dark
    for old, new in zip(grey, unclipped(grey, 25, COLOR), strict=True):
        assert np.array_equal(old, new)


def test_black_stays_black_and_white_white():
    ends = planes_of([0] * 16 + [255] * 16)
    for old, new in zip(ends, unclipped(ends, 30, COLOR), strict=True):
        assert np.abs(old.astype(int) - new).max() <= 1
