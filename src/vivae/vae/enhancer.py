"""The conditional VAE's decoder without a latent: p(x | c) at the prior's mean, for pictures that are known badly.

The condition c is what a receiver has: the picture as it was decoded, scaled or disturbed, the next one, and the last
result, both moved along the motion to where the present picture has things. All are packed frames, in which a 4x4 block
of luma and its chroma are the channels of one position: convolutions there are the cheapest way for a CPU to see a wide
neighbourhood. What comes out is the condition plus a residual, so detail never passes a bottleneck.

What disturbed the picture (how coarse a quantiser, how small a base) is told in a few numbers, `attributes`, which
scale and shift the features (FiLM, Perez et al., AAAI 2018); one network then serves a continuous range.
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.vae.blocks import SLOPE, Down, Up, residual_stack

PLANES = (16, 4, 4)
CHANNELS = sum(PLANES)
Attribute = Literal["quantiser", "shrink"]


class EnhancerConfig(BaseModel):
    """Shape of an `Enhancer`; widths in channels at a quarter and an eighth of the frame's sides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("upscale", pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")
    widths: tuple[int, int] = (40, 96)
    depths: tuple[int, int] = (1, 1)
    """Residual blocks at each of the two scales."""
    attributes: tuple[Attribute, ...] = ("quantiser", "shrink")
    """What is told of the condition. quantiser: CRF / 63. shrink: display width over base width, minus 1."""
    hidden: int = Field(32, ge=4, le=256)
    """Width of the network that turns attributes into gains."""


class Enhancer(nn.Module):
    """Packed frames in, packed frames out, all (B, 24, h, w) in [0, 1], h and w even."""

    def __init__(self, config: EnhancerConfig):
        super().__init__()
        self.config = config
        self.hash = ""
        fine, coarse = config.widths
        self.head = nn.Conv2d(3 * CHANNELS, fine, 3, padding=1)
        self.fine = residual_stack(fine, config.depths[0])
        self.down = Down(fine, coarse)
        self.coarse = residual_stack(coarse, config.depths[1])
        self.up = Up(coarse, fine)
        self.tail = nn.Conv2d(fine, CHANNELS, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]
        self.gains = nn.Sequential(
            nn.Linear(len(config.attributes), config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, 2 * (fine + coarse)),
        )

    def forward(self, present: Tensor, last: Tensor, following: Tensor, attributes: Tensor) -> Tensor:
        """The residual to add to `present`.

        present: the condition. last: the result for the frame before, following: the condition of the frame after,
        both moved to the present (the present itself where there is none). attributes: (B, len(config.attributes)).
        """
        fine, coarse = self.config.widths
        scale, shift, wide_scale, wide_shift = self.gains(attributes)[:, :, None, None].split(
            (fine, fine, coarse, coarse), 1
        )
        # Differences, because most of what the others tell is where they do not agree.
        seen = torch.cat([present - 0.5, last - present, following - present], 1)
        x = F.leaky_relu(self.head(seen) * (1 + scale) + shift, SLOPE)
        x = self.fine(x)
        wide = F.leaky_relu(self.down(x) * (1 + wide_scale) + wide_shift, SLOPE)
        x = x + self.up(self.coarse(wide))
        out: Tensor = self.tail(F.leaky_relu(x, SLOPE))
        return out
