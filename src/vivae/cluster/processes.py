"""The engine on one machine: processes that each do one task after another.

A process that dies (a decoder that crashes, the system's memory killer) costs its task and nothing else. When the run
ends, however it ends, so do the processes: they notice the end of the pipe that their tasks come through.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

from vivae.cluster.work import Call, Outcome, Task

GRACE_SECONDS = 30
"""For tidying up after an interruption, before a process is killed."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process has begun with a task."""

    task: Task
    place: str
    """Which of the processes or machines."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far a task is, in frames; total is None while it is not known."""

    task: Task
    done: int
    total: int | None


Event = Started | Progressed | Outcome


class Processes:
    """Runs tasks in `jobs` processes of this machine, each with `threads` threads."""

    def __init__(self, jobs: int, threads: int) -> None:
        self.jobs, self.threads = jobs, threads

    @contextmanager
    def helping(self) -> Iterator[None]:
        """For work on a single file: nobody helps here, encoders use several threads by themselves."""
        yield

    def run(self, call: Call, tasks: Iterable[Task]) -> Iterator[Event]:
        """Do the tasks, in order as processes are free; gives what happens, in the end one `Outcome` a task."""
        waiting = iter(tasks)
        workers: dict[Connection, _Worker] = {}
        try:
            for place in range(self.jobs):
                task = next(waiting, None)
                if task is None:
                    break
                worker = _Worker(call, self.threads, f"process {place + 1}")
                workers[worker.pipe] = worker
                yield worker.begin(task)
            while workers:
                for pipe in wait(list(workers)):
                    assert isinstance(pipe, Connection)
                    worker = workers[pipe]
                    event = worker.next_event()
                    yield event
                    if not isinstance(event, Outcome):
                        continue
                    task = next(waiting, None)
                    if task is None or worker.ended:
                        del workers[pipe]
                        worker.end()
                    if task is not None:
                        if worker.ended:
                            worker = _Worker(call, self.threads, worker.place)
                            workers[worker.pipe] = worker
                        yield worker.begin(task)
        finally:
            for worker in workers.values():
                worker.interrupt()
            for worker in workers.values():
                worker.end()


class _Worker:
    """One process, seen from the run."""

    def __init__(self, call: Call, threads: int, place: str) -> None:
        self.place = place
        self.pipe, theirs = Pipe()
        root = str(Path(__file__).parents[2])
        paths = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vivae.cluster.worker", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads)},
        )
        theirs.close()
        self.ended = False
        self._task: Task | None = None
        self.pipe.send((call, threads))

    def begin(self, task: Task) -> Started:
        self._task = task
        with suppress(OSError):  # where it has died, `next_event` will find the end of the pipe
            self.pipe.send(task)
        return Started(task, self.place)

    def next_event(self) -> Event:
        assert self._task is not None
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            self.ended = True
            return Outcome(self._task.number, None, _obituary(self._process.wait()), fault=True)
        return message if isinstance(message, Outcome) else Progressed(self._task, *message)

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Closing the pipe tells the process to go."""
        self.pipe.close()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _obituary(code: int) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed, perhaps for want of memory: use fewer jobs, or run it alone"
    how = f"crashed ({signal.Signals(-code).name})" if code < 0 else f"ended with code {code}"
    return f"its process {how}: run it alone with --debug for the details to report"
