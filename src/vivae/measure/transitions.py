"""How well transitions were found: cuts at their exact frame, gradual ones where spans overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[int, int]
"""First frame, and first frame after; of a cut both are the new shot's first."""
NEAR = 2
"""Frames by which a boundary may lie beside a gradual transition and still mean it."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Transitions that were found, found where there are none, and missed."""

    found: int = 0
    false: int = 0
    missed: int = 0

    def __add__(self, other: "Hits") -> "Hits":
        return Hits(self.found + other.found, self.false + other.false, self.missed + other.missed)

    @property
    def precision(self) -> float:
        """Share of what was reported that is true; 1 where nothing was."""
        return self.found / (self.found + self.false) if self.found + self.false else 1.0

    @property
    def recall(self) -> float:
        """Share of what is true that was reported; 1 where there is nothing."""
        return self.found / (self.found + self.missed) if self.found + self.missed else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        total = 2 * self.found + self.false + self.missed
        return 2 * self.found / total if total else 1.0


def cut_hits(truth: Sequence[int], found: Sequence[int]) -> Hits:
    """At zero frames of tolerance."""
    hit = len(set(truth) & set(found))
    return Hits(hit, len(set(found)) - hit, len(set(truth)) - hit)


def gradual_hits(truth: Sequence[Span], found: Sequence[Span]) -> Hits:
    """One to one, in order; a pair must share a frame."""
    left = sorted(found)
    hit = 0
    for first, end in sorted(truth):
        match = next((span for span in left if span[0] < end and span[1] > first), None)
        if match is not None:
            left.remove(match)
            hit += 1
    return Hits(hit, len(left), len(truth) - hit)


def boundary_hits(cuts: Sequence[int], graduals: Sequence[Span], found: Sequence[int]) -> tuple[Hits, Hits]:
    """Of a detector that reports boundaries and not their kind: its hits on cuts and on gradual transitions.

    To its favour, a boundary within `NEAR` frames of a gradual transition counts for that one alone, further ones in
    the same transition for nothing, and false ones against cuts only.
    """
    rest = sorted(set(found))
    met = 0
    for first, end in graduals:
        inside = [at for at in rest if first - NEAR <= at <= end + NEAR and at not in cuts]
        met += bool(inside)
        rest = [at for at in rest if at not in inside]
    return cut_hits(cuts, rest), Hits(met, 0, len(graduals) - met)
