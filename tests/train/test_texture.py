"""Teaching texture: what is paid, and what is left of it in the model."""

import numpy as np
import pytest
import torch

from tests.train.test_lpips import drawn_weights, installed  # noqa: F401 (a fixture)
from vivae.errors import InputError
from vivae.train.critic import Taught
from vivae.train.degrade import PairBatch
from vivae.train.enhance_lesson import EnhanceLesson
from vivae.train.recipe import load_recipe
from vivae.vae.enhancer import Enhancer, EnhancerConfig, Known


def crops(seed, degraded_by):
    """Two clips of three frames, and one to come, of 128 pixels."""
    rng = np.random.default_rng(seed)
    clean = rng.integers(60, 200, (2, 4, 24, 32, 32), dtype=np.uint8)
    noise = rng.normal(0, degraded_by, clean.shape)
    degraded = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
    return PairBatch(degraded, clean[:, :3], np.array([Known()] * 2, np.float32), np.zeros((2, 2), np.int64))


def test_looks_and_a_critic_are_paid_and_learn(installed):  # noqa: F811
    installed(drawn_weights())
    torch.manual_seed(2)
    batch = crops(1, 12.0)
    lesson = EnhanceLesson(Enhancer(EnhancerConfig()), [batch], perceptual=1.0, adversarial=0.1)
    assert isinstance(lesson.model, Taught)
    module = lesson.module(None)
    drawn = lesson.batch(batch, 0, torch.Generator().manual_seed(0))
    loss, figures = module(*drawn)
    loss.backward()
    assert figures["lpips"] > 0
    # Both learn by the one loss, each from its own part of it.
    assert lesson.model.critic.layers[0].weight.grad.abs().max() > 0
    assert lesson.model.model.tail.weight.grad.abs().max() > 0
    plain = EnhanceLesson(lesson.enhancer, [batch]).module(None)
    assert plain(*drawn)[0] != loss
    assert {"test_loss", "test_gain_db", "test_lpips", "test_critic"} == {*lesson.evaluate(lesson.model)}


def test_without_it_nothing_else_is_held():
    model = Enhancer(EnhancerConfig())
    lesson = EnhanceLesson(model, [])
    assert lesson.model is model


def test_a_critic_alone_is_refused(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("kind: enhancer\nadversarial: 0.1\n")
    with pytest.raises(InputError, match="perceptual"):
        load_recipe(path)
