"""The scene of a fixed camera: what its background looks like, from footage in which things pass before it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.train.dataset import Passage

SAMPLES = 81
"""Frames, spread over all footage, whose median is the background: odd, and enough to outvote what passes."""


def camera_size(passages: Sequence[Passage]) -> tuple[int, int]:
    """Packed height and width that all passages share. Raises InputError where they do not: that is no one camera."""
    sizes = {passage.shape[2:] for passage in passages}
    if len(sizes) != 1:
        shown = ", ".join(sorted(f"{4 * width}x{4 * height}" for height, width in sizes))
        raise InputError(f"the footage of one fixed camera has one size, not {shown}: keep other files apart")
    height, width = next(iter(sizes))
    return height, width


def background_of(passages: Sequence[Passage]) -> NDArray[np.uint8]:
    """Median of frames spread evenly over the passages: uint8 (1, 24, h, w)."""
    lengths = np.cumsum([len(passage) for passage in passages])
    wanted = np.unique(np.linspace(0, lengths[-1] - 1, min(SAMPLES, lengths[-1])).round().astype(int))
    frames = []
    for index in wanted:
        which = int(np.searchsorted(lengths, index, side="right"))
        passage = passages[which]
        frames.append(passage.frames[index - int(lengths[which]) + len(passage)])
    return np.asarray(np.median(np.stack(frames), axis=0), np.uint8)[None]
