"""Small models with weights that matter: a fresh network is nearly linear and would hide mistakes."""

from collections.abc import Callable

import pytest
import torch

from vivae.vae.config import VAEConfig
from vivae.vae.model import VideoVAE

SMALL = {
    "widths": (12, 16, 20),
    "encoder_depths": (0, 1, 1),
    "decoder_depths": (0, 1, 1),
    "latent_channels": 8,
    "nested": (2, 4),
    "memory_channels": 6,
    "prior_width": 16,
}


def randomised(config: VAEConfig, seed: int = 0) -> VideoVAE:
    """A model whose weights are all random, at a scale that keeps its signals alive."""
    torch.manual_seed(seed)
    model = VideoVAE(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("log_gain"):
                continue
            spread = 0.6 / max(1, parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.05
            parameter.add_(torch.randn_like(parameter) * spread)
    model.prior.freeze()
    return model.requires_grad_(False).eval()


@pytest.fixture
def make_model() -> Callable[..., VideoVAE]:
    def make(seed: int = 0, **changes: object) -> VideoVAE:
        return randomised(VAEConfig.model_validate(SMALL | changes), seed)

    return make
