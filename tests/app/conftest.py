"""The small random model, and the command line called in this process."""

import json

import pytest

from tests.tasks.conftest import small_model  # noqa: F401
from vivae.app.cli import app
from vivae.app.console import DEBUG_VARIABLE, run


@pytest.fixture(autouse=True)
def _no_debug(monkeypatch):
    monkeypatch.setenv(DEBUG_VARIABLE, "0")  # set, so that what --debug leaves is undone after the test


@pytest.fixture
def vivae_command(capsys):
    """A function that runs `vivae ARGUMENTS`: (exit code, stdout, stderr)."""

    def command(*arguments):
        code = run(app, [str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return command


@pytest.fixture
def vivae_json(vivae_command):
    """A function that runs `vivae ARGUMENTS --json` with success: the parsed result."""

    def command(*arguments):
        code, out, err = vivae_command(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return command
