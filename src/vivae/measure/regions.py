"""How well masks agree: J of regions and F of boundaries as DAVIS has them, and F of pixels as CDnet has it.

Perazzi et al., "A benchmark dataset and evaluation methodology for video object segmentation", CVPR 2016; Wang et al.,
"CDnet 2014", CVPR Workshops 2014.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
TOLERANCE = 0.008
"""Of the picture's diagonal: how far apart boundaries may lie."""
MOVING, OUTSIDE, UNKNOWN = 255, 85, 170
"""Values of CDnet's ground truth."""


def region_overlap(found: Mask, true: Mask) -> float:
    """J: intersection over union, 1 where both are empty."""
    either = np.count_nonzero(found | true)
    return np.count_nonzero(found & true) / either if either else 1.0


def boundary_score(found: Mask, true: Mask) -> float:
    """F of the boundaries' precision and recall."""
    reach = max(1, round(TOLERANCE * float(np.hypot(*true.shape))))
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    edges = [_edge(mask) for mask in (found, true)]
    if not edges[0].any() or not edges[1].any():
        return float(edges[0].any() == edges[1].any())
    wide: list[Any] = [cv2.dilate(edge.astype(np.uint8), near) > 0 for edge in edges]
    precision = np.count_nonzero(edges[0] & wide[1]) / np.count_nonzero(edges[0])
    recall = np.count_nonzero(edges[1] & wide[0]) / np.count_nonzero(edges[1])
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _edge(mask: Mask) -> Mask:
    """Pixels of a mask that touch what is not of it, the frame's border aside."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
    return mask & (inner == 0)


@dataclass
class PixelCount:
    """True and false positives and misses, added up over frames."""

    both: int = 0
    extra: int = 0
    missed: int = 0

    def add(self, found: Mask, truth: NDArray[np.uint8], region: Mask) -> None:
        """truth: CDnet's values; shadows count as background. region: where anything counts."""
        counted = region & (truth != OUTSIDE) & (truth != UNKNOWN)
        moving = truth == MOVING
        self.both += int(np.count_nonzero(found & moving & counted))
        self.extra += int(np.count_nonzero(found & ~moving & counted))
        self.missed += int(np.count_nonzero(~found & moving & counted))

    @property
    def f(self) -> float:
        """F-measure."""
        return 2 * self.both / max(1, 2 * self.both + self.extra + self.missed)

    def __add__(self, other: "PixelCount") -> "PixelCount":
        return PixelCount(self.both + other.both, self.extra + other.extra, self.missed + other.missed)
