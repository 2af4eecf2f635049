"""Which motion owns each pixel: a VAE of optical flow whose latent is categorical.

The encoder, a small U-Net, reads flow towards the frames around and gives q(z|flow), one of a few classes for each
pixel; the decoder gives each class one quadratic motion (`vivae.vae.parametric`); the ELBO of the flow teaches it
(Meunier, Badoual and Bouthemy, TPAMI 2022; Meunier and Bouthemy, CVPR 2023). Class 0 is what the camera's own motion
moves. No label is needed: see `vivae.train.motion_lesson`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.vae.blocks import SLOPE, Up, residual_stack
from vivae.vae.parametric import camera_motion, quadratic_terms

GAPS = (-3, -1, 1, 3)
"""Frames from the one in question to those that its flow is measured towards."""
CHANNELS = 2 * len(GAPS) + 1
FINEST = 1
"""Level of the flow's search, see `vivae.vae.motion.Motion`."""
COARSER = 2
"""The flow's width and height over those that the network works at."""
FIT_SIDE = 32
"""Rows, at most, of the grid that the camera's motion is fitted on."""


class SegmenterConfig(BaseModel):
    """Shape of a `FlowSegmenter`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("motion", pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")
    classes: int = Field(3, ge=2, le=8)
    """Values of the latent; 0 is the camera's motion."""
    widths: tuple[int, ...] = Field((24, 48, 72, 96), min_length=1, max_length=6)
    """Channels of each level, finest first; each further one halves width and height."""
    depths: tuple[int, ...] = (1, 1, 1, 2)
    """Residual blocks of each level, both on the way down and on the way up."""


class FlowSegmenter(nn.Module):
    """The encoder q(z|flow)."""

    hash: str = ""

    def __init__(self, config: SegmenterConfig):
        super().__init__()
        self.config = config
        widths, depths = config.widths, config.depths
        self.enter = nn.Conv2d(CHANNELS, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 2, stride=2) for before, after in zip(widths, widths[1:], strict=False)
        )
        self.encode = nn.ModuleList(residual_stack(w, d) for w, d in zip(widths, depths, strict=True))
        self.up = nn.ModuleList(Up(after, before) for before, after in zip(widths, widths[1:], strict=False))
        self.decode = nn.ModuleList(
            residual_stack(w, d) for w, d in zip(widths[:-1], depths[:-1], strict=True)
        )
        self.leave = nn.Conv2d(widths[0], config.classes, 3, padding=1)

    def forward(self, flow: Tensor) -> Tensor:
        """Signs of the flow (B, CHANNELS, H, W), see `flow_signs`, any size -> logits (B, classes, H, W)."""
        height, width = flow.shape[2:]
        step = 2 ** len(self.down)
        x = F.pad(flow, (0, -width % step, 0, -height % step), mode="replicate")
        x = F.leaky_relu(self.enter(x), SLOPE)
        kept = []
        for index, stack in enumerate(self.encode):
            x = stack(x)
            if index < len(self.down):
                kept.append(x)
                x = F.leaky_relu(self.down[index](x), SLOPE)
        for index in reversed(range(len(self.down))):
            x = self.decode[index](F.leaky_relu(self.up[index](x) + kept[index], SLOPE))
        logits: Tensor = self.leave(x)
        return logits[..., :height, :width]


class Signs(NamedTuple):
    """What the network reads, and what its decoder explains."""

    inputs: NDArray[np.float32]
    """(CHANNELS, h, w)."""
    residual: NDArray[np.float32]
    """(2, h, w): mean motion a frame, in pixels of the flow, without the camera's."""
    scale: float
    """Pixels a frame: how exact the camera's motion is."""
    camera: NDArray[np.float32]
    """(len(GAPS), h, w, 2): the camera's motion a frame, in pixels of the flow, by each of the gaps."""


def flow_signs(flows: Sequence[NDArray[np.float32]]) -> Signs:
    """Flow towards each of `GAPS` (H, W, 2), in pixels, to what the network reads, at half the size.

    From each the camera's motion is taken, and it is divided by its gap, so that all point the same way; lengths are
    compressed, because objects move by one pixel or by fifty.
    """
    height, width = (side // COARSER for side in flows[0].shape[:2])
    small = [
        cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / gap
        for flow, gap in zip(flows, GAPS, strict=True)
    ]
    rows = min(height, FIT_SIDE)
    columns = max(2, round(width * rows / height))
    coarse = np.stack([cv2.resize(flow, (columns, rows), interpolation=cv2.INTER_AREA) for flow in small])
    fit = camera_motion(torch.from_numpy(coarse).reshape(len(GAPS), -1, 2), quadratic_terms(rows, columns))
    camera = (quadratic_terms(height, width) @ fit).reshape(len(GAPS), height, width, 2).numpy()
    rest = np.stack(small) - camera
    lengths = np.linalg.norm(rest, axis=3, keepdims=True)
    scale = max(0.05, float(np.median(lengths)))
    compressed = rest * (np.log1p(lengths / scale) / np.maximum(lengths, 1e-6))
    inputs = np.concatenate(
        [
            compressed.transpose(0, 3, 1, 2).reshape(2 * len(GAPS), height, width),
            np.full((1, height, width), np.log(scale), np.float32),
        ]
    )
    near = [index for index, gap in enumerate(GAPS) if abs(gap) == 1]
    return Signs(
        np.ascontiguousarray(inputs, np.float32),
        np.ascontiguousarray(rest[near].mean(0).transpose(2, 0, 1), np.float32),
        scale,
        camera,
    )
