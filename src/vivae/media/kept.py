"""Finished parts of long work, kept on disk until the whole is done, so that an interrupted job goes on where it was.

What is kept belongs to one job: the same source, span, model and settings. What was kept under other circumstances, or
was cut short, counts as absent.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vivae.media.atomic import atomic_path
from vivae.media.source import find_source

Arrays = dict[str, NDArray[Any]]
"""What work has in mind, by name."""


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
            return (told, body) if told.pop("check") == _digest(told, body) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def put(self, wanted: str, told: Mapping[str, Any], body: bytes) -> None:
        """Keep a part: figures that JSON can say, and bytes."""
        self.folder.mkdir(exist_ok=True)
        with atomic_path(self._path(wanted), force=True) as part:
            head = json.dumps({**told, "check": _digest(told, body)})
            part.write_bytes(head.encode() + b"\n" + body)

    def put_arrays(self, wanted: str, told: Mapping[str, Any], arrays: Arrays) -> None:
        """Keep figures and arrays of numbers."""
        forms = [[name, array.dtype.str, array.shape] for name, array in arrays.items()]
        self.put(wanted, {**told, "arrays": forms}, b"".join(array.tobytes() for array in arrays.values()))

    def get_arrays(self, wanted: str) -> tuple[dict[str, Any], Arrays] | None:
        """The figures and arrays kept for this request, if they are whole."""
        found = self.get(wanted)
        if found is None:
            return None
        told, body = found
        arrays, at = {}, 0
        for name, kind, shape in told.pop("arrays"):
            count = prod(shape)
            array = np.frombuffer(body, kind, count, at).reshape(shape)
            arrays[name] = array.copy()  # those of a buffer cannot be written to
            at += array.nbytes
        return told, arrays

    def remove(self) -> None:
        """Nothing is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, wanted: str) -> Path:
        return self.folder / (hashlib.sha256(f"{self._mark} {wanted}".encode()).hexdigest()[:32] + ".part")


def _digest(told: Mapping[str, Any], body: bytes) -> str:
    return hashlib.sha256(json.dumps(told).encode() + b"\n" + body).hexdigest()


def folder_for(dst: str | os.PathLike[str]) -> Path:
    """Where the parts of a job that writes `dst` are kept: hidden beside it."""
    return Path(dst).absolute().parent / f".{Path(dst).name}.vivae"


def file_mark(path: str | os.PathLike[str]) -> str:
    """What tells whether a source is still the same: its place, sizes and times of change."""
    return " ".join(
        f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in find_source(path).files
    )
