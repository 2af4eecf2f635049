"""A small conditional VAE of what moves: how a region looks, now and a moment ago, given how it moves and where it is.

Conditional VAE after Sohn, Lee and Yan (2015), with a learned prior: prior p(z|c), posterior q(z|x,c) and decoder
p(x|z,c), c being optical flow and place. Its negative ELBO is how unusual a look is for that motion at that place.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

SIDE = 32
"""Rows and columns of a region as the network sees it."""
LOOKS, CONDITIONS = 2, 4
"""Channels of x: luma less background, now and a moment ago; of c: flow (x, y) and place (x, y)."""
LATENT = 16
WIDTHS = (24, 40, 56)
HIDDEN = 96
CORNER = SIDE // 2 ** len(WIDTHS)


class Judged(NamedTuple):
    """Of each region, in nats: distortion / (2 sigma^2), and KL(q || p); latent: posterior means (B, LATENT)."""

    distortion: Tensor
    rate: Tensor
    latent: Tensor


class RegionVAE(nn.Module):
    """x: (B, 2, 32, 32), c: (B, 4, 32, 32), both of about unit size. 0.25 million weights, 2 MMAC a region."""

    def __init__(self) -> None:
        super().__init__()
        self.known = _encoder(CONDITIONS)
        self.seen = _encoder(LOOKS + CONDITIONS)
        self.prior = nn.Linear(HIDDEN, 2 * LATENT)
        self.posterior = nn.Linear(HIDDEN, 2 * LATENT)
        self.unfold = nn.Sequential(nn.Linear(LATENT + HIDDEN, WIDTHS[-1] * CORNER**2), nn.SiLU())
        fine, middle, coarse = WIDTHS
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(coarse, middle, 4, 2, 1),
            nn.SiLU(),
            nn.ConvTranspose2d(middle, fine, 4, 2, 1),
            nn.SiLU(),
            nn.ConvTranspose2d(fine, LOOKS, 4, 2, 1),
        )
        self.log_sigma = nn.Parameter(torch.tensor(-1.0))
        """Of the decoder's Gaussian, one for all pixels."""

    def forward(self, x: Tensor, c: Tensor) -> Judged:
        """One sample of z in training, the posterior's mean afterwards."""
        known = self.known(c)
        prior_mean, prior_log = self.prior(known).chunk(2, 1)
        mean, log = self.posterior(self.seen(torch.cat([x, c], 1))).chunk(2, 1)
        prior_log, log = prior_log.clamp(-6, 3), log.clamp(-6, 3)
        z = mean + torch.exp(log) * torch.randn_like(mean) if self.training else mean
        shown = self.decoder(self.unfold(torch.cat([z, known], 1)).view(-1, WIDTHS[-1], CORNER, CORNER))
        spread = (torch.exp(2 * log) + (mean - prior_mean) ** 2) / (2 * torch.exp(2 * prior_log))
        rate = (prior_log - log + spread - 0.5).sum(1)
        error = (x - shown).square().flatten(1).sum(1)
        return Judged(error / (2 * torch.exp(2 * self.log_sigma)), rate, mean)

    def loss(self, x: Tensor, c: Tensor) -> Tensor:
        """Negative ELBO in nats, up to a constant: the mean over regions."""
        judged = self(x, c)
        return (judged.distortion + judged.rate).mean() + x[0].numel() * self.log_sigma


def _encoder(channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((channels, *WIDTHS[:-1]), WIDTHS, strict=True):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.SiLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(WIDTHS[-1] * CORNER**2, HIDDEN), nn.SiLU())
