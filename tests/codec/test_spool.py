"""Shots on disk: nothing is lost or changed, cuts are where they are, nothing stays behind."""

from fractions import Fraction

import numpy as np
import pytest

from vivae.codec.spool import SHORTEST, shots_of
from vivae.media import ColorInfo, Frame, Picture

COLOR = ColorInfo.guess(38)
PICTURE = Picture(50, 38, Fraction(25), COLOR)


def scene(seed, frames, first):
    """A picture that moves a little: 50x38, odd chroma."""
    rng = np.random.default_rng(seed)
    wide = np.kron(rng.integers(0, 255, (8, 14)), np.ones((6, 6))).astype(np.uint8)
    for index in range(frames):
        y = wide[:38, index // 3 : index // 3 + 50]
        u, v = (rng.integers(0, 255, (19, 25), dtype=np.uint8) for _ in range(2))
        yield Frame(y, u, v, Fraction(first + index, 25), Fraction(1, 25), COLOR)


def clip(*lengths):
    frames = []
    for seed, length in enumerate(lengths):
        frames += scene(seed, length, len(frames))
    return frames


def test_cuts_are_found_and_frames_kept(tmp_path):
    frames = clip(20, 12, 30)
    lengths, seen, last = [], [], []
    for shot in shots_of(frames, PICTURE, tmp_path, 100):
        assert shot.first == len(seen)
        seen += zip(shot, shot.times, strict=True)
        lengths.append(len(shot))
        last.append(shot.last)
    assert lengths == [20, 12, 30]
    assert last == [False, False, True]
    for frame, (planes, (time, duration)) in zip(frames, seen, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(frame.planes, planes, strict=True))
        assert (time, duration) == (frame.time, frame.duration)
    assert not list(tmp_path.iterdir())


def test_long_shots_are_divided_and_short_ones_joined(tmp_path):
    lengths = [len(shot) for shot in shots_of(clip(25, SHORTEST - 3, 20), PICTURE, tmp_path, 10)]
    assert max(lengths) == 10
    assert sum(lengths) == 25 + SHORTEST - 3 + 20


def test_parts_are_what_iterating_gives(tmp_path):
    walk = shots_of(clip(9), PICTURE, tmp_path, 100)  # held: what it made goes with it
    shot = next(walk)
    whole = list(shot)
    part = list(shot.part(3, 7))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(whole[3:7], part, strict=True))


@pytest.mark.parametrize("frames", [0, 1])
def test_none_and_one(tmp_path, frames):
    assert [len(shot) for shot in shots_of(clip(frames), PICTURE, tmp_path, 100)] == [1] * frames


def test_an_abandoned_walk_leaves_nothing(tmp_path):
    walk = shots_of(clip(20, 20), PICTURE, tmp_path, 100)
    next(walk)
    walk.close()
    assert not list(tmp_path.iterdir())
