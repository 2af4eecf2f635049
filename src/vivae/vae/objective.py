"""The one loss: the negative ELBO, distortion + KL, in bits per pixel.

    L = bits / pixel  +  lambda(quality) * distortion(x, x^)

With distortion the squared error of 8-bit code values, lambda = 1 / (2 sigma^2 ln 2): it is the ELBO of a Gaussian
decoder of variance sigma^2, divided by the pixels. For a uniform posterior of the quantiser's width the KL is the
number of bits a file takes; for a Gaussian one it is the usual closed form.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vivae.vae.config import PLANES
from vivae.vae.model import VAEState, VideoVAE
from vivae.vae.prior import Expected, bits_of

PLANE_WEIGHTS = {"yuv420": (0.7, 0.15, 0.15), "gray": (1.0,)}
"""Shares of the planes in the distortion, near the 6:1:1 of PSNR-YUV with some more for the easier chroma."""


@dataclass(frozen=True, slots=True)
class Objective:
    """Settings of the loss; see `vivae.train.recipe` for what users write."""

    distortion: Literal["mse", "charbonnier"] = "mse"
    rate_low: float = 0.0005
    rate_high: float = 0.12
    """lambda at quality 0 and at quality 1, geometric between."""
    balance: float = 0.25
    """Samples are weighted by lambda^-balance, so that high qualities do not drown the low ones."""
    free_bits: float = 0.0
    """Bits per latent value below which the KL is not pressed further (Kingma et al., 2016)."""


class Step(NamedTuple):
    """One trained step: what came out, and the two terms for each clip of the batch."""

    picture: Tensor
    distortion: Tensor
    """(B,) weighted distortion in squared code values (0-255)."""
    bits: Tensor
    """(B,) KL in bits per pixel."""
    state: VAEState


def plane_errors(picture: Tensor, target: Tensor, colour: str) -> Tensor:
    """Mean squared error, in code values, of each plane: (B, planes)."""
    square = ((picture - target) * 255) ** 2
    batch, channels = square.shape[:2]
    frame = sum(PLANES[colour])
    square = square.reshape(batch, channels // frame, frame, -1)
    return torch.stack([part.mean((1, 2, 3)) for part in square.split(PLANES[colour], 2)], 1)


def distortion_of(picture: Tensor, target: Tensor, colour: str, kind: str) -> Tensor:
    """(B,) weighted distortion in squared code values."""
    if kind == "charbonnier":
        # Linear in large errors, quadratic in small ones; scaled so that an error of 8 counts as in mse.
        error = (picture - target) * 255
        soft = 8 * (torch.sqrt(error**2 + 16) - 4)
        picture, target = torch.sqrt(soft.clamp(min=1e-12)) / 255, torch.zeros_like(target)
    weights = torch.tensor(PLANE_WEIGHTS[colour], device=picture.device)
    return (plane_errors(picture, target, colour) * weights).sum(1)


def gaussian_kl(mean: Tensor, log_deviation: Tensor, expected: Expected) -> Tensor:
    """KL in bits from N(mean, deviation) to a Gaussian prior of the expected mean and the Laplace's deviation."""
    log_prior = torch.log(expected.scale * 2**0.5)
    variance = torch.exp(2 * (log_deviation - log_prior))
    distance = ((mean - expected.mean) / torch.exp(log_prior)) ** 2
    nats: Tensor = 0.5 * (variance + distance - 1) - (log_deviation - log_prior)
    return nats / torch.log(torch.tensor(2.0, device=mean.device))


def train_step(
    model: VideoVAE,
    x: Tensor,
    state: VAEState,
    quality: Tensor,
    objective: Objective,
    generator: torch.Generator | None = None,
    kept: Tensor | None = None,
    condition: Tensor | None = None,
) -> Step:
    """Encode, sample, decode and score one step.

    A uniform posterior is trained with both stand-ins for rounding: the rate sees additive noise, the decoder the
    rounded value with a straight-through gradient (Minnen and Singh, ICIP 2020). kept: (B,) leading latent channels
    that each clip may use (nested dropout, Rippel et al., ICML 2014).
    """
    mean, log_deviation = model.encode(x, state, quality, condition)
    if kept is not None:
        mean = model.keep(mean, kept)
    context = model.expect(state, quality, condition)
    if log_deviation is None:
        noise = torch.rand(mean.shape, generator=generator, device=mean.device) - 0.5
        symbols = mean.detach().round()
        latent = mean + (mean.round() - mean).detach()
        expected = model.prior.expect(context, symbols)
        bits = bits_of(mean + noise, expected)
    else:
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        latent = mean + noise * log_deviation.exp()
        symbols = latent.detach().round()
        bits = gaussian_kl(mean, log_deviation, model.prior.expect(context, symbols))
    picture, state = model.decode(latent, state, quality, condition)
    pixels = x.shape[-1] * x.shape[-2] * 16 * model.config.temporal_stride
    if objective.free_bits:
        bits = bits.clamp(min=objective.free_bits)
    return Step(
        picture,
        distortion_of(picture, x, model.config.colour, objective.distortion),
        bits.sum((1, 2, 3)) / pixels,
        model.remember(state, symbols, context),
    )


def trade_off(quality: Tensor, objective: Objective) -> Tensor:
    """lambda: bits per pixel that one unit of distortion is worth, (B,)."""
    ratio = objective.rate_high / objective.rate_low
    return objective.rate_low * ratio**quality


def negative_elbo(step: Step, quality: Tensor, objective: Objective, beta: float = 1.0) -> Tensor:
    """The scalar to minimise. beta weights the KL (below one while it is warmed up)."""
    weight = trade_off(quality, objective)
    loss = beta * step.bits + weight * step.distortion
    return (loss * (weight / objective.rate_high) ** -objective.balance).mean()
