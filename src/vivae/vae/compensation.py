"""Motion compensation: what is known of the last step, carried to where things are in this one.

A motion field holds one vector for each latent position: how far right and down what is seen there lay in the last
picture, in whole quarters of a pixel. Between the middles of the positions it is interpolated linearly (control grid
interpolation, Sullivan and Baker, ICASSP 1991), so nothing tears at their edges. The last picture is fetched along it
by bicubic filters, the decoder's memory by bilinear ones; the prior stays where it is.

A field may have a third number at each position, how soft its prediction is (`vivae.vae.softness`).

Fields are whole numbers, and a file carries them: only pictures depend on how a machine interpolates.
"""

from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vivae.vae.blocks import on_planes, sampled
from vivae.vae.config import PLANES, VAEConfig
from vivae.vae.model import VAEState
from vivae.vae.motion import Motion, absolute_places, fetched
from vivae.vae.softness import SOFT_WORTH, luma_errors, softened

Whole = TypeVar("Whole", np.int32, np.int64)

PARTS = 4
"""Parts of a pixel that vectors count."""
FARTHEST = 1023
"""Vectors reach so many parts each way, at most."""
SWEEPS = 2
"""Times that each position tries the motions around it."""
NUDGES = (4, 2, 1)
"""Parts of a pixel by which it then tries to be shifted, one after the other."""
KEY_FINER, REFRESH_FINER = 0.2, 0.125
"""How much higher than asked the quality of a key is, and of every `REFRESH`-th picture after it, on the scale of 0 to
1: what follows is fetched from them."""
REFRESH = 8
SPREAD = 0.35
"""Of the samples of a position, the share that costs bits as if each were coded for itself."""
WORTH = 4.0
"""Bits that its first motion must save at a position and the eight around it, on average; else it stands still."""
DIFFERENT = 2.0
"""Bits that a component costs for being another than what surrounds it, beside those of how far it is off."""


def finer(index: int) -> float:
    """How much higher than asked the quality of a picture is. index: pictures since the key."""
    if index == 0:
        return KEY_FINER
    return REFRESH_FINER if index % REFRESH == 0 else 0.0


def compensated(state: VAEState, field: Tensor, config: VAEConfig) -> VAEState:
    """The state with picture and memory moved.

    field: (B, 2 or 3, H/stride, W/stride): right and down in parts of a pixel, and softness.
    """
    pixels = field[:, :2].float() / PARTS
    picture = on_planes(
        state.picture, PLANES[config.colour], lambda plane: _carried(plane, pixels, config, "bicubic")
    ).clamp(0, 1)
    memory = _carried(state.memory, pixels, config, "bilinear")
    return state._replace(picture=softened(picture, field[:, 2:], config), memory=memory)


def _carried(plane: Tensor, pixels: Tensor, config: VAEConfig, method: str) -> Tensor:
    """A plane (B, C, h, w) of any size along vectors (B, 2, rows, columns) in pixels of the frame."""
    height, width = plane.shape[-2:]
    scale = pixels.shape[-1] * config.stride / width
    flow = F.interpolate(pixels, size=(height, width), mode="bilinear", align_corners=False) / scale
    return sampled(plane.float(), flow, method, config.cubic)


def as_tensor(field: NDArray[np.int32], device: torch.device) -> Tensor:
    """One field (rows, columns, 2 or 3) as (1, 2 or 3, rows, columns)."""
    return torch.from_numpy(field)[None].movedim(-1, 1).to(device)


def luma_of(picture: Tensor, config: VAEConfig) -> NDArray[np.uint8]:
    """(B, H, W) 8-bit luma of packed pictures (B, P, h, w) in [0, 1]."""
    luma = F.pixel_shuffle(picture.detach()[:, : PLANES[config.colour][0]], 4)[:, 0]
    return np.asarray((luma * 255 + 0.5).clamp(0, 255).to(torch.uint8).cpu().numpy())


class MotionSearch:
    """Finds the field that is best worth its bits; keeps what the search of flow needs.

    Dense flow (DIS) gives each position a first vector, the median over it, or none where that saves little. Then each
    one tries those of its neighbours, what is between them, what it had in the field before, standing still, and then
    small shifts of its own, and keeps what leaves the fewest bits: of the error, as a Gaussian of that deviation takes
    at the picture's quality, and of the vector, as it differs from what surrounds it.
    """

    def __init__(self, stride: int) -> None:
        self.stride = stride
        self._flow = Motion("medium")

    def field(
        self,
        here: NDArray[np.uint8],
        last: NDArray[np.uint8],
        quality: float,
        before: NDArray[np.int32] | None = None,
    ) -> NDArray[np.int32]:
        """(H/stride, W/stride, 2) from `here` to `last`, both (H, W) of whole positions. before: the last field."""
        flow = self._flow.between(here, last)
        rows, columns = (side // self.stride for side in here.shape)
        cells = flow.reshape(rows, self.stride, columns, self.stride, 2).swapaxes(1, 2)
        best = _whole(np.median(cells.reshape(rows, columns, -1, 2), 2) * PARTS)
        still = np.zeros_like(best)
        saved = self._bits(here, last, still, quality) - self._bits(here, last, best, quality)
        best[cv2.blur(saved, (3, 3), borderType=cv2.BORDER_REPLICATE) < WORTH] = 0
        offered = [still] if before is None else [still, before]
        for _ in range(SWEEPS):
            neighbours = _neighbours(best)
            tries = [best, *neighbours, middle_of(np.stack(neighbours)), *offered]
            best = self._cheapest(here, last, quality, tries)
        for nudge in NUDGES:
            shifts = nudge * np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)], np.int32)
            tries = [np.clip(best + shift, -FARTHEST, FARTHEST) for shift in shifts]
            best = self._cheapest(here, last, quality, tries)
        return best

    def _cheapest(
        self,
        here: NDArray[np.uint8],
        last: NDArray[np.uint8],
        quality: float,
        tries: list[NDArray[np.int32]],
    ) -> NDArray[np.int32]:
        """At each position the vector of the fields `tries` that costs least, where those around are of the first."""
        around = middle_of(np.stack(_neighbours(tries[0])))
        costs = np.stack(
            [self._bits(here, last, tried, quality) + _vector_bits(tried, around) for tried in tries]
        )
        return np.take_along_axis(np.stack(tries), costs.argmin(0)[None, ..., None], 0)[0]

    def _bits(
        self, here: NDArray[np.uint8], last: NDArray[np.uint8], field: NDArray[np.int32], quality: float
    ) -> NDArray[np.float32]:
        """Roughly what coding takes at each position after compensation along the field."""
        height, width = here.shape
        flow = field.astype(np.float32) / np.float32(PARTS * self.stride)
        error = cv2.absdiff(here, fetched(last, absolute_places(flow, width, height), sharp=False))
        error = np.square(error, dtype=np.float32)
        mean = cv2.resize(error, field.shape[1::-1], interpolation=cv2.INTER_AREA)
        return _bits_left(np.asarray(mean, np.float32), self.stride, quality)


def _bits_left(error: NDArray[np.float32], stride: int, quality: float) -> NDArray[np.float32]:
    """Roughly what coding takes where positions are left with such mean squares, in code values, at a quality."""
    allowed = 100 * 10.0**-quality
    return np.asarray(SPREAD * stride**2 / 2 * np.log2(1 + error / allowed), np.float32)


def _vector_bits(field: NDArray[np.int32], around: NDArray[np.int32]) -> NDArray[np.float32]:
    apart = np.abs(field - around)
    return np.asarray((2 * np.log2(1 + apart) + DIFFERENT * (apart > 0)).sum(-1), np.float32)


def middle_of(four: NDArray[Whole]) -> NDArray[Whole]:
    """The mean of the two middle ones of four vectors (4, ..., 2), component by component, rounded up."""
    return np.asarray((four.sum(0) - four.max(0) - four.min(0) + 1) >> 1, four.dtype)


def _whole(field: NDArray[np.floating]) -> NDArray[np.int32]:
    return np.clip(np.rint(field), -FARTHEST, FARTHEST).astype(np.int32)


def _neighbours(field: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """The fields of vectors from above, below, left and right."""
    wide = np.pad(field, ((1, 1), (1, 1), (0, 0)), mode="edge")
    return [wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]]


def moved_to(
    fields: NDArray[np.int32], x: Tensor, state: VAEState, quality: Tensor, config: VAEConfig
) -> tuple[VAEState, NDArray[np.int32]]:
    """The state moved along fields (B, rows, columns, 2), and these with the softness that suits pictures x best,
    where the model knows softness. quality: (B,)."""
    moved = compensated(state, torch.from_numpy(fields).movedim(-1, 1).to(x.device), config)
    if not config.soft:
        return moved, fields
    left = luma_errors(x, moved.picture, config)
    pairs = zip(left, quality.tolist(), strict=True)
    bits = np.stack([_bits_left(error, config.stride, at) for error, at in pairs])
    bits[:, 1:] += SOFT_WORTH
    softness = bits.argmin(1).astype(np.int32)
    picture = softened(moved.picture, torch.from_numpy(softness)[:, None].to(x.device), config)
    return moved._replace(picture=picture), np.concatenate([fields, softness[..., None]], -1)


def followed(
    search: MotionSearch, x: Tensor, state: VAEState, quality: Tensor, config: VAEConfig
) -> VAEState:
    """The state moved to where things are in the coming pictures x (B, P, h, w), each clip at its quality (B,)."""
    pairs = zip(luma_of(x, config), luma_of(state.picture, config), quality.tolist(), strict=True)
    fields = np.stack([search.field(here, last, at) for here, last, at in pairs])
    return moved_to(fields, x, state, quality, config)[0]
