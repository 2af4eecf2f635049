"""How far pictures are from a painting in texture and strokes, and from their own content; no downloaded network.

Texture: the distributions of what filters see, at several scales. Patches on random filters drawn anew each time
(sliced Wasserstein distance on patches: Elnekave & Weiss, "Generating natural images with direct patch distributions
matching", ECCV 2022); correlations of a fixed bank of random filters (Gram matrices: Gatys et al., 2016; random ones
at several scales serve nearly as well as trained ones: Ustyuzhaninov et al., 2016); slices of our own VAE's features.
Pictures here are float (B, 3, H, W): luma and chroma in [0, 1] at full size.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.vae.blocks import SLOPE
from vivae.vae.model import VideoVAE
from vivae.vae.networks import CONTRAST

PATCH = 7
STRIDES = (3, 2, 1, 1)
"""Between the patches that are looked at, at each scale."""
SLICES = 32
SAMPLES = 2048
"""Patches compared for each slice and scale..."""
KEPT = 16384
"""...out of so many of the painting."""
WHITENING = 0.35
"""Exponent: how much of the patches' spectrum is flattened before slicing; 0 sees little but brightness."""
BANK = 32


def unpacked(frames: Tensor) -> Tensor:
    """(B, 24, h, w) packed frames to (B, 3, 4h, 4w) pictures."""
    luma = F.pixel_shuffle(frames[:, :16], 4)
    chroma = [F.pixel_shuffle(frames[:, first : first + 4], 2) for first in (16, 20)]
    wide = F.interpolate(torch.cat(chroma, 1), scale_factor=2, mode="bilinear", align_corners=False)
    return torch.cat([luma, wide], 1)


class TextureLoss(nn.Module):
    """The distance of pictures' textures from one painting's."""

    def __init__(self, style: Tensor, encoder: VideoVAE) -> None:
        """style: (1, 24, h, w) packed, sides even."""
        super().__init__()
        self.encoder = encoder.requires_grad_(False).eval()
        picture = unpacked(style)
        generator = torch.Generator().manual_seed(1)
        bank = torch.empty(BANK, 3, 5, 5)
        nn.init.orthogonal_(bank.view(BANK, -1), generator=generator)
        bank[: BANK * 3 // 4] -= bank[: BANK * 3 // 4].mean((2, 3), keepdim=True)
        second = torch.empty(BANK, BANK, 3, 3)
        nn.init.orthogonal_(second.view(BANK, -1), gain=1.5, generator=generator)
        self.register_buffer("bank", bank)
        self.register_buffer("second", second)
        with torch.no_grad():
            patches = [F.unfold(level, PATCH)[0] for level in pyramid(picture, len(STRIDES))]
            self.bases = [_patch_basis(part) for part in patches]
            self.patches = [
                part[:, torch.randperm(part.shape[1], generator=generator)[:KEPT]] for part in patches
            ]
            self.grams = [gram(self._banked(level)) for level in pyramid(picture, len(STRIDES))]
            self.features = self._encoded(style)

    def forward(self, frames: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The parts of the loss for packed frames (B, 24, h, w)."""
        patches = frames.new_zeros(())
        grams = frames.new_zeros(())
        known = zip(STRIDES, self.patches, self.bases, self.grams, strict=True)
        for level, (stride, goal, basis, wanted) in zip(
            pyramid(unpacked(frames), len(STRIDES)), known, strict=True
        ):
            slices = torch.randn(SLICES, basis.shape[0], generator=generator) @ basis
            top, left = torch.randint(stride, (2,), generator=generator).tolist()
            seen = F.conv2d(level[:, :, top:, left:], slices.view(SLICES, 3, PATCH, PATCH), stride=stride)
            patches = patches + sliced(seen.transpose(0, 1).flatten(1), slices @ goal, generator)
            found = gram(self._banked(level))
            grams = grams + (found - wanted).square().sum().sqrt() / wanted.square().sum().sqrt()
        learned = frames.new_zeros(())
        for feature, goal in zip(self._encoded(frames), self.features, strict=True):
            directions = F.normalize(torch.randn(SLICES, feature.shape[1], generator=generator), dim=1)
            directions = directions / goal.std((2, 3)).mean()
            mine, theirs = (directions @ part.transpose(0, 1).flatten(1) for part in (feature, goal))
            learned = learned + sliced(mine, theirs, generator)
        return {
            "patches": patches / len(STRIDES),
            "gram": grams / len(STRIDES),
            "learned": learned / len(self.features),
        }

    def _banked(self, picture: Tensor) -> Tensor:
        first = F.relu(F.conv2d((picture - 0.5) * CONTRAST, self.get_buffer("bank")))
        return torch.cat(
            [first[:, :, 1:-1:2, 1:-1:2], F.relu(F.conv2d(first, self.get_buffer("second"), stride=2))], 1
        )

    def _encoded(self, frames: Tensor) -> list[Tensor]:
        """Features of the VAE's encoder for a picture before which there was nothing, at a quarter of its sides."""
        network = self.encoder.encoder
        known = torch.cat([frames, torch.full_like(frames, 0.5)], 1)
        features = F.leaky_relu(network.stem((known - 0.5) * CONTRAST), SLOPE)
        return [network.stacks[0](features)]


def pyramid(picture: Tensor, scales: int) -> list[Tensor]:
    """The picture and its halves, quarters and so on, `scales` in all."""
    levels = [picture]
    for _ in range(scales - 1):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def sliced(found: Tensor, goal: Tensor, generator: torch.Generator) -> Tensor:
    """Sliced Wasserstein-1 distance of samples (S, n) from (S, m): mean over slices, on as many draws of each."""
    count = min(SAMPLES, found.shape[1], goal.shape[1])
    mine, theirs = (
        part[:, torch.randperm(part.shape[1], generator=generator)[:count]] for part in (found, goal)
    )
    return (mine.sort(1).values - theirs.sort(1).values).abs().mean()


def gram(features: Tensor) -> Tensor:
    """(C, C) mean product of channels over all places of a batch."""
    columns = features.transpose(0, 1).flatten(1)
    return columns @ columns.T / columns.shape[1]


def content_loss(frames: Tensor, goal: Tensor) -> Tensor:
    """How far packed frames have moved from their content: the bands of a Laplacian pyramid, coarse ones most.

    Fine bands are what strokes are made of: they are left free. Of the middle ones, only luma counts.
    """
    mine, theirs = (pyramid(unpacked(part), 5) for part in (frames, goal))
    loss = (mine[4] - theirs[4]).abs().mean()
    for level, weight in ((1, 0.25), (2, 0.6), (3, 1.0)):
        bands = [
            (part[level] - F.interpolate(part[level + 1], size=part[level].shape[2:], mode="bilinear"))[:, :1]
            for part in (mine, theirs)
        ]
        loss = loss + weight * (bands[0] - bands[1]).abs().mean()
    return loss


def _patch_basis(patches: Tensor) -> Tensor:
    """Of patches (147, n), (147, 147): rows are principal ones, scaled so that random mixtures see fine structure."""
    centred = patches - patches.mean(1, keepdim=True)
    values, axes = torch.linalg.eigh(centred @ centred.T / centred.shape[1])
    top = values[-1]
    gains = (values.clamp(min=1e-4 * float(top)) / top) ** -WHITENING
    # A slice of the painting then has a deviation near one.
    basis = axes.T * gains[:, None]
    return basis / (values.clamp(min=0) * gains**2).sum().sqrt()
