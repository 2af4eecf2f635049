"""A frame between two others: both moved half way along the motion, and an `Enhancer` that decides what to show.

Flow from the middle to either side is made of the flows between the two frames (Super SloMo, Jiang et al., CVPR 2018);
where they disagree, because something is hidden in one of the frames, the network takes the other, or neither.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from vivae.media import Planes, pack, unpack
from vivae.vae.blocks import has_bfloat16
from vivae.vae.enhancer import Enhancer, Known
from vivae.vae.enhancing import Aligned, Packed, as_picture, as_tensor, evened
from vivae.vae.motion import Motion, moved


def met_half_way(motion: Motion, before: Packed, after: Packed) -> Aligned:
    """Packed frames (24, h, w) uint8 to what the network is shown of the middle between them.

    last, following: the frames, each moved to the middle. present: their mean.
    """
    height, width = before.shape[1] * 4, before.shape[2] * 4
    sides = unpack(before, height, width), unpack(after, height, width)
    here, there = (planes[0] for planes in sides)
    # Half the way forth, seen from the middle: the mean of the two flows, each turned towards the frame it leads to.
    half = (motion.between(here, there) - motion.between(there, here)) / np.float32(4)
    first, second = (pack(moved(planes, way)) for planes, way in zip(sides, (-half, half), strict=True))
    return Aligned(_mean(first, second), first, second)


def _mean(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return ((a.astype(np.uint16) + b + 1) >> 1).astype(np.uint8)


class Interpolator:
    """Frames between others, each by itself; model: an enhancer that was taught so (`recipes/between.yaml`)."""

    def __init__(self, model: Enhancer) -> None:
        self._model = model
        self._motion = Motion("medium")
        self._device = next(model.parameters()).device

    @torch.inference_mode()
    def between(self, before: Planes, after: Planes) -> Planes:
        """uint8 planes of one size -> the frame half way."""
        height, width = before[0].shape
        seen = met_half_way(self._motion, evened(pack(before)), evened(pack(after)))
        inputs = [as_tensor(part, self._device) for part in seen]
        attributes = torch.tensor([Known().attributes(self._model.config.attributes)], device=self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=has_bfloat16(self._device)):
            residual = self._model(*inputs, attributes).float()
        result = as_picture(inputs[0] + residual)[0]
        return unpack(result[:, : -(-height // 4), : -(-width // 4)], height, width)

    def filled(self, before: Planes, after: Planes, halvings: int) -> list[Planes]:
        """2 ** halvings - 1 frames, evenly spread between the two."""
        if not halvings:
            return []
        middle = self.between(before, after)
        return [*self.filled(before, middle, halvings - 1), middle, *self.filled(middle, after, halvings - 1)]
