"""What a model costs: multiply-accumulates a pixel, parameters and bytes."""

from functools import cache
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from vivae.vae.config import VAEConfig
from vivae.vae.enhancer import CHANNELS, Enhancer, EnhancerConfig
from vivae.vae.model import VideoVAE


class Cost(NamedTuple):
    """Thousands of multiply-accumulates for each luma pixel, and the number of parameters."""

    encoder: float
    decoder: float
    prior: float
    parameters: int

    @property
    def total(self) -> float:
        """kMAC a pixel of one encode and decode with all bits counted."""
        return self.encoder + self.decoder + self.prior


def cost_of(config: VAEConfig, side: int = 256) -> Cost:
    """Count the convolutions of one step on a side x side frame; nothing is computed, no random number used."""
    with torch.random.fork_rng(devices=[]):
        model = VideoVAE(config).to("meta")
    packed = side // 4
    x = torch.zeros(1, config.picture_channels, packed, packed, device="meta")
    condition = None
    if config.condition_channels:
        condition = torch.zeros(1, config.condition_channels, packed, packed, device="meta")
    state = model.initial_state(1, packed, packed)
    quality = torch.ones(1, device="meta")
    pixels = side * side * config.temporal_stride

    def counted(counter: FlopCounterMode) -> float:
        return counter.get_total_flops() / 2 / pixels / 1000

    with torch.no_grad():
        with FlopCounterMode(display=False) as encoding:
            latent, _ = model.encode(x, state, quality, condition)
        with FlopCounterMode(display=False) as decoding:
            model.decode(latent, state, quality, condition)
        with FlopCounterMode(display=False) as predicting:
            model.prior.expect(model.expect(state, quality, condition), latent)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(counted(encoding), counted(decoding), counted(predicting), parameters)


@cache
def enhancer_cost(config: EnhancerConfig) -> float:
    """kMAC for each luma pixel of one look at a frame; nothing is computed or allocated."""
    side = 16
    with torch.device("meta"):
        model = Enhancer(config)
        frame, told = torch.zeros(1, CHANNELS, side, side), torch.zeros(1, len(config.attributes))
    # With gradients every layer is a function of its own, and none is fused with what follows it.
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        model(frame, frame, frame, told, model.scene(0, 0, side, side))
    return float(counter.get_total_flops()) / 2 / (16 * side**2) / 1000
