"""Teaching a `RegionVAE` the regions of one camera: a minute or two on a CPU, so nothing is kept of a broken run."""

import torch
from torch import Tensor, nn

from vivae.vae.region import RegionVAE

BATCH = 96
RATE = 2e-3
"""Highest learning rate of AdamW, warmed up and let down (one cycle, Smith 2018)."""
CLIP = 5.0


def teach(looks: Tensor, conditions: Tensor, *, steps: int, seed: int) -> RegionVAE:
    """Fit a network to regions, (N, 2, 32, 32) and (N, 4, 32, 32). The same seed gives the same network."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = RegionVAE().train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        for _ in range(steps):
            drawn = torch.randint(len(looks), (min(BATCH, len(looks)),), generator=generator)
            loss = network.loss(looks[drawn].float(), conditions[drawn].float())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimiser.step()
            schedule.step()
    return network.eval()
