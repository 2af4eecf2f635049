"""Motion fields as whole numbers in the stream: predicted from coarse to fine, in integer arithmetic.

Every eighth position each way comes first; then the places between, in passes that halve the distance: those in the
middle of four that are known, then those between. Each is predicted by what is in the middle of its neighbours (the
median prediction of H.263 and H.264, but from all sides), and expected to differ from it as much as others did so far
whose neighbours agreed as well: `FieldCoder` learns that as it goes, the same in either direction, and forgets it at a
key. What is left is coded by the model's own frequency tables. Softness, where a model knows it, follows in the same
passes, expected to be the mean of its neighbours.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vivae.codec.entropy import Coder, Integers
from vivae.vae.compensation import FARTHEST, middle_of
from vivae.vae.prior import FRACTIONS
from vivae.vae.softness import LEVELS

FIRST_STEP = 8
CROSS = ((-1, 0), (1, 0), (0, -1), (0, 1))
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
DISAGREEMENTS = (0, 2, 6, 16, 48)
"""Sums of the neighbours' distances from the prediction, in parts of a pixel, up to which a class reaches. One more is
for what differs more, and one for positions without neighbours."""
LONGEST_MEMORY = 512
"""Values after which what a class has learned is halved."""
FIRST_SIZE = 3
"""The mean size of a value that each class expects at first."""
FIRST_SOFT = 4
"""One value in so many is expected not to be zero at first, in each class of softness."""
SOFT_APART = 3
"""Classes of softness by how much its neighbours differ, for each mean: 0, 1, or more."""
THRESHOLDS = tuple(1 + round(1024 * 0.05 * 480.0 ** ((level + 0.5) / 47)) for level in range(47))
"""1024ths of a mean size from which on the next of the model's 48 scales (0.05 to 24, geometric) fits better."""


class _Pass(NamedTuple):
    """Positions (rows, columns) that are coded together, and how many steps off their neighbours are."""

    rows: slice
    columns: slice
    neighbours: tuple[tuple[int, int], ...]
    step: int


class _Sizes:
    """What the values of each class have been like: their sizes' sum, and how many they were."""

    def __init__(self, classes: int, size: int, count: int) -> None:
        self._sizes = np.full(classes, size, np.int64)
        self._counts = np.full(classes, count, np.int64)

    def tables(self, classes: Integers) -> Integers:
        """For each class, the table of the scale it has learned."""
        ratio = self._sizes * 1024 // self._counts
        return (np.searchsorted(THRESHOLDS, ratio, side="right") * FRACTIONS + FRACTIONS // 2)[classes]

    def learn(self, classes: Integers, values: Integers) -> None:
        np.add.at(self._sizes, classes, np.abs(np.clip(values, -FARTHEST, FARTHEST)))
        np.add.at(self._counts, classes, 1)

    def fade(self) -> None:
        """Let the latest count for more."""
        old = self._counts > LONGEST_MEMORY
        self._sizes[old] = (self._sizes[old] + 1) // 2
        self._counts[old] //= 2


class FieldCoder:
    """Codes fields (rows, columns, 2) of one size, or 3 with softness, one after the other."""

    def __init__(self, rows: int, columns: int, *, soft: bool = False) -> None:
        self._size, self._soft = (rows, columns), soft
        self._passes = [_Pass(slice(0, None, FIRST_STEP), slice(0, None, FIRST_STEP), (), 0)]
        step = FIRST_STEP
        while step > 1:
            half = step // 2
            odd, even = slice(half, None, step), slice(0, None, step)
            self._passes += [
                _Pass(odd, odd, CORNERS, half),
                _Pass(odd, even, CROSS, half),
                _Pass(even, odd, CROSS, half),
            ]
            step = half
        self.restart()

    def restart(self) -> None:
        """Forget what was learned: the next step is a key."""
        self._vectors = _Sizes(len(DISAGREEMENTS) + 2, FIRST_SIZE, 1)
        self._softness = _Sizes((LEVELS + 1) * SOFT_APART, 1, FIRST_SOFT)

    def code(self, coder: Coder, field: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
        """Code a field, or with None read it. Returns it."""
        found = [self._coded(coder, field, VECTORS, self._vectors)]
        if self._soft:
            found.append(self._coded(coder, field, SOFTNESS, self._softness))
        return np.concatenate(found, -1).astype(np.int32)

    def _coded(
        self, coder: Coder, field: NDArray[np.int32] | None, kind: "_Kind", learned: _Sizes
    ) -> Integers:
        given = None if field is None else field[..., kind.where].astype(np.int64)
        count = kind.where.stop - kind.where.start
        # Values that are known, and 1 for each position.
        known = np.zeros((*self._size, count + 1), np.int64)
        for part in self._passes:
            expected, apart = self._expected(known, part)
            if not apart.size:
                continue
            classes = np.repeat(kind.classes(part, expected, apart), count)
            missing = None
            if given is not None:
                missing = (given[part.rows, part.columns].reshape(-1, count) - expected).ravel()
            found = coder.code(learned.tables(classes), missing)
            learned.learn(classes, found)
            values = np.clip(expected + found.reshape(-1, count), kind.least, kind.most)
            place = known[part.rows, part.columns]
            place[..., :-1], place[..., -1] = values.reshape(*place.shape[:2], count), 1
        learned.fade()
        return known[..., :-1]

    def _expected(self, known: Integers, part: _Pass) -> tuple[Integers, Integers]:
        """The prediction (N, components) of a pass's values, and how far those around each are from it (N,)."""
        rows, columns = (
            np.arange(side)[where] for side, where in zip(self._size, (part.rows, part.columns), strict=True)
        )
        components = known.shape[-1] - 1
        if not part.neighbours:
            count = rows.size * columns.size
            return np.zeros((count, components), np.int64), np.zeros(count, np.int64)
        seen = np.zeros((len(part.neighbours), rows.size, columns.size, components + 1), np.int64)
        for index, (down, across) in enumerate(part.neighbours):
            at, to = rows + down * part.step, columns + across * part.step
            inside = (at >= 0) & (at < self._size[0]), (to >= 0) & (to < self._size[1])
            seen[index][np.ix_(*inside)] = known[np.ix_(at[inside[0]], to[inside[1]])]
        count = np.maximum(seen[..., -1].sum(0), 1)[..., None]
        mean = (2 * seen[..., :-1].sum(0) + count) // (2 * count)
        mean = np.where(count == 4, middle_of(seen[..., :-1]), mean)
        apart = (np.abs(seen[..., :-1] - mean) * seen[..., -1:]).sum((0, -1))
        return mean.reshape(-1, components), apart.ravel()


def _vector_classes(part: _Pass, _expected: Integers, apart: Integers) -> Integers:
    if not part.neighbours:
        return np.full(len(apart), len(DISAGREEMENTS) + 1)
    return np.searchsorted(DISAGREEMENTS, apart)


def _soft_classes(_part: _Pass, expected: Integers, apart: Integers) -> Integers:
    return expected[:, 0] * SOFT_APART + np.minimum(apart, SOFT_APART - 1)


class _Kind(NamedTuple):
    """What is coded of a field: which of its components, from what to what, and what makes some alike."""

    where: slice
    least: int
    most: int
    classes: Callable[[_Pass, Integers, Integers], Integers]
    """Of a pass, the predictions (N, components) and how far those around are from them (N,): classes (N,)."""


VECTORS = _Kind(slice(0, 2), -FARTHEST, FARTHEST, _vector_classes)
SOFTNESS = _Kind(slice(2, 3), 0, LEVELS, _soft_classes)
