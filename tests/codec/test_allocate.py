"""Allocation: the constraints hold, and no other choice would have been cheaper (checked by trying them all)."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivae.codec.allocate import Menu, Option, cheapest, interpolated


def curve(scale, steepness, count=7):
    """Options of a concave curve, from cheap to dear."""
    return tuple(Option(scale * 1.5**index, 100 - steepness * 0.7**index, index) for index in range(count))


@given(
    st.lists(st.tuples(st.floats(1, 100), st.floats(5, 90), st.integers(1, 9)), min_size=1, max_size=4),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_constraints_hold_and_little_is_wasted(shots, share, floor_share):
    menus = [Menu(weight, curve(scale, steepness)) for scale, steepness, weight in shots]
    weights = [menu.weight for menu in menus]

    def mean(options):
        return sum(o.quality * w for o, w in zip(options, weights, strict=True)) / sum(weights)

    best = mean([menu.options[-1] for menu in menus])
    least = mean([menu.options[0] for menu in menus])
    wanted = least + share * (best - least)
    floor = floor_share * min(menu.options[-1].quality for menu in menus)
    chosen = cheapest(menus, wanted, floor)
    assert mean(chosen) >= wanted - 1e-9
    assert min(option.quality for option in chosen) >= floor
    every = [
        sum(option.bits for option in options)
        for options in product(*(menu.options for menu in menus))
        if mean(options) >= wanted and min(option.quality for option in options) >= floor
    ]
    # A common price finds the convex hull; between its corners the steps of the options cost something.
    largest_step = max(menu.options[-1].bits - menu.options[-2].bits for menu in menus)
    assert sum(option.bits for option in chosen) <= min(every) + largest_step + 1e-6


def test_bits_go_where_quality_is_cheap():
    cheap, dear = curve(1, 60), curve(50, 60)
    usual = (cheap[3], dear[3])
    mean = (usual[0].quality + usual[1].quality) / 2
    chosen = cheapest([Menu(1, cheap), Menu(1, dear)], mean, 0)
    assert chosen[0].what > 3 > chosen[1].what
    assert sum(option.bits for option in chosen) < sum(option.bits for option in usual)


def test_what_cannot_be_reached_is_approached():
    menu = Menu(1, curve(1, 60))
    assert cheapest([menu], 1000, 1000) == [menu.options[-1]]


def test_interpolation_meets_the_probes_and_stays_monotone():
    probes = [(30.0, 9000.0, 95.0), (40.0, 3000.0, 90.0), (50.0, 800.0, 70.0)]
    between = interpolated(probes, 0.5)
    table = {setting: (bits, quality) for setting, bits, quality in between}
    for setting, bits, quality in probes:
        assert table[setting] == pytest.approx((bits, quality))
    assert (np.diff([bits for _, bits, _ in between]) < 0).all()
    assert (np.diff([quality for _, _, quality in between]) < 0).all()


def test_one_probe_is_one_option():
    assert interpolated([(30.0, 9.0, 5.0)], 0.5) == [(30.0, 9.0, 5.0)]
