"""What the terminal shows, in one manner for every verb: progress, warnings, results, and how a command ends.

Progress, warnings and errors go to stderr, results to stdout, so that output can be piped. The library itself
prints nothing: it reports through `logging`, exceptions and a `progress(done, total)` callable.
"""

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vivae.errors import Interrupted, VivaeError

DONE, FAULT, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
DEBUG_VARIABLE = "VIVAE_DEBUG"

_PLAIN_WORDS = {
    "Input should be a valid number, unable to parse string as a number": "that is not a number",
    "Input should be a valid integer, unable to parse string as an integer": "that is not a whole number",
    "Input should be": "it must be",
    "(Possible options: ": "(did you mean ",
}
"""What typer says of wrong values, for people who do not program."""

stderr = Console(stderr=True, highlight=False)


@dataclass
class Listener:
    """Takes what a verb reports in place of the terminal, where the verb is one of many that are run at once."""

    progress: Callable[[int, int | None], None]
    result: Mapping[str, Any] | None = None


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(progress: Callable[[int, int | None], None]) -> Iterator[Listener]:
    """Within the block, sessions report to this listener and show nothing."""
    token = _listener.set(Listener(progress))
    try:
        listener = _listener.get()
        assert listener is not None
        yield listener
    finally:
        _listener.reset(token)


NOTHING = "No output was written."


def parts_kept(what: str, output: str | Path) -> Callable[[], str]:
    """For `Session`, of a verb that keeps finished parts of its work beside the output for the next run."""

    def told() -> str:
        from vivae.media.kept import folder_for  # here, so that `vivae --help` need not wait for it

        if not any(folder_for(output).glob("*.part")):
            return NOTHING
        return f"{NOTHING} {what} are kept: run the same command again to go on."

    return told


class Session:
    """One run of one verb. Use as a context manager: it closes the progress bars and explains a Ctrl-C.

    as_json: results are printed as JSON and no progress is shown. kept: what an interrupted run leaves behind,
    as a sentence, or what finds that out when it comes to it.
    """

    def __init__(self, as_json: bool = False, kept: str | Callable[[], str] = NOTHING):
        self._listener = _listener.get()
        self._as_json = as_json or self._listener is not None
        self._kept = kept
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(),
            _Done(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=stderr,
            disable=self._as_json or not stderr.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
        if isinstance(error, KeyboardInterrupt):
            kept = self._kept if isinstance(self._kept, str) else self._kept()
            raise Interrupted(f"Interrupted. {kept}") from error

    def progress(self, label: str) -> Callable[[int, int | None], None]:
        """For work on frames: progress(done, total), total None while it is not known."""
        stage = self.stage_progress({})
        return lambda done, total: stage(label, done, total)

    def stage_progress(self, units: Mapping[str, str]) -> Callable[[str, int, int | None], None]:
        """For work in several parts, a bar each: progress(part, done, total). units: other than fps, by part."""
        tasks: dict[str, TaskID] = {}

        def report(part: str, done: int, total: int | None) -> None:
            if self._listener is not None:
                self._listener.progress(done, total)
                return
            if part not in tasks:
                tasks[part] = self._bars.add_task(part, total=total, unit=units.get(part, "fps"))
            self._bars.update(tasks[part], completed=done, total=total)

        return report

    def share_progress(self) -> Callable[[str, float], None]:
        """For work that counts no frames: progress(what is being done, share of the whole)."""
        task = self._bars.add_task("", total=1.0, visible=False)

        def report(label: str, share: float) -> None:
            self._bars.update(task, completed=share, description=label, visible=True)

        return report

    def archive_progress(
        self,
    ) -> tuple[Callable[[str, int, int], None], Callable[[str, str, int, int | None], None]]:
        """For many files: watch(label, files done, of how many), and follow(place, file, frames done, of how many)."""
        whole = self._bars.add_task("", total=None, unit="files/s", visible=False)
        places: dict[str, TaskID] = {}

        def watch(label: str, done: int, total: int) -> None:
            self._bars.update(whole, description=label, completed=done, total=total, visible=True)

        def follow(place: str, name: str, done: int, total: int | None) -> None:
            if place not in places:
                places[place] = self._bars.add_task(name, total=total, unit="fps")
            elif not done:
                self._bars.reset(places[place], description=name, total=total)
            self._bars.update(places[place], completed=done, total=total)

        return watch, follow

    def tell(self, text: str) -> None:
        """A sentence before the work starts, on stderr."""
        if not self._as_json:
            stderr.print(Text(text), soft_wrap=True)

    def show(self, result: Mapping[str, Any]) -> None:
        """Print a verb's result to stdout: JSON when asked for, else a table a person reads."""
        self._bars.stop()
        if self._listener is not None:
            self._listener.result = result
            return
        if not result:  # all but the first process of a distributed training
            return
        plain = _plain(result)
        if self._as_json:
            sys.stdout.write(json.dumps(plain, indent=2, allow_nan=False) + "\n")
            return
        rows = _rows(plain)
        width = max((len(key) for key, _ in rows), default=0)
        out = Console(highlight=False, soft_wrap=True)
        for key, value in rows:
            out.print(Text.assemble((f"{key:<{width}}", "bold"), "  ", value))


class _Done(ProgressColumn):
    """How far a task is: steps done and steps a second in the task's own unit, or a share of the whole."""

    def render(self, task: Task) -> Text:
        unit = task.fields.get("unit")
        if unit is None:
            return Text(f"{task.percentage:.0f} %", style="progress.percentage")
        speed = task.finished_speed or task.speed
        total = "?" if task.total is None else f"{task.total:.0f}"
        rate = f" {speed:.1f} {unit}" if speed else ""
        return Text(f"{task.completed:.0f}/{total}{rate}", style="progress.download")


class _TerminalHandler(logging.Handler):
    """Log records as lines on stderr, above the progress bars; rich's own handler would break them at 80 columns.

    What is said of a file is said once, however often it is read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.levelname.lower()}: {record.getMessage()}"
        if line not in self.said:
            self.said.add(line)
            stderr.print(Text(line, style="yellow"), soft_wrap=True)


def run(app: Callable[..., Any], arguments: list[str] | None = None) -> int:
    """Run a Typer app and return the process's exit code: 0 done, 2 bad input or usage, 1 a fault of ours.

    An interrupted run returns 130, as shells expect. Every failure is one line on stderr; a fault of ours adds
    its traceback with --debug or VIVAE_DEBUG=1.
    """
    import typer

    _log_to_terminal()
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        code = app(arguments, standalone_mode=False, prog_name="vivae")
        return code if isinstance(code, int) else DONE
    except typer.TyperException as error:
        if message := error.format_message().rstrip("."):  # empty where `vivae` alone has printed its help
            for jargon, words in _PLAIN_WORDS.items():
                message = message.replace(jargon, words)
            _say(message + _advice(getattr(error, "ctx", None)))
        return BAD_INPUT
    except Interrupted as error:
        _say(str(error))
        return INTERRUPTED
    except (KeyboardInterrupt, typer.Abort):
        _say("Interrupted.")
        return INTERRUPTED
    except VivaeError as error:
        _debug_traceback()
        _say(str(error))
        return BAD_INPUT
    except BrokenPipeError:
        # The reader of our output has closed it (`vivae info FILE | head`): nothing is wrong, and nobody listens.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        _debug_traceback()
        place = traceback.extract_tb(error.__traceback__)[-1]
        _say(
            f"A fault of vivae, not of your input: {type(error).__name__}: {error} "
            f"({Path(place.filename).name}:{place.lineno}). Run it again with --debug for the details to report."
        )
        return FAULT


def _advice(context: Any) -> str:
    """Where to read on after a usage error, and how the verb is used."""
    if context is None:
        return ""
    from vivae.app.verbs import example_of

    example = example_of(context.command)
    return f"; see {context.command_path} --help" + (f", or try: {example}" if example else "")


def debugging() -> bool:
    """Whether --debug or VIVAE_DEBUG asks for tracebacks and debug messages."""
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


def _log_to_terminal() -> None:
    log = logging.getLogger("vivae")
    log.setLevel(logging.DEBUG if debugging() else logging.WARNING)
    for handler in log.handlers:
        if isinstance(handler, _TerminalHandler):
            handler.said.clear()
    if not log.handlers:
        log.addHandler(_TerminalHandler())


def _as_interrupt(signum: int, frame: FrameType | None) -> None:
    """Let SIGTERM clean up the way Ctrl-C does."""
    raise KeyboardInterrupt


def _say(message: str) -> None:
    one_line = " ".join(message.split())
    stderr.print(Text.assemble(("vivae: ", "bold"), one_line), soft_wrap=True)


def _debug_traceback() -> None:
    if debugging():
        stderr.print(Text(traceback.format_exc().rstrip()), soft_wrap=True)


def _plain(value: Any) -> Any:
    """The same value in what JSON knows; numbers that JSON lacks (infinity, NaN) become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, str | int | bool) or value is None:
        return value
    if hasattr(value, "item"):  # a numpy or torch scalar
        return _plain(value.item())
    return str(value)


def _rows(result: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in result.items():
        name = prefix + key.replace("_", " ")
        if isinstance(value, dict):
            rows += _rows(value, name + ": ")
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            for number, item in enumerate(value, 1):
                rows.append((f"{name} {number}", ", ".join(f"{k} {_text(v)}" for k, v in item.items())))
        else:
            rows.append((name, _text(value)))
    return rows


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 100_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value) or "-"
    return str(value)
