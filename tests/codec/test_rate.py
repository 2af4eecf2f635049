"""The search for a size, on functions whose answer is known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivae.codec.rate import Extent, Search, Target
from vivae.codec.records import QUALITY_UNITS
from vivae.errors import InputError

EXTENT = Extent(frames=100, width=64, height=48, seconds=4.0)


@given(st.floats(2.0, 9.0), st.floats(-0.3, 0.3), st.floats(0.02, 0.98), st.integers(0, QUALITY_UNITS))
def test_bent_curves_are_met_in_few_tries(doublings, bend, position, first):
    def excess(unit):
        share = unit / QUALITY_UNITS
        return 2 ** (
            doublings * (share - position + bend * (share * (1 - share) - position * (1 - position)))
        )

    search = Search(excess, 0.025)
    found = search.run(first, tries=8)
    assert abs(math.log2(search.found[found])) <= math.log2(1.025)


def test_each_quality_is_measured_once():
    asked = []
    search = Search(lambda unit: asked.append(unit) or (2.0 if unit > 5000 else 0.5), 0.01)
    search.run(5000, tries=40)
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize(("excess", "end"), [(4.0, 0), (0.2, QUALITY_UNITS)])
def test_out_of_reach_ends_at_the_border(excess, end):
    search = Search(lambda unit: excess * 2 ** (unit / QUALITY_UNITS - 0.5), 0.025)
    assert search.run(QUALITY_UNITS // 2, tries=8) == end


def test_targets_in_bytes():
    assert EXTENT.raw_bytes == 100 * 64 * 48 * 3 // 2
    assert Target(ratio=10).bytes(EXTENT) == EXTENT.raw_bytes / 10
    assert Target(bitrate=8000).bytes(EXTENT) == 4000
    assert Target(size=123).bytes(EXTENT) == 123
    assert Target(quality=100).units == QUALITY_UNITS
    assert Target().units == round(QUALITY_UNITS / 2)
    assert Target(size=5).units is None


@pytest.mark.parametrize(
    "given_",
    [
        {"quality": 1, "size": 2},
        {"ratio": 1, "bitrate": 3},
        {"size": 0},
        {"ratio": -3},
        {"bitrate": math.inf},
        {"quality": 101},
        {"quality": -1},
        {"quality": math.nan},
        {"ratio": math.nan},
    ],
)
def test_other_targets_are_refused(given_):
    with pytest.raises(InputError):
        Target(**given_)
