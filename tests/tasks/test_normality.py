"""Points that are like no other clip's are not believed; thresholds follow the false alarms that are tolerated."""

import numpy as np
import pytest

from vivae.tasks.normality import Normality, smoothed, trusted
from vivae.tasks.regions import NOTHING, View
from vivae.vae.region import RegionVAE


@pytest.fixture
def normality():
    view = View(np.zeros((60, 80), np.uint8), 0.1, 10.0)
    found = Normality(view, RegionVAE().eval(), np.zeros((4, 7), np.float32))
    found.scores = np.sort(np.random.default_rng(0).exponential(0.2, 5000)).astype(np.float32)
    return found


def test_what_only_one_clip_shows_is_not_believed():
    rng = np.random.default_rng(0)
    points = rng.normal(0, 1, (1000, 7)).astype(np.float32)
    clips = np.repeat(np.arange(10), 100)
    points[300:310] += 20
    believed = trusted(points, clips)
    assert not believed[300:310].any()
    assert believed.mean() > 0.95
    assert trusted(points, np.zeros(1000, np.intp)).all()  # one clip: nothing to compare with


def test_fewer_false_alarms_need_a_higher_threshold(normality):
    thresholds = [normality.threshold(per_hour)[0] for per_hour in (100, 10, 1, 0.1)]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < normality.scores[-1] < thresholds[-1]


def test_nothing_that_moves_has_no_signs(normality):
    assert normality.signs(NOTHING).shape == (0, 2)
    assert normality.parts(normality.signs(NOTHING)).shape == (0, 2)


def test_smoothing_is_a_mean_over_neighbours():
    scores = np.random.default_rng(1).normal(0, 1, 20)
    slow = [scores[max(0, k - 3) : k + 4].mean() for k in range(20)]
    assert smoothed(scores, 3) == pytest.approx(np.array(slow))
