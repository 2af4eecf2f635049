"""`train` and `tune` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

import vivae
from vivae.app.archive import train_with_ray
from vivae.app.console import Session
from vivae.app.options import Debug, Json, Threads, known_device
from vivae.app.root import app


@app.command()
def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's path, or a shipped one's name.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="A folder with videos and images.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where the model goes. [default: runs/NAME]"),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0, help="Instead of the recipe's budget.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Instead of the recipe's budget.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False,
    device: Annotated[
        str | None,
        typer.Option("--device", callback=known_device, help="cpu, cuda, cuda:N. [default: cuda if any]"),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="local, or ray: processes on a Ray cluster.")
    ] = "local",
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="With ray: processes that train together.")
    ] = 1,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="A",
            help="Of the cluster: auto, or HOST:PORT. [default: one of its own, here]",
        ),
    ] = None,
    threads: Threads = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Start anew in a folder that holds a training.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a model on footage: cleans it, splits it in halves, trains on one and measures on the other."""
    with Session(as_json, kept="The last checkpoint, if any, is kept: --resume goes on from it.") as session:
        if engine not in ("local", "ray") or (engine == "local" and (workers > 1 or address)):
            raise typer.BadParameter("--engine is local or ray, and --workers and --address go with ray")
        progress = session.stage_progress({"training": "steps/s"})
        if engine == "ray":
            session.show(
                train_with_ray(
                    recipe,
                    data,
                    output=output,
                    workers=workers,
                    address=address,
                    threads=threads,
                    progress=progress,
                    minutes=minutes,
                    steps=steps,
                    resume=resume,
                    force=force,
                    device=device,
                )
            )
            return
        session.show(
            vivae.train(
                recipe,
                data,
                output=output,
                minutes=minutes,
                steps=steps,
                resume=resume,
                force=force,
                device=device,
                progress=progress,
            )
        )


@app.command()
def tune(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's path, or a shipped one's name.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="A folder with videos and images.")],
    trials: Annotated[int, typer.Option("--trials", min=1, help="In all, earlier ones counted.")] = 20,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0, help="Of each trial.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Of each trial.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the study. [default: tuning/NAME]"),
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the settings that suit a recipe on your footage; the same command in two shells makes two workers."""
    kept = "The trials so far are kept: run the same command again to go on."
    with Session(as_json, kept=kept) as session:
        session.show(
            vivae.tune(
                recipe,
                data,
                trials=trials,
                minutes=minutes,
                steps=steps,
                output=output,
                progress=session.share_progress(),
            )
        )
