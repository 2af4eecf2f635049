"""Motion fields as whole numbers in the stream: predicted from coarse to fine, in integer arithmetic.

Every eighth position each way comes first; then the places between, in passes that halve the distance: those in the
middle of four that are known, then those between. Each is predicted by what is in the middle of its neighbours (the
median prediction of H.263 and H.264, but from all sides), and expected to differ from it as much as others did so far
whose neighbours agreed as well: `FieldCoder` learns that as it goes, the same in either direction, and forgets it at a
key. What is left is coded by the model's own frequency tables.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vivae.codec.entropy import Coder, Integers
from vivae.vae.compensation import FARTHEST, middle_of
from vivae.vae.prior import FRACTIONS

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
THRESHOLDS = tuple(1 + round(1024 * 0.05 * 480.0 ** ((level + 0.5) / 47)) for level in range(47))
"""1024ths of a mean size from which on the next of the model's 48 scales (0.05 to 24, geometric) fits better."""


class _Pass(NamedTuple):
    """Positions (rows, columns) that are coded together, and how many steps off their neighbours are."""

    rows: slice
    columns: slice
    neighbours: tuple[tuple[int, int], ...]
    step: int


class FieldCoder:
    """Codes fields (rows, columns, 2) of one size, one after the other."""

    def __init__(self, rows: int, columns: int) -> None:
        self._size = rows, columns
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
        count = len(DISAGREEMENTS) + 2
        self._sizes = np.full(count, FIRST_SIZE, np.int64)
        self._counts = np.ones(count, np.int64)

    def code(self, coder: Coder, field: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
        """Code a field, or with None read it. Returns it."""
        # Vectors that are known, and 1 for each.
        known = np.zeros((*self._size, 3), np.int64)
        for part in self._passes:
            expected, classes = self._expected(known, part)
            if not classes.size:
                continue
            given = None
            if field is not None:
                given = (field[part.rows, part.columns].reshape(-1, 2) - expected).ravel().astype(np.int64)
            found = coder.code(np.repeat(self._tables()[classes], 2), given).reshape(-1, 2)
            np.add.at(self._sizes, classes, np.abs(np.clip(found, -FARTHEST, FARTHEST)).sum(1))
            np.add.at(self._counts, classes, 2)
            vectors = np.clip(expected + found, -FARTHEST, FARTHEST)
            place = known[part.rows, part.columns]
            place[..., :2], place[..., 2] = vectors.reshape(*place.shape[:2], 2), 1
        old = self._counts > LONGEST_MEMORY
        self._sizes[old] = (self._sizes[old] + 1) // 2
        self._counts[old] //= 2
        return known[..., :2].astype(np.int32)

    def _tables(self) -> Integers:
        """For each class, the table of the scale it has learned."""
        ratio = self._sizes * 1024 // self._counts
        return np.searchsorted(THRESHOLDS, ratio, side="right") * FRACTIONS + FRACTIONS // 2

    def _expected(self, known: Integers, part: _Pass) -> tuple[Integers, Integers]:
        """The prediction (N, 2) of a pass's vectors, and the class (N,) of each."""
        rows, columns = (
            np.arange(side)[where] for side, where in zip(self._size, (part.rows, part.columns), strict=True)
        )
        if not part.neighbours:
            count = rows.size * columns.size
            return np.zeros((count, 2), np.int64), np.full(count, len(DISAGREEMENTS) + 1)
        seen = np.zeros((len(part.neighbours), rows.size, columns.size, 3), np.int64)
        for index, (down, across) in enumerate(part.neighbours):
            at, to = rows + down * part.step, columns + across * part.step
            inside = (at >= 0) & (at < self._size[0]), (to >= 0) & (to < self._size[1])
            seen[index][np.ix_(*inside)] = known[np.ix_(at[inside[0]], to[inside[1]])]
        count = np.maximum(seen[..., 2].sum(0), 1)[..., None]
        mean = (2 * seen[..., :2].sum(0) + count) // (2 * count)
        mean = np.where(count == 4, middle_of(seen[..., :2]), mean)
        apart = (np.abs(seen[..., :2] - mean) * seen[..., 2:]).sum((0, -1))
        return mean.reshape(-1, 2), np.searchsorted(DISAGREEMENTS, apart.ravel())
