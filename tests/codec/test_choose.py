"""How many codings a shot is chosen from."""

from dataclasses import replace

import numpy as np
import pytest

from tests.codec.test_plan import shot_of
from vivae.codec import choose
from vivae.codec.choose import Setting, best_coding, effort_of
from vivae.vae.zoo import load_enhancer


def test_every_speed_has_a_meaning():
    efforts = [effort_of(speed) for speed in range(11)]
    for presets in ([effort.preset for effort in efforts], [effort.final for effort in efforts]):
        assert presets == sorted(presets)
    assert all(effort.final <= speed <= effort.preset for speed, effort in enumerate(efforts))
    ways = [len(effort.tools) for effort in efforts]
    assert ways == sorted(ways, reverse=True)
    assert (ways[0], ways[-1]) == (2, 1)


@pytest.fixture
def coded(tmp_path, monkeypatch):
    """codings(setting, speed): the presets at which a shot is coded, and what comes of it."""
    rng = np.random.default_rng(0)
    shot = shot_of(rng.integers(0, 256, (4, 64, 64), np.uint8), tmp_path)
    encode = choose.encode_shots

    def codings(setting, speed, **more):
        made = []

        def watched(shot, bases, *, threads):
            made.extend(base.settings.preset for base in bases)
            return encode(shot, bases, threads=threads)

        monkeypatch.setattr(choose, "encode_shots", watched)
        effort = replace(effort_of(speed), **more)
        return made, best_coding(shot, setting, effort, load_enhancer("upscale"), threads=1)

    return codings


def test_what_is_settled_is_coded_once(coded):
    made, found = coded(Setting(30.0, slope=4.0), 6)
    assert made == [4]
    assert (found.base.settings.preset, found.base.settings.depth) == (4, 10)


def test_of_two_ways_the_better_stays_and_a_known_slope_saves_the_tries(coded):
    tools = ((8, ""), (8, "hierarchical-levels=4"))
    known, by_known = coded(Setting(30.0, slope=4.0), 8, tools=tools)
    found, by_tries = coded(Setting(30.0), 8, tools=tools)
    assert known == [6, 6]
    assert found == [8, 8, 6, 6]
    assert {by_known.base.settings.extra, by_tries.base.settings.extra} <= {extra for _, extra in tools}
