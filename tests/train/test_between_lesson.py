"""Teaching frames between others."""

import numpy as np
import pytest
import torch

from tests.vae.test_between import TINY
from vivae.train.between_lesson import BetweenLesson, PassageSampler
from vivae.train.data_settings import DataSettings
from vivae.train.dataset import Passage
from vivae.train.recipe import Stage
from vivae.vae.middle import MiddleFrame


@pytest.fixture
def sampler(tmp_path):
    """Of smooth waves that travel, a frame in twelve further."""
    rows, columns = np.mgrid[:64, :96]
    frames = []
    for step in range(18):
        y = 120 + 60 * np.sin((columns + 2 * step) / 9) * np.cos(rows / 7)
        blocks = y.reshape(16, 4, 24, 4).transpose(1, 3, 0, 2).reshape(16, 16, 24)
        frames.append(np.concatenate([blocks, np.full((8, 16, 24), 120.0)]))
    array = np.rint(frames).astype(np.uint8)
    path = tmp_path / "waves.packed"
    path.write_bytes(array.tobytes())
    passage = Passage(path, array.shape, 0, len(array), "waves")
    return PassageSampler([passage], DataSettings(crop=32), (1, 2), Stage(batch=2, frames=1), seed=0)


def test_passages_are_a_function_of_the_step(sampler):
    assert sampler(0).shape == (2, 5, 24, 8, 8)
    assert np.array_equal(sampler(3), sampler(3))
    assert not np.array_equal(sampler(3), sampler(4))


def test_a_fresh_model_gains_nothing_and_a_taught_one_does(sampler):
    torch.manual_seed(0)
    lesson = BetweenLesson(MiddleFrame(TINY), [sampler(0)])
    module = lesson.module(None)
    assert lesson.evaluate(lesson.model)["test_gain_db"] == pytest.approx(0, abs=1e-4)
    optimiser = torch.optim.Adam(lesson.model.parameters(), 3e-3)
    for _ in range(40):
        optimiser.zero_grad()
        loss, _ = module(*lesson.batch(sampler(0), 0, torch.Generator()))
        loss.backward()
        optimiser.step()
    assert lesson.evaluate(lesson.model)["test_gain_db"] > 0.1


def test_of_more_crops_the_liveliest_is_taken(sampler):
    def liveliness(lively):
        sampler.lively = lively
        ends = np.concatenate([sampler(step)[:, 1:4:2] for step in range(8)]).astype(int)
        return np.abs(ends[:, 0] - ends[:, 1]).mean()

    assert liveliness(4) > liveliness(1)
