"""Passages of a stream: every frame once, in order, none across a cut, memory bounded."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from vivae.media import ColorInfo, Frame
from vivae.tasks.restore import BEGINNING, Family, Plan, Restorer, State
from vivae.tasks.stage import COPIES, ROOM_BYTES, Item, Passage
from vivae.train.disturb import with_noise


def frame(number, size=(48, 64)):
    height, width = size
    rng = np.random.default_rng(5)
    wide = np.kron(rng.integers(60, 190, (height // 8, width // 8 + 4)), np.ones((8, 8))).astype(np.uint8)
    grey = np.full((height // 2, width // 2), 128, np.uint8)
    planes = wide[:, number : number + width], grey, grey
    noisy = with_noise(tuple(np.ascontiguousarray(p) for p in planes), 25, np.random.default_rng(number))
    return Frame(*noisy, Fraction(number, 25), Fraction(1, 25), ColorInfo.guess(480))


def items(count, cuts=(0,)):
    made = frame(0)
    for index in range(count):
        yield Item(made.planes, replace(made, time=Fraction(index)), index in cuts)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 12, 13])
@pytest.mark.parametrize("cuts", [(0,), (0, 1), (0, 5, 6), ()])
@pytest.mark.parametrize("passage", [Passage(1, 1), Passage(4, 2), Passage(3, 1), Passage(2, 3)])
def test_passages_are_the_stream(passage, cuts, count):
    found = list(passage.each(items(count, cuts)))
    own = [item.source.time for _, part, _ in found for item in part]
    assert own == list(range(count))
    for first, part, coming in found:
        assert first == part[0].source.time
        assert 1 <= len(part) <= passage.length
        together = [item.source.time for item in part + coming]
        assert together == list(range(first, first + len(together)))
        assert not any(item.restart for item in (part + coming)[1:])
        end = first + len(part)
        left = min([cut for cut in cuts if end <= cut < count] or [count]) - end
        assert len(coming) == min(left, passage.coming)


def test_no_more_is_read_than_a_passage_asks_for():
    read = []

    def noted():
        for item in items(50):
            read.append(item)
            yield item

    for first, _, _ in Passage(4, 2).each(noted()):
        assert len(read) == min(first + 6, 50)


@pytest.mark.parametrize("side", [64, 4096, 16384])
def test_large_frames_make_passages_shorter(side):
    planes = tuple(np.broadcast_to(np.uint8(0), (wide, wide)) for wide in (side, side // 2, side // 2))
    passage = Passage(24, 8).within(planes)
    assert passage.length >= 1
    assert passage.coming >= 1
    if side == 64:
        assert passage == (24, 8)
    else:
        assert passage.whole == 2 or COPIES * passage.whole * side * side * 1.5 <= ROOM_BYTES


@pytest.mark.parametrize("best", [False, True])
def test_a_run_goes_on_from_any_frame_as_if_never_interrupted(best):
    family = Family(best=best, passage=Passage(4, 2))
    frames = [(frame(number), number in (0, 6)) for number in range(9)]

    def restored(state=BEGINNING, skip=0):
        return list(Restorer(Plan(noise=25), family, state).run(frames, skip))

    whole = restored()
    assert len(whole) == len(frames)
    for skip in (2, 4, 6, 8):
        rest = restored(State(whole[skip - 1].state.memories), skip)
        assert len(rest) == len(frames) - skip
        for one, other in zip(whole[skip:], rest, strict=True):
            assert all(
                np.array_equal(a, b) for a, b in zip(one.frame.planes, other.frame.planes, strict=True)
            )
