"""`search`: where in a folder of videos is this picture or clip, also re-encoded, cropped or mirrored?"""

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vivae.errors import InputError
from vivae.media import open_video, probe
from vivae.tasks.common import Progress, no_progress
from vivae.tasks.fingerprint import WINDOWS, Array, Laid, Picture, fit, picture_of, vectors_of
from vivae.tasks.search_index import HOP, SECOND, Segments, read_index
from vivae.tasks.settling import settle

SHORTLIST = 30
"""Segments by their vectors that are laid over the query."""
SETTLED = 3
"""Of these, so many of the best, and with each all that look like it, are compared again in its place..."""
GROUP, MARGIN = 400, 0.08
"""...at most so many, whose vectors are so near."""
FOUND = 0.74
"""How well a match fits at least; chosen on training footage so that 95 of 100 absent queries find nothing."""
FOUND_PICTURE = 0.8
"""The same for a single picture, of which nothing tells how it moves."""
PHASE = 1 / 16
"""Seconds between the phases at which pictures of a query are taken: the index has one every half second."""
LONGEST = 4
"""Segments of a query clip that are looked up, evenly spread."""


@dataclass(frozen=True, slots=True)
class Match:
    """A place in the folder. score: how well the pictures fit, at most 1; query_s: which second of the query it is."""

    video: str
    start_s: float
    end_s: float
    score: float
    mirrored: bool
    query_s: float


def search(
    query: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    count: int = 5,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Find where `query` comes from among the videos of `folder`.

    query: an image, a clip, or one frame of a clip as `clip.mp4@12.5` (seconds, or M:SS). The folder's index is made
    or brought up to date first, in its `.vivae-index`. count: places told at most, the best of each video first.
    Returns found, matches (see `Match`), best_score and what was indexed. Raises InputError, FormatError, OutputError.
    """
    asked = query_segments(query)
    every, told = read_index(folder, progress=progress)
    index = Index(every)
    matches = index.matches(asked)
    limit = FOUND if len(asked[0].takes[0]) > 1 else FOUND_PICTURE
    good = [match for match in matches if match.score >= limit]
    return {
        "query": str(query),
        "found": bool(good),
        "matches": [asdict(match) for match in good[:count]],
        "best_score": round(matches[0].score, 4) if matches else None,
        "index": told | {"segments": len(index)},
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """A second of the query, or one frame. takes: pictures to lay over the index's, one of which lies where those do:
    pairs half a second apart at many phases, or a single picture."""

    time: float
    takes: list[list[Picture]]


def query_segments(query: str | os.PathLike[str]) -> list[Asked]:
    """What of a query is looked up: one frame of an image or of `clip@time`, seconds of a clip."""
    text = str(query)
    at = re.fullmatch(r"(.+)@(?:(\d+):)?(\d+(?:\.\d*)?)", text)
    if at and not Path(text).exists():
        time = 60 * int(at[2] or 0) + float(at[3])
        with open_video(at[1], start=time) as reader:
            return [Asked(time, [[picture_of(next(reader), float(reader.info.sar))]])]
    info = probe(text)
    if info.is_image:
        with open_video(text) as reader:
            return [Asked(0.0, [[picture_of(next(reader), float(reader.info.sar))]])]
    last = max(0.0, float(info.duration) - SECOND)
    count = min(LONGEST, 1 + int(last))
    return [_asked(text, float(time)) for time in np.linspace(0, last, count)]


def _asked(path: str, time: float) -> Asked:
    """The second that begins at `time`."""
    shown: list[Picture] = []
    with open_video(path, start=time, end=time + SECOND) as reader:
        for frame in reader:
            while float(frame.time + frame.duration) > len(shown) * PHASE and len(shown) < SECOND / PHASE:
                shown.append(picture_of(frame, float(reader.info.sar)))
    half = round(HOP / PHASE)
    takes = [[shown[k], shown[min(k + half, len(shown) - 1)]] for k in range(min(half, len(shown)))]
    return Asked(time, takes)


class Index:
    """Segments of many videos, ready to be searched."""

    def __init__(self, every: Sequence[Segments]) -> None:
        self._every = every
        self._owner = (
            np.repeat(np.arange(len(every)), [len(part.starts) for part in every])
            if every
            else np.empty(0, int)
        )
        self._place = np.concatenate([np.arange(len(part.starts)) for part in every] or [np.empty(0, int)])
        vectors = [part.vectors.astype(np.float32) for part in every]
        self._vectors = np.concatenate(vectors) if vectors else np.empty((0, len(WINDOWS), 1), np.float32)

    def __len__(self) -> int:
        return len(self._owner)

    def matches(self, asked: Sequence[Asked], without: frozenset[int] = frozenset()) -> list[Match]:
        """The best place in each video for any segment of a query, best first. without: numbers of videos left out."""
        if not len(self):
            raise InputError("the folder holds no video that can be read: there is nothing to search")
        best: dict[int, Match] = {}
        for part in asked:
            for match, owner in self._of(part, without):
                if owner not in best or match.score > best[owner].score:
                    best[owner] = match
        return sorted(best.values(), key=lambda match: -match.score)

    def _of(self, asked: Asked, without: frozenset[int]) -> list[tuple[Match, int]]:
        views = (asked.takes, [[picture.mirrored() for picture in take] for take in asked.takes])
        alike = np.stack([
            np.max([(self._vectors @ vector).max(1) for vector in _vectors(view)], axis=0) for view in views
        ])  # fmt: skip
        alike[:, np.isin(self._owner, list(without))] = -2
        laid: dict[tuple[int, int], Laid] = {}
        for flat in np.argsort(-alike, axis=None)[:SHORTLIST].tolist():
            view, k = divmod(flat, len(self))
            if alike[view, k] < -1:
                break
            part = self._every[self._owner[k]]
            picture = list(part.pictures[self._place[k]].astype(np.float32))
            laid[view, k] = fit(views[view], picture, part.aspect)
        best: dict[tuple[int, int], float] = {}
        groups = 0
        for view, k in sorted(laid, key=lambda at: -laid[at].score):
            if groups == SETTLED:
                break
            if (view, k) in best:
                continue
            groups += 1
            group = self._group(alike[view], k)
            pictures = np.stack([self._every[self._owner[one]].pictures[self._place[one]] for one in group])
            scores = settle(
                views[view], laid[view, k], group.index(k), pictures, self._every[self._owner[k]].aspect
            )
            for one, score in zip(group, scores.tolist(), strict=True):
                best[view, one] = max(score, best.get((view, one), -1.0))
        return [
            (self._match(view, k, score, asked.time), int(self._owner[k]))
            for (view, k), score in best.items()
        ]

    def _group(self, alike: Array, k: int) -> list[int]:
        """Segment k and those whose vectors are as near to the query's, of pictures of the same shape."""
        aspect = self._every[self._owner[k]].aspect
        near_by = np.argsort(-alike)[:GROUP].tolist()
        return [k] + [
            one
            for one in near_by
            if one != k
            and alike[one] > alike[k] - MARGIN
            and abs(self._every[self._owner[one]].aspect / aspect - 1) < 0.01
        ]

    def _match(self, view: int, k: int, score: float, time: float) -> Match:
        part = self._every[self._owner[k]]
        start = float(part.starts[self._place[k]])
        return Match(str(part.path), start, start + SECOND, round(score, 4), view == 1, round(time, 3))


def _vectors(view: Sequence[Sequence[Picture]]) -> list[Array]:
    """Of each take: one of them lies where the index's pictures do."""
    return [vectors_of(take, WINDOWS[:1])[0] for take in view]


def near(match: Match, video: str, start: float) -> bool:
    """Whether a match shares time with the second that begins at `start`."""
    return match.video == video and abs(match.start_s - start) <= SECOND - HOP / 2
