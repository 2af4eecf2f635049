"""Every verb that turns a file into a file works on many: folders, patterns and lists of files, here or on a cluster.

One hook over all of them: `accept_archives` gives each such command the options, and where several files are named runs
it on every one through `vivae.cluster`, else as it is.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vivae.app.console import BAD_INPUT, FAULT, Session, listening

Command = Callable[..., None]
_SOURCES = Annotated[
    list[Path],
    typer.Argument(
        metavar="IN...",
        help="A video, a .y4m, an image, or a folder of numbered images; several of them, a folder of videos, or a "
        "pattern such as 'films/**/*.mp4', with a folder as OUT.",
    ),
]
_PANEL = "Many files"
_EXTRA: dict[str, Any] = {
    "jobs": Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            help="Files at a time. [default: 1; with ray, all that the cluster can do]",
            rich_help_panel=_PANEL,
        ),
    ],
    "engine": Annotated[
        str, typer.Option("--engine", help="local, or ray: a Ray cluster.", rich_help_panel=_PANEL)
    ],
    "address": Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="A",
            help="Of the cluster: auto, or HOST:PORT. [default: one of its own, here]",
            rich_help_panel=_PANEL,
        ),
    ],
    "suffix": Annotated[
        str | None,
        typer.Option("--suffix", metavar=".S", help="How the results' names end.", rich_help_panel=_PANEL),
    ],
}
_DEFAULTS: dict[str, Any] = {"jobs": None, "engine": "local", "address": None, "suffix": None}
_APART = ("threads", "force", "as_json", "debug")
"""Parameters that change nothing about the results."""
_commands: dict[str, Command] = {}
"""The verbs as they are for one file."""


def accept_archives(app: typer.Typer, verbs: tuple[str, ...]) -> None:
    """Let these verbs of the command line, where they exist, take many files."""
    groups = [("", app), *((f"{group.name} ", group.typer_instance) for group in app.registered_groups)]
    for prefix, typer_app in groups:
        assert typer_app is not None
        for info in typer_app.registered_commands:
            assert info.callback is not None
            name = prefix + (info.name or info.callback.__name__)
            if name in verbs:
                _commands[name] = info.callback
                info.callback = _for_many(name, info.callback)


def _for_many(name: str, command: Command) -> Command:
    @functools.wraps(command)
    def many(**given: Any) -> None:
        from vivae.cluster.sources import is_archive

        sources: list[Path] = given.pop("source")
        extra = {key: given.pop(key) for key in _EXTRA}
        if len(sources) == 1 and not is_archive(sources[0]):
            _run_one(command, sources[0], given, **extra)
        else:
            _run(name, sources, given, **extra)

    signature = inspect.signature(command)
    parameters = [
        parameter.replace(annotation=_SOURCES) if parameter.name == "source" else parameter
        for parameter in signature.parameters.values()
    ]
    parameters += [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[key], annotation=kind)
        for key, kind in _EXTRA.items()
    ]
    many.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    many.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return many


def _run_one(
    command: Command,
    source: Path,
    given: dict[str, Any],
    *,
    jobs: int | None,
    engine: str,
    address: str | None,
    suffix: str | None,
) -> None:
    for option, value in (("--jobs", jobs), ("--suffix", suffix)):
        if value is not None:
            raise typer.BadParameter(f"{option} is for several files, and '{source}' is one")
    if engine == "local" and address is None:
        command(source=source, **given)
        return
    from vivae.cluster.batch import engine_of

    with engine_of(engine, None, given.get("threads"), address).helping():
        command(source=source, **given)


def _run(
    name: str,
    sources: list[Path],
    given: dict[str, Any],
    *,
    jobs: int | None,
    engine: str,
    address: str | None,
    suffix: str | None,
) -> None:
    from vivae.cluster.batch import engine_of, run_batch

    output = given.pop("output")
    if output is None:
        raise typer.BadParameter("many files need a folder for what is made of them: give it with -o")
    apart = {key: given.pop(key) for key in _APART if key in given}
    with Session(
        apart["as_json"], kept="What is done is kept: run the same command again to go on."
    ) as session:
        watch, follow = session.archive_progress()
        summary = run_batch(
            functools.partial(run_command, name, given),
            name,
            sources,
            output,
            {"verb": name, "options": given, "suffix": suffix},
            engine_of(engine, jobs, apart.get("threads"), address),
            suffix=suffix,
            force=apart.get("force", False),
            watch=watch,
            follow=follow,
        )
        session.show(summary)
    if summary["failed"]:
        raise typer.Exit(FAULT if summary["faults"] else BAD_INPUT)


def run_command(
    name: str,
    given: Mapping[str, Any],
    source: Path,
    output: Path,
    threads: int,
    progress: Callable[[int, int | None], None],
) -> dict[str, Any]:
    """One verb of the command line on one file, in a process of a run over many; its result."""
    import vivae.app.cli  # noqa: F401 (fills the table of commands)
    from vivae.cluster.batch import bind_threads

    bind_threads(threads)
    command = _commands[name]
    same = {"force": True, "as_json": True, "threads": threads}
    known = inspect.signature(command).parameters
    with listening(progress) as heard:
        command(source=source, output=output, **given, **{key: same[key] for key in same if key in known})
    return dict(heard.result or {})


def train_with_ray(
    recipe: str, data: Path, *, output: Path | None, threads: int | None, **options: Any
) -> dict[str, Any]:
    """`vivae.cluster.training.train_on_ray` with the command line's defaults."""
    from vivae.app.training import find_recipe
    from vivae.cluster.training import train_on_ray
    from vivae.train.recipe import load_recipe

    found = find_recipe(recipe)
    folder = output or Path("runs") / load_recipe(found, {}).model.name
    return train_on_ray(found, data, output=folder, threads=threads or 1, **options)
