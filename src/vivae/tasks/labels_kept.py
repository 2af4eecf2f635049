"""Label maps found in parts that are kept until the output is whole, so that an interruption costs seconds."""

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

from vivae.errors import FormatError, InputError
from vivae.media.indexed import encode_indexed
from vivae.media.kept import Arrays, Kept
from vivae.tasks.common import Progress
from vivae.tasks.labelling import NOTHING_DONE, Done, Labelled

SECONDS = 5.0
"""Of work, at least, from one part to the next: bounds what is lost, and what keeping costs."""

Work = Callable[[Done], Iterator[Labelled]]
"""work(done): the frames that come after those of another run."""


class Found(NamedTuple):
    """A frame's time in seconds, its ids as PNG, and whether a shot begins with it."""

    time: Fraction
    labels: bytes
    begins: bool


class KeptLabels:
    """The label maps of a video, on disk. Iterating gives them in the order of frames; holds one part."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._places: dict[int, tuple[int, int]] = {}
        """By frame: its part, and its place in it."""
        self._parts = 0
        self._held: tuple[int, list[Found]] = -1, []

    def __len__(self) -> int:
        return len(self._places)

    def find(self, work: Work, total: int, progress: Progress) -> None:
        """Do of `work` what no run before has finished. total: frames that it will probably give."""
        done, whole = self._before()
        progress(len(self), max(total, len(self)))
        if whole:
            return
        try:
            self._find(work(done), total, progress)
        except (InputError, FormatError):
            # Unlike one that was interrupted, a run that cannot end well is not gone on with.
            self._kept.remove()
            raise

    def _find(self, items: Iterator[Labelled], total: int, progress: Progress) -> None:
        part: dict[int, Found] = {}
        begun = time.monotonic()
        for number, at, labels, state, begins in items:
            part[number] = Found(at, encode_indexed(labels), begins)
            progress(len(self) + len(part), max(total, len(self) + len(part)))
            if state is not None and time.monotonic() - begun >= SECONDS:
                self._keep(part, state(), whole=False)
                part, begun = {}, time.monotonic()
        self._keep(part, {}, whole=True)

    def __iter__(self) -> Iterator[Found]:
        return map(self.__getitem__, sorted(self._places))

    def __getitem__(self, frame: int) -> Found:
        part, place = self._places[frame]
        if part != self._held[0]:
            self._held = part, self._read(part)
        return self._held[1][place]

    def _before(self) -> tuple[Done, bool]:
        """What an interrupted run has finished, and whether that is all."""
        found = self._kept.get_arrays("state")
        if found is None:
            return NOTHING_DONE, False
        told, state = found
        for _ in range(told["parts"]):
            part = self._kept.get(f"part {self._parts}")
            if part is None:
                self._places, self._parts = {}, 0
                return NOTHING_DONE, False
            self._note(part[0]["frames"])
        return Done(len(self), state), told["whole"]

    def _keep(self, part: dict[int, Found], state: Arrays, *, whole: bool) -> None:
        told = {
            "frames": list(part),
            "times": [str(found.time) for found in part.values()],
            "begins": [found.begins for found in part.values()],
            "sizes": [len(found.labels) for found in part.values()],
        }
        self._kept.put(f"part {self._parts}", told, b"".join(found.labels for found in part.values()))
        self._note(list(part))
        self._kept.put_arrays("state", {"parts": self._parts, "whole": whole}, state)

    def _note(self, frames: list[int]) -> None:
        self._places |= {frame: (self._parts, place) for place, frame in enumerate(frames)}
        self._parts += 1

    def _read(self, part: int) -> list[Found]:
        kept = self._kept.get(f"part {part}")
        assert kept is not None
        told, body = kept
        found, at = [], 0
        for moment, begins, size in zip(told["times"], told["begins"], told["sizes"], strict=True):
            found.append(Found(Fraction(moment), body[at : at + size], begins))
            at += size
        return found
