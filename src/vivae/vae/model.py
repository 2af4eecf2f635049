"""`VideoVAE`: a conditional, streaming variational autoencoder for packed video frames.

    prior p(z|c)      encoder q(z|x,c)      decoder p(x|z,c)

c is what the receiver already knows: the last decoded picture, the decoder's memory, and an optional condition.
One call handles one step (one frame, or `temporal_stride` of them); all that passes from step to step is a
`VAEState` of fixed size, so a clip gives the same latents and pictures whole, in any chunks, or frame by frame.

Shapes: B clips, P packed channels (24 a frame in 4:2:0), h = H/4 and w = W/4; the latent has L channels and lies
at H/stride, W/stride. Pictures are float32 in [0, 1] (code value / 255). Latents are in quantiser steps:
`quantise` makes of them the whole symbols that a file stores.
"""

import os
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vivae.vae.blocks import QualityGain
from vivae.vae.config import WEIGHTLESS, VAEConfig
from vivae.vae.networks import Decoder, Encoder, memory_level
from vivae.vae.prior import IntegerPrior, frequency_tables

DEAD_ZONE = (0.66, 0.54)
"""Fraction of a step, at quality 0 and at 1, from which a value is rounded away from zero."""


CORRECTED_FROM = 0.75
"""Quality from which a latent is corrected: below, the few bits are better spent without."""


class VAEState(NamedTuple):
    """All that a stream carries from one step to the next; its size does not depend on the stream's length."""

    picture: Tensor
    """(B, P, h, w): the last decoded picture; 0.5 before the first."""
    memory: Tensor
    """(B, M, h', w'): the decoder's memory."""
    symbols: Tensor
    """(B, L, H/stride, W/stride): the last step's rounded latent, for the prior."""
    context: Tensor
    """(B, C, H/stride, W/stride): the prior's own memory."""


class VideoVAE(nn.Module):
    """See the module's text. `config` says its shape; `vivae.vae.zoo` loads trained ones."""

    tables: Tensor

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.config = config
        self.hash = ""
        """SHA-256 of the weights file this model was loaded from; empty for one that was not."""
        self.notes: dict[str, Any] = {}
        """What its training wrote into that file: recipe, data, minutes."""
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.prior = IntegerPrior(config)
        self.steps = QualityGain(config.latent_channels, config.quality_nodes, 1.8, 28.0)
        """Quantiser steps a unit of latent, coarse at quality 0, fine at 1: where they start, one step is the
        optimum of a plain transform codec at the default trade-offs of `Objective`."""
        self.register_buffer("tables", torch.from_numpy(frequency_tables()).to(torch.int32))
        # In float32 on a CPU, convolutions are quicker so.
        for part in (self.encoder, self.decoder):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str], *, device: str = "cpu") -> "VideoVAE":
        """A trained model: a folder in the Hugging Face layout, a training's, a weights file, or a shipped name.

        Raises InputError, FormatError.
        """
        from vivae.vae.pretrained import from_pretrained

        return from_pretrained(name, device=device)

    def save_pretrained(self, folder: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write a folder in the Hugging Face layout: config.json, model.safetensors, README.md. Raises OutputError."""
        from vivae.vae.pretrained import save_pretrained

        save_pretrained(self, folder, force=force)

    def adopt(self, other: "VideoVAE") -> None:
        """Begin with the transforms of a smaller model: what it lacks counts as nothing at first. The prior begins
        anew, but where its first groups are the smaller one's (`IntegerPrior.adopt`). Raises ValueError where the other
        is not smaller, or of another kind."""
        wrong = _not_within(other.config, self.config)
        if wrong:
            raise ValueError(f"it differs in {', '.join(wrong)}")
        joined = {
            "decoder.known.weight": (other.config.memory_channels, self.config.memory_channels),
            "decoder.blend.weight": (other.config.widths[0], self.config.widths[0]),
        }
        own = self.state_dict()
        for name, value in other.state_dict().items():
            if name.startswith(("encoder.", "decoder.", "steps.")):
                _adopt(name, own[name], value, *joined.get(name, (0, 0)))
        self.prior.adopt(other.prior)

    def initial_state(self, batch: int, height: int, width: int) -> VAEState:
        """The state before the first picture. height, width: of the packed frame, multiples of stride / 4."""
        config = self.config
        ratio = config.stride // 4
        if height % ratio or width % ratio:
            raise ValueError(f"packed size {height}x{width} is not a multiple of {ratio}")
        like = self.steps.log_gain
        fold = 2 ** memory_level(config)
        return VAEState(
            like.new_full((batch, config.picture_channels, height, width), 0.5),
            like.new_zeros((batch, config.memory_channels, height // fold, width // fold)),
            like.new_zeros((batch, config.latent_channels, height // ratio, width // ratio)),
            like.new_zeros((batch, config.prior_width, height // ratio, width // ratio)),
        )

    def encode(
        self, x: Tensor, state: VAEState, quality: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Posterior of one step: mean (B, L, ...) in quantiser steps, and for a Gaussian its log deviation.

        x: (B, P, h, w) in [0, 1]; quality: (B,) in [0, 1]. A uniform posterior has width one around the mean.
        """
        out = self.encoder(x, state.picture, state.memory, quality, condition).float()
        if self.config.posterior == "uniform":
            return out * self.steps(quality), None
        mean, log_deviation = out.chunk(2, 1)
        return mean * self.steps(quality), log_deviation.clamp(-8, 4)

    def find_latent(
        self,
        x: Tensor,
        state: VAEState,
        quality: Tensor,
        condition: Tensor | None = None,
        channels: Tensor | None = None,
    ) -> Tensor:
        """The latent (B, L, ...) that a sender should use: the posterior's mean, at high quality corrected once.

        The correction decodes what was found and adds the linear transform of what is still missing (analysis by
        synthesis). It wins quality where there are bits for it, and keeps a clip that was coded before from losing a
        little more each time. channels: (B,) leading channels to keep, all unless said.
        """
        if channels is None:
            channels = torch.full_like(quality, self.config.latent_channels)
        mean, _ = self.encode(x, state, quality, condition)
        latent = self.keep(mean, channels)
        if bool((quality < CORRECTED_FROM).any()):
            return latent
        picture, _ = self.decode(latent, state, quality, condition)
        return self.keep(latent + self.steps(quality) * self.encoder.analyse(x - picture), channels)

    def decode(
        self, latent: Tensor, state: VAEState, quality: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, VAEState]:
        """Picture (B, P, h, w) in [0, 1] of a latent in quantiser steps, and the state with picture and memory new."""
        z = latent / self.steps(quality)
        picture, memory = self.decoder(z, state.picture, state.memory, quality, condition)
        if self.config.still:
            return picture, state
        return picture, state._replace(picture=picture, memory=memory)

    def expect(self, state: VAEState, quality: Tensor, condition: Tensor | None = None) -> Tensor:
        """The prior's context of the coming step, for `prior.expect` and `prior.predict`."""
        return self.prior.begin(state.symbols, state.context, quality, condition)

    def remember(self, state: VAEState, symbols: Tensor, context: Tensor) -> VAEState:
        """The state after a step whose rounded latent was `symbols`."""
        if self.config.still:
            return state
        return state._replace(symbols=symbols, context=context)

    @staticmethod
    def quantise(latent: Tensor, quality: Tensor) -> Tensor:
        """The whole quantiser steps (B, L, ...) to code for a latent: rounded, with a dead zone around zero.

        A value that is hardly worth its bits is better left out: the coarser the quality, the wider the zone
        (rate-distortion optimised quantisation in its simplest form; widths chosen on training clips).
        """
        threshold = (DEAD_ZONE[0] + (DEAD_ZONE[1] - DEAD_ZONE[0]) * quality)[:, None, None, None]
        return latent.sign() * torch.floor(latent.abs() + 1 - threshold)

    @staticmethod
    def keep(latent: Tensor, channels: Tensor) -> Tensor:
        """The latent with all but its first channels at zero: `channels` (B,) of each sample are kept."""
        order = torch.arange(latent.shape[1], device=latent.device)
        return latent * (order < channels[:, None])[:, :, None, None]


def _not_within(small: VAEConfig, large: VAEConfig) -> list[str]:
    """Names of the settings in which a model is no part of a larger one."""
    free = WEIGHTLESS | {"nested", "groups", "prior_width", "still"}
    grown = {"latent_channels", "widths", "encoder_depths", "decoder_depths", "memory_channels"}
    wrong = []
    for name in VAEConfig.model_fields.keys() - free:
        one, other = getattr(small, name), getattr(large, name)
        if name in grown:
            one, other = np.atleast_1d(one), np.atleast_1d(other)
            fits = len(one) == len(other) and bool((one <= other).all())
        else:
            fits = one == other
        if not fits:
            wrong.append(name)
    return sorted(wrong)


@torch.no_grad()
def _adopt(name: str, own: Tensor, other: Tensor, part: int, wider: int) -> None:
    """Take over a smaller model's weights; what only `own` has for the same outputs becomes zero.

    part, wider: where inputs are joined of two, the channels of the first in the other and in the own.
    """
    if (
        own.dim() == 4 and "linear" not in name
    ):  # a gain or basis function for a new channel is none for an old one
        own[: len(other)] = 0
    rest = other.shape[1:2].numel() - part if other.dim() > 1 else 0
    if not rest:
        own[: len(other)] = other
        return
    own[: len(other), :part] = other[:, :part]
    own[: len(other), wider : wider + rest] = other[:, part:]
