"""Ids for the parts of masks: a part that lies over one of the frame before is the same object."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MOST = 255
"""Ids that a label map can hold."""
REACH = 0.02
"""Of the picture's diagonal, that a small object may jump from frame to frame."""


class Identities:
    """Masks in, label maps out. Holds one label map and a few numbers an object."""

    def __init__(self) -> None:
        self._last: NDArray[np.uint8] | None = None
        self._next = 1

    def restart(self) -> None:
        """A cut: objects after it are others."""
        self._last = None

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """What is remembered, by name: for another one to go on as this one would."""
        last = {} if self._last is None else {"last": self._last}
        return {"next": np.array(self._next), **last}

    @state.setter
    def state(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._next, self._last = int(state["next"]), state.get("last")

    def label(self, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """bool (H, W) to ids uint8 (H, W), 0 where it is not set."""
        count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        labels = np.zeros(mask.shape, np.uint8)
        before = self._widened(mask.shape)
        taken: set[int] = set()
        # The largest first: where an object falls apart its largest part keeps the id.
        for part in sorted(range(1, count), key=lambda index: -int(stats[index, cv2.CC_STAT_AREA])):
            here = parts == part
            object_ = 0
            if before is not None:
                votes = np.bincount(before[here], minlength=2)
                votes[0] = 0
                object_ = int(votes.argmax()) if votes.any() else 0
            if not object_:
                object_ = self._fresh(taken)
            taken.add(object_)
            labels[here] = object_
        self._last = labels
        return labels

    def _widened(self, shape: tuple[int, ...]) -> NDArray[Any] | None:
        if self._last is None:
            return None
        reach = max(1, round(REACH * float(np.hypot(shape[0], shape[1])))) | 1
        wide = np.asarray(cv2.dilate(self._last, np.ones((reach, reach), np.uint8)))
        return np.where(self._last > 0, self._last, wide)

    def _fresh(self, taken: set[int]) -> int:
        """The next id; after the highest, those that are out of sight are used again."""
        if self._next <= MOST:
            self._next += 1
            return self._next - 1
        return next((free for free in range(1, MOST + 1) if free not in taken), MOST)
