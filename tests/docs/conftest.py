"""The real command line, parsing only."""

import pytest
import typer

from vivae.app.cli import app


@pytest.fixture(scope="session")
def refusal():
    """A function of a command's words: what the command line says against them, or nothing. Nothing is run."""
    root = typer.main.get_command(app)

    def still(command):
        for param in command.params:
            param.callback = None  # `--device cuda` is right in a document, whatever this machine has
        command.callback = lambda **_: 0
        for child in getattr(command, "commands", {}).values():
            still(child)

    still(root)

    def said(words):
        try:
            root.main(list(words), standalone_mode=False, prog_name="vivae")
        except typer.TyperException as error:
            return error.format_message()
        return ""

    return said
