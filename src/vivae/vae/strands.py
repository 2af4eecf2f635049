"""Parts of frames tied together along the flow, and weighed over all that is known of the shot.

In a single frame a cloud or a reflection may weigh as much as the object; over a shot it rarely does. And what reaches
along the frame's border is more likely ground, water or sky than an object (boundary connectivity: Zhu, Liang, Wei and
Sun, CVPR 2014).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Field = NDArray[Any]
"""float32 (h, w)."""
Parts = NDArray[np.int32]
"""(h, w): 0 where there is no part, else its number."""

TIED = 0.4
"""Of the smaller part, what two parts of neighbouring frames must share to be one."""
FADING = 0.5
"""Share of a strand's weight that it enters the next window with."""
ALONG = 1.0
"""Length along the frame's border over the root of a part's area, at which its weight has fallen to exp(-1/2)."""


class Strands:
    """Windows of log odds in, the same out without what weighs little over the shot. Holds one frame's parts."""

    def __init__(self, share: float) -> None:
        """share: of the heaviest strand's weight, below which a strand is no object."""
        self._share = share
        self._last: tuple[Parts, Field] | None = None

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """What another one needs to go on as this one would."""
        return {} if self._last is None else {"parts": self._last[0], "weights": self._last[1]}

    @state.setter
    def state(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._last = (state["parts"], state["weights"]) if state else None

    def restart(self) -> None:
        """A cut: nothing before it counts."""
        self._last = None

    def prune(self, odds: Sequence[Field], backs: Sequence[Field | None]) -> list[Field]:
        """Log odds (h, w) of a window's frames; those of parts that weigh little become negative.

        backs: (h, w, 2), where each pixel was in the frame before. A frame that has only such parts stays as it is.
        """
        first = [] if self._last is None else [self._last[0]]
        weights = [np.zeros(1)] if self._last is None else [self._last[1]]
        parts = list(first)
        for field in odds:
            count, found = cv2.connectedComponents((field > 0).astype(np.uint8))
            start = sum(map(len, weights)) - 1
            parts.append(np.where(found > 0, found + start, 0).astype(np.int32))
            weights.append(_weights(found, count, field)[1:])
        weight = np.concatenate(weights)
        ties = [
            tie
            for (before, here), back in zip(pairwise(parts), backs[1 - len(first) :], strict=True)
            if back is not None
            for tie in _ties(here, before, back)
        ]
        roots = _joined(len(weight), ties)
        total = np.bincount(roots, weight, minlength=len(weight))
        kept = (total >= self._share * total.max())[roots]
        kept[0] = False
        # Numbers of the next window begin anew; parts of one strand keep being one.
        numbers, again = np.unique(np.concatenate([[0], roots[parts[-1].ravel()]]), return_inverse=True)
        self._last = again[1:].reshape(parts[-1].shape).astype(np.int32), FADING * total[numbers]
        return [
            np.where(kept[here], field, np.minimum(field, -1)).astype(np.float32)
            if kept[here].any()
            else field
            for field, here in zip(odds, parts[len(first) :], strict=True)
        ]


def heaviest(odds: Field, share: float) -> NDArray[np.bool_]:
    """Of the connected parts where log odds are above 0 those that weigh at least `share` of the heaviest."""
    count, parts = cv2.connectedComponents((odds > 0).astype(np.uint8))
    weights = _weights(parts, count, odds)
    chosen = weights >= share * weights.max()
    chosen[0] = False
    return np.asarray(chosen[parts])


def _weights(parts: Field, count: int, odds: Field) -> Field:
    """(count,): for each part, numbered from 1, the sum of its log odds, less for what runs along the border."""
    sums = np.bincount(parts.ravel(), np.maximum(odds, 0).ravel(), minlength=count)
    areas = np.maximum(1, np.bincount(parts.ravel(), minlength=count))
    rim = np.concatenate([parts[0], parts[-1], parts[1:-1, 0], parts[1:-1, -1]])
    along = np.bincount(rim, minlength=count) / np.sqrt(areas)
    weights = sums * np.exp(-((along / ALONG) ** 2) / 2)
    weights[0] = 0
    return np.asarray(weights)


def _ties(here: Parts, before: Parts, back: Field) -> list[tuple[int, int]]:
    """Pairs of parts, of this frame and of the one before, that lie over each other."""
    height, width = here.shape
    columns = np.clip(np.rint(back[..., 0]) + np.arange(width), 0, width - 1).astype(np.intp)
    rows = np.clip(np.rint(back[..., 1]) + np.arange(height)[:, None], 0, height - 1).astype(np.intp)
    came = before[rows, columns]
    both = (here > 0) & (came > 0)
    pairs, shared = np.unique(np.stack([here[both], came[both]], 1), axis=0, return_counts=True)
    sizes, sizes_before = np.bincount(here.ravel()), np.bincount(came.ravel())
    return [
        (int(a), int(b))
        for (a, b), common in zip(pairs, shared, strict=True)
        if common > TIED * min(sizes[a], sizes_before[b])
    ]


def _joined(count: int, ties: Sequence[tuple[int, int]]) -> NDArray[np.intp]:
    """(count,): for each part the number of one that stands for all those it is tied to."""
    graph = coo_matrix((np.ones(len(ties)), tuple(np.array(ties, np.intp).reshape(-1, 2).T)), (count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.intp)
