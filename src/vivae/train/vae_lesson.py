"""Teaching a `VideoVAE`: the negative ELBO of clips, unrolled through time, at qualities drawn for each clip."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vivae.train.checkpoint import generator_of
from vivae.train.lesson import on_device
from vivae.train.recipe import Recipe
from vivae.vae.compensation import MotionSearch, finer, followed
from vivae.vae.config import PLANES, VAEConfig
from vivae.vae.model import VideoVAE
from vivae.vae.objective import Objective, negative_elbo, train_step

EVALUATION_QUALITIES = (0.25, 0.6, 1.0)


class Unroll(nn.Module):
    """The loss of a batch of clips, step after step through time."""

    def __init__(self, model: VideoVAE, objective: Objective, precision: torch.dtype | None):
        super().__init__()
        self.model = model
        self.objective = objective
        self.precision = precision
        self.search = MotionSearch(model.config.stride)

    def forward(
        self, clips: Tensor, quality: Tensor, kept: Tensor, beta: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss, and the mean distortion and bits per pixel. clips: (B, T, P, h, w)."""
        model = self.model
        state = model.initial_state(clips.shape[0], *clips.shape[-2:])
        loss = clips.new_zeros(())
        distortions, bits = [], []
        kind = clips.device.type
        with torch.autocast(kind, dtype=self.precision or torch.bfloat16, enabled=self.precision is not None):
            for index in range(clips.shape[1]):
                asked = quality
                if model.config.motion:
                    asked = (quality + finer(index)).clamp(max=1)
                    if index:
                        state = followed(self.search, clips[:, index], state, quality, model.config)
                step = train_step(model, clips[:, index], state, asked, self.objective, generator, kept)
                state = step.state
                loss = loss + negative_elbo(step, asked, self.objective, beta)
                distortions.append(step.distortion.detach())
                bits.append(step.bits.detach())
        error = torch.stack(distortions).mean()
        return loss / clips.shape[1], {
            "distortion_db": 10 * torch.log10(255**2 / error.clamp_min(1e-6)),
            "bpp": torch.stack(bits).mean(),
        }


class VAELesson:
    """See `vivae.train.lesson.Lesson`. windows: uint8 (1, T, 24, h, w) each."""

    model: nn.Module

    def __init__(self, recipe: Recipe, model: VideoVAE, windows: Sequence[NDArray[np.uint8]]):
        self.recipe = recipe
        self.model = self.vae = model
        self.windows = windows
        settings = recipe.objective
        self.objective = Objective(
            settings.distortion, settings.rate_low, settings.rate_high, settings.balance, settings.free_bits
        )

    def module(self, precision: torch.dtype | None) -> nn.Module:
        return Unroll(self.vae, self.objective, precision)

    def batch(self, drawn: NDArray[np.uint8], step: int, generator: torch.Generator) -> tuple[Any, ...]:
        clips = unpack_batch(drawn, self.recipe.model, on_device(self.vae))
        warmup = self.recipe.objective.beta_warmup
        beta = min(1.0, 0.1 + 0.9 * step / warmup) if warmup else 1.0
        return clips, *self.draw(len(clips), generator), beta, generator

    def draw(self, clips: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Quality (B,) of each clip, and (B,) how many of its latent channels are kept."""
        settings = self.recipe.objective
        device = on_device(self.vae)
        channels = self.recipe.model.latent_channels
        chance = torch.rand((3, clips), generator=generator, device=device)
        quality = torch.where(chance[0] < settings.best_share, torch.ones_like(chance[1]), chance[1])
        kept = torch.full((clips,), channels, device=device)
        nested = self.recipe.model.nested
        if nested:
            # The same draw decides whether a clip is nested and, spread over the parts, how deep.
            part = (chance[2] / max(settings.nested_share, 1e-9) * len(nested)).long()
            for index, prefix in enumerate(nested):
                kept = torch.where(part == index, prefix, kept)
        return torch.where(kept < channels, torch.ones_like(quality), quality), kept

    def settle(self, model: nn.Module) -> None:
        assert isinstance(model, VideoVAE)
        model.tables.copy_(self.vae.tables)
        model.prior.freeze()

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Negative ELBO of the test half, mean over fixed windows and qualities; and its two terms at quality 1."""
        assert isinstance(model, VideoVAE)
        unroll = Unroll(model, self.objective, None)
        loss_sum = error_sum = bits_sum = 0.0
        for index, window in enumerate(self.windows):
            clips = unpack_batch(window, model.config, on_device(model))
            whole = torch.full((len(clips),), model.config.latent_channels, device=clips.device)
            for value in EVALUATION_QUALITIES:
                generator = generator_of(self.recipe.seed, index, 0, clips.device)
                quality = torch.full((len(clips),), value, device=clips.device)
                loss, figures = unroll(clips, quality, whole, 1.0, generator)
                loss_sum += loss.item() / len(EVALUATION_QUALITIES)
            # Decibels of the mean error, not their mean: the figure is one of the objective's terms.
            error_sum += 255**2 / 10 ** (figures["distortion_db"].item() / 10)
            bits_sum += figures["bpp"].item()
        count = len(self.windows)
        decibels = 10 * math.log10(255**2 / max(error_sum / count, 1e-6))
        return {"test_loss": loss_sum / count, "test_db": decibels, "test_bpp": bits_sum / count}


def unpack_batch(batch: NDArray[np.uint8], config: VAEConfig, device: torch.device) -> Tensor:
    """uint8 (B, T * s, 24, h, w) -> float (B, T, P, h, w) in [0, 1]: s frames and the model's planes a step."""
    stride = config.temporal_stride
    planes = batch[:, : batch.shape[1] // stride * stride, : sum(PLANES[config.colour])]
    clips = torch.from_numpy(np.ascontiguousarray(planes)).to(device).float() / 255
    b, t, p, h, w = clips.shape
    return clips.reshape(b, t // stride, stride * p, h, w)
