"""`--help` of every verb shows an example that works, and wrong usage is answered with one line that teaches."""

import re
import shlex

import pytest
import typer

from vivae.app.cli import app
from vivae.app.console import run
from vivae.app.verbs import EXAMPLES, every_verb, example_of

VERBS = dict(every_verb(typer.main.get_command(app)))
SHOWN = {verb: example for panel in EXAMPLES.values() for verb, example in panel.items()}


@pytest.fixture
def vivae_says(capsys, monkeypatch):
    """A function of a command line: the exit code, and stdout and stderr together."""
    monkeypatch.setenv("COLUMNS", "400")

    def says(*words):
        code = run(app, list(words))
        return code, "".join(capsys.readouterr())

    return says


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_that_parses(verb, refusal):
    assert verb in SHOWN, f"src/vivae/app/verbs.py: give `vivae {verb}` an example"
    assert SHOWN[verb].startswith(f"vivae {verb}")
    assert refusal(shlex.split(SHOWN[verb])[1:]) == ""
    assert example_of(VERBS[verb]) == SHOWN[verb]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_shows_the_example_and_all_that_the_options_say(verb, vivae_says):
    code, text = vivae_says(*verb.split(), "--help")
    assert code == 0
    assert SHOWN[verb] in text
    for param in VERBS[verb].params:
        for bracket in re.findall(r"\[[^\]]*\]", getattr(param, "help", None) or ""):
            if not param.hidden:
                assert bracket in text


def test_the_list_of_verbs_has_no_verb_outside_of_its_groups(vivae_says):
    _, text = vivae_says("--help")
    assert "Commands" not in text
    for panel, verbs in EXAMPLES.items():
        assert panel in text or not set(verbs) & set(VERBS)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("comprss clip.mp4 -o small.mp4", "compress"),
        ("bench codc", "codec"),
        ("compress clip.mp4 -o small.mp4 --qualty 5", "--quality"),
        ("compress", SHOWN["compress"]),
        ("compress clip.mp4", "--output"),
        ("compress clip.mp4 -o small.mp4 --quality good", "not a number"),
        ("compress clip.mp4 -o small.mp4 --quality 101", "100"),
        ("compress clip.mp4 -o small.mp4 --speed 2.5", "whole number"),
        ("compress clip.mp4 small.mp4", "--output"),
        ("info clp.mp4", "clip.mp4"),
        ("info CLIP.MP4", "clip.mp4"),
        ("info nowhere/clip.mp4", "folder 'nowhere'"),
        ("stylize clip.mp4 -o a.mp4 --style stary", "starry"),
        ("train bse --data .", "base"),
    ],
)
def test_a_mistake_is_answered_with_one_line_that_helps(words, wanted, vivae_says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(b"any")
    code, text = vivae_says(*words.split())
    assert code == 2
    assert text.count("\n") == 1
    assert wanted in text


def test_the_root_alone_shows_its_help(vivae_says):
    code, text = vivae_says()
    assert code == 2
    assert "vivae demo" in text
