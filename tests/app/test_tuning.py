"""`tune`: a study that goes on, gives a recipe that trains, and says what it tried."""

import math

import pytest
import yaml

from vivae.app.tuning import tune
from vivae.errors import InputError
from vivae.media import open_video, open_writer
from vivae.train.recipe import load_recipe

RECIPE = """
model:
  {name: mine, stride: 8, latent_channels: 6, nested: [2], widths: [8, 16], encoder_depths: [0, 1],
   decoder_depths: [0, 1], memory_channels: 4, prior_width: 8}
data: {crop: 32, downscale: 8, min_side: 32, max_frames: 12}
stages: [{batch: 2, frames: 2}]
optimiser: {warmup: 2, ema: 0.9}
budget: {steps: 4, evaluate_every: 2}
"""


@pytest.fixture(scope="module")
def clip(bikes, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    with open_video(bikes, end=0.5) as reader:
        info = reader.info
        with open_writer(
            path, width=info.width, height=info.height, fps=info.fps, color=info.color, codec="h264"
        ) as writer:
            for frame in reader:
                writer.write(frame)
    return path


def test_a_study_goes_on_and_writes_a_recipe(clip, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(RECIPE)
    first = tune(recipe, clip, trials=1, output=tmp_path / "study")
    assert first["settings"]["width"] == 1.0  # the recipe as it is comes first
    told = tune(recipe, clip, trials=3, output=tmp_path / "study")
    assert told["trials"] == 3
    assert told["test_loss"] <= first["test_loss"]
    winner = load_recipe(told["recipe"])
    assert winner.optimiser.learning_rate == pytest.approx(told["settings"]["learning_rate"])
    assert yaml.safe_load((tmp_path / "study" / "best.yaml").read_text())["model"]["name"] == "mine"
    assert (tmp_path / "study" / "report.md").read_text().count("complete") >= 1
    again = tune(recipe, clip, trials=3, output=tmp_path / "study")
    assert again["trials"] == 3


def test_short_trials_are_measured_although_the_recipe_would_measure_later(clip, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(RECIPE.replace("evaluate_every: 2", "evaluate_every: 250"))
    told = tune(recipe, clip, trials=1, steps=3, output=tmp_path / "study")
    assert math.isfinite(told["test_loss"])


def test_no_trials_are_refused(clip, tmp_path):
    with pytest.raises(InputError, match="trial"):
        tune("domain", clip, trials=0, output=tmp_path / "study")


def test_a_generator_without_a_flow_has_nothing_to_tune(clip, tmp_path):
    recipe = tmp_path / "still.yaml"
    recipe.write_text(
        "kind: generator\n"
        "model: {vae: {kind: linear}, flow: null, states: {width: 0}}\n"
        "stages: [{part: vae, share: 0.5}, {part: states, share: 0.5}]\n"
    )
    with pytest.raises(InputError, match="no flow"):
        tune(recipe, clip, output=tmp_path / "study")
    assert not (tmp_path / "study").exists()
