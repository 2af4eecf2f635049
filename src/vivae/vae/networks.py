"""Encoder and decoder: one step of the conditional VAE, pictures in, latents between, pictures out.

Both see what the receiver already knows: the last decoded picture, the decoder's memory and an optional
condition. So the latent only has to carry what is new, and a still scene sharpens from step to step.

Beside each network runs one linear map between blocks of pixels and the latent. It starts as the lowest
frequencies of the discrete cosine transform, so that an untrained model is already a plain transform codec and
training goes into what a transform cannot do.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.vae.blocks import SLOPE, Down, QualityGain, Up, residual_stack, straight_through
from vivae.vae.config import PLANES, VAEConfig
from vivae.vae.transform import cosine_basis

MEMORY_LIMIT = 4.0
"""Memory is clamped to this range, so that no sequence, however long, can make it grow."""
CONTRAST = 4.0
"""Pictures enter the networks as (x - 0.5) * CONTRAST: natural video then has a deviation near one."""
GATE_OPEN = 4.0
"""Bias of the gate on the last picture: at first nearly all of it passes."""


def memory_level(config: VAEConfig) -> int:
    """The level on which the decoder keeps its memory: an eighth of the frame where there is such a level."""
    return min(1, config.levels - 1)


class Encoder(nn.Module):
    """q(z | x, c): from a packed picture and what is known to the latent's mean (and spread)."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        widths, pictures = config.widths, config.picture_channels
        self.memory_level = memory_level(config)
        self.stem = nn.Conv2d(2 * pictures + config.condition_channels, widths[0], 3, padding=1)
        self.downs = nn.ModuleList(Down(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.memory = nn.Conv2d(config.memory_channels, widths[self.memory_level], 1)
        self.stacks = nn.ModuleList(
            residual_stack(w, d) for w, d in zip(widths, config.encoder_depths, strict=True)
        )
        self.gain = QualityGain(widths[-1], config.quality_nodes)
        heads = 2 if config.posterior == "gaussian" else 1
        self.head = nn.Conv2d(widths[-1], heads * config.latent_channels, 3, padding=1)
        nn.init.normal_(self.head.weight, std=0.002)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        basis = cosine_basis(config)
        self.fold = config.stride // 4
        self.linear = nn.Conv2d(basis.shape[1], config.latent_channels, 1, bias=False)
        self.linear.weight.data.copy_(basis[:, :, None, None])

    def forward(
        self, x: Tensor, picture: Tensor, memory: Tensor, quality: Tensor, condition: Tensor | None
    ) -> Tensor:
        known = [x, picture] if condition is None else [x, picture, condition]
        features = self.features(torch.cat(known, 1), memory, len(self.stacks))
        out: Tensor = self.head(F.leaky_relu(features, SLOPE) * self.gain(quality))
        mean, *spread = out.split(self.linear.out_channels, 1)
        return torch.cat([mean + self.analyse(x - picture), *spread], 1)

    def features(self, known: Tensor, memory: Tensor, levels: int) -> Tensor:
        """Inner features (B, C, ...) of the last of so many levels. known: the packed pictures, one after the other."""
        features = F.leaky_relu(self.stem((known - 0.5) * CONTRAST), SLOPE)
        for level, stack in enumerate(self.stacks[:levels]):
            if level:
                features = F.leaky_relu(self.downs[level - 1](features), SLOPE)
            if level == self.memory_level:
                features = features + self.memory(memory)
            features = stack(features)
        return features

    def analyse(self, difference: Tensor) -> Tensor:
        """The linear map alone: a difference of pictures (B, P, h, w) to a latent."""
        out: Tensor = self.linear(F.pixel_unshuffle(difference, self.fold))
        return out


class Decoder(nn.Module):
    """p(x | z, c): from a latent and what is known to a picture and the next memory.

    The last picture enters twice: as features on the finer levels, and through a learned gate that lets
    unchanged regions pass on without loss.
    """

    def __init__(self, config: VAEConfig):
        super().__init__()
        widths, pictures = config.widths, config.picture_channels
        self.memory_level = memory_level(config)
        self.planes = PLANES[config.colour]
        self.temporal_stride = config.temporal_stride
        self.top = config.levels - 1
        spread = 4 ** (self.top - self.memory_level)
        self.stem = nn.Conv2d(config.latent_channels, widths[-1], 3, padding=1)
        self.stem_memory = nn.Conv2d(config.memory_channels * spread, widths[-1], 1)
        self.gain = QualityGain(widths[-1], config.quality_nodes)
        self.ups = nn.ModuleList(Up(b, a) for a, b in zip(widths[:-1], widths[1:], strict=True))
        known = config.memory_channels + (pictures + config.condition_channels) * 4**self.memory_level
        self.known = nn.Conv2d(known, widths[self.memory_level], 1)
        self.stacks = nn.ModuleList(
            residual_stack(w, d) for w, d in zip(widths, config.decoder_depths, strict=True)
        )
        self.memory = nn.Conv2d(widths[self.memory_level], config.memory_channels, 1)
        self.blend = nn.Conv2d(widths[0] + pictures + config.condition_channels, widths[0], 3, padding=1)
        gates = len(self.planes) * self.temporal_stride
        self.gate_of = [
            gate for gate, size in enumerate(self.planes * self.temporal_stride) for _ in range(size)
        ]
        """Which gate rules each channel of the picture."""
        self.paint = nn.Conv2d(widths[0], pictures + gates, 3, padding=1)
        nn.init.normal_(self.paint.weight, std=0.002)
        nn.init.zeros_(self.paint.bias)  # type: ignore[arg-type]
        basis = cosine_basis(config)
        self.fold = config.stride // 4
        self.linear = nn.Conv2d(config.latent_channels, basis.shape[1], 1, bias=False)
        self.linear.weight.data.copy_(basis.T[:, :, None, None])

    def forward(
        self, z: Tensor, picture: Tensor, memory: Tensor, quality: Tensor, condition: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        known = picture if condition is None else torch.cat([picture, condition], 1)
        known = (known - 0.5) * CONTRAST
        fold = 2 ** (self.top - self.memory_level)
        features = self.stem(z * CONTRAST) + self.stem_memory(F.pixel_unshuffle(memory, fold))
        features = F.leaky_relu(features, SLOPE) * self.gain(quality)
        fresh = memory
        for level in range(self.top, -1, -1):
            if level < self.top:
                features = self.ups[level](features)
            if level == self.memory_level:
                folded = F.pixel_unshuffle(known, 2**level) if level else known
                features = features + self.known(torch.cat([memory, folded], 1))
                features = F.leaky_relu(features, SLOPE)
            features = self.stacks[level](features)
            if level == self.memory_level:
                fresh = self.memory(features).clamp(-MEMORY_LIMIT, MEMORY_LIMIT)
        features = F.leaky_relu(self.blend(torch.cat([features, known], 1)), SLOPE)
        painted = self.paint(features).float()
        change, gate = painted.split([picture.shape[1], painted.shape[1] - picture.shape[1]], 1)
        keep = torch.sigmoid(gate + GATE_OPEN)[:, self.gate_of]
        change = change + F.pixel_shuffle(self.linear(z), self.fold)
        raw = keep * picture + (1 - keep) * 0.5 + change
        return straight_through(raw.clamp(0, 1), raw), fresh.float()
