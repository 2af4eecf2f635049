"""Frames between two others: flow both ways by search, and a `MiddleFrame` that makes the picture of it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivae.media import Planes, pack, unpack
from vivae.vae.blocks import has_bfloat16
from vivae.vae.enhancing import Packed, as_picture, as_tensor
from vivae.vae.middle import STEP, MiddleFrame
from vivae.vae.motion import Motion


def flow_both_ways(motion: Motion, before: Packed, after: Packed) -> NDArray[np.float32]:
    """Packed frames (24, h, w) -> flow (2, 2, 4h, 4w) in pixels right and down: from before to after, and back."""
    height, width = before.shape[1] * 4, before.shape[2] * 4
    here, there = (unpack(packed, height, width)[0] for packed in (before, after))
    ways = motion.between(here, there), motion.between(there, here)
    return np.stack([way.transpose(2, 0, 1) for way in ways])


class Interpolator:
    """Frames between others, each by itself. model: see `recipes/between.yaml`."""

    def __init__(self, model: MiddleFrame) -> None:
        self._model = model
        self._motion = Motion("medium")
        self._device = next(model.parameters()).device

    @torch.inference_mode()
    def between(self, before: Planes, after: Planes) -> Planes:
        """uint8 planes of one size -> the frame half way."""
        height, width = before[0].shape
        packed = [_whole(pack(before)), _whole(pack(after))]
        ways = flow_both_ways(self._motion, *packed)
        forth, back = (torch.from_numpy(way)[None].to(self._device) for way in ways)
        sides: list[Tensor] = [as_tensor(part, self._device) for part in packed]
        with torch.autocast(self._device.type, torch.bfloat16, enabled=has_bfloat16(self._device)):
            picture = self._model(*sides, forth, back)
        result = as_picture(picture)[0]
        return unpack(result[:, : -(-height // 4), : -(-width // 4)], height, width)

    def filled(self, before: Planes, after: Planes, halvings: int) -> list[Planes]:
        """2 ** halvings - 1 frames, evenly spread between the two."""
        if not halvings:
            return []
        middle = self.between(before, after)
        return [*self.filled(before, middle, halvings - 1), middle, *self.filled(middle, after, halvings - 1)]


def _whole(packed: Packed) -> Packed:
    """Sides that the network takes, the edges repeated."""
    rows, columns = (-side % STEP for side in packed.shape[1:])
    return np.pad(packed, ((0, 0), (0, rows), (0, columns)), mode="edge") if rows or columns else packed
