"""A second look at a single picture: the latent moved to where its symbols are worth most together.

Choosing symbols one by one takes errors for independent, and the decoder for linear. It is neither. So what was chosen
is decoded, the gradient of the picture's error tells for each symbol which way it should have gone, and it is chosen
anew: a few steps of Newton's method, with one curvature for all that is measured on the picture itself. In the spirit
of Campos et al., "Content adaptive optimization for neural image compression", CVPR Workshops 2019. Decoders need not
know.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vivae.codec.entropy import Integers, Tables
from vivae.codec.symbols import BITS_PER_ERROR, SymbolStream
from vivae.vae.model import VAEState, VideoVAE
from vivae.vae.objective import distortion_of

LOOKS = 3
"""Times that symbols are chosen anew; a fourth changes next to nothing."""
LARGEST = 4_000_000
"""Pixels up to which there is a second look: gradients take several times the memory of decoding."""


class Unwritten:
    """A coder that writes nothing, and counts the bits it would have taken."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.bits = 0.0

    def code(self, tables: Integers, values: Integers | None) -> Integers:
        assert values is not None, "nothing is read here"
        self.bits += float(self._tables.cost(tables, values).sum())
        return values


class Sought(NamedTuple):
    """A picture x (1, P, h, w) in [0, 1] for which symbols are sought, and all that decodes them."""

    model: VideoVAE
    x: Tensor
    state: VAEState
    """Before the picture."""
    quality: Tensor

    def error(self, symbols: Tensor) -> Tensor:
        """Of the picture that symbols decode to: a scalar."""
        picture, _ = self.model.decode(symbols, self.state, self.quality)
        return distortion_of(picture, self.x, self.model.config.colour, "mse").sum()

    def slope(self, symbols: Tensor) -> tuple[float, Tensor]:
        """The error, and its gradient in the symbols."""
        with torch.enable_grad():
            given = symbols.detach().clone().requires_grad_()
            error = self.error(given)
            (slope,) = torch.autograd.grad(error, given)
        return error.item(), slope

    def curvature(self, symbols: Tensor, error: float, slope: Tensor) -> float:
        """The error's second derivative along a symbol, the mean over all: from what small random moves add."""
        random = torch.Generator(device=symbols.device).manual_seed(0)
        moved = 0.2 * (torch.rand(symbols.shape, generator=random, device=symbols.device) - 0.5)
        added = self.error(symbols + moved).item() - error - (slope * moved).sum().item()
        return 2 * added / moved.square().sum().item()


def refined(sought: Sought, latent: Tensor, stream: SymbolStream) -> Tensor:
    """A better latent (1, L, rows, columns), in quantiser steps. stream: where it will be coded."""
    x = sought.x
    if x.shape[-1] * x.shape[-2] * 16 > LARGEST:
        return latent
    best, least = latent, float("inf")
    curvature = 0.0
    for _ in range(LOOKS + 1):
        coder = Unwritten(stream.tables)
        symbols = stream.step(coder, latent).to(x.device)
        error, slope = sought.slope(symbols)
        curvature = curvature or sought.curvature(symbols, error, slope)
        if curvature <= 0:
            break
        cost = coder.bits + 2 * BITS_PER_ERROR / curvature * error
        if cost < least:
            best, least = latent, cost
        latent = symbols - slope / curvature
        if not torch.isfinite(latent).all():
            break
    return best
