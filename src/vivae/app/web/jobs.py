"""The queue of jobs: each runs in a process of its own, as many at a time as there are slots.

A paused job keeps its process, stopped, and gives its slot to the next one. A preview goes before whole videos. What a
job reports is kept for the browser to ask for: how far, how fast, how long still.
"""

import logging
import multiprocessing
import os
import secrets
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from vivae.app.web.worker import PRELOAD, Done, Facts, Failed, Message, Order, Progress, Word, entry

logger = logging.getLogger(__name__)

State = Literal["waiting", "running", "paused", "done", "failed", "cancelled"]
GRACE = 6.0
"""Seconds that a cancelled process has to tidy up."""
WINDOW = 8.0
"""Seconds over which speed is measured."""
ALIVE = ("waiting", "running", "paused")
SHOWN = ("preview", "whole")
"""Kinds of jobs that visitors see, each with a folder of its own."""


@dataclass
class Job:
    """A piece of work and all that is known of it. kind: "look" is the looking at an upload, "point" a first mask."""

    kind: Literal["look", "point", "preview", "whole"]
    room: str
    verb: str
    title: str
    folder: Path
    order: Order
    commands: tuple[str, ...] = ()
    clip: str = ""
    view: dict[str, Any] = field(default_factory=dict)
    """How the browser shows the result."""
    frames: int = 0
    """Of what is worked on: the clip or the previewed part."""
    whole_frames: int = 0
    names: dict[str, str] = field(default_factory=dict)
    """What texts call the paths in them."""
    notify: Callable[["Job", Message], None] = lambda job, message: None
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: State = "waiting"
    label: str = ""
    done: int = 0
    total: int | None = None
    words: list[str] = field(default_factory=list)
    error: str = ""
    unit: str = "frames"
    results: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    views: dict[str, Path] = field(default_factory=dict)
    seconds: float = 0.0
    memory: int = 0
    process: Any = None
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def mark(self, message: Progress) -> None:
        """Note how far it is."""
        now = time.monotonic()
        if message.label != self.label or message.done < self.done:
            self._marks.clear()
        self.label, self.done, self.total, self.unit = (
            message.label,
            message.done,
            message.total,
            message.unit,
        )
        self._marks.append((now, message.done))
        while len(self._marks) > 2 and self._marks[0][0] < now - WINDOW:
            self._marks.popleft()

    def speed(self) -> float | None:
        """Frames a second of late."""
        if self.state != "running" or len(self._marks) < 2:
            return None
        (before, first), (_, last) = self._marks[0], self._marks[-1]
        passed = time.monotonic() - before
        return (last - first) / passed if last > first and passed > 0.3 else None

    def left(self) -> float | None:
        """Seconds that the present stage will take still."""
        speed = self.speed()
        return None if speed is None or not self.total else max(0, self.total - self.done) / speed

    def forget_speed(self) -> None:
        """After a pause."""
        self._marks.clear()

    def say(self, text: str) -> str:
        """A text with what the visitor calls things instead of our paths."""
        for path, name in self.names.items():
            text = text.replace(path, name)
        return text


class Jobs:
    """The queue. slots: how many run at a time; lookers: how many uploads are looked at beside them."""

    def __init__(self, slots: int = 1, lookers: int = 1) -> None:
        self._slots = {"work": slots, "look": lookers, "point": 1}
        self._jobs: dict[str, Job] = {}
        self._lock = threading.RLock()
        self._closed = False
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)

    def warm(self) -> None:
        """Import what jobs need, in the process that they are forked from, and wait until it has."""
        process = self._context.Process(target=_nothing)
        process.start()
        process.join()

    def add(self, job: Job) -> Job:
        """Put a job into the queue."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the queue is closed")
            self._jobs[job.key] = job
            self._next()
        return job

    def of(self, room: str) -> list[Job]:
        """A visitor's jobs, in order of arrival."""
        with self._lock:
            return [job for job in self._jobs.values() if job.room == room]

    def find(self, room: str, key: str) -> Job | None:
        """A job, if it is that visitor's."""
        with self._lock:
            job = self._jobs.get(key)
            return job if job is not None and job.room == room else None

    def waiting_before(self, job: Job) -> int:
        """How many jobs, of anybody, come first."""
        with self._lock:
            order = self._order("work")
            return order.index(job) if job in order else 0

    def pause(self, job: Job) -> None:
        """Stop a job where it is; its slot goes to the next one."""
        with self._lock:
            if job.state == "running":
                os.kill(job.process.pid, signal.SIGSTOP)
                job.state = "paused"
                self._next()
            elif job.state == "waiting":
                job.state = "paused"

    def resume(self, job: Job) -> None:
        """Let a paused job go on as soon as there is a slot."""
        with self._lock:
            if job.state == "paused":
                job.state = "waiting"
                self._next()

    def cancel(self, job: Job) -> None:
        """End a job; it tidies up by itself, or is killed."""
        with self._lock:
            if job.state not in ALIVE:
                return
            job.state = "cancelled"
            if job.process is None:
                self._finished(job)
                return
            os.kill(job.process.pid, signal.SIGINT)
            os.kill(job.process.pid, signal.SIGCONT)
        threading.Thread(target=_make_sure, args=(job.process,), daemon=True).start()

    def drop(self, job: Job) -> None:
        """Forget a job and its files."""
        self.cancel(job)
        if job.process is not None:
            job.process.join(GRACE + 2)
        with self._lock:
            self._jobs.pop(job.key, None)
        if job.kind in SHOWN:
            shutil.rmtree(job.folder, ignore_errors=True)

    def close(self) -> None:
        """Cancel everything and wait for it."""
        with self._lock:
            self._closed = True
            jobs = list(self._jobs.values())
        for job in jobs:
            self.cancel(job)
        for job in jobs:
            if job.process is not None:
                job.process.join(GRACE + 2)

    def _order(self, lane: str) -> list[Job]:
        """Waiting jobs, those that go on first, previews before whole videos."""
        waiting = [job for job in self._jobs.values() if job.state == "waiting" and _lane(job) == lane]
        return sorted(waiting, key=lambda job: (job.process is None, job.kind == "whole"))

    def _next(self) -> None:
        for lane, slots in self._slots.items():
            running = sum(job.state == "running" and _lane(job) == lane for job in self._jobs.values())
            for job in self._order(lane)[: max(0, slots - running)]:
                self._start(job)

    def _start(self, job: Job) -> None:
        job.state = "running"
        if job.process is not None:
            job.forget_speed()
            os.kill(job.process.pid, signal.SIGCONT)
            return
        ours, theirs = self._context.Pipe(duplex=False)
        job.process = self._context.Process(target=entry, args=(job.order, theirs), daemon=True)
        job.process.start()
        theirs.close()
        threading.Thread(target=self._attend, args=(job, ours), daemon=True).start()

    def _attend(self, job: Job, pipe: Connection) -> None:
        """Take what a process reports until it ends."""
        process = job.process
        ended = False
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                break
            ended = ended or isinstance(message, Done | Failed)
            self._take(job, message)
        process.join()
        if not ended and job.state != "cancelled":
            logger.warning("the process of a job ended with %s", process.exitcode)
            text = "It was ended by the system, probably for want of memory: try a smaller video or scale."
            self._take(job, Failed(text))
        with self._lock:
            self._finished(job)

    def _take(self, job: Job, message: Message) -> None:
        with self._lock:
            if isinstance(message, Progress):
                job.mark(message)
            elif isinstance(message, Word):
                job.words.append(job.say(message.text))
            elif job.state == "cancelled":
                return
            elif isinstance(message, Done):
                job.results, job.views, job.facts = message.results, message.views, message.facts
                job.seconds, job.memory = message.seconds, message.memory
                job.state = "done"
            elif isinstance(message, Failed):
                job.error, job.state = job.say(message.text), "failed"
                if message.details:
                    logger.error("a job failed: %s", message.details)
        if isinstance(message, Done | Failed | Facts):
            job.notify(job, message)

    def _finished(self, job: Job) -> None:
        if job.state in ("failed", "cancelled") and job.kind in SHOWN:
            shutil.rmtree(job.folder, ignore_errors=True)
        if not self._closed:
            self._next()


def _lane(job: Job) -> str:
    return job.kind if job.kind in ("look", "point") else "work"


def _nothing() -> None:
    pass


def _make_sure(process: Any) -> None:
    process.join(GRACE)
    if process.exitcode is None:
        process.kill()
