"""The objects of a report: what moves by itself in the video, when, how large and how fast, with tracks."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.tasks.common import Progress
from vivae.tasks.segment import segment

SHOWN = 12
BRIEFEST = 3
"""Frames in which an object must be seen to be told of."""
COLOR = (255, 120, 60)


@dataclass(frozen=True)
class Track:
    """One object through the video. seconds are from the start of the span; box: x, y, width, height at `best`."""

    number: int
    first: float
    last: float
    best: float
    """When it is largest."""
    box: tuple[int, int, int, int]
    share: float
    """Of the picture that it takes, on average, 0 to 1."""
    speed: float
    """Pixels a second, on average."""
    weight: float


@dataclass(frozen=True)
class Found:
    """All objects, the most present first, and the file of their tracks."""

    tracks: tuple[Track, ...]
    table: str


def find_objects(
    src: str | os.PathLike[str],
    room: Path,
    size: tuple[int, int],
    start: float | None,
    end: float | None,
    progress: Progress,
) -> Found:
    """What `vivae segment --auto` finds. room: a folder for masks. size: width and height of the pictures."""
    folder = room / "objects"
    segment(
        src, folder, auto=True, start=start, end=end, progress=lambda part, done, total: progress(done, total)
    )
    table = (folder / "tracks.csv").read_text("utf-8")
    rows: dict[int, list[Mapping[str, str]]] = defaultdict(list)
    for line in csv.DictReader(table.splitlines()):
        rows[int(line["object"])].append(line)
    tracks = [_track(number, seen, size) for number, seen in rows.items() if len(seen) >= BRIEFEST]
    return Found(tuple(sorted(tracks, key=lambda track: -track.weight)), table)


def _track(number: int, seen: Sequence[Mapping[str, str]], size: tuple[int, int]) -> Track:
    areas = [float(line["area"]) for line in seen]
    speeds = [float(line["speed"]) for line in seen if line["speed"]]
    largest = seen[int(np.argmax(areas))]
    x, y, width, height = (int(largest[name]) for name in ("x", "y", "width", "height"))
    return Track(
        number,
        float(seen[0]["time_s"]),
        float(seen[-1]["time_s"]),
        float(largest["time_s"]),
        (x, y, width, height),
        float(np.mean(areas)) / (size[0] * size[1]),
        float(np.median(speeds)) if speeds else 0.0,
        float(np.sum(areas)),
    )


def object_cards(
    tracks: Sequence[Track],
    width: int,
    still: Callable[[float], NDArray[np.uint8]],
    jpeg: Callable[[NDArray[np.uint8]], str],
    clock: Callable[[float], str],
    shape: str,
) -> str:
    """A card for each of the most present objects. width: of the video. still: RGB at a time of the span."""
    cards = []
    for track in tracks[:SHOWN]:
        picture = np.ascontiguousarray(still(track.best))
        scale = picture.shape[1] / width
        x, y, across, down = (round(value * scale) for value in track.box)
        cv2.rectangle(picture, (x, y), (x + across, y + down), COLOR, 2)
        words = f"{100 * track.share:.1f} % of the picture, {track.speed:.0f} pixels a second"
        span = f"{clock(track.first)} – {clock(track.last)}"
        cards.append(
            f'<button type="button" class="card" data-at="{track.best:.3f}">'
            f'<img alt="Object {track.number}" src="data:image/jpeg;base64,{jpeg(picture)}">'
            f'<span class="words"><b>Object {track.number}<span>{span}</span></b>{escape(words)}</span></button>'
        )
    return f'<div class="shotcards" style="{shape}">{"".join(cards)}</div>'
