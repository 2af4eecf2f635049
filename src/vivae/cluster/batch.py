"""One verb over many files: what is done is remembered, what fails is told, and equal files are done once."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from vivae import __version__
from vivae.cluster.manifest import Manifest, Row, as_text
from vivae.cluster.processes import Event, Processes, Progressed, Started
from vivae.cluster.results import NAMED, SUFFIXES, made_folder, remove_leftovers, suffix_of
from vivae.cluster.sources import Item, find_items
from vivae.cluster.work import Call, Outcome, Progress, Task, output_bytes
from vivae.errors import InputError, OutputError, VivaeError
from vivae.media.atomic import atomic_path, check_target, output_error

logger = logging.getLogger(__name__)

Watch = Callable[[str, int, int], None]
"""watch(what is being done, files done, files in all)."""
Follow = Callable[[str, str, int, int | None], None]
"""follow(place, name of the file, frames done, frames in all)."""


class Engine(Protocol):
    """Where tasks are done."""

    def run(self, call: Call, tasks: Sequence[Task]) -> Iterator[Event]:
        """Do them; one `Outcome` a task, in any order."""

    def helping(self) -> AbstractContextManager[None]:
        """Within the block, verbs on a single file are helped with its parts, where that can be."""


def batch(
    verb: str,
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    threads: int | None = None,
    engine: str = "local",
    address: str | None = None,
    suffix: str | None = None,
    force: bool = False,
    watch: Watch = lambda label, done, total: None,
    **options: Any,
) -> dict[str, Any]:
    """Do a verb on every video of an archive: `vivae.batch("compress", "archive/", "out/", jobs=2, quality=40)`.

    verb: one that turns a file into a file, by its name on the command line. sources: files, folders, patterns; see
    `vivae.cluster.sources`. output: a folder, made if it is not there; results lie in it as the videos in theirs.
    jobs: how many at a time: 1, or all that a cluster can do, unless said. threads: of each, the machine's shared out
    unless said. engine: "local", or "ray" for a Ray cluster at `address` (extra `cluster`; the same files must be seen
    everywhere). suffix: of the results, where the verb leaves a choice. force: do all again and replace. options: of
    the verb's function.

    An interrupted run goes on when it is run again: the manifest in `output/.vivae` knows what is done. Returns the
    summary of `run_batch`. Raises InputError and OutputError before any work is done; what is wrong with single files
    is in the summary.
    """
    if verb not in SUFFIXES:
        raise InputError(f"there is no '{verb}' for archives: choose from {', '.join(SUFFIXES)}")
    given = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    settings = {"verb": verb, "options": options, "suffix": suffix}
    return run_batch(
        partial(_call_verb, verb, options),
        verb,
        given,
        output,
        settings,
        engine_of(engine, jobs, threads, address),
        suffix=suffix,
        force=force,
        watch=watch,
    )


def engine_of(engine: str, jobs: int | None, threads: int | None, address: str | None) -> Engine:
    """The engine by its name. Raises InputError, and UnsupportedError where ray is not installed."""
    if jobs is not None and jobs < 1:
        raise InputError(f"there must be at least one job, not {jobs}")
    if engine == "local":
        if address is not None:
            raise InputError("an address belongs to a Ray cluster: add --engine ray")
        return Processes(jobs or 1, threads or max(1, (os.cpu_count() or 1) // (jobs or 1)))
    if engine == "ray":
        from vivae.cluster.on_ray import RayEngine

        return RayEngine(jobs, threads or 1, address)
    raise InputError(f"there is no engine '{engine}': choose local or ray")


def run_batch(
    call: Call,
    verb: str,
    sources: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    settings: Mapping[str, Any],
    engine: Engine,
    *,
    suffix: str | None = None,
    force: bool = False,
    watch: Watch = lambda label, done, total: None,
    follow: Follow = lambda place, name, done, total: None,
) -> dict[str, Any]:
    """Do `call` on every video that is not done; see `batch`.

    Returns files, done (now), done_before, same (as another file), failed, bytes of the good ones and of their results,
    and the failures with their reasons; `faults` counts those that are faults of ours.
    """
    folder = made_folder(Path(output))
    items = find_items(sources, leave_out=folder)
    began = time.monotonic()
    with Manifest(folder, verb) as manifest:
        run = _Run(manifest, folder, items, suffix_of(verb, suffix, settings), follow)
        run.start(as_text(settings), force=force, named=verb in NAMED)
        watch(f"{verb}: {len(items)} files", run.settled, len(items))
        try:
            for event in engine.run(call, run.tasks):
                if run.note(event):
                    watch(f"{verb}: {len(items)} files", run.settled, len(items))
        finally:
            remove_leftovers(folder, run.rows.values())
        return run.summary() | {"seconds": round(time.monotonic() - began, 2)}


def _call_verb(
    verb: str, options: Mapping[str, Any], source: Path, output: Path, threads: int, progress: Progress
) -> dict[str, Any]:
    import vivae

    bind_threads(threads)
    function = getattr(vivae, verb.replace(" ", "_"))

    def last_two(*told: Any) -> None:  # some verbs name the part of the work first
        progress(*told[-2:])

    result: dict[str, Any] = function(src=source, dst=output, force=True, progress=last_two, **options)
    return result


def bind_threads(count: int) -> None:
    """Let torch and OpenCV use that many threads in this process."""
    import cv2
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)


@dataclass
class _Run:
    """The state of one run over an archive."""

    manifest: Manifest
    folder: Path
    items: list[Item]
    suffix_of: Callable[[Item], str]
    follow: Follow
    tasks: list[Task] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    """By source; of this run's items only."""
    now: set[str] = field(default_factory=set)
    """Sources that this run has settled itself."""
    settled: int = 0
    faults: int = 0
    followers: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    """Rows that get the result of a task when that is done."""
    places: dict[int, str] = field(default_factory=dict)

    def start(self, settings: str, *, force: bool, named: bool) -> None:
        """Compare what is wanted with what is done. Raises InputError where that was with other settings."""
        before = self.manifest.settings()
        known = self.manifest.rows()
        if before not in (None, settings) and known and not force:
            raise InputError(
                f"'{self.folder}' was made with other settings: choose another folder, or --force to do all again"
            )
        self.manifest.begin(settings, anew=force)
        old = {} if force else known
        leaders: dict[str, int] = {}
        rows = self._wanted(known)
        digests = {} if named else self._digests(rows, old)
        done = {source: old[source] for source, row in rows.items() if _is_done(old.get(source), row)}
        twins = {digests[source]: row for source, row in done.items() if source in digests}
        for source, row in rows.items():
            row = self.rows[source] = replace(row, digest=digests.get(source))
            if source in done:
                self.rows[source] = replace(done[source], digest=row.digest or done[source].digest)
                self.manifest.put(self.rows[source])
                self.settled += 1
                continue
            problem = self._problem(row, known.get(source), force)
            if problem:
                self._settle(replace(row, state="failed", reason=problem))
                continue
            if row.digest in twins:
                self._copy(row, twins[row.digest])
            elif row.digest in leaders:
                self.followers[leaders[row.digest]].append(row)
            else:
                task = Task(len(self.tasks), Path(source), Path(row.output))
                self.tasks.append(task)
                if row.digest is not None:
                    leaders[row.digest] = task.number

    def note(self, event: Event) -> bool:
        """Take an event of the engine; whether the number of settled files has changed."""
        match event:
            case Started(task, place):
                self.places[task.number] = place
                self.manifest.put(replace(self._row(task), state="running"))
                self.follow(place, task.source.name, 0, None)
                return False
            case Progressed(task, done, total):
                self.follow(self.places[task.number], task.source.name, done, total)
                return False
            case Outcome() as outcome:
                self._finish(outcome)
                return True

    def summary(self) -> dict[str, Any]:
        """What became of the archive."""
        every = list(self.rows.values())
        good = [row for row in every if row.state in ("done", "same")]
        failed = [row for row in every if row.state == "failed"]
        return {
            "output": str(self.folder),
            "files": len(every),
            "done": sum(row.state == "done" and row.source in self.now for row in every),
            "same": sum(row.state == "same" and row.source in self.now for row in every),
            "done_before": sum(row.source not in self.now for row in every),
            "failed": len(failed),
            "faults": self.faults,
            "bytes": sum(row.bytes for row in good),
            "output_bytes": sum(row.output_bytes or 0 for row in good),
            "failures": [{"source": row.source, "reason": row.reason} for row in failed],
            "manifest": str(self.manifest.path),
        }

    def _row(self, task: Task) -> Row:
        return self.rows[str(task.source)]

    def _wanted(self, known: Mapping[str, Row]) -> dict[str, Row]:
        rows = {}
        for item in self.items:
            source = str(item.path.resolve())
            # A result keeps its place when clips of a like name have joined since.
            place = known[source].output if source in known else None
            output = place or str(self.folder / item.name.parent / (item.name.name + self.suffix_of(item)))
            try:
                size, mark = item.mark()
            except InputError as error:
                self._settle(Row(source, output, "failed", 0, "", reason=str(error)))
                continue
            rows[source] = Row(source, output, "running", size, mark)
        return rows

    def _digests(self, rows: Mapping[str, Row], old: Mapping[str, Row]) -> dict[str, str]:
        """SHA-256 of those files that are as large as another: the others are not read for it."""
        sizes: dict[int, int] = defaultdict(int)
        for row in rows.values():
            sizes[row.bytes] += 1
        digests = {}
        for source, row in rows.items():
            before = old.get(source)
            if sizes[row.bytes] > 1:
                kept = before.digest if before is not None and before.mark == row.mark else None
                with suppress(InputError):  # the verb will say why it cannot be read
                    digests[source] = kept or Item(Path(source), Path()).digest()
        return digests

    def _problem(self, row: Row, before: Row | None, force: bool) -> str:
        """Why the result cannot be written, if so; our own earlier results may be replaced."""
        output = Path(row.output)
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            # A run that was killed may have made a result without coming to note it.
            ours = before is not None and before.output == row.output and before.state != "failed"
            if ours or force or not output.exists():
                return ""
            check_target(output, force=False, folder=output.is_dir())
        except OSError as error:
            return str(output_error(error, output))
        except OutputError as error:
            return str(error)
        return ""

    def _finish(self, outcome: Outcome) -> None:
        task = self.tasks[outcome.number]
        row, size = self._row(task), None
        if outcome.good:
            try:
                size = output_bytes(task.output)
            except OutputError as error:
                outcome = replace(outcome, result=None, reason=str(error), fault=True)
        self.faults += outcome.fault
        for line in outcome.warnings:
            logger.warning("%s", line)
        if not outcome.good:
            named = str(task.source) in outcome.reason
            logger.warning("%s", outcome.reason if named else f"'{task.source}' failed: {outcome.reason}")
        row = replace(
            row,
            state="done" if outcome.good else "failed",
            reason=outcome.reason or "; ".join(outcome.warnings),
            output_bytes=size,
            seconds=round(outcome.seconds, 3),
            result=as_text(outcome.result) if outcome.good else None,
            version=outcome.version,
        )
        self._settle(row)
        for follower in self.followers.pop(outcome.number, []):
            if row.state == "done":
                self._copy(follower, row)
            else:
                self._settle(replace(follower, state="failed", reason=row.reason))

    def _copy(self, row: Row, twin: Row) -> None:
        source, output = Path(twin.output), Path(row.output)
        try:
            if source.is_dir():
                shutil.rmtree(output, ignore_errors=True)
                shutil.copytree(source, output)
            else:
                with atomic_path(output, force=True) as part:
                    shutil.copyfile(source, part)
        except (OSError, VivaeError) as error:
            self._settle(replace(row, state="failed", reason=str(error)))
            return
        told = replace(row, state="same", reason=f"the same as {twin.source}", version=__version__)
        self._settle(replace(told, output_bytes=twin.output_bytes, seconds=0.0, result=twin.result))

    def _settle(self, row: Row) -> None:
        self.rows[row.source] = row
        self.manifest.put(row)
        self.now.add(row.source)
        self.settled += 1


def _is_done(before: Row | None, row: Row) -> bool:
    """Whether the result of an earlier run still stands: the source has not changed, and the result is there, whole."""
    if before is None or before.state not in ("done", "same") or before.mark != row.mark:
        return False
    try:
        return output_bytes(Path(before.output)) == before.output_bytes
    except OutputError:
        return False
