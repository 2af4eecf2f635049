"""What an `Enhancer` pays for looking unlike real footage, beside its squared error: for texture that squared error
alone washes out, because a detail in slightly the wrong place costs it twice what no detail does.
"""

import torch
from torch import Tensor, nn

from vivae.train.critic import Critic, critic_terms
from vivae.train.lpips import lpips_alex, packed_to_rgb

LPIPS_FLOOR = 0.01
"""Added to each distance: below it, a smaller one counts for little."""


class TextureLoss(nn.Module):
    """Log of the LPIPS to the clean picture, and how readily a critic tells the two kinds of picture apart."""

    def __init__(self, perceptual: float, adversarial: float, critic: Critic):
        """Weights of the two, see `EnhancerRecipe`."""
        super().__init__()
        self.perceptual, self.adversarial = perceptual, adversarial
        self.critic = critic
        self.lpips = lpips_alex()

    def forward(
        self, picture: Tensor, target: Tensor, corner: tuple[int, int]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Packed frames (B, 24, h, w) in [0, 1] both -> what is paid, and figures.

        corner: row and column of pixels that LPIPS looks from. AlexNet sees every fourth pixel from there, as the
        enhancer's own blocks lie, and would teach a pattern of that grid if it always looked from the same.
        """
        top, left = corner
        looked_at = (packed_to_rgb(packed)[:, :, top:, left:] for packed in (picture, target))
        distance = self.lpips(*looked_at)
        for_enhancer, for_critic = critic_terms(self.critic, target[:, None], picture[:, None])
        paid = (
            self.perceptual * torch.log10(distance + LPIPS_FLOOR).mean()
            + self.adversarial * for_enhancer
            + for_critic
        )
        return paid, {"lpips": distance.mean().detach(), "critic": for_critic.detach()}
