"""`import vivae` is quick and complete; the documents agree with the code."""

import subprocess
import sys
from pathlib import Path

import pytest

import vivae
from vivae.app.cli import app

ROOT = Path(__file__).parents[2]


def modules_after(code):
    out = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(out.stdout.split())


@pytest.mark.parametrize("code", ["import vivae", "import vivae.app.cli", "import vivae.__main__"])
def test_torch_is_not_loaded_before_it_is_needed(code):
    assert modules_after(code).isdisjoint({"torch", "cv2", "av", "scipy"})


def test_media_knows_nothing_of_models():
    assert "torch" not in modules_after("import vivae.media")


@pytest.mark.parametrize("name", vivae.__all__)
def test_every_public_name_is_there(name):
    assert callable(getattr(vivae, name))
    assert name in dir(vivae)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_like_it"):
        vivae.nothing_like_it  # noqa: B018


def verbs():
    """`info`, `bench vae`, ..."""
    groups = {"": app} | {f"{group.name} ": group.typer_instance for group in app.registered_groups}
    return [
        prefix + (command.name or command.callback.__name__)
        for prefix, group in groups.items()
        for command in group.registered_commands
    ]


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_is_a_function_of_the_package(verb):
    name = verb.replace(" ", "_")
    assert callable(getattr(vivae, name))
    assert name in vivae.__all__


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_is_documented(verb):
    assert f"## vivae {verb}" in (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
