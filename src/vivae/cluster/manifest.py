"""What is done of an archive, what failed and why: one SQLite file beside the results.

A row a video and verb. It is written before and after each video, so that a run that was killed at any moment goes on
where it was; a row that says `running` while nobody holds the lock is one that was cut off.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from vivae.errors import FormatError, OutputError
from vivae.media.atomic import output_error

FOLDER = ".vivae"
_TABLES = """
CREATE TABLE IF NOT EXISTS settings (verb TEXT PRIMARY KEY, settings TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    verb TEXT NOT NULL, source TEXT NOT NULL, output TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'same', 'failed')),
    reason TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL, mark TEXT NOT NULL, digest TEXT,
    output_bytes INTEGER, seconds REAL, result TEXT, version TEXT,
    changed TEXT NOT NULL DEFAULT (datetime('now')),
    PRIMARY KEY (verb, source)
);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One video in the manifest. state: running, done, same (as another, whose result it got) or failed."""

    source: str
    output: str
    state: str
    bytes: int
    mark: str
    digest: str | None = None
    reason: str = ""
    output_bytes: int | None = None
    seconds: float | None = None
    result: str | None = None
    version: str | None = None


class Manifest:
    """The rows of one verb in an output folder; open it as a context manager. Only one run may hold it."""

    def __init__(self, output: Path, verb: str) -> None:
        self.path = output / FOLDER / "manifest.sqlite"
        self.verb = verb

    def __enter__(self) -> Self:
        folder = self.path.parent
        try:
            folder.mkdir(exist_ok=True)
            # Beside the database: closing any handle of the database's own file would drop SQLite's locks on it.
            self._lock = (folder / "lock").open("w")
        except OSError as error:
            raise output_error(error, folder) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise OutputError(
                f"another run is at work in '{folder.parent}': wait for it, or choose another folder"
            ) from None
        with self._translated():
            self._database = sqlite3.connect(self.path, isolation_level=None)
            self._database.executescript(_TABLES)
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._lock.close()

    def settings(self) -> str | None:
        """What the verb was last run with."""
        with self._translated():
            row = self._database.execute(
                "SELECT settings FROM settings WHERE verb = ?", (self.verb,)
            ).fetchone()
        return None if row is None else str(row[0])

    def begin(self, settings: str, *, anew: bool) -> None:
        """Note the settings; anew: forget what was done."""
        with self._translated():
            if anew:
                self._database.execute("DELETE FROM files WHERE verb = ?", (self.verb,))
            self._database.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (self.verb, settings))

    def rows(self) -> dict[str, Row]:
        """All rows of the verb, by source."""
        columns = ", ".join(Row.__slots__)
        with self._translated():
            found = self._database.execute(
                f"SELECT {columns} FROM files WHERE verb = ?", (self.verb,)
            ).fetchall()
        return {values[0]: Row(*values) for values in found}

    def put(self, row: Row) -> None:
        """Write a row, replacing that of the same source."""
        columns = [*Row.__slots__]
        with self._translated():
            self._database.execute(
                f"INSERT OR REPLACE INTO files (verb, {', '.join(columns)}) VALUES (?{', ?' * len(columns)})",
                (self.verb, *(getattr(row, column) for column in columns)),
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OutputError(f"cannot write '{self.path}': {error}") from error
        except sqlite3.DatabaseError as error:
            raise FormatError(
                f"'{self.path}' is damaged ({error}): remove it to start anew; finished results then need --force"
            ) from error


def as_text(value: Any) -> str:
    """Settings and results as JSON text with a fixed order."""
    return json.dumps(value, sort_keys=True, default=os.fspath)
