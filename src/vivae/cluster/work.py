"""One file's work as data that travels to another process or machine, and what became of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vivae import __version__
from vivae.errors import Interrupted, OutputError, VivaeError

Progress = Callable[[int, int | None], None]
"""progress(done, total), as of the verbs."""
Call = Callable[[Path, Path, int, Progress], dict[str, Any]]
"""call(source, output, threads, progress): a verb with its options, picklable by reference; replaces its output."""


@dataclass(frozen=True, slots=True)
class Task:
    """A verb to be done on one file."""

    number: int
    source: Path
    output: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task: the verb's result, or why there is none."""

    number: int
    result: dict[str, Any] | None
    reason: str = ""
    fault: bool = False
    """Whether the reason is a fault of ours rather than of the input."""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    version: str = __version__

    @property
    def good(self) -> bool:
        return self.result is not None


@dataclass
class _Warnings(logging.Handler):
    """Keeps the messages of one task, in place of showing them where nobody looks."""

    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    __hash__ = logging.Handler.__hash__


def perform(call: Call, task: Task, threads: int, progress: Progress) -> Outcome:
    """Do a task here. Failures become part of the outcome; only an interruption is raised."""
    began = time.monotonic()
    warnings = _Warnings()
    log = logging.getLogger("vivae")
    log.addHandler(warnings)
    result: dict[str, Any] | None = None
    reason, fault = "", False
    try:
        result = call(task.source, task.output, threads, progress)
    except Interrupted as error:
        raise KeyboardInterrupt from error
    except VivaeError as error:
        reason = str(error)
    except MemoryError:
        reason = "there is not enough memory for it: use fewer jobs"
    except Exception as error:
        reason, fault = f"{type(error).__name__}: {error}", True
    finally:
        log.removeHandler(warnings)
    seconds = time.monotonic() - began
    return Outcome(task.number, result, " ".join(reason.split()), fault, seconds, tuple(warnings.lines))


def output_bytes(path: Path) -> int:
    """Of a file, or of the files in a folder. Raises OutputError where there is none."""
    try:
        if path.is_dir():
            return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
        return path.stat().st_size
    except OSError as error:
        raise OutputError(f"'{path}' was made and is not there: {error.strerror}") from error
