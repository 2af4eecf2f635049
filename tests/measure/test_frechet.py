"""Figures of sets: known distances, and what must happen to copies, collapse and shifts."""

import numpy as np
import pytest

from vivae.measure.frechet import compare_sets, frechet_distance


def normal(count, mean=0.0, spread=1.0, seed=0):
    return mean + spread * np.random.default_rng(seed).standard_normal((count, 6))


def test_distance_of_gaussians_is_the_closed_form():
    found = frechet_distance(normal(40_000), normal(40_000, 2.0, 3.0, 1))
    assert found == pytest.approx(6 * (2.0**2 + (3.0 - 1.0) ** 2), rel=0.05)


def test_a_set_is_equal_to_itself():
    same = compare_sets(normal(200), normal(200))
    assert same.frechet == pytest.approx(0, abs=1e-3)
    assert (same.precision, same.recall) == (1.0, 1.0)
    assert same.diversity == pytest.approx(1)


def test_collapse_keeps_precision_and_loses_recall():
    real = normal(300)
    collapsed = real[:1] + 0.01 * normal(300, seed=2)
    found = compare_sets(real, collapsed)
    assert found.precision > 0.9
    assert found.recall < 0.1
    assert found.diversity < 0.05


def test_what_lies_elsewhere_is_neither_real_nor_covering():
    found = compare_sets(normal(200), normal(200, 50.0, seed=3))
    assert found.precision == found.recall == 0.0


def test_tiny_sets_are_refused():
    with pytest.raises(ValueError, match="too small"):
        compare_sets(normal(3), normal(100))
