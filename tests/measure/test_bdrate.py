"""Curves whose distance is known, and what happens where two curves can hardly be compared."""

import math
from itertools import pairwise

import bjontegaard as package
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vivae.measure.bdrate import bjontegaard, rate_at

CURVE = [(0.02, 29.1), (0.05, 32.4), (0.11, 35.0), (0.21, 37.3), (0.43, 40.2), (0.9, 42.0)]


@given(st.floats(0.2, 5.0))
def test_a_constant_rate_factor_is_found_exactly(factor: float) -> None:
    delta = bjontegaard(CURVE, [(rate * factor, quality) for rate, quality in CURVE])
    assert delta is not None
    assert delta.rate_percent == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert delta.overlap == 1


@given(st.floats(-2.0, 2.0))
def test_a_constant_quality_gain_is_found_exactly(gain: float) -> None:
    delta = bjontegaard(CURVE, [(rate, quality + gain) for rate, quality in CURVE])
    assert delta is not None
    assert delta.quality == pytest.approx(gain, abs=1e-9)
    assert delta.low == pytest.approx(29.1 + max(gain, 0))
    assert delta.high == pytest.approx(42.0 + min(gain, 0))


def test_straight_lines_have_the_distance_of_their_formula() -> None:
    """log2 rate = q and log2 rate = 1.5 q - 1 on 0 <= q <= 4: the mean difference of logs is (0.5 q - 1) = 0."""
    qualities = np.linspace(0, 4, 6)
    steep = [(2 ** (1.5 * q - 1), q) for q in qualities]
    plain = [(2**q, q) for q in qualities]
    delta = bjontegaard(plain, steep)
    assert delta is not None
    assert delta.rate_percent == pytest.approx(0, abs=1e-9)


def test_swapping_the_curves_inverts_the_ratio() -> None:
    other = [(rate * (1 + 0.1 * quality / 40), quality + 0.3) for rate, quality in CURVE]
    there, back = bjontegaard(CURVE, other), bjontegaard(other, CURVE)
    assert there is not None
    assert back is not None
    assert (1 + there.rate_percent / 100) * (1 + back.rate_percent / 100) == pytest.approx(1)


def test_points_that_cost_more_and_give_less_are_left_out_and_order_does_not_matter() -> None:
    spoiled = [(0.5, 36.0), *reversed(CURVE), (0.3, 37.0)]
    delta = bjontegaard(CURVE, spoiled)
    assert delta is not None
    assert delta.rate_percent == pytest.approx(0, abs=1e-9)


def test_curves_apart_cannot_be_compared() -> None:
    assert bjontegaard(CURVE, [(0.1, 50.0), (0.2, 52.0)]) is None
    apart_in_rate = bjontegaard(CURVE, [(rate * 1000, quality) for rate, quality in CURVE])
    assert apart_in_rate is not None
    assert math.isnan(apart_in_rate.quality)


def test_too_few_points_and_impossible_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="two points"):
        bjontegaard(CURVE, [(0.1, 30.0), (0.2, 30.0)])
    with pytest.raises(ValueError, match="logarithm"):
        bjontegaard(CURVE, [(0.0, 30.0), (0.2, 31.0)])


@given(
    st.lists(st.floats(0.6, 1.6), min_size=6, max_size=6),
    st.lists(st.floats(-0.8, 0.8), min_size=6, max_size=6),
)
def test_it_agrees_with_the_bjontegaard_package(factors: list[float], gains: list[float]) -> None:
    other = sorted(
        (rate * f, quality + g) for (rate, quality), f, g in zip(CURVE, factors, gains, strict=True)
    )
    rates, qualities = zip(*other, strict=True)
    assume(all(a < b for a, b in pairwise(rates)) and all(a < b for a, b in pairwise(qualities)))
    ours = bjontegaard(CURVE, other)
    assert ours is not None
    rate_a, quality_a = zip(*CURVE, strict=True)
    theirs = package.bd_rate(rate_a, quality_a, rates, qualities, method="pchip", min_overlap=0)
    assert ours.rate_percent == pytest.approx(theirs, abs=1e-6)


def test_a_rate_is_read_from_the_curve_and_not_beyond_it():
    curve = [(100.0, 30.0), (200.0, 33.0), (400.0, 36.0), (390.0, 35.0), (420.0, 35.5)]
    assert rate_at(curve, 33.0) == pytest.approx(200)
    assert 200 < rate_at(curve, 34.0) < 390
    assert rate_at(curve, 29.9) is None
    assert rate_at(curve, 36.1) is None
