"""The frame half way between two others: a network that corrects how both are moved, and decides what is shown of them.

A decoder without a latent again: its condition is both frames, moved half way along optical flow, and the flow both
ways, which disagrees where something is hidden in one of the frames. Things do not move evenly: how flow changes
between the frames around bends their way (quadratic interpolation, Xu et al., NeurIPS 2019).

First flow is corrected at an eighth of the frame's sides, then, seen anew, at a half; the frames themselves are fetched
along it each time, by bicubic filters, so that nothing is blurred twice. Then every sample takes its share of either
frame, and a residual (intermediate flow and fusion as in RIFE, Huang et al., ECCV 2022, and Super SloMo, Jiang et al.,
CVPR 2018, from a search instead of from nothing, which leaves a network less to find).
"""

from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.vae.blocks import SLOPE, Down, Up, residual_stack, sampled
from vivae.vae.enhancer import CHANNELS, surround

STEP = 4
"""Packed height and width are multiples of this: the coarsest features are at a sixteenth of the frame's sides."""
SIGHT = 10
"""Channels of what is known of flow: both ways from the middle, how far the searches disagree, and both bends."""
BEND = 1 / 16
"""How much of either bend is followed before anything is learned: as where acceleration is even."""
SHARPEN, FLOW_UNIT = 4.0, 4.0
"""Differences of pictures times, flow over: so that all are about as large for the network."""
COARSE_UNIT, FOLLOW_UNIT, FINE_UNIT, RESIDUAL_UNIT = 0.2, 0.1, 0.05, 0.01
"""Of corrections of flow, of which search and how much of a bend to follow, of finer corrections, of residuals: small,
so that one step of training is."""


class MiddleConfig(BaseModel):
    """Shape of a `MiddleFrame`; widths in channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("between", pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")
    coarse_widths: tuple[int, int, int] = (32, 96, 128)
    """Of what corrects flow first, at a quarter, an eighth and a sixteenth of the frame's sides."""
    coarse_depths: tuple[int, int, int] = (1, 2, 1)
    """Residual blocks at an eighth, at a sixteenth, and at an eighth again."""
    handed: int = Field(16, ge=1)
    """Channels handed on from there."""
    fine_widths: tuple[int, int] = (64, 96)
    """Of what corrects flow again and shows the frames, at a quarter and an eighth of the frame's sides."""
    fine_depths: tuple[int, int, int] = (1, 1, 1)
    """Residual blocks at a quarter, at an eighth, and at a quarter again."""


class Sides(NamedTuple):
    """Something of the frame before and of the one after."""

    before: Tensor
    after: Tensor


class Ways(NamedTuple):
    """Flow (B, 2, 4h, 4w) in pixels right and down: to the frame after, and back. And bends: how much further to the
    right and down than evenly a thing goes in the second of two equal spans of time, seen from the frame before and
    from the frame after; zeros where the frames around are not known."""

    forth: Tensor
    back: Tensor
    bend_before: Tensor
    bend_after: Tensor


class MiddleFrame(nn.Module):
    """Two packed frames (B, 24, h, w) in [0, 1], h and w multiples of `STEP`, to the one half way."""

    def __init__(self, config: MiddleConfig):
        super().__init__()
        self.config = config
        self.hash = ""
        self.notes: dict[str, Any] = {}
        quarter, eighth, sixteenth = config.coarse_widths
        inputs = 2 * CHANNELS + SIGHT
        self.coarse_head = nn.Conv2d(inputs, quarter, 3, padding=1)
        self.coarse_down = Down(quarter, eighth)
        self.coarse_first = residual_stack(eighth, config.coarse_depths[0])
        self.coarse_deeper = Down(eighth, sixteenth)
        self.coarse_wide = residual_stack(sixteenth, config.coarse_depths[1])
        self.coarse_up = Up(sixteenth, eighth)
        self.coarse_last = residual_stack(eighth, config.coarse_depths[2])
        self.hand = Up(eighth, config.handed)
        # For either side a correction in pixels, and which of the two searches to follow; for both how much to bend.
        self.coarse_flow = nn.Conv2d(eighth, 8, 3, padding=1)
        fine, wide = config.fine_widths
        self.fine_head = nn.Conv2d(inputs + config.handed, fine, 3, padding=1)
        self.fine_first = residual_stack(fine, config.fine_depths[0])
        self.fine_down = Down(fine, wide)
        self.fine_wide = residual_stack(wide, config.fine_depths[1])
        self.fine_up = Up(wide, fine)
        self.fine_last = residual_stack(fine, config.fine_depths[2])
        self.fine_flow = nn.Conv2d(fine, 16, 3, padding=1)
        self.shares = nn.Conv2d(fine, CHANNELS, 3, padding=1)
        self.residual = nn.Conv2d(fine, CHANNELS, 3, padding=1)
        for layer in (self.coarse_flow, self.fine_flow, self.shares, self.residual):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, before: Tensor, after: Tensor, ways: Ways) -> Tensor:
        """The frame half way (B, 24, h, w), not clamped, of packed frames and the flow between and around them."""
        frames, flow = Sides(before, after), _half_way(ways)
        # What the two searches disagree about.
        apart = (ways.forth + ways.back) / 4
        told = torch.cat([F.avg_pool2d(part, 4) for part in (apart, ways.bend_before, ways.bend_after)], 1)
        correction, handed = self._coarse(_seen(_fetched(frames, flow), flow, told))
        bend = FOLLOW_UNIT * (correction[:, 6:7] * ways.bend_before + correction[:, 7:] * ways.bend_after)
        flow = Sides(
            flow.before + correction[:, :2] * COARSE_UNIT + correction[:, 4:5] * FOLLOW_UNIT * apart + bend,
            flow.after + correction[:, 2:4] * COARSE_UNIT + correction[:, 5:6] * FOLLOW_UNIT * apart + bend,
        )
        x = self._fine(torch.cat([_seen(_fetched(frames, flow), flow, told), handed], 1))
        correction = _enlarged(F.pixel_shuffle(self.fine_flow(x).float() * FINE_UNIT, 2), 2)
        shown = _fetched(frames, Sides(flow.before + correction[:, :2], flow.after + correction[:, 2:]))
        share = self.shares(x).float().sigmoid()
        residual = RESIDUAL_UNIT * self.residual(x).float()
        picture: Tensor = shown.before * share + shown.after * (1 - share) + residual
        return picture

    def _coarse(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Corrections of flow (B, 8, H, W), and features (B, handed, h, w)."""
        x = F.leaky_relu(self.coarse_head(seen), SLOPE)
        x = self.coarse_first(F.leaky_relu(self.coarse_down(x), SLOPE))
        wide = self.coarse_wide(F.leaky_relu(self.coarse_deeper(x), SLOPE))
        x = self.coarse_last(F.leaky_relu(x + self.coarse_up(wide), SLOPE))
        return _enlarged(self.coarse_flow(x).float(), 8), self.hand(x)

    def _fine(self, seen: Tensor) -> Tensor:
        """Features (B, fine, h, w)."""
        x = self.fine_first(F.leaky_relu(self.fine_head(seen), SLOPE))
        wide = self.fine_wide(F.leaky_relu(self.fine_down(x), SLOPE))
        features: Tensor = self.fine_last(F.leaky_relu(x + self.fine_up(wide), SLOPE))
        return features


def unaided(before: Tensor, after: Tensor, ways: Ways) -> Tensor:
    """What there is without a network: the mean of both frames, moved half way along the flow. See `MiddleFrame`."""
    moved = _fetched(Sides(before, after), _half_way(ways))
    return (moved.before + moved.after) / 2


def _half_way(ways: Ways) -> Sides:
    """Flow from the middle to either side: half the mean of both searches, bent."""
    half, bend = (ways.forth - ways.back) / 4, (ways.bend_before + ways.bend_after) * BEND
    return Sides(bend - half, bend + half)


def _enlarged(x: Tensor, times: int) -> Tensor:
    return F.interpolate(x, scale_factor=float(times), mode="bilinear", align_corners=False)


def _pictures(moved: Sides) -> Tensor:
    """(B, 48, h, w): how the mean of both moved frames differs from what surrounds it, and how they differ."""
    mean = (moved.before + moved.after) / 2
    return torch.cat([mean - surround(mean), moved.before - moved.after], 1) * SHARPEN


def _seen(moved: Sides, flow: Sides, told: Tensor) -> Tensor:
    """(B, 48 + SIGHT, h, w): what the network is shown of two moved frames and of the flow that moved them."""
    led = [F.avg_pool2d(way, 4) / FLOW_UNIT for way in flow]
    return torch.cat([_pictures(moved), *led, told], 1)


def _fetched(frames: Sides, flow: Sides) -> Sides:
    """Both packed frames, sample by sample from where flow (B, 2, 4h, 4w) leads; edges are repeated."""
    packed, led = torch.cat(frames), torch.cat(flow)
    luma = sampled(F.pixel_shuffle(packed[:, :16], 4), led)
    chroma = torch.cat([F.pixel_shuffle(packed[:, first : first + 4], 2) for first in (16, 20)], 1)
    chroma = sampled(chroma, F.avg_pool2d(led, 2) / 2)
    fetched = torch.cat([F.pixel_unshuffle(luma, 4), F.pixel_unshuffle(chroma, 2)], 1)
    return Sides(*fetched.chunk(2))
