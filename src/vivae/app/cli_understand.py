"""Verbs that make video easy to understand: shots, report, search, and their benchmarks."""

from pathlib import Path
from typing import Annotated

import typer

import vivae
from vivae.app.console import Session
from vivae.app.options import Debug, End, Force, Json, Model, Source, Start, Threads
from vivae.app.root import app, bench


@app.command()
def shots(
    source: Source,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="A .csv, .json or .edl to write.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option("--split", metavar="DIR", help="Write every shot as a file of its own.")
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="With --split: encode anew, so that pieces hold their own frames alone."
        ),
    ] = False,
    threads: Threads = None,
    start: Start = None,
    end: End = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find cuts, dissolves, fades and wipes; write them as a table or EDL, or part the video at them."""
    with Session(as_json) as session:
        result = vivae.shots(
            source,
            output,
            split=split,
            exact=exact,
            start=start,
            end=end,
            force=force,
            progress=session.progress("finding shots"),
        )
        session.show(result)


@app.command()
def report(
    source: Source,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The .html page to write.")],
    summary: Annotated[
        float | None,
        typer.Option(
            "--summary", metavar="SECONDS", help="Also write a clip of that length beside the page."
        ),
    ] = None,
    surprise: Annotated[
        bool, typer.Option("--surprise/--no-surprise", help="Bits over time by the model: the slowest part.")
    ] = True,
    anomaly: Annotated[
        Path | None,
        typer.Option(
            "--anomaly", metavar="MODEL", help="Of this camera, by detect fit: also what is unusual."
        ),
    ] = None,
    objects: Annotated[
        bool, typer.Option("--objects", help="Also what moves by itself, with tracks; takes its time.")
    ] = False,
    model: Model = "base",
    threads: Threads = None,
    start: Start = None,
    end: End = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """One page about a video, to open offline: film strip, shots, what stands out, curves, technical data."""
    with Session(as_json) as session:
        session.show(
            vivae.report(
                source,
                output,
                summary=summary,
                surprise=surprise,
                anomaly=anomaly,
                objects=objects,
                model=model,
                start=start,
                end=end,
                force=force,
                progress=session.progress("looking it over"),
            )
        )


@app.command()
def search(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="An image, a clip, or a frame: clip.mp4@12.5 (or @1:05).")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder with the videos; it gets an index.")
    ],
    count: Annotated[int, typer.Option("--count", min=1, help="Places told at most.")] = 5,
    threads: Threads = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find where a picture or clip comes from, also re-encoded, cropped or mirrored; says so when it is not there."""
    with Session(as_json, kept="What was indexed so far is kept.") as session:
        session.show(vivae.search(query, folder, count=count, progress=session.progress("indexing")))


@bench.command("shots")
def bench_shots(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for points and tables.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the evaluation clips.")],
    files: Annotated[int, typer.Option("--files", min=1, help="Spliced clips to make.")] = 12,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 2,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure shot detection on spliced clips with look-alikes, beside PySceneDetect's detectors."""
    with Session(
        as_json, kept="What was measured so far is kept: run the same command again to go on."
    ) as session:
        session.show(
            vivae.bench_shots(data, output, files=files, threads=threads, progress=session.share_progress())
        )


@bench.command("search")
def bench_search(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for points and tables.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with the clips.")],
    queries: Annotated[
        int, typer.Option("--queries", min=1, help="Seconds looked up, in each kind of copy.")
    ] = 60,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 2,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure search: re-encoded, cropped and mirrored copies, and queries that are absent."""
    with Session(
        as_json, kept="What was measured so far is kept: run the same command again to go on."
    ) as session:
        session.show(
            vivae.bench_search(
                data, output, queries=queries, threads=threads, progress=session.share_progress()
            )
        )
