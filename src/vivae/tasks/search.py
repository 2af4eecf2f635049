"""`search`: where in a folder of videos is this picture or clip, also re-encoded, cropped or mirrored?"""

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vivae.errors import InputError
from vivae.media import open_video, probe
from vivae.tasks.common import Progress, no_progress
from vivae.tasks.fingerprint import WINDOWS, Picture, fit, picture_of, vectors_of
from vivae.tasks.search_index import HOP, SECOND, Segments, read_index, segments_of

SHORTLIST = 60
"""Segments by their vectors that are laid over the query."""
FOUND = 0.62
"""How well a match fits at least; chosen on training footage so that 95 of 100 absent queries find nothing."""
LONGEST = 8
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
    good = [match for match in matches if match.score >= FOUND]
    return {
        "query": str(query),
        "found": bool(good),
        "matches": [asdict(match) for match in good[:count]],
        "best_score": round(matches[0].score, 4) if matches else None,
        "index": told | {"segments": len(index)},
    }


def query_segments(query: str | os.PathLike[str]) -> list[tuple[float, list[Picture]]]:
    """Times in the query and its pictures: one for an image or frame, two for each second of a clip."""
    text = str(query)
    at = re.fullmatch(r"(.+)@(?:(\d+):)?(\d+(?:\.\d*)?)", text)
    if at and not Path(text).exists():
        time = 60 * int(at[2] or 0) + float(at[3])
        with open_video(at[1], start=time) as reader:
            return [(time, [picture_of(next(reader), float(reader.info.sar))])]
    if probe(text).is_image:
        with open_video(text) as reader:
            return [(0.0, [picture_of(next(reader), float(reader.info.sar))])]
    with open_video(text) as reader:
        found = list(islice(segments_of(reader, float(reader.info.sar)), 7200))
    if len(found) > LONGEST:
        found = [found[round(k)] for k in np.linspace(0, len(found) - 1, LONGEST)]
    return found


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

    def matches(
        self, asked: Sequence[tuple[float, list[Picture]]], without: frozenset[int] = frozenset()
    ) -> list[Match]:
        """The best place in each video for any segment of a query, best first. without: numbers of videos left out."""
        if not len(self):
            raise InputError("the folder holds no video that can be read: there is nothing to search")
        best: dict[int, Match] = {}
        for time, pictures in asked:
            for match, owner in self._of(time, pictures, without):
                if owner not in best or match.score > best[owner].score:
                    best[owner] = match
        return sorted(best.values(), key=lambda match: -match.score)

    def _of(self, time: float, pictures: list[Picture], without: frozenset[int]) -> list[tuple[Match, int]]:
        found = []
        for mirrored in (False, True):
            shown = [picture.mirrored() for picture in pictures] if mirrored else pictures
            vector = vectors_of(shown, WINDOWS[:1])[0]
            alike = (self._vectors @ vector).max(1)
            if without:
                alike = np.where(np.isin(self._owner, list(without)), -1, alike)
            for k in np.argsort(-alike)[:SHORTLIST].tolist():
                owner, place = int(self._owner[k]), int(self._place[k])
                if owner in without:
                    continue
                part = self._every[owner]
                score = fit(shown, list(part.pictures[place].astype(np.float32)), part.aspect)
                start = float(part.starts[place])
                match = Match(str(part.path), start, start + SECOND, round(score, 4), mirrored, time)
                found.append((match, owner))
        return found


def near(match: Match, video: str, start: float) -> bool:
    """Whether a match shares time with the second that begins at `start`."""
    return match.video == video and abs(match.start_s - start) <= SECOND - HOP / 2
