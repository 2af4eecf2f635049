"""A VAE of things that move over a dark ground: what each looks like, said once a clip, and where it is in each frame.

    p(x | z) = a picture of every thing, drawn from its appearance and moved to its place, light over light
    q(z | x) = places from a map of where things are, appearances from what is seen there in all frames

The latent of 20 frames with two things has some 200 numbers, most of which are places: so motion stays exact and what
moves cannot change its looks. Explaining a clip by things and their places follows AIR (Eslami et al., NeurIPS 2016)
and DDPAE (Hsieh et al., NeurIPS 2018); here the map is taught on clips that were composed, whose places are known.
"""

from typing import Literal, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.vae.blocks import SLOPE, Down, Up, residual_stack

SPREAD_LIMITS = (-6.0, 2.0)
"""Of the log deviation of an appearance: outside, gradients would explode or vanish."""
CELL = 2
"""Pixels, each way, of a cell of the map of places."""


class ThingsConfig(BaseModel):
    """Shape of a `ThingsVAE`; sizes in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["things"] = "things"
    things: int = Field(2, ge=1, le=3)
    frames: int = Field(20, ge=4, le=64)
    """Of one window: longer clips are made window by window."""
    side: int = Field(64, ge=32, le=256, multiple_of=4)
    """Of the square frame."""
    box: int = Field(28, ge=8, le=64)
    """Side of the square that a thing fills at most."""
    appearance: int = Field(24, ge=2, le=256)
    """Numbers that say what a thing looks like."""
    labels: int = Field(10, ge=0, le=100)
    """Classes that things are known to belong to; 0 for none."""
    widths: tuple[int, int] = (48, 64)
    """Channels of the pictures of things, finer first."""
    group: int = Field(2, ge=1, le=8)
    """Frames whose places make one token."""
    finder: int = Field(48, ge=8, le=256)
    finder_depth: int = Field(3, ge=1, le=8)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.frames % self.group:
            raise ValueError(f"{self.frames} frames are no multiple of groups of {self.group}")
        return self

    @property
    def canvas(self) -> int:
        """Side of a thing's picture: its box, with a margin of at least 2 pixels, a multiple of 8."""
        return -(-(self.box + 4) // 8) * 8


class Appearance(NamedTuple):
    """q(appearance | x): (..., appearance) each."""

    mean: Tensor
    log_spread: Tensor


def moving_matrix(centres: Tensor, canvas: int, side: int) -> Tensor:
    """(...,) centres -> (..., side, canvas): bilinear drawing of a canvas centred there; transposed, its cut-out."""
    rows = torch.arange(side, device=centres.device, dtype=centres.dtype)[:, None]
    columns = torch.arange(canvas, device=centres.device, dtype=centres.dtype) - canvas / 2
    return F.relu(1 - (rows - columns - centres[..., None, None]).abs())


def drawn(pictures: Tensor, places: Tensor, side: int) -> Tensor:
    """Light over light. pictures: (B, K, c, c); places: (B, K, T, 2), x then y -> (B, T, side, side)."""
    with _exactly(places):
        across = moving_matrix(places[..., 0], pictures.shape[-1], side)
        down = moving_matrix(places[..., 1], pictures.shape[-1], side)
        layers = down @ pictures[:, :, None] @ across.transpose(-1, -2)
        return 1 - (1 - layers).prod(1)


def cut_out(frames: Tensor, places: Tensor, canvas: int) -> Tensor:
    """frames (B, T, H, W), places (B, K, T, 2) -> (B, K, T, canvas, canvas), zero outside the frame."""
    with _exactly(places):
        across = moving_matrix(places[..., 0], canvas, frames.shape[-1])
        down = moving_matrix(places[..., 1], canvas, frames.shape[-2])
        return down.transpose(-1, -2) @ frames[:, None] @ across


def _exactly(places: Tensor) -> torch.autocast:
    """Without autocast: a place in bfloat16 would be wrong by a quarter of a pixel."""
    return torch.autocast(places.device.type, enabled=False)


class ThingsVAE(nn.Module):
    """See the module. Frames are luma (B, T, side, side), float in [0, 1]."""

    def __init__(self, config: ThingsConfig):
        super().__init__()
        self.config = config
        fine, coarse = config.widths
        small = config.canvas // 8
        self.look = nn.Sequential(
            nn.Conv2d(2 * 16, fine, 3, padding=1),
            residual_stack(fine, 1),
            nn.LeakyReLU(SLOPE),
            Down(fine, coarse),
            residual_stack(coarse, 1),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(coarse * small * small, 4 * coarse),
            nn.LeakyReLU(SLOPE),
        )
        self.attend = nn.Linear(4 * coarse, 1)
        self.posterior = nn.Linear(4 * coarse, 2 * config.appearance)
        self.paint = nn.Sequential(
            nn.Linear(config.appearance, 4 * coarse),
            nn.LeakyReLU(SLOPE),
            nn.Linear(4 * coarse, coarse * small * small),
            nn.Unflatten(1, (coarse, small, small)),
            residual_stack(coarse, 1),
            nn.LeakyReLU(SLOPE),
            Up(coarse, fine),
            residual_stack(fine, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(fine, 16, 3, padding=1),
            nn.PixelShuffle(4),
        )
        self.finder = nn.Sequential(
            nn.Conv2d(3 * 16, config.finder, 3, padding=1),
            residual_stack(config.finder, config.finder_depth),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(config.finder, (4 // CELL) ** 2, 3, padding=1),
            nn.PixelShuffle(4 // CELL),
        )

    def place_map(self, frames: Tensor) -> Tensor:
        """(B, T, H, W) -> log of the chance that a thing's centre lies in each cell: (B, T, H / CELL, W / CELL)."""
        batch, count, height, width = frames.shape
        ends = torch.cat([frames[:, :1], frames, frames[:, -1:]], 1)
        seen = torch.stack([ends[:, :-2], frames, ends[:, 2:]], 2).reshape(batch * count, 3, height, width)
        logits = self.finder(F.pixel_unshuffle(seen, 4)).float()
        return logits.flatten(1).log_softmax(1).reshape(batch, count, height // CELL, width // CELL)

    def appearance(self, frames: Tensor, places: Tensor) -> Appearance:
        """What is seen at places (B, K, T, 2) of frames (B, T, H, W), all frames together: (B, K, appearance)."""
        config = self.config
        batch, things, count = places.shape[:3]
        seen = cut_out(frames, places, config.canvas)
        # Where another thing may hide this one: its box, as the encoder is told beside the picture.
        box = F.pad(frames.new_ones(config.box, config.box), 4 * [(config.canvas - config.box) // 2]).expand(
            batch, 1, -1, -1
        )
        hidden = [
            drawn(
                box.expand(-1, things - 1, -1, -1),
                places[:, [k for k in range(things) if k != own]],
                config.side,
            )
            if things > 1
            else torch.zeros_like(frames)
            for own in range(things)
        ]
        others = torch.cat(
            [cut_out(part, places[:, own : own + 1], config.canvas) for own, part in enumerate(hidden)], 1
        )
        both = torch.stack([seen, others], 3).flatten(0, 2)
        found = self.look(F.pixel_unshuffle(both, 4)).reshape(batch, things, count, -1)
        told = (found * self.attend(found).softmax(2)).sum(2)
        mean, log_spread = self.posterior(told).float().chunk(2, -1)
        return Appearance(mean, log_spread.clamp(*SPREAD_LIMITS))

    def pictures(self, appearance: Tensor) -> Tensor:
        """(B, K, appearance) -> (B, K, canvas, canvas) in [0, 1]."""
        made = self.paint(appearance.flatten(0, 1)).float().sigmoid()
        return made.reshape(*appearance.shape[:2], *made.shape[-2:])

    def decode(self, appearance: Tensor, places: Tensor) -> Tensor:
        """Appearances (B, K, appearance) at places (B, K, T, 2) -> frames (B, T, side, side)."""
        return drawn(self.pictures(appearance), places, self.config.side)
