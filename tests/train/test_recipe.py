"""Recipes: the shipped ones load, and wrong ones say what is wrong in plain words."""

from pathlib import Path

import pytest

from vivae.errors import InputError
from vivae.train.recipe import Recipe, Stage, load_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_load(path):
    recipe = load_recipe(path)
    assert abs(sum(stage.share for stage in recipe.stages) - 1) < 1e-6


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("optimiser: {learning_rate: fast}", "optimiser.learning_rate"),
        ("model: {stride: 5}", "model.stride"),
        ("stages: [{share: 0.4}]", "sum to 1"),
        ("data: {crop: 100}", "multiple of 16"),
        ("data: {resize: 64, crop: 128}", "smaller than crop"),
        ("budget: {epochs: 3}", "budget.epochs: there is no such setting"),
        ("- a\n- b", "mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_wrong_recipes_say_what_is_wrong(text, names, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=names.replace(".", r"\.")) as caught:
        load_recipe(path)
    assert "mine.yaml" in str(caught.value)


def test_a_missing_recipe_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        load_recipe(tmp_path / "none.yaml")


def test_overrides_reach_nested_settings(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("budget: {steps: 10}")
    recipe = load_recipe(path, {"budget.minutes": 2.5, "optimiser.warmup": 3})
    assert (recipe.budget.steps, recipe.budget.minutes, recipe.optimiser.warmup) == (10, 2.5, 3)


def test_stages_follow_their_shares():
    recipe = Recipe(stages=(Stage(share=0.25), Stage(share=0.75, frames=8)))
    found = [recipe.stage_at(step, 8)[0] for step in range(9)]
    assert found == [0, 0, 1, 1, 1, 1, 1, 1, 1]
