"""What stands for a shot, and what stands for a video: keyframes, and the seconds that make a summary.

A summary is chosen by facility location: every moment of the video should have something like it among the chosen
seconds. Greedy choice comes within 1 - 1/e of the best (Nemhauser, Wolsey and Fisher, 1978).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.media import open_video, open_writer
from vivae.tasks.shots import Shot
from vivae.tasks.survey import Look, Survey
from vivae.vae.shot_finder import Transition

PIECE = 2.0
"""Seconds of a piece of a summary, where its shot is as long."""
SHORTEST = 0.6
MARGIN = 2
"""Frames between a transition and a keyframe."""
KEY_EVERY, MOST_KEYS, SAME = 5.0, 4, 0.97
"""Seconds of a shot that may have a keyframe of their own, how many it has at most, and how alike two may be."""
SHARP = 0.5
"""What sharpness counts beside likeness, when a keyframe is chosen."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a video, seconds."""

    start: float
    end: float


def keyframes(survey: Survey) -> list[list[Look]]:
    """For each shot the looks that stand for it, in order of time: one, and of a long shot a few that differ."""
    return [_keys(survey, shot) for shot in survey.shots]


def _keys(survey: Survey, shot: Shot) -> list[Look]:
    looks = _clear(_looks_of(survey, shot), survey.transitions)
    chosen = [_key(looks)]
    while len(chosen) < min(MOST_KEYS, 1 + shot.duration_s // KEY_EVERY):
        # What is least like those chosen, among the sharper half.
        limit = float(np.median([look.sharpness for look in looks]))
        sharp = [look for look in looks if look.sharpness >= limit]
        alike = [max(float(look.picture @ key.picture) for key in chosen) / 2 for look in sharp]
        if min(alike) > SAME:
            break
        chosen.append(sharp[int(np.argmin(alike))])
    return sorted(chosen, key=lambda look: look.time)


def summary_pieces(survey: Survey, seconds: float) -> list[Piece]:
    """Which parts, in order and of about `seconds` together, stand for the whole. Raises InputError."""
    if not seconds > 0:
        raise InputError(f"a summary lasts longer than 0 s (asked for: {seconds:g})")
    if seconds >= survey.duration:
        raise InputError(
            f"the video lasts {survey.duration:.1f} s: ask for a shorter summary than {seconds:g} s"
        )
    length = min(PIECE, max(SHORTEST, seconds / 3))
    pieces = [
        piece for shot in survey.shots for piece in _parted(shot, length, survey.transitions, survey.times)
    ]
    likeness = _likeness(pieces, survey.looks)
    best = np.zeros(len(survey.looks), np.float32)
    chosen: list[int] = []
    left = seconds
    while True:
        room = [
            k for k, piece in enumerate(pieces) if k not in chosen and piece.end - piece.start <= left + 0.05
        ]
        if not room:
            break
        gains = [np.maximum(best, likeness[k]).sum() - best.sum() for k in room]
        # Gain a second: a short piece may be worth more than a long one.
        pick = room[
            int(np.argmax([g / (pieces[k].end - pieces[k].start) for g, k in zip(gains, room, strict=True)]))
        ]
        best = np.maximum(best, likeness[pick])
        chosen.append(pick)
        left -= pieces[pick].end - pieces[pick].start
    if not chosen:
        first = pieces[0]
        return [Piece(first.start, min(first.end, first.start + seconds))]
    return [pieces[k] for k in sorted(chosen)]


def write_summary(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    pieces: Sequence[Piece],
    *,
    start: float = 0.0,
    force: bool = False,
) -> float:
    """Write the pieces of `src` after one another, without sound; returns seconds written. Raises OutputError.

    start: seconds of the file at which the clock of the pieces begins.
    """
    with open_video(src) as reader:
        info = reader.info
    at = Fraction(0)
    with open_writer(
        dst, width=info.width, height=info.height, fps=info.fps, color=info.color, sar=info.sar,
        inputs=[src], force=force,
    ) as writer:  # fmt: skip
        for piece in pieces:
            with open_video(src, start=start + piece.start, end=start + piece.end) as reader:
                for frame in reader:
                    frame.time = at
                    writer.write(frame)
                    # A piece may end just after a frame has begun; it is shown for a moment all the same.
                    at += max(frame.duration, 1 / info.fps / 2)
    return float(at)


def _looks_of(survey: Survey, shot: Shot) -> list[Look]:
    inside = [look for look in survey.looks if shot.first_frame <= look.frame <= shot.last_frame]
    # A shot shorter than the looks lie apart has the nearest one.
    return inside or [min(survey.looks, key=lambda look: abs(look.frame - shot.first_frame))]


def _clear(looks: Sequence[Look], transitions: Sequence[Transition]) -> list[Look]:
    """Those outside of transitions, where there are any."""
    clear = [k for k in looks if not any(t.first - MARGIN <= k.frame < t.end + MARGIN for t in transitions)]
    return clear or list(looks)


def _key(looks: Sequence[Look]) -> Look:
    pictures = np.stack([look.picture for look in looks])
    likeness = pictures @ pictures.mean(0)
    sharp = np.array([look.sharpness for look in looks])
    return looks[int(np.argmax(_scaled(likeness) + SHARP * _scaled(sharp)))]


def _scaled(values: NDArray) -> NDArray:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 1e-6 else values * 0


def _parted(
    shot: Shot, length: float, transitions: Sequence[Transition], times: Sequence[float]
) -> list[Piece]:
    """Even pieces of a shot, clear of its transitions."""
    first, end = shot.first_frame, shot.last_frame + 1
    for t in transitions:
        if t.first <= first < t.end:
            first = t.end
        if t.first < end <= t.end:
            end = t.first
    if end <= first:
        return []
    start, stop = times[first], times[end]
    count = max(1, int((stop - start) // length))
    step = (stop - start) / count
    pieces = [Piece(start + k * step, start + min((k + 1) * step, k * step + length)) for k in range(count)]
    return [piece for piece in pieces if piece.end - piece.start >= min(SHORTEST, stop - start)]


def _likeness(pieces: Sequence[Piece], looks: Sequence[Look]) -> NDArray[np.float32]:
    """(pieces, looks) from 0 to 1: how like a look is to the best of a piece."""
    pictures = np.stack([look.picture for look in looks])
    alike = np.clip(pictures @ pictures.T / 2, 0, 1)
    found = np.zeros((len(pieces), len(looks)), np.float32)
    for k, piece in enumerate(pieces):
        inside = [n for n, look in enumerate(looks) if piece.start <= look.time < piece.end]
        if not inside:
            middle = (piece.start + piece.end) / 2
            inside = [min(range(len(looks)), key=lambda n: abs(looks[n].time - middle))]
        found[k] = alike[inside].max(0)
    return found
