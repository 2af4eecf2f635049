"""A critic, for recipes that are `adversarial`: it tells what a model makes from real footage, patch by patch."""

from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from vivae.vae.blocks import SLOPE
from vivae.vae.window import CONTRAST, PACKED

M = TypeVar("M", bound=nn.Module)


class Critic(nn.Module):
    """Frames beside each other as channels, strided convolutions, one verdict a patch of about 60 pixels."""

    def __init__(self, frames: int, width: int = 48):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(frames * PACKED, width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, clip: Tensor) -> Tensor:
        """(B, T, 24, h, w) in [0, 1] -> (B, 1, h / 2, w / 2)."""
        verdict: Tensor = self.layers((clip.flatten(1, 2) - 0.5) * CONTRAST)
        return verdict.float()


class Taught(nn.Module, Generic[M]):
    """What the optimiser holds: a model, and the critic of what it makes, which has done its work afterwards."""

    def __init__(self, model: M, critic: Critic | None):
        super().__init__()
        self.model = model
        self.critic = critic


def critic_terms(critic: nn.Module, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """What the decoder pays, and what the critic pays (hinge losses), for one optimiser over both.

    The decoder's term sees the critic's weights without their gradient, and the critic's term the pictures without
    theirs, so one backward pass gives each its own.
    """
    still = {name: value.detach() for name, value in critic.named_parameters()}
    for_decoder = -functional_call(critic, still, (made,)).mean()
    for_critic = F.relu(1 - critic(real)).mean() + F.relu(1 + critic(made.detach())).mean()
    return for_decoder, for_critic


def gradient_penalty(critic: nn.Module, real: Tensor) -> Tensor:
    """R1 (Mescheder et al., ICML 2018): the squared gradient of the verdict with respect to real pictures."""
    seen = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(seen).sum(), seen, create_graph=True)
    return slope.flatten(1).square().sum(1).mean()
