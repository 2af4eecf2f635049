"""A linear VAE of frames: a mean picture, and principal pictures that are added to it.

    p(x | z) = N(mean + pictures z, noise^2)     q(z | x) = the exact posterior, a Gaussian
    z ~ N(0, 1)

The maximum of its ELBO is known in closed form: probabilistic principal components (Tipping & Bishop, 1999; Lucas et
al., NeurIPS 2019). For one camera and one thing that moves without leaving its place, such as water, nothing has to be
trained by descent. Latents of other shots say nothing.
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

PACKED = 24
LEAST = 1e-7
"""Of a variance."""


class LinearConfig(BaseModel):
    """Shape of a `LinearVAE`; sizes in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["linear"] = "linear"
    frames: int = Field(16, ge=4, le=64)
    """Of a window, which the flow draws at once."""
    step: int = Field(1, ge=1, le=16)
    """Of footage, every so many frames are one of the model's."""
    height: int = Field(128, ge=32, le=512, multiple_of=4)
    width: int = Field(128, ge=32, le=512, multiple_of=4)
    channels: int = Field(40, ge=1, le=256)
    """Principal pictures, and so numbers that a frame becomes."""

    @property
    def group(self) -> int:
        """Frames that share a latent."""
        return 1

    @property
    def grid(self) -> tuple[int, int, int]:
        """Latent vectors in time, down and across."""
        return self.frames, 1, 1


class LinearVAE(nn.Module):
    """See the module. Clips (B, T, 24, h, w) packed, in [0, 1]; latents (B, T, channels, 1, 1)."""

    def __init__(self, config: LinearConfig):
        super().__init__()
        self.config = config
        size = (PACKED, config.height // 4, config.width // 4)
        # Weights, but none to descend on: they are solved for.
        self.scene = nn.Parameter(torch.full(size, 0.5), requires_grad=False)
        self.pictures = nn.Parameter(torch.zeros(config.channels, *size), requires_grad=False)
        # Log variances, as those of neighbouring pictures are far apart.
        self.register_buffer("strength", torch.zeros(config.channels))
        self.register_buffer("noise", torch.zeros(()))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.uint8))

    @torch.no_grad()
    def fit(self, clips: Tensor) -> None:
        """The best mean, pictures and noise for these clips."""
        flat = clips.flatten(0, 1).flatten(1).double()
        count, size = flat.shape
        mean = flat.mean(0)
        # There are fewer frames than pixels: their products with each other have the same spectrum.
        values, vectors = torch.linalg.eigh((flat - mean) @ (flat - mean).T / count)
        kept = min(self.config.channels, count - 1)
        values, vectors = values.flip(0).clamp_min(LEAST), vectors.flip(1)
        axes = (flat - mean).T @ vectors[:, :kept] / (count * values[:kept]).sqrt()
        noise = (values[kept:].sum() / max(1, size - kept)).clamp_min(LEAST)
        strength = values[:kept].clamp_min(2 * float(noise))
        self.scene.copy_(mean.reshape(clips.shape[2:]))
        self.get_buffer("noise").copy_(noise.log())
        pictures = (axes * (strength - noise).sqrt()).T.reshape(kept, *clips.shape[2:])
        self.pictures.zero_()[:kept] = pictures.float()
        self.get_buffer("strength").zero_()[:kept] = strength.log().float()
        self.get_buffer("fitted").fill_(1)

    @property
    def deviations(self) -> Tensor:
        """(channels,) of the pictures' weights in footage, in units of pixels."""
        return (0.5 * self.get_buffer("strength")).exp()

    def encode(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log deviation of the posterior."""
        away = (clip.float() - self.scene).flatten(2)
        strength = self.get_buffer("strength")
        mean = away @ self.pictures.flatten(1).T / strength.exp()
        log_spread = (0.5 * (self.get_buffer("noise") - strength)).expand_as(mean)
        return mean[..., None, None], log_spread[..., None, None]

    def decode(self, latent: Tensor) -> Tensor:
        """Latents to a clip of as many frames; not clamped."""
        moved = latent[..., 0, 0] @ self.pictures.flatten(1)
        return moved.unflatten(2, self.scene.shape) + self.scene

    def flat(self, latent: Tensor) -> Tensor:
        """(B, T, C, 1, 1) -> (B, T, C)."""
        return latent[..., 0, 0]

    def spread(self, tokens: Tensor) -> Tensor:
        """Undo `flat`."""
        return tokens[..., None, None]
