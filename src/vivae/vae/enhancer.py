"""The conditional VAE's decoder without a latent: p(x | c) at the prior's mean, for pictures that are known badly.

The condition c is what a receiver has: the picture as it was decoded, scaled or disturbed, the next one (or the mean of
several that come, see `vivae.vae.coming`), and the last result, both moved along the motion to where the present
picture has things. All are packed frames, in which a 4x4 block of luma and its chroma are the channels of one position:
convolutions there are the cheapest way for a CPU to see a wide neighbourhood. What comes out is the condition plus a
residual, so detail never passes a bottleneck.

A model of one fixed camera also holds the scene: what the background looks like at every place, and features learned
there. Then c is more than the receiver was sent, and detail need not be sent again.

What disturbed the picture (how coarse a quantiser, how small a base, how much noise) is told in a few numbers,
`attributes`, which scale and shift the features (FiLM, Perez et al., AAAI 2018); one network then serves a continuous
range of each, and of all of them together.
"""

from typing import Any, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.vae.blocks import SLOPE, Down, Up, convolved, residual_stack

PLANES = (16, 4, 4)
CHANNELS = sum(PLANES)
FINE_PLANES = (4, 1, 1)
LITTLE = -3.0
"""Logit of the share of other frames that a training starts with."""
OUTPUT_UNIT = 0.3
"""Residuals are small; in this unit a step of training is, too."""
Attribute = Literal["quantiser", "shrink", "noise", "coded", "blur", "coarse", "ahead"]
AVERAGED = 0.5
"""Of `Known.ahead`: what the shipped weights were taught it by."""


class Known(NamedTuple):
    """What is known of how a picture was disturbed."""

    crf: float = 0.0
    """Of the AV1 stream it comes from, where that is known."""
    shrink: float = 1.0
    """Its width over the width it was scaled up from."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise in 8-bit RGB code values."""
    coded: float = 0.0
    """1 where traces of a codec are to be removed, 0.5 where it is one that has removed most of them itself."""
    blur: float = 0.0
    """Standard deviation of a Gaussian blur in pixels."""
    coarse: float = 0.0
    """How coarsely another codec quantised: see `vivae.train.coarseness`."""
    ahead: float = 0.0
    """`AVERAGED` where the mean of what comes is shown in place of the next frame: see `vivae.vae.coming`."""

    def attributes(self, names: tuple[Attribute, ...]) -> list[float]:
        """As an enhancer is told, in the order of its configuration."""
        values: dict[Attribute, float] = {
            "quantiser": self.crf / 63,
            "shrink": self.shrink - 1,
            "noise": self.noise / 50,
            "coded": self.coded,
            "blur": self.blur / 2,
            "coarse": self.coarse,
            "ahead": self.ahead,
        }
        return [values[name] for name in names]


class EnhancerConfig(BaseModel):
    """Shape of an `Enhancer`; widths in channels at a `grid`-th of the frame's sides and at half of that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("upscale", pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")
    grid: Literal[2, 4] = 4
    """Pixels of luma, along either side, that make one position of the fine scale. 2 sees every detail at the place it
    is, and learns from less footage what 4 must learn for each place in a block anew; 4 costs a quarter."""
    sharp: bool = False
    """Whether other frames are fetched by a bicubic filter along the motion, not a bilinear one."""
    settled: bool = False
    """Whether motion is sought from the last result, and settled between neighbours: see `vivae.vae.motion`."""
    finest: int | None = Field(None, ge=0, le=4)
    """The last level of the search for motion: see `vivae.vae.motion.Motion`."""
    widths: tuple[int, int] = (40, 96)
    depths: tuple[int, int] = (1, 1)
    """Residual blocks at each of the two scales."""
    blends: bool = False
    """Whether the result may take shares of the last result and of the following frame, place by place: a filter over
    time, whose strength is what the network says. For noise, which averaging removes and convolutions hardly do."""
    attributes: tuple[Attribute, ...] = ("quantiser", "shrink")
    """What is told of the condition, see `Known`."""
    hidden: int = Field(32, ge=4, le=256)
    """Width of the network that turns attributes into gains."""
    scene_features: int = Field(0, ge=0, le=64)
    """Channels learned for each place of a fixed camera; 0 for a model of any video."""
    scene_size: tuple[int, int] | None = None
    """Height and width, in packed positions, of the camera's frames; the training takes it from the data."""


class Enhancer(nn.Module):
    """Packed frames in, packed frames out, all (B, 24, h, w) in [0, 1], h and w even."""

    def __init__(self, config: EnhancerConfig):
        super().__init__()
        self.config = config
        self.hash = ""
        self.notes: dict[str, Any] = {}
        fine, coarse = config.widths
        planes = PLANES if config.grid == 4 else FINE_PLANES
        channels = sum(planes)
        inputs = 3 * channels
        if config.scene_size is not None:
            inputs += CHANNELS + config.scene_features
            self.register_buffer("background", torch.zeros(1, CHANNELS, *config.scene_size))
            self.places = nn.Parameter(torch.zeros(1, config.scene_features, *config.scene_size))
            if config.grid == 2:
                raise ValueError("a model of one camera needs a grid of 4")
        self.planes = planes
        self.head = nn.Conv2d(inputs, fine, 3, padding=1)
        self.fine = residual_stack(fine, config.depths[0])
        self.down = Down(fine, coarse)
        self.coarse = residual_stack(coarse, config.depths[1])
        self.up = Up(coarse, fine)
        self.tail = nn.Conv2d(fine, channels, 3, padding=1)
        # Much of what an up-scaler does is linear, and is learned sooner without layers in between.
        self.direct = nn.Conv2d(inputs, channels, 3, padding=1)
        for layer in (self.tail, self.direct):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        outputs = 2 * (fine + coarse)
        if config.blends:
            self.shares = nn.Conv2d(fine, 2 * channels, 3, padding=1)
            nn.init.zeros_(self.shares.weight)
            nn.init.constant_(self.shares.bias, LITTLE)  # type: ignore[arg-type]
            outputs += channels  # how much the linear part counts
        self.gains = nn.Sequential(
            nn.Linear(len(config.attributes), config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, outputs),
        )
        # In float32 on a CPU, convolutions of such widths take two thirds of the time so.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def scene(self, top: int, left: int, height: int, width: int) -> Tensor | None:
        """(1, 24 + features, height, width) of the scene from a place on, edges repeated; None without a scene."""
        if self.config.scene_size is None:
            return None
        whole = torch.cat([self.get_buffer("background"), self.places], 1)
        part = whole[:, :, top : top + height, left : left + width]
        missing = (0, width - part.shape[3], 0, height - part.shape[2])
        return F.pad(part, missing, mode="replicate") if any(missing) else part

    def adopt(self, other: "Enhancer") -> None:
        """Begin with the weights of a model that may lack blocks, a scene or blends, or be told other things: what it
        lacks counts as nothing. Raises ValueError where it has more blocks."""
        if any(many > few for many, few in zip(other.config.depths, self.config.depths, strict=True)):
            raise ValueError(f"it has {other.config.depths} blocks, and the model only {self.config.depths}")
        own, told = self.state_dict(), self.config.attributes
        for name, value in other.state_dict().items():
            own[name].zero_()
            if name == "gains.0.weight":
                for column, attribute in enumerate(other.config.attributes):
                    if attribute in told:
                        own[name][:, told.index(attribute)] = value[:, column]
            else:
                own[name][tuple(slice(side) for side in value.shape)] = value

    def forward(
        self,
        present: Tensor,
        last: Tensor,
        following: Tensor,
        attributes: Tensor,
        scene: Tensor | None = None,
    ) -> Tensor:
        """The residual to add to `present`.

        present: the condition. last: the result for the frame before, following: the condition of the frame after,
        both moved to the present (the present itself where there is none). attributes: (B, len(config.attributes)).
        scene: (B, 24 + features, h, w) of the same places, where the model has one.
        """
        fine, coarse = self.config.widths
        if self.config.grid == 2:
            present, last, following = (spread(part) for part in (present, last, following))
        told = self.gains(attributes)
        scale, shift, wide_scale, wide_shift = told[:, : 2 * (fine + coarse)].split(
            (fine, fine, coarse, coarse), 1
        )
        # Without what all inputs share, one step of training moves details and not the brightness of everything.
        parts = [present - surround(present, self.planes), last - present, following - present]
        if scene is not None:
            parts += [scene[:, :CHANNELS] - present, scene[:, CHANNELS:]]
        seen = torch.cat(parts, 1)
        x = self.fine(convolved(self.head, seen, gain=scale, shift=shift, active=True))
        wide = convolved(self.down.project, x, gain=wide_scale, shift=wide_shift, active=True)
        x = F.leaky_relu(x + self.up(self.coarse(wide)), SLOPE, inplace=True)
        channels = sum(self.planes)
        linear = convolved(self.direct, seen, gain=told[:, -channels:] if self.config.blends else None)
        out = OUTPUT_UNIT * convolved(self.tail, x, plus=linear)
        if self.config.blends:
            of_last, of_following = convolved(self.shares, x).sigmoid().split(channels, 1)
            out = out + of_last * (last - present) + of_following * (following - present)
        return gathered(out) if self.config.grid == 2 else out


def spread(packed: Tensor) -> Tensor:
    """Packed frames (B, 24, h, w), with a position for every 2x2 pixels: (B, 4 of luma + 1 + 1 of chroma, 2h, 2w)."""
    count, _, rows, columns = packed.shape
    y, chroma = packed[:, :16], packed[:, 16:]
    cells = y.reshape(count, 2, 2, 2, 2, rows, columns).permute(0, 2, 4, 5, 1, 6, 3)
    return torch.cat([cells.reshape(count, 4, 2 * rows, 2 * columns), F.pixel_shuffle(chroma, 2)], 1)


def gathered(fine: Tensor) -> Tensor:
    """The inverse of `spread`."""
    count, _, rows, columns = fine.shape
    y, chroma = fine[:, :4], fine[:, 4:]
    cells = y.reshape(count, 2, 2, rows // 2, 2, columns // 2, 2).permute(0, 4, 1, 6, 2, 3, 5)
    return torch.cat([cells.reshape(count, 16, rows // 2, columns // 2), F.pixel_unshuffle(chroma, 2)], 1)


def surround(frames: Tensor, planes: tuple[int, int, int] = PLANES) -> Tensor:
    """(B, sum(planes), h, w): the mean of each plane over the 3x3 positions around."""
    means = torch.cat([plane.mean(1, keepdim=True) for plane in frames.split(planes, 1)], 1)
    # Sums of neighbours: avg_pool2d takes ten times as long on a CPU.
    wide = F.pad(means, (1, 1, 1, 1), mode="replicate")
    down = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    smooth = (down[..., :-2] + down[..., 1:-1] + down[..., 2:]) / 9
    return smooth.repeat_interleave(torch.tensor(planes, device=frames.device), 1, output_size=sum(planes))
