"""Writing AV1 in segments that are kept until the file is whole, so that hours of work survive an interruption."""

import itertools
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from vivae.codec.obu import configuration_of
from vivae.codec.store import described, units_of
from vivae.media import Picture, Planes
from vivae.media.atomic import check_target
from vivae.media.av1 import Av1Settings, Unit, encode_av1
from vivae.media.color import recolor
from vivae.media.kept import Kept
from vivae.media.packets import CodedPacket, open_packet_writer
from vivae.tasks.common import Progress
from vivae.tasks.restore import BEGINNING, Restored, State
from vivae.vae.enhancing import Memory

SEGMENT = 240
"""Frames of a segment at most; each begins with a key frame."""
Times = list[tuple[Fraction, Fraction]]


class Work(Protocol):
    """work(skip, state): results after the first `skip` frames, going on from the state that those left."""

    def __call__(self, skip: int = 0, state: State = BEGINNING) -> Iterator[Restored]: ...


def write_resumably(
    dst: str | os.PathLike[str],
    work: Work,
    kept: Kept,
    *,
    picture: Picture,
    settings: Av1Settings,
    threads: int,
    total: int,
    progress: Progress,
    force: bool,
    target: dict[str, Any],
) -> int:
    """Encode what `work` gives and write it to `dst`; finished segments of an earlier run are taken as they are.

    picture: size, rate and colour of the results. target: for `open_packet_writer`. Returns the number of frames.
    """
    check_target(Path(dst), force)
    segments, done, state = _state(kept)
    rest = work(done, state)
    progress(done, max(done, total))
    for first in rest:
        part = _Part(itertools.chain([first], itertools.islice(rest, SEGMENT - 1)), picture)
        units = []
        for unit in encode_av1(part, picture, settings, threads=threads):
            units.append(unit)
            progress(done + len(part.times), max(done + len(part.times), total))
        kept.put(
            f"segment {segments}",
            {"units": described(units), "times": [[str(at), str(lasts)] for at, lasts in part.times]},
            b"".join(unit.data for unit in units),
        )
        segments, done = segments + 1, done + len(part.times)
        assert part.last is not None
        _keep_state(kept, segments, done, part.last.state)
    _join(dst, kept, segments, picture, force, target)
    kept.remove()
    return done


class _Part:
    """The pictures of a segment; notes their times and what comes last."""

    def __init__(self, items: Iterable[Restored], picture: Picture) -> None:
        self._items, self._color = items, picture.color
        self.times: Times = []
        self.last: Restored | None = None

    def __iter__(self) -> Iterator[Planes]:
        for item in self._items:
            self.last = item
            self.times.append((item.frame.time, item.frame.duration))
            yield recolor(item.frame.planes, item.frame.color, self._color)


def _keep_state(kept: Kept, segments: int, done: int, state: State) -> None:
    arrays = {
        f"{index} {name}": part
        for index, memory in enumerate(state.memories)
        for name, part in memory._asdict().items()
    }
    arrays |= {f"shown {index}": plane for index, plane in enumerate(state.shown or ())}
    told = {"segments": segments, "done": done, "memories": len(state.memories), "light": state.light}
    kept.put_arrays("state", told, arrays)


def _state(kept: Kept) -> tuple[int, int, State]:
    """Segments and frames that are done, and what the last of them left in mind."""
    found = kept.get_arrays("state")
    if found is None or any(kept.get(f"segment {index}") is None for index in range(found[0]["segments"])):
        return 0, 0, BEGINNING
    told, arrays = found
    memories = tuple(
        Memory(**{name: arrays[f"{index} {name}"] for name in Memory._fields})
        for index in range(told["memories"])
    )
    shown = None
    if "shown 0" in arrays:
        shown = arrays["shown 0"], arrays["shown 1"], arrays["shown 2"]
    return told["segments"], told["done"], State(memories, tuple(told["light"]), shown)


def _segment(kept: Kept, index: int) -> tuple[tuple[Unit, ...], Times]:
    found = kept.get(f"segment {index}")
    assert found is not None
    told, body = found
    return units_of(told["units"], body), [(Fraction(at), Fraction(lasts)) for at, lasts in told["times"]]


def _join(
    dst: str | os.PathLike[str],
    kept: Kept,
    segments: int,
    picture: Picture,
    force: bool,
    target: dict[str, Any],
) -> None:
    first = _segment(kept, 0)[0][0]
    with open_packet_writer(
        dst, picture=picture, extradata=configuration_of(first.data), force=force, **target
    ) as writer:
        for index in range(segments):
            units, times = _segment(kept, index)
            for unit in units:
                time, duration = times[unit.position]
                writer.write(CodedPacket(unit.data, time, duration, unit.key))
