"""Streams through a model: frames of any size and number in, latents and frames out, in constant memory.

Every path, whole clip or one frame at a time, runs the same single step on the same state, so all of them give the
same numbers. Padding to whole latent positions happens here, and so does cropping back.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivae.media import Frame, Planes, pack, unpack
from vivae.vae.compensation import MotionSearch, as_tensor, compensated, finer, followed
from vivae.vae.config import PLANES, VAEConfig
from vivae.vae.model import VAEState, VideoVAE
from vivae.vae.prior import bits_of


@dataclass(frozen=True, slots=True)
class Layout:
    """How frames of one size lie in a model's packed tensors."""

    config: VAEConfig
    height: int
    width: int

    @property
    def packed_size(self) -> tuple[int, int]:
        """Rows and columns of the packed frame, padded to whole latent positions."""
        stride = self.config.stride
        return -(-self.height // stride) * stride // 4, -(-self.width // stride) * stride // 4

    @property
    def latent_size(self) -> tuple[int, int, int]:
        """(L, rows, columns) of one latent."""
        stride = self.config.stride
        return self.config.latent_channels, -(-self.height // stride), -(-self.width // stride)

    def pack(self, frames: list[Frame]) -> Tensor:
        """(1, P, h, w) float32 in [0, 1] of one step's frames; too few are filled up with the last one."""
        rows, columns = self.packed_size
        channels = sum(PLANES[self.config.colour])
        planes = []
        for frame in frames:
            packed = pack(frame)[:channels]
            missing = ((0, 0), (0, rows - packed.shape[1]), (0, columns - packed.shape[2]))
            planes.append(np.pad(packed, missing, mode="edge"))
        planes += planes[-1:] * (self.config.temporal_stride - len(planes))
        return torch.from_numpy(np.concatenate(planes))[None].float() / 255

    def unpack(self, picture: Tensor, count: int) -> list[Planes]:
        """The first `count` frames of a decoded picture (1, P, h, w), as 8-bit planes of the original size."""
        codes = (picture[0] * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8).cpu().numpy()
        rows, columns = -(-self.height // 4), -(-self.width // 4)
        channels = sum(PLANES[self.config.colour])
        frames = []
        for index in range(count):
            packed = codes[index * channels : (index + 1) * channels, :rows, :columns]
            if self.config.colour == "gray":
                neutral = np.full((8, rows, columns), 128, np.uint8)
                packed = np.concatenate([packed, neutral])
            frames.append(unpack(np.ascontiguousarray(packed), self.height, self.width))
        return frames


class Coded(NamedTuple):
    """One step of a stream: the frames it stood for, their latent, and what a decoder makes of it."""

    frames: list[Frame]
    latent: Tensor
    """(L, rows, columns) float32, in quantiser steps."""
    bits: Tensor
    """(L, rows, columns) bits of each rounded latent value under the prior."""
    decoded: list[Frame]


def grouped(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """Consecutive groups of `size` frames; the last may be shorter."""
    group: list[Frame] = []
    for frame in frames:
        group.append(frame)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


class StreamEncoder:
    """Frames in, `Coded` steps out; the state between calls has a fixed size.

    channels: keep only that many leading latent channels. rounded: decode from whole quantiser steps, as a file
    would, rather than from the latent as it is. quality: 0 to 1. follows: compensate motion as the latent codec does,
    where the model asks for it; the latents alone then do not say how to decode them.
    """

    def __init__(
        self,
        model: VideoVAE,
        *,
        quality: float = 1.0,
        channels: int | None = None,
        rounded: bool = False,
        follows: bool = False,
    ):
        self.model, self.rounded = model, rounded
        self.search = MotionSearch(model.config.stride) if follows and model.config.motion else None
        device = next(model.parameters()).device
        self.quality = torch.tensor([quality], device=device)
        self.channels = torch.tensor([channels or model.config.latent_channels], device=device)
        self.layout: Layout | None = None
        self.state: VAEState | None = None
        self.since_key = 0

    @torch.no_grad()
    def push(self, frames: list[Frame]) -> Coded:
        """Code one step: `temporal_stride` frames, fewer only at the end of a stream."""
        model, quality = self.model, self.quality
        height, width = frames[0].height, frames[0].width
        begins = self.layout is None or (self.layout.height, self.layout.width) != (height, width)
        if self.layout is None or begins:
            # The size changed in the middle of a file: what was known no longer fits.
            self.layout = Layout(model.config, height, width)
            self.state = model.initial_state(1, *self.layout.packed_size)
        state = self.state
        assert state is not None
        x = self.layout.pack(frames).to(quality.device)
        self.since_key = 0 if begins else self.since_key + 1
        if self.search is not None:
            quality = (quality + finer(self.since_key)).clamp(max=1)
        if self.search is not None and not begins:
            state = followed(self.search, x, state, quality, model.config)
        latent = model.find_latent(x, state, quality, channels=self.channels)
        symbols = model.quantise(latent, quality)
        context = model.expect(state, quality)
        bits = bits_of(symbols, model.prior.expect(context, symbols))
        picture, state = model.decode(symbols if self.rounded else latent, state, quality)
        self.state = model.remember(state, symbols, context)
        decoded = as_frames(self.layout.unpack(picture, len(frames)), frames)
        return Coded(frames, latent[0], bits[0], decoded)


class StreamDecoder:
    """Latents in, planes out; mirrors `StreamEncoder`."""

    def __init__(self, model: VideoVAE, height: int, width: int, *, quality: float = 1.0):
        self.model = model
        self.layout = Layout(model.config, height, width)
        device = next(model.parameters()).device
        self.quality = torch.tensor([quality], device=device)
        self.state = model.initial_state(1, *self.layout.packed_size)

    @torch.no_grad()
    def push(
        self,
        latent: Tensor,
        count: int = 1,
        *,
        quality: float | None = None,
        field: NDArray[np.int32] | None = None,
    ) -> list[Planes]:
        """The first `count` frames that a latent (L, rows, columns), in quantiser steps, stands for.

        quality: of this step, where it is not the stream's. field: how the picture moved, see `vivae.vae.compensation`.
        """
        latent = latent.to(self.quality.device).float()[None]
        at = self.quality if quality is None else torch.tensor([quality], device=latent.device)
        if field is not None:
            self.state = compensated(self.state, as_tensor(field, latent.device), self.model.config)
        picture, self.state = self.model.decode(latent, self.state, at)
        return self.layout.unpack(picture, count)


def as_frames(planes: list[Planes], like: list[Frame]) -> list[Frame]:
    """Frames with new planes and the times and colours of `like`."""
    return [Frame(*new, old.time, old.duration, old.color) for new, old in zip(planes, like, strict=True)]


def encode_stream(
    model: VideoVAE,
    frames: Iterable[Frame],
    *,
    quality: float = 1.0,
    channels: int | None = None,
    rounded: bool = False,
    follows: bool = False,
) -> Iterator[Coded]:
    """Code frames as they come; holds one step at a time."""
    encoder = StreamEncoder(model, quality=quality, channels=channels, rounded=rounded, follows=follows)
    for group in grouped(frames, model.config.temporal_stride):
        yield encoder.push(group)


@torch.no_grad()
def encode_clip(
    model: VideoVAE,
    clip: Tensor,
    quality: Tensor,
    state: VAEState | None = None,
    condition: Tensor | None = None,
) -> tuple[Tensor, VAEState]:
    """Latents (B, T, L, ...) of packed pictures (B, T, P, h, w) in [0, 1], and the state after them.

    Encoding runs the decoder too: what is known at each step is what a decoder will know. condition: (B, T, C, h, w).
    """
    state = state or model.initial_state(clip.shape[0], *clip.shape[-2:])
    latents = []
    for index in range(clip.shape[1]):
        given = None if condition is None else condition[:, index]
        latent = model.find_latent(clip[:, index], state, quality, given)
        context = model.expect(state, quality, given)
        _, state = model.decode(latent, state, quality, given)
        state = model.remember(state, model.quantise(latent, quality), context)
        latents.append(latent)
    return torch.stack(latents, 1), state


@torch.no_grad()
def decode_clip(
    model: VideoVAE, latents: Tensor, quality: Tensor, state: VAEState, condition: Tensor | None = None
) -> tuple[Tensor, VAEState]:
    """Pictures (B, T, P, h, w) in [0, 1] of latents (B, T, L, ...), and the state after them."""
    pictures: list[Tensor] = []
    for index in range(latents.shape[1]):
        given = None if condition is None else condition[:, index]
        picture, state = model.decode(latents[:, index], state, quality, given)
        pictures.append(picture)
    return torch.stack(pictures, 1), state


def latent_array(coded: Coded) -> NDArray[np.float16]:
    """A step's latent as features: float16 (L, rows, columns)."""
    array: NDArray[np.float16] = coded.latent.cpu().numpy().astype(np.float16)
    return array
