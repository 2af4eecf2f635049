"""Clips composed on the fly: pictures that move along straight lines and bounce off the frame's edges.

With the digits of MNIST this is Moving MNIST (Srivastava et al., ICML 2015), drawn at fractions of a pixel, so that
straight lines are straight. Every clip is a function of seed and number alone; where everything is, is known.
"""

import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivae.errors import FormatError, InputError
from vivae.media import read_first
from vivae.media.source import IMAGE_SUFFIXES
from vivae.vae.things import drawn

IMAGE_MAGIC, LABEL_MAGIC = 2051, 2049
LIMIT = 1 << 20
"""Pictures at most: more would not be kept in memory as they are here."""


@dataclass(frozen=True)
class Pictures:
    """What is to move: (N, box, box) uint8, light on dark, and the class of each (N,), -1 where it is not known."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def part(self, first: int, last: int) -> "Pictures":
        return Pictures(self.images[first:last], self.labels[first:last])


class ComposedClips(NamedTuple):
    """Clips, and all that is known of them."""

    frames: Tensor
    """(B, S, side, side) luma in [0, 1]: those frames of each clip that are shown."""
    places: Tensor
    """(B, K, T, 2) centres in pixels, x then y, in all frames."""
    shown: Tensor
    """(B, S) their numbers."""
    labels: Tensor
    """(B, K) classes, -1 where not known."""

    def shown_places(self) -> Tensor:
        """(B, K, S, 2)."""
        things = self.places.shape[1]
        return self.places.gather(2, self.shown[:, None, :, None].expand(-1, things, -1, 2))


def read_pictures(folder: str | os.PathLike[str], box: int) -> Pictures:
    """The IDX image file under a folder (gzip or not) with its labels beside it, or else every image, shrunk to `box`.

    Raises InputError where there is neither, FormatError for a damaged IDX file.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"there is no folder {root} with pictures to move")
    found = sorted(path for path in root.rglob("*idx3-ubyte*") if path.is_file())
    if found:
        images = np.concatenate([_read_idx(path, IMAGE_MAGIC, 3) for path in found])
        named = [
            path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1")) for path in found
        ]
        known = all(path.is_file() for path in named)
        labels = (
            np.concatenate([_read_idx(path, LABEL_MAGIC, 1) for path in named]).astype(np.int64)
            if known
            else np.full(len(images), -1)
        )
        if len(labels) != len(images):
            raise FormatError(
                f"{root} holds {len(images)} pictures and {len(labels)} labels: they must be as many"
            )
        if images.shape[1:] != (box, box):
            images = np.stack([_fitted(image, box) for image in images])
        return Pictures(images, labels)
    paths = sorted(
        path for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    )
    if not paths:
        raise InputError(
            f"{root} holds no IDX file and no images: give a folder with things that are to move"
        )
    shrunk = np.stack([_fitted(read_first(path).y, box) for path in paths[:LIMIT]])
    return Pictures(shrunk, np.full(len(shrunk), -1))


def _read_idx(path: Path, magic: int, dimensions: int) -> NDArray[np.uint8]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise FormatError(f"{path} cannot be read: {error}") from error
    head = 4 * (dimensions + 1)
    if len(content) < head or int.from_bytes(content[:4], "big") != magic:
        raise FormatError(f"{path} is no IDX file of {dimensions} dimensions")
    shape = tuple(int.from_bytes(content[place : place + 4], "big") for place in range(4, head, 4))
    if len(content) - head != int(np.prod(shape)) or not shape[0] or shape[0] > LIMIT:
        raise FormatError(f"{path} says {shape} and holds {len(content) - head} bytes: it is damaged")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def _fitted(image: NDArray[np.uint8], box: int) -> NDArray[np.uint8]:
    scale = box / max(image.shape)
    rows, columns = (max(1, round(side * scale)) for side in image.shape)
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    top, left = (box - rows) // 2, (box - columns) // 2
    return np.pad(small, ((top, box - rows - top), (left, box - columns - left))).astype(np.uint8)


def bouncing(
    rng: np.random.Generator, count: int, frames: int, room: float, speed: float
) -> NDArray[np.float64]:
    """(count, frames, 2) places in [0, room]: random start and direction, one speed, mirrored at the ends."""
    start = rng.uniform(0, room, (count, 1, 2))
    angle = rng.uniform(0, 2 * np.pi, (count, 1))
    step = speed * np.stack([np.cos(angle), np.sin(angle)], -1)
    straight = start + step * np.arange(frames)[None, :, None]
    folded = straight % (2 * room)
    return np.where(folded > room, 2 * room - folded, folded)


class Composer:
    """composer(number) -> one `ComposedClips` of `batch`: a pure function of the seed and the number."""

    def __init__(
        self,
        pictures: Pictures,
        *,
        things: int,
        frames: int,
        side: int,
        speed: float,
        batch: int,
        shown: int | None = None,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ):
        """shown: draw only so many successive frames of each clip; all without."""
        if batch % world:
            raise InputError(f"a batch of {batch} clips cannot be shared evenly by {world} processes")
        self.pictures = pictures
        self.things, self.frames, self.side, self.speed = things, frames, side, speed
        self.batch, self.shown = batch, min(shown or frames, frames)
        self.seed, self.rank, self.world = seed, rank, world

    def __call__(self, number: int) -> ComposedClips:
        share = self.batch // self.world
        rngs = [
            np.random.default_rng((self.seed, number, index))
            for index in range(self.rank * share, (self.rank + 1) * share)
        ]
        box = self.pictures.images.shape[-1]
        room = self.side - box
        paths = np.stack([bouncing(rng, self.things, self.frames, room, self.speed) for rng in rngs])
        which = np.stack([rng.integers(len(self.pictures.images), size=self.things) for rng in rngs])
        first = np.array([rng.integers(self.frames - self.shown + 1) for rng in rngs])
        shown = torch.from_numpy(first[:, None] + np.arange(self.shown))
        places = torch.from_numpy(paths + box / 2).float()
        images = torch.from_numpy(self.pictures.images[which]).float() / 255
        labels = torch.from_numpy(self.pictures.labels[which])
        clips = ComposedClips(images, places, shown, labels)
        return clips._replace(frames=drawn(images, clips.shown_places(), self.side))
