"""What is worth knowing of a video, in words: where to look, and what kind of video it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vivae.tasks.survey import Survey

MOST = 12
"""Moments that are told."""
DARK, BRIGHT = 10.0, 92.0
"""Brightness, per cent, of what counts as dark or washed out."""
SOFT = 0.55
"""Of the video's usual sharpness."""
STILL = 0.05
"""Change of surprise and motion, per cent of the width a second, below which the picture stands still."""
LASTS = 0.7
"""Seconds that a state lasts before it is told."""
ODD = 5.0
"""Typical deviations by which surprise stands out."""
BESIDE = 0.4
"""Seconds around a shot's beginning, where surprise is no news."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something to look at: seconds, what kind of thing, and why it is told."""

    start_s: float
    end_s: float
    kind: str
    reason: str
    weight: float


def moments(survey: Survey) -> list[Moment]:
    """The most telling ones, in order of time."""
    readings = survey.readings
    times = np.array(survey.times)
    bright = np.array([r.brightness for r in readings])
    sharp = np.array([r.sharpness for r in readings])
    motion = np.array([r.motion for r in readings])
    active = np.array([r.activity for r in readings])
    usual = float(np.median(sharp))
    found = [
        *_states(
            times, bright < DARK, "dark", lambda a, b: f"dark: {bright[a:b].mean():.0f} % of full brightness"
        ),
        *_states(
            times, bright > BRIGHT, "bright", lambda a, b: f"washed out: {bright[a:b].mean():.0f} % bright"
        ),
        *_states(
            times,
            (sharp < SOFT * usual) & (bright >= DARK),
            "soft",
            lambda a, b: f"out of focus or smeared: sharpness {sharp[a:b].mean():.0f}, usually {usual:.0f}",
        ),
        *_states(
            times,
            (motion < STILL) & (active == 0) & (bright >= DARK),
            "still",
            lambda a, b: "the picture stands still",
        ),
        *_states(
            times,
            motion > max(60.0, 4 * float(np.median(motion)) + 1),
            "fast",
            lambda a, b: f"fast camera: {motion[a:b].mean():.0f} % of the width a second",
        ),
        *_surprises(survey),
    ]
    # What a transition mixes does not move.
    for transition in survey.transitions:
        active[max(0, transition.first - 2) : transition.end + 2] = 0
    if len(active) and active.max() > 2:
        at = int(active.argmax())
        share = f"{active[at]:.0f} % of the picture moves on its own"
        found.append(Moment(float(times[at]), float(times[at + 1]), "busy", f"busiest moment: {share}", 1.0))
    best = sorted(found, key=lambda moment: -moment.weight)[:MOST]
    return sorted(best, key=lambda moment: moment.start_s)


def describe(survey: Survey) -> str:
    """One or two sentences about the whole."""
    readings = survey.readings
    count = len(survey.shots)
    mean = {
        name: float(np.mean([getattr(r, name) for r in readings]))
        for name in ("brightness", "motion", "activity", "sharpness", "noise")
    }
    if count == 1:
        shots = "One continuous shot"
    else:
        kinds = [shot.transition for shot in survey.shots[1:]]
        soft = sum(kind != "cut" for kind in kinds)
        longest = max(survey.shots, key=lambda shot: shot.duration_s)
        ways = counted(len(kinds) - soft, "cut") + (
            f" and {counted(soft, 'soft transition')}" if soft else ""
        )
        shots = f"{count} shots with {ways}; the longest is shot {longest.shot}, {longest.duration_s:.1f} s"
    camera = _word(
        mean["motion"],
        ((1.5, "The camera stands still"), (12, "The camera moves gently"), (1e9, "The camera moves a lot")),
    )
    life = _word(
        mean["activity"],
        ((1, "little moves before it"), (8, "some things move before it"), (1e9, "much moves before it")),
    )
    light = _word(mean["brightness"], ((22, "dark"), (62, "of normal light"), (101, "bright")))
    focus = _word(mean["sharpness"], ((30, "soft"), (55, "fairly sharp"), (101, "sharp")))
    grain = _word(mean["noise"], ((1.2, "clean"), (3.5, "slightly noisy"), (1e9, "noisy")))
    return f"{shots}. {camera}, and {life}. The picture is {light}, {focus} and {grain}."


def counted(number: int, thing: str) -> str:
    """`1 cut`, `2 cuts`."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _word(value: float, steps: Sequence[tuple[float, str]]) -> str:
    return next(word for limit, word in steps if value < limit)


def _states(
    times: NDArray[np.float64], holds: NDArray[np.bool_], kind: str, words: Callable[[int, int], str]
) -> list[Moment]:
    edges = np.diff(np.concatenate([[0], holds.astype(int), [0]]))
    spans = zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)
    return [
        Moment(float(times[a]), float(times[b]), kind, words(a, b), 1 + float(np.log1p(times[b] - times[a])))
        for a, b in spans
        if times[b] - times[a] >= LASTS
    ]


def _surprises(survey: Survey) -> list[Moment]:
    """Peaks of the bits that the model needs, away from where shots begin."""
    if len(survey.surprise) < 8:
        return []
    times, bits = (np.array(part) for part in zip(*survey.surprise, strict=True))
    begins = [shot.start_s for shot in survey.shots]
    ends = [survey.times[t.end] for t in survey.transitions]
    calm = np.array([all(abs(time - at) > BESIDE for at in (*begins, *ends)) for time in times])
    if not calm.any():
        return []
    usual = float(np.median(bits[calm]))
    spread = 1.48 * float(np.median(np.abs(bits[calm] - usual))) + 0.02 * usual + 1e-6
    found = []
    for at in np.flatnonzero(calm & (bits > usual + ODD * spread)).tolist():
        if bits[at] >= bits[max(0, at - 4) : at + 5].max():
            reason = f"something new: {bits[at] / usual:.1f} times the usual surprise"
            found.append(Moment(float(times[at]), float(times[at]), "new", reason, float(bits[at] / usual)))
    return found
