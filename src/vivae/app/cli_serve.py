"""`serve` on the command line."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

import vivae
from vivae.app.console import Session
from vivae.app.options import Debug, Json, Threads, amount
from vivae.app.root import app


@app.command()
def serve(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Where to listen; 0 for any free.")
    ] = 7860,
    host: Annotated[
        str, typer.Option("--host", help="This machine alone, unless another address of it is given.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            "--token", envvar="VIVAE_TOKEN", help="What visitors must know; needed with another --host."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="How many run at a time.")] = 1,
    max_upload: Annotated[
        float, typer.Option("--max-upload", metavar="SIZE", parser=amount, help="Of a file: 700M, 2G.")
    ] = "1G",  # type: ignore[assignment]
    max_minutes: Annotated[float, typer.Option("--max-minutes", help="Of a video.")] = 30.0,
    max_pixels: Annotated[
        float, typer.Option("--max-pixels", metavar="N", parser=amount, help="Of a frame: 2M, 9.5M.")
    ] = "9437184",  # type: ignore[assignment]
    idle_minutes: Annotated[
        float, typer.Option("--idle-minutes", help="After which an absent visitor's files are removed.")
    ] = 60.0,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="For temporary files. [default: the system's]"),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Open it in this machine's browser.")] = False,
    threads: Threads = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """The web app: drop videos, preview, compare before and after, queue, download. For this machine alone."""
    with Session(as_json, kept="The server has stopped; its temporary files are removed.") as session:

        def ready(address: str) -> None:
            session.tell(f"vivae is at {address} (Ctrl-C stops it).")
            if browser:
                webbrowser.open(address)

        session.show(
            vivae.serve(
                host=host,
                port=port,
                token=token,
                jobs=jobs,
                threads=threads,
                max_upload=max_upload,
                max_minutes=max_minutes,
                max_pixels=max_pixels,
                idle_minutes=idle_minutes,
                folder=folder,
                ready=ready,
            )
        )
