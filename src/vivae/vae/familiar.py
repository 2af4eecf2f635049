"""How well a model knows a video: the bits its prior needs for it in small, beside those of its training footage."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from vivae.media import Frame
from vivae.media.resample import shrunk
from vivae.vae.model import VideoVAE
from vivae.vae.stream import StreamEncoder

SIDE = 128
"""Columns of the small picture."""
STEPS = 3
"""Steps of the model that are looked at; those after the first tell of motion."""
QUANTILE, MARGIN = 0.99, 1.1
"""What needs more bits than this share of the training footage, and by so much, is unlike it."""


@dataclass(frozen=True)
class Bits:
    """Bits per pixel of a first picture, and of those after it."""

    still: float
    moving: float


def bits_of_small(vae: VideoVAE, frames: Iterable[Frame]) -> Bits:
    """What a model needs for the beginning of some frames, at most `SIDE` wide."""
    stride = vae.config.temporal_stride
    small = [shrunk(frame, SIDE) for frame in islice(frames, STEPS * stride)]
    coder = StreamEncoder(vae, rounded=True, follows=True)
    area = small[0].width * small[0].height * stride
    bits = [
        float(coder.push(small[at : at + stride]).bits.sum()) / area for at in range(0, len(small), stride)
    ]
    return Bits(bits[0], float(np.mean(bits[1:] or [0.0])))


def limits(seen: Sequence[Bits]) -> dict[str, float]:
    """What a model keeps of its training footage."""
    return {
        name: round(float(np.quantile([getattr(bits, name) for bits in seen], QUANTILE)) * MARGIN, 4)
        for name in ("still", "moving")
    }
