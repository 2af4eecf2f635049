"""A VAE of windows of video: groups of frames become grids of latent vectors, decoded with sight of their neighbours.

A window is one sample of a distribution that a prior can learn. The encoder looks at each group alone, so that latents
of what is known say nothing of what is not. Dense 2-D convolutions only; frames of a group lie beside each other as
channels. Learned maps of the place let it know a fixed camera's scene.
"""

from typing import Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.vae.blocks import SLOPE, Down, ResBlock, Up

PACKED = 24
CONTRAST = 4.0
"""Pictures enter as (x - 0.5) * CONTRAST, as in `vivae.vae.networks`."""
SPREAD_LIMITS = (-6.0, 2.0)
FIRST_SPREAD = -2.0
"""Log deviation of latents before training: a latent that begins as noise is left unused for long."""


class WindowConfig(BaseModel):
    """Shape of a `WindowVAE`; sizes in pixels, a latent vector stands for 16x16 of them and `group` frames."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["window"] = "window"
    frames: int = Field(16, ge=4, le=64)
    group: int = Field(4, ge=1, le=8)
    step: int = Field(1, ge=1, le=16)
    """Of footage, every so many frames are one of the model's."""
    height: int = Field(128, ge=32, le=512, multiple_of=16)
    width: int = Field(128, ge=32, le=512, multiple_of=16)
    channels: int = Field(8, ge=2, le=64)
    widths: tuple[int, int, int] = (40, 64, 80)
    """Channels at a quarter, an eighth and a sixteenth of the size."""
    depths: tuple[int, int, int] = (1, 1, 1)
    """Residual blocks there; the decoder has one more at each but the finest."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.frames % self.group:
            raise ValueError(f"{self.frames} frames are no multiple of groups of {self.group}")
        return self

    @property
    def grid(self) -> tuple[int, int, int]:
        """Latent vectors in time, down and across."""
        return self.frames // self.group, self.height // 16, self.width // 16


class _Neighbours(nn.Module):
    """Adds what the groups before and after show at the same place; nothing at first."""

    def __init__(self, width: int, groups: int):
        super().__init__()
        self.groups = groups
        self.mix = nn.Conv2d(2 * width, width, 3, padding=1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        whole = x.reshape(-1, self.groups, *x.shape[1:])
        before = torch.cat([whole[:, :1], whole[:, :-1]], 1)
        after = torch.cat([whole[:, 1:], whole[:, -1:]], 1)
        sides = F.leaky_relu(torch.cat([before, after], 2), SLOPE)
        return x + self.mix(sides.flatten(0, 1))


class _Level(nn.Module):
    """Residual blocks at one size, the sight of neighbours in time, and what is learned of each place."""

    def __init__(self, width: int, depth: int, groups: int, size: tuple[int, int], sees: bool):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(1, width, *size))
        self.blocks = nn.Sequential(*(ResBlock(width) for _ in range(depth)))
        self.neighbours = _Neighbours(width, groups) if sees else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.neighbours(self.blocks(x + self.place))
        return F.leaky_relu(out, SLOPE)


class WindowVAE(nn.Module):
    """See the module. Clips (B, frames, 24, h, w) packed, in [0, 1]; latents (B, groups, channels, h / 4, w / 4)."""

    def __init__(self, config: WindowConfig):
        super().__init__()
        self.config = config
        fine, middle, coarse = config.widths
        groups, rows, columns = config.grid
        inputs = PACKED * config.group
        sizes = [(rows * scale, columns * scale) for scale in (4, 2, 1)]
        one, two, three = config.depths
        self.encoder = nn.Sequential(
            nn.Conv2d(inputs, fine, 3, padding=1),
            _Level(fine, one, groups, sizes[0], False),
            Down(fine, middle),
            _Level(middle, two, groups, sizes[1], False),
            Down(middle, coarse),
            _Level(coarse, three, groups, sizes[2], False),
            nn.Conv2d(coarse, 2 * config.channels, 1),
        )
        nn.init.constant_(self.encoder[-1].bias[config.channels :], FIRST_SPREAD)  # type: ignore[index]
        self.decoder = nn.Sequential(
            nn.Conv2d(config.channels, coarse, 3, padding=1),
            _Level(coarse, three + 1, groups, sizes[2], True),
            Up(coarse, middle),
            _Level(middle, two + 1, groups, sizes[1], True),
            Up(middle, fine),
            _Level(fine, one, groups, sizes[0], False),
            nn.Conv2d(fine, inputs, 3, padding=1),
        )
        # A fixed camera's scene, to which the decoder adds what is there now.
        self.scene = nn.Parameter(torch.zeros(1, PACKED, *sizes[0]))

    def encode(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log deviation of the Gaussian posterior."""
        batch, groups = clip.shape[0], self.config.grid[0]
        x = (clip - 0.5) * CONTRAST - self.scene
        told = self.encoder(x.reshape(batch * groups, -1, *clip.shape[3:])).float()
        mean, log_spread = told.reshape(batch, groups, *told.shape[1:]).chunk(2, 2)
        return mean, log_spread.clamp(*SPREAD_LIMITS)

    def decode(self, latent: Tensor) -> Tensor:
        """Latents to a clip; not clamped."""
        batch = latent.shape[0]
        made = self.decoder(latent.flatten(0, 1)).float()
        frames = made.reshape(batch, self.config.frames, PACKED, *made.shape[2:])
        return (frames + self.scene) / CONTRAST + 0.5

    @torch.no_grad()
    def set_scene(self, mean: Tensor) -> None:
        """Begin with this mean frame (24, h, w) in [0, 1] as the scene."""
        self.scene.copy_((mean - 0.5) * CONTRAST)

    def flat(self, latent: Tensor) -> Tensor:
        """(B, groups, C, h, w) -> (B, groups * h * w, C)."""
        return latent.permute(0, 1, 3, 4, 2).flatten(1, 3)

    def spread(self, tokens: Tensor) -> Tensor:
        """Undo `flat`."""
        return tokens.reshape(-1, *self.config.grid, self.config.channels).permute(0, 1, 4, 2, 3)
