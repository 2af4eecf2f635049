"""Finished parts of long work, kept on disk until the whole is done, so that an interrupted job goes on where it was.

What is kept belongs to one job: the same source, span, model and settings. What was kept under other circumstances, or
was cut short, counts as absent.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vivae.media.atomic import atomic_path
from vivae.media.source import find_source


class Kept:
    """Parts by what was asked for, in a folder. circumstances: all that they depend on."""

    def __init__(self, folder: Path, circumstances: str) -> None:
        self.folder = folder
        self._mark = hashlib.sha256(circumstances.encode()).hexdigest()

    def get(self, wanted: str) -> tuple[dict[str, Any], bytes] | None:
        """The figures and the bytes kept for this request, if they are whole."""
        try:
            head, _, body = self._path(wanted).read_bytes().partition(b"\n")
            told = json.loads(head)
            return (told, body) if told.pop("check") == _digest(body) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def put(self, wanted: str, told: Mapping[str, Any], body: bytes) -> None:
        """Keep a part: figures that JSON can say, and bytes."""
        self.folder.mkdir(exist_ok=True)
        with atomic_path(self._path(wanted), force=True) as part:
            part.write_bytes(json.dumps({**told, "check": _digest(body)}).encode() + b"\n" + body)

    def remove(self) -> None:
        """Nothing is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, wanted: str) -> Path:
        return self.folder / (hashlib.sha256(f"{self._mark} {wanted}".encode()).hexdigest()[:32] + ".part")


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def file_mark(path: str | os.PathLike[str]) -> str:
    """What tells whether a source is still the same: its place, sizes and times of change."""
    return " ".join(
        f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in find_source(path).files
    )
