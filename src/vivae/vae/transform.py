"""The block cosine transform in the layout of packed frames: the linear start of every model."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vivae.vae.config import VAEConfig

CHROMA_SHARE = 0.3
"""Share of the latent channels that starts on chroma; its energy sits in few, low frequencies."""


def _lowest(size: int, count: int) -> list[np.ndarray]:
    """The `count` lowest-frequency orthonormal 2-D cosine functions on size x size, lowest first."""
    grid = np.arange(size)
    rows = np.cos(np.pi * (grid[None, :] + 0.5) * grid[:, None] / size) * np.sqrt(2 / size)
    rows[0] /= np.sqrt(2)
    order = sorted((i * i + j * j, i, j) for i in range(size) for j in range(size))
    return [np.outer(rows[i], rows[j]) for _, i, j in order[:count]]


def _block_to_depth(block: Tensor, size: int) -> Tensor:
    return F.pixel_unshuffle(block[None, None], size)[0]


def cosine_basis(config: VAEConfig) -> Tensor:
    """(L, P * (stride / 4)^2) orthonormal rows: each latent channel's pattern on one folded packed block.

    Luma and chroma functions are interleaved so that the first half of the channels is itself a good transform.
    With a temporal stride the patterns are constant over the frames of a step.
    """
    stride, latent, fold = config.stride, config.latent_channels, config.stride // 4
    chroma = 0 if config.colour == "gray" else max(2, round(latent * CHROMA_SHARE) // 2 * 2)
    luma = min(latent - chroma, stride * stride)
    rows: list[tuple[float, Tensor]] = []
    for rank, pattern in enumerate(_lowest(stride, luma)):
        packed = _block_to_depth(torch.from_numpy(pattern).float(), 4)
        rest = torch.zeros(8 if chroma else 0, fold, fold)
        rows.append(((rank + 0.5) / luma, torch.cat([packed, rest])))
    for rank, pattern in enumerate(_lowest(stride // 2, chroma // 2)):
        packed = _block_to_depth(torch.from_numpy(pattern).float(), 2)
        for plane in range(2):
            frame = torch.zeros(24, fold, fold)
            frame[16 + 4 * plane : 20 + 4 * plane] = packed
            rows.append(((rank + 0.5) / (chroma / 2), frame))
    rows.sort(key=lambda row: row[0])
    basis = torch.stack([row for _, row in rows])
    basis = basis.repeat(1, config.temporal_stride, 1, 1) / config.temporal_stride**0.5
    folded = F.pixel_unshuffle(basis, fold).flatten(1)
    # More channels than functions (chroma is small at stride 4): the rest starts at zero.
    return F.pad(folded, (0, 0, 0, latent - len(folded)))
