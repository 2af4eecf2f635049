"""From frames to transitions, in one pass: thumbnails, their signs, the network's answers, and the decision."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vivae.media import Planes
from vivae.vae.shot_head import Judge, ShotHead
from vivae.vae.shot_signs import COLUMNS, RowMaker, thumb_of

Kind = Literal["cut", "dissolve", "fade", "wipe"]

CUT = 0.5
"""Probability from which a frame begins a shot at once; the best of its neighbourhood does."""
APART = 3
"""Frames that two cuts are at least apart."""
INSIDE, EDGE = 0.5, 0.3
"""Probability that some frame of a gradual transition reaches, and that all of its frames reach."""
SHORTEST, GAP = 3, 3
"""Frames of the shortest gradual transition, and of a gap in one that is overlooked."""


@dataclass(frozen=True, slots=True)
class Transition:
    """From one shot to the next. first: the first frame that is not wholly the old shot's; end: the first that is
    wholly the new one's; for a cut they are the same. confidence: 0 to 1."""

    kind: Kind
    first: int
    end: int
    confidence: float

    @property
    def boundary(self) -> int:
        """The frame with which the new shot is said to begin: the middle one of a gradual transition."""
        return (self.first + self.end) // 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What is kept of a frame: two probabilities, and the signs by which kinds of transitions differ."""

    cut: float
    inside: float
    deviation: float
    rest: float
    either: float


class ShotFinder:
    """Frames in, transitions out. Holds a few hundred rows of signs, and a few numbers for every frame."""

    def __init__(self, head: ShotHead | None = None) -> None:
        self._rows, self._judge = RowMaker(), Judge(head)
        self._signs: deque[tuple[float, float, float]] = deque()
        self._answers: list[Answer] = []
        self.frames = 0

    def push(self, planes: Planes) -> None:
        """The next frame, as 8-bit planes of any size."""
        self.frames += 1
        for row in self._rows.push(thumb_of(planes)):
            self._push_row(row)

    def finish(self) -> list[Transition]:
        """All transitions of the clip, in order."""
        for row in self._rows.finish():
            self._push_row(row)
        self._keep(self._judge.finish())
        return decide(self._answers)

    def _push_row(self, row: np.ndarray) -> None:
        self._signs.append((row[COLUMNS["deviation"]], row[COLUMNS["rest"]], row[COLUMNS["either"]]))
        self._keep(self._judge.push(row))

    def _keep(self, found: list[tuple[float, float]]) -> None:
        self._answers += [Answer(cut, inside, *self._signs.popleft()) for cut, inside in found]


def decide(answers: list[Answer]) -> list[Transition]:
    """Probabilities, one pair a frame, to transitions that do not overlap."""
    if not answers:
        return []
    cut = np.array([answer.cut for answer in answers])
    inside = np.array([answer.inside for answer in answers])
    graduals = [
        Transition(_kind(answers, first, end), first, end, float(inside[first:end].max()))
        for first, end in _runs(inside)
        # Fading in at the start or out at the end is no way from one shot to another.
        if first > 1 and end < len(answers) - 1
    ]
    cuts = []
    for at in np.flatnonzero(cut > CUT).tolist():
        if not at or cut[at] < cut[max(0, at - APART) : at + APART + 1].max():
            continue
        around = [g for g in graduals if g.first - 1 <= at <= g.end + 1]
        if all(g.confidence < cut[at] and g.end - g.first < 2 * SHORTEST for g in around):
            graduals = [g for g in graduals if g not in around]
            cuts.append(Transition("cut", at, at, float(cut[at])))
    return sorted(cuts + graduals, key=lambda found: found.first)


def _runs(inside: np.ndarray) -> list[tuple[int, int]]:
    """Stretches of frames that lie in a gradual transition."""
    edges = np.diff(np.concatenate([[0], inside > EDGE, [0]]).astype(int))
    runs: list[tuple[int, int]] = []
    for first, end in zip(
        np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True
    ):
        if runs and first - runs[-1][1] <= GAP:
            first = runs.pop()[0]
        runs.append((first, end))
    return [(a, b) for a, b in runs if b - a >= SHORTEST and inside[a:b].max() > INSIDE]


def _kind(answers: list[Answer], first: int, end: int) -> Kind:
    """A fade passes a flat picture; in a wipe each sample is of one shot or the other, in a dissolve of both."""
    inner = answers[first:end]
    sides = [answers[max(0, first - 1)].deviation, answers[min(len(answers) - 1, end)].deviation]
    if min(answer.deviation for answer in inner) < min(sides) - FLATTER:
        return "fade"
    mixed = float(np.median([answer.rest for answer in inner]))
    parted = float(np.median([answer.either for answer in inner]))
    return "wipe" if parted < mixed * PARTED else "dissolve"


FLATTER = 1.2
"""By how much the logarithm of the deviation falls in a fade."""
PARTED = 0.65
"""What the better of two pictures leaves of a frame, over what their best mixture leaves, below which it is a wipe."""
