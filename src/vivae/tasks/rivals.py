"""What `bench generate` measures beside: a plain VAE and a GAN of the same decoder, taught by the same loop."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from vivae.train.composed import ComposedClips
from vivae.train.critic import gradient_penalty
from vivae.train.lesson import on_device
from vivae.train.recipe import CommonRecipe
from vivae.vae.blocks import SLOPE, Down, Up, residual_stack

LATENT = 96
SIGMA = 0.1
PENALTY, PENALTY_EVERY = 5.0, 4
"""Weight of R1, and steps from one to the next (lazily, as in StyleGAN2): with little of it the critic soon knows all
clips from all samples, and the decoder learns no more."""
NOISE = 0.05
"""Deviation of the noise on what the critic is shown: black ground is exactly black in real clips, and nothing else
would be looked at."""
Name = Literal["vae", "gan"]


class ConvDecoder(nn.Module):
    """(B, LATENT) -> clips (B, T, 64, 64): one picture whose channels are the frames, from 4x4 up."""

    def __init__(self, frames: int, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(LATENT, 4 * width * 16),
            nn.Unflatten(1, (4 * width, 4, 4)),
            nn.LeakyReLU(SLOPE),
            residual_stack(4 * width, 1),
            Up(4 * width, 2 * width),
            nn.LeakyReLU(SLOPE),
            residual_stack(2 * width, 1),
            Up(2 * width, 2 * width),
            nn.LeakyReLU(SLOPE),
            residual_stack(2 * width, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 16 * frames, 3, padding=1),
            nn.PixelShuffle(4),
        )

    def forward(self, latent: Tensor) -> Tensor:
        # No sigmoid: over grounds that are black nearly everywhere it saturates, and learning ends.
        made: Tensor = self.layers(latent)
        return made.float()


class ConvEncoder(nn.Module):
    """Clips (B, T, 64, 64) -> `outputs` numbers each; also the GAN's critic."""

    def __init__(self, frames: int, width: int, outputs: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(16 * frames, 2 * width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            residual_stack(2 * width, 1),
            nn.LeakyReLU(SLOPE),
            Down(2 * width, 2 * width),
            nn.LeakyReLU(SLOPE),
            residual_stack(2 * width, 1),
            Down(2 * width, 4 * width),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(4 * width * 16, outputs),
        )

    def forward(self, clip: Tensor) -> Tensor:
        told: Tensor = self.layers(clip)
        return told.float()


class Rival(nn.Module):
    """A decoder, and an encoder that is a posterior or a critic."""

    def __init__(self, name: Name, frames: int, width: int):
        super().__init__()
        self.name = name
        self.decoder = ConvDecoder(frames, width)
        self.encoder = ConvEncoder(frames, width, 2 * LATENT if name == "vae" else 1)

    @torch.inference_mode()
    def sample(self, count: int, seed: int) -> Tensor:
        """Clips (count, T, 64, 64) from a standard normal."""
        latent = torch.randn(count, LATENT, generator=torch.Generator().manual_seed(seed))
        return torch.cat([self.decoder(part) for part in latent.split(32)]).clamp(0, 1)


def fitting(name: Name, frames: int, parameters: int) -> Rival:
    """The rival whose number of parameters is nearest to this one."""

    def count(width: int) -> int:
        with torch.device("meta"):
            return sum(part.numel() for part in Rival(name, frames, width).parameters())

    width = min(range(8, 200, 4), key=lambda width: abs(count(width) - parameters))
    return Rival(name, frames, width)


class _Loss(nn.Module):
    def __init__(self, model: Rival, precision: torch.dtype | None):
        super().__init__()
        self.model, self.precision = model, precision
        self.steps = 0

    def forward(self, clips: Tensor, draws: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        model = self.model
        kind = clips.device.type
        latent = torch.randn(len(clips), LATENT, generator=draws, device=clips.device)
        with torch.autocast(kind, dtype=self.precision or torch.bfloat16, enabled=self.precision is not None):
            if model.name == "vae":
                mean, log_spread = model.encoder(clips).chunk(2, 1)
                log_spread = log_spread.clamp(-6, 2)
                error = ((model.decoder(mean + log_spread.exp() * latent) - clips) ** 2).mean()
                kl = (0.5 * (mean**2 + (2 * log_spread).exp() - 1) - log_spread).sum(1).mean()
                # The true ELBO, so that the standard normal is the prior that it was taught for.
                loss = error / (2 * SIGMA**2) + kl / clips[0].numel()
                return loss, {"error": error.detach(), "kl": kl.detach()}
            made = model.decoder(latent)
            still = {key: value.detach() for key, value in model.encoder.named_parameters()}
            for_decoder = F.softplus(-functional_call(model.encoder, still, (_noisy(made, draws),))).mean()
            real, false = model.encoder(_noisy(clips, draws)), model.encoder(_noisy(made.detach(), draws))
            for_critic = F.softplus(-real).mean() + F.softplus(false).mean()
        loss = for_decoder + for_critic
        if self.steps % PENALTY_EVERY == 0:
            loss = loss + 0.5 * PENALTY * PENALTY_EVERY * gradient_penalty(model.encoder, clips)
        self.steps += 1
        return loss, {"decoder": for_decoder.detach(), "critic": for_critic.detach()}


def _noisy(clips: Tensor, draws: torch.Generator) -> Tensor:
    return clips + NOISE * torch.randn(clips.shape, generator=draws, device=clips.device)


class RivalLesson:
    """See `vivae.train.lesson.Lesson`: nothing is judged, so that training ends with its budget."""

    model: nn.Module
    windows: Sequence[Any] = ()

    def __init__(self, model: Rival):
        self.model = self.rival = model

    def module(self, precision: torch.dtype | None) -> nn.Module:
        return _Loss(self.rival, precision)

    def batch(self, drawn: ComposedClips, step: int, generator: torch.Generator) -> tuple[Any, ...]:
        return drawn.frames.to(on_device(self.rival)), generator

    def settle(self, model: nn.Module) -> None:
        """Nothing is derived."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Nothing."""
        return {}


def recipe_of(name: Name, steps: int, seed: int) -> CommonRecipe:
    """Settings that each rival trains steadily with."""
    optimiser: dict[str, Any] = {"learning_rate": 1e-3, "ema": 0.998, "clip": 5.0}
    batch = 24
    if name == "gan":
        # Both networks learn at once: no momentum, and a pace that the critic can follow. More, smaller steps led
        # further in the same time.
        optimiser |= {"learning_rate": 4e-4, "betas": (0.0, 0.99), "weight_decay": 0.0, "clip": 50.0}
        batch = 8
    return CommonRecipe.model_validate(
        {
            "optimiser": optimiser,
            "stages": [{"batch": batch, "frames": 20}],
            "budget": {"steps": steps, "patience": None, "evaluate_every": 1_000_000},
            "seed": seed,
        }
    )


Batches = Callable[[int], ComposedClips]
