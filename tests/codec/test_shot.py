"""A shot through AV1 several times at once."""

import numpy as np
import pytest

from tests.codec.test_plan import shot_of
from vivae.codec import shot as shots
from vivae.codec.shot import Base, encode_shot, encode_shots
from vivae.errors import VivaeError
from vivae.media.av1 import Av1Settings

BASES = [Base(Av1Settings(40, 10)), Base(Av1Settings(50, 10)), Base(Av1Settings(35, 10), 2.0)]


@pytest.fixture
def street(tmp_path):
    rng = np.random.default_rng(5)
    wide = np.kron(rng.integers(30, 220, (9, 20)), np.ones((16, 16))).astype(np.uint8)
    return shot_of(np.stack([wide[:, 3 * step : 3 * step + 192] for step in range(12)]), tmp_path)


@pytest.mark.parametrize(("threads", "largest"), [(2, 10**6), (2, 10), (1, 10**6)])
def test_beside_each_other_or_not_gives_the_same(street, threads, largest, monkeypatch):
    monkeypatch.setattr(shots, "BESIDE_UP_TO", largest)
    assert encode_shots(street, BASES, threads=threads) == [
        encode_shot(street, base, None, threads=threads) for base in BASES
    ]


def test_where_one_fails_the_others_are_not_finished(street, monkeypatch):
    read = []
    until = shots._until

    def slow(stopped, frames):
        """All but the first frame wait for the failure."""
        for number, frame in enumerate(until(stopped, frames)):
            read.append(number)
            yield frame
            assert stopped.wait(60)

    def failing(base, display):
        if base == BASES[2]:
            raise VivaeError("no")
        return display

    monkeypatch.setattr(shots, "_until", slow)
    monkeypatch.setattr(Base, "picture", failing)
    with pytest.raises(VivaeError, match="no"):
        encode_shots(street, [BASES[0], BASES[2]], threads=2)
    assert read in ([], [0])
