"""The roots of the command line, which each file of verbs adds its own to."""

from typing import Annotated

import typer

import vivae
from vivae.app.verbs import Verbs

app = typer.Typer(
    cls=Verbs,
    help="Video through variational autoencoders: train, compress, enhance and more, on an ordinary CPU.",
    no_args_is_help=True,
    epilog="Start with `vivae demo`. Every verb has a `--help` of its own, with an example.",
    rich_markup_mode="markdown",  # where brackets are brackets: `[default: 50]`
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
bench = typer.Typer(
    help="Measure, and write raw points and tables.", no_args_is_help=True, rich_markup_mode="markdown"
)
app.add_typer(bench, name="bench")


@app.callback(invoke_without_command=True)
def vivae_command(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"vivae {vivae.__version__}")
        raise typer.Exit
