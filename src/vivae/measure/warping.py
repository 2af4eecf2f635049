"""Steadiness over time: how much a video differs from itself a frame before, moved along the motion of a clean one.

Warping error (Lai et al., ECCV 2018): with flow from the clean video, and where both directions of it agree.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

SURE = 1.0
"""Pixels by which a flow forth and back may miss."""
Luma = NDArray[np.uint8]


def warping_error(seen: Sequence[Luma], clean: Sequence[Luma]) -> float:
    """Mean absolute difference in code values; luma (H, W) of both, frame by frame, at least two."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    errors = []
    # OpenCV's search reads whole rows: views of a larger array confuse it.
    clean = [np.ascontiguousarray(luma) for luma in clean]
    for before, now, clean_before, clean_now in zip(seen, seen[1:], clean, clean[1:], strict=False):
        there = np.asarray(search.calc(clean_now, clean_before, _no_flow(now)), np.float32)
        back = np.asarray(search.calc(clean_before, clean_now, _no_flow(now)), np.float32)
        rows, columns = np.mgrid[: now.shape[0], : now.shape[1]].astype(np.float32)
        x, y = columns + there[..., 0], rows + there[..., 1]
        returned = there + cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        inside = (x >= 0) & (y >= 0) & (x <= now.shape[1] - 1) & (y <= now.shape[0] - 1)
        sure = inside & (np.abs(returned).max(2) < SURE)
        moved = cv2.remap(before.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if sure.any():
            errors.append(float(np.abs(now.astype(np.float32) - moved)[sure].mean()))
    return float(np.mean(errors)) if errors else 0.0


def _no_flow(luma: Luma) -> NDArray[np.float32]:
    return np.zeros((*luma.shape, 2), np.float32)
