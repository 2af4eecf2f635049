"""Scenes are what they say, batches are reproducible, and the lesson teaches."""

import cv2
import numpy as np
import pytest
import torch

from vivae.errors import InputError
from vivae.train.composites import make_scene
from vivae.train.motion_lesson import UNKNOWN, FlowELBO, FlowSampler, MotionLesson
from vivae.train.recipe import SceneSettings, SegmenterRecipe, Stage, load_recipe
from vivae.vae.segmenter import FlowSegmenter, SegmenterConfig
from vivae.vae.zoo import load_any, serialise


def texture(seed):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (120, 160)), (0, 0), 1.5)
    return np.clip(120 + 3 * (noise - noise.mean()), 0, 255).astype(np.uint8)


def test_a_scene_without_objects_has_no_labels():
    scene = make_scene(np.random.default_rng(0), [texture(0)], 64, (-1, 0, 1))
    assert scene.frames.shape == (3, 64, 64)
    assert not scene.labels.any()


def test_labels_lie_where_the_surface_is_another():
    """With a bright surface over a dark ground the label is what is bright."""
    shares = []
    for seed in range(4):
        pictures = [np.full((90, 90), 40, np.uint8), np.full((90, 90), 220, np.uint8)]
        scene = make_scene(np.random.default_rng(seed), pictures, 64, (-3, 0, 3))
        shares.append(((scene.frames > 130) == (scene.labels > 0)).mean())
    assert min(shares) > 0.98


class Footage:
    """A passage of frames that pan over a texture."""

    def __init__(self):
        luma = np.stack([texture(1)[:96, index : index + 96] for index in range(12)])
        packed = luma.reshape(12, 24, 4, 24, 4).transpose(0, 2, 4, 1, 3).reshape(12, 16, 24, 24)
        self.frames = np.concatenate([packed, np.full((12, 8, 24, 24), 128, np.uint8)], 1)

    def __len__(self):
        return len(self.frames)


@pytest.fixture
def recipe():
    return SegmenterRecipe(model=SegmenterConfig(widths=(8, 12), depths=(1, 1)), data={"crop": 64})


def sampler_of(recipe, **share):
    return FlowSampler([Footage()], recipe.data, recipe.scenes, Stage(batch=4, frames=1), seed=3, **share)


def test_batches_are_a_function_of_seed_step_and_process(recipe):
    once, again = sampler_of(recipe)(5), sampler_of(recipe)(5)
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    halves = [sampler_of(recipe, rank=rank, world=2)(5) for rank in range(2)]
    for whole, *parts in zip(once, *halves, strict=True):
        assert np.array_equal(whole, np.concatenate(parts))
    # Scenes are known, footage is not.
    assert (once.labels[0] < 2).all()
    assert (once.labels[-1] == UNKNOWN).all()


def test_knowing_what_moves_lowers_the_loss(recipe):
    batch = sampler_of(recipe)(0)
    tensors = [torch.from_numpy(part) for part in batch]

    class Oracle(torch.nn.Module):
        config = recipe.model

        def forward(self, inputs):
            moves = (tensors[3] == 1).float()
            return torch.stack([6 * (1 - 2 * moves), 6 * (2 * moves - 1), torch.full_like(moves, -6)], 1)

    right, told = FlowELBO(Oracle(), 0.8, None)(*tensors)
    plain, _ = FlowELBO(FlowSegmenter(recipe.model), 0.8, None)(*tensors)
    assert right < plain
    assert told["overlap"] > 0.99


def test_steps_lower_the_loss(recipe):
    torch.manual_seed(0)
    model = FlowSegmenter(recipe.model)
    batch = sampler_of(recipe)(1)
    lesson = MotionLesson(model, recipe.scenes.prior, [batch])
    before = lesson.evaluate(model)["test_loss"]
    module = lesson.module(None)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(15):
        loss, _ = module(*lesson.batch(batch, step, torch.Generator()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert lesson.evaluate(model)["test_loss"] < before


def test_models_survive_their_file(recipe, tmp_path):
    model = FlowSegmenter(recipe.model).eval()
    path = tmp_path / "model.safetensors"
    path.write_bytes(serialise(model))
    loaded = load_any(path)
    inputs = torch.randn(1, 9, 20, 20)
    assert torch.allclose(loaded(inputs), model(inputs), atol=2e-2)


def test_the_shipped_recipe_is_valid_and_wrong_ones_are_refused(tmp_path):
    assert load_recipe("recipes/motion.yaml").kind == "segmenter"
    with pytest.raises(ValueError, match="sum to 1"):
        SceneSettings(objects=(0.5, 0.2))
    (tmp_path / "r.yaml").write_text("kind: segmenter\nmodel: {classes: 1}\n")
    with pytest.raises(InputError, match="classes"):
        load_recipe(tmp_path / "r.yaml")
