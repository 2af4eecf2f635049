"""Training a generator from its recipe: both kinds, part after part, resumed, and with a critic."""

import json

import numpy as np
import pytest
import yaml

from tests.train.test_composed import write_mnist
from tests.vae.generators import ALL
from vivae.app.training import train
from vivae.errors import InputError
from vivae.train.recipe import GeneratorRecipe, load_recipe
from vivae.vae.zoo import load_generator, notes_of


def recipe(tmp_path, kind, **changes):
    settings = {
        "kind": "generator",
        "model": ALL[kind],
        "optimiser": {"warmup": 2, "ema": 0.9, "learning_rate": 3e-3},
        "stages": [
            {"part": "vae", "share": 0.5, "batch": 4, "frames": 4},
            {"part": "prior", "share": 0.5, "batch": 4, "frames": 2, "restart": True},
        ],
        "budget": {"steps": 12, "evaluate_every": 6, "patience": None},
        "precision": "float32",
    }
    if kind == "things":
        settings["composed"] = {"speed": 2.0}
        settings["model"] = settings["model"] | {"vae": settings["model"]["vae"] | {"labels": 10}}
    else:
        settings["data"] = {"resize": 48, "crop": 32, "max_frames": 60, "test_share": 0.4}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings | changes))
    return path


@pytest.fixture
def digits(tmp_path):
    folder = tmp_path / "digits"
    folder.mkdir()
    write_mnist(folder)
    return folder


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_things_are_learned_and_saved(tmp_path, digits):
    out = tmp_path / "run"
    told = train(recipe(tmp_path, "things"), digits, output=out)
    assert told["test_flow"] > 0
    made = load_generator(out)
    assert made.get_buffer("measured")
    assert made.get_buffer("path_spread").min() > 0
    assert notes_of(out)["processor_minutes"] >= 0
    lines = log_of(out)
    assert "placing" in lines[0]
    assert "flow" in lines[-1]
    # The learning rate begins anew with the prior.
    rates = [line["learning_rate"] for line in lines]
    assert rates[6] == pytest.approx(rates[0])


def test_a_resumed_training_of_a_generator_goes_on(tmp_path, digits):
    chosen = recipe(tmp_path, "things")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(chosen, digits, output=whole)

    class Stop(Exception):
        pass

    def stop(step, steps, figures):
        if step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(chosen, digits, output=broken, overrides={"budget.checkpoint_minutes": 1e-9}, watch=stop)
    train(
        chosen,
        digits,
        output=broken,
        resume=True,
        overrides={"budget.checkpoint_minutes": 1e-9},
    )
    for name, value in load_generator(whole).state_dict().items():
        assert np.allclose(value, load_generator(broken).state_dict()[name], atol=1e-3), name


@pytest.mark.parametrize("adversarial", [0.0, 0.1])
def test_footage_is_learned(tmp_path, bikes, adversarial):
    out = tmp_path / "run"
    told = train(
        recipe(tmp_path, "window", objective={"adversarial": adversarial}), bikes, output=out, steps=8
    )
    assert told["test_flow"] > 0
    figures = log_of(out)[0]
    assert ("critic" in figures) == bool(adversarial)
    # The scene is a picture of the footage, and the critic is not part of what is saved.
    made = load_generator(out)
    assert made.vae.scene.std() > 0.1
    assert not [name for name in made.state_dict() if "critic" in name]


@pytest.mark.parametrize("kind", ALL)
def test_a_state_space_is_taught_to_what_has_none(tmp_path, digits, bikes, kind):
    data = digits if kind == "things" else bikes
    first = tmp_path / "first"
    train(recipe(tmp_path, kind), data, output=first, steps=4)
    assert not load_generator(first).streams
    settings = recipe(
        tmp_path,
        kind,
        model=yaml.safe_load((tmp_path / "recipe.yaml").read_text())["model"]
        | {"states": {"rank": 4, "width": 8 if kind == "things" else 0}},
        stages=[{"part": "states", "share": 1.0, "batch": 8, "frames": 2}],
        start_from=str(first),
    )
    told = train(settings, data, output=tmp_path / "second", steps=4)
    assert np.isfinite(told["test_states"])
    made, before = load_generator(tmp_path / "second"), load_generator(first)
    assert made.streams
    for name, value in before.state_dict().items():  # the rest stays as it was
        assert np.array_equal(value, made.state_dict()[name]), name


@pytest.mark.parametrize(
    "changes",
    [
        {"composed": None},
        {"objective": {"adversarial": 1.0}},
        {"model": ALL["window"]},
        {"stages": [{"part": "both", "share": 1.0}]},
        {"stages": [{"part": "states", "share": 1.0}]},
        {"model": ALL["things"] | {"flow": None}},
    ],
)
def test_recipes_that_contradict_themselves_are_refused(tmp_path, changes):
    with pytest.raises(InputError, match="wrong setting"):
        load_recipe(recipe(tmp_path, "things", **changes))


def test_frames_smaller_than_the_model_are_told(tmp_path, bikes):
    chosen = recipe(
        tmp_path,
        "window",
        data={"resize": 32, "crop": 32, "max_frames": 60},
        model=ALL["window"] | {"vae": ALL["window"]["vae"] | {"height": 64}},
    )
    with pytest.raises(InputError, match="smaller than the model"):
        train(chosen, bikes, output=tmp_path / "run")


@pytest.mark.parametrize("name", ["generate-mnist", "generate-natural", "generate-ocean"])
def test_shipped_recipes_are_sound(name):
    from vivae.app.training import find_recipe

    assert isinstance(load_recipe(find_recipe(name)), GeneratorRecipe)
