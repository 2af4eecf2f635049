"""Frames between two others: flow both ways by search, and a `MiddleFrame` that makes the picture of it."""

import numpy as np
import torch
from numpy.typing import NDArray

from vivae.media import Planes, pack, unpack
from vivae.vae.blocks import has_bfloat16
from vivae.vae.enhancing import Packed, as_picture, as_tensor
from vivae.vae.middle import STEP, MiddleFrame, Ways
from vivae.vae.motion import Motion


def found_ways(
    motion: Motion, before: Packed, after: Packed, earlier: Packed | None = None, later: Packed | None = None
) -> NDArray[np.float32]:
    """Packed frames (24, h, w) -> `Ways` between them as an array (4, 2, 4h, 4w).

    earlier, later: one span of time before the frame before and behind the frame after, where they are known.
    """
    height, width = before.shape[1] * 4, before.shape[2] * 4

    def led(start: Packed, end: Packed) -> NDArray[np.float32]:
        here, there = (unpack(packed, height, width)[0] for packed in (start, end))
        return motion.between(here, there).transpose(2, 0, 1)

    forth, back = led(before, after), led(after, before)
    bends = [None if earlier is None else forth + led(before, earlier)]
    bends += [None if later is None else back + led(after, later)]
    known = [bend for bend in bends if bend is not None] or [np.zeros_like(forth)]
    # What is known of one side goes for both.
    return np.stack([forth, back, known[0], known[-1]])


class Interpolator:
    """Frames between others, each by itself. model: see `recipes/between.yaml`."""

    def __init__(self, model: MiddleFrame) -> None:
        self._model = model
        self._motion = Motion("medium")
        self._device = next(model.parameters()).device

    @torch.inference_mode()
    def between(
        self, before: Planes, after: Planes, earlier: Planes | None = None, later: Planes | None = None
    ) -> Planes:
        """uint8 planes of one size -> the frame half way.

        earlier, later: as far before the one before, and behind the one after, as the two are apart; where they are
        known, the way between the two need not be even.
        """
        height, width = before[0].shape
        sides = [_whole(pack(planes)) for planes in (before, after)]
        around = [None if planes is None else _whole(pack(planes)) for planes in (earlier, later)]
        found = torch.from_numpy(found_ways(self._motion, *sides, *around)).to(self._device)
        inputs = [as_tensor(part, self._device) for part in sides]
        with torch.autocast(self._device.type, torch.bfloat16, enabled=has_bfloat16(self._device)):
            picture = self._model(*inputs, Ways(*found[:, None]))
        result = as_picture(picture)[0]
        return unpack(result[:, : -(-height // 4), : -(-width // 4)], height, width)

    def filled(
        self,
        before: Planes,
        after: Planes,
        halvings: int,
        earlier: Planes | None = None,
        later: Planes | None = None,
    ) -> list[Planes]:
        """2 ** halvings - 1 frames, evenly spread between the two. earlier, later: see `between`."""
        if not halvings:
            return []
        middle = self.between(before, after, earlier, later)
        first = self.filled(before, middle, halvings - 1, later=after)
        return [*first, middle, *self.filled(middle, after, halvings - 1, earlier=before)]


def _whole(packed: Packed) -> Packed:
    """Sides that the network takes, the edges repeated."""
    rows, columns = (-side % STEP for side in packed.shape[1:])
    return np.pad(packed, ((0, 0), (0, rows), (0, columns)), mode="edge") if rows or columns else packed
