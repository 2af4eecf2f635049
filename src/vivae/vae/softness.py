"""How softly a prediction is taken: where what was fetched has detail that is not there, coarse shape alone is of use.

Behind what moves, and where motion blurs, the last picture has no right place to fetch from. What is fetched all the
same brings fine detail along that costs bits to take away, and is left as a hatch where it is not worth them. So each
position may say that it wants its prediction without detail: as seen at a half or a quarter of the size. Between the
middles of positions one passes into the other, as with motion.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vivae.vae.blocks import on_planes
from vivae.vae.config import PLANES, VAEConfig

LEVELS = 2
"""A softness of n leaves what is seen at a 2^n-th of the size."""
SOFT_WORTH = 6.0
"""Bits that a softness must save at a position."""


def softened(picture: Tensor, softness: Tensor, config: VAEConfig) -> Tensor:
    """Packed pictures (B, P, h, w), softened where softness (B, 1, rows, columns), from 0 to `LEVELS`, says so."""
    levels = [level for level in range(1, LEVELS + 1) if bool((softness == level).any())]
    if not levels:
        return picture

    def change(sharp: Tensor) -> Tensor:
        plane = sharp
        for level in levels:
            share = F.interpolate((softness == level).to(plane), plane.shape[-2:], mode="bilinear")
            plane = plane + share * (_without_detail(sharp, level) - sharp)
        return plane

    return on_planes(picture, PLANES[config.colour], change)


def _without_detail(plane: Tensor, level: int) -> Tensor:
    coarse = F.avg_pool2d(plane, 2**level, ceil_mode=True)
    # What a last, smaller mean stands for reaches beyond the edge.
    whole = F.interpolate(coarse, scale_factor=2**level, mode="bilinear")
    return whole[..., : plane.shape[-2], : plane.shape[-1]]


def luma_errors(x: Tensor, picture: Tensor, config: VAEConfig) -> NDArray[np.float32]:
    """(B, 1 + LEVELS, rows, columns): mean squares, in code values of luma, of what predictions leave of pictures x.

    x, picture: packed (B, P, h, w) in [0, 1]; the prediction as it is, and at each softness throughout.
    """
    size = PLANES[config.colour][0]
    wanted, sharp = (F.pixel_shuffle(part.detach()[:, :size], round(size**0.5)) for part in (x, picture))
    tried = [sharp, *(_without_detail(sharp, level) for level in range(1, LEVELS + 1))]
    square = torch.cat([(one - wanted) * 255 for one in tried], 1).square()
    return np.asarray(F.avg_pool2d(square, config.stride).cpu().numpy(), np.float32)
