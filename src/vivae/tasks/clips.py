"""Between video files and the clips of a generator, and pictures of many clips at once."""

import os
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivae.media import ColorInfo, Frame, open_video, unpack
from vivae.train.dataset import scale_frame
from vivae.vae.generator import Generator, ThingsGenerator

Rgb = NDArray[np.uint8]
COLUMNS = 10
"""Frames of each clip on a contact sheet."""
GAP = 2
GROUND = 40
SHEET_HEIGHT = 96
"""Small frames are enlarged by whole numbers to about this height on a contact sheet."""


def color_of(generator: Generator) -> ColorInfo:
    """What generated frames are written in."""
    return ColorInfo.guess(generator.size[0])


def as_rgb(generator: Generator, clip: Tensor) -> Rgb:
    """A clip (T, ...) in the generator's form -> (T, H, W, 3) uint8."""
    values = (clip.clamp(0, 1) * 255).round().byte().cpu().numpy()
    if isinstance(generator, ThingsGenerator):
        return np.repeat(values[..., None], 3, -1)
    height, width = generator.size
    color = color_of(generator)
    step = Fraction(1, 25)
    return np.stack([Frame(*unpack(packed, height, width), step, step, color).to_rgb() for packed in values])


def as_clip(generator: Generator, frames: Sequence[Frame]) -> Tensor:
    """Frames of any size -> (1, T, ...) in the generator's form: scaled, and cut at the edges where shapes differ."""
    height, width = generator.size
    packed = np.stack([scale_frame(frame, height, width) for frame in frames])
    if isinstance(generator, ThingsGenerator):
        step = Fraction(1, 25)
        small = [
            Frame(*unpack(one, height, width), step, step, frame.color).to_rgb()
            for one, frame in zip(packed, frames, strict=True)
        ]
        return torch.from_numpy(np.stack(small)).float().mean(-1)[None] / 255
    return torch.from_numpy(packed).float()[None] / 255


class Ends(NamedTuple):
    """Of a video: its first and its last frames, half a window of a generator at most, and how many it has in all."""

    first: list[Frame]
    last: list[Frame]
    total: int


def ends_of(path: str | os.PathLike[str], generator: Generator) -> Ends:
    """Read a video to its end; frames are taken in the step that the generator was taught with."""
    step, most = generator.step, generator.frames // 2
    first: list[Frame] = []
    last: deque[Frame] = deque(maxlen=(most - 1) * step + 1)
    count = 0
    with open_video(path) as reader:
        for frame in reader:
            if count % step == 0 and len(first) < most:
                first.append(frame)
            last.append(frame)
            count += 1
    return Ends(first, list(last)[::-1][::step][::-1], count)


def tiled(pictures: Sequence[Rgb], columns: int) -> Rgb:
    """Pictures of one size (H, W, 3) in rows of `columns`, with lines between; sides even, as 4:2:0 asks."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    whole = np.full(
        (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3),
        GROUND if len(pictures) > 1 else 0,
        np.uint8,
    )
    for index, picture in enumerate(pictures):
        top, left = (height + GAP) * (index // columns), (width + GAP) * (index % columns)
        whole[top : top + height, left : left + width] = picture
    return whole


class Sheet:
    """A contact sheet, filled as frames come: a row for each clip, up to `COLUMNS` frames spread over its length."""

    def __init__(self, frames: int) -> None:
        self._wanted = set(np.linspace(0, frames - 1, min(frames, COLUMNS)).round().astype(int).tolist())
        self._columns: list[list[Rgb]] = []

    def add(self, number: int, pictures: Sequence[Rgb]) -> None:
        """The frame `number` of every clip."""
        if number in self._wanted:
            self._columns.append(list(pictures))

    def picture(self) -> Frame:
        scale = max(1, SHEET_HEIGHT // self._columns[0][0].shape[0])
        cells = [picture for row in zip(*self._columns, strict=True) for picture in row]
        large = [
            cv2.resize(cell, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
            for cell in cells
        ]
        return Frame.from_rgb(tiled(large, len(self._columns)))
