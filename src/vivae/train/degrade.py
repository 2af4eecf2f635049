"""Pairs to learn enhancing from: clean passages, and what a real encoder at a small base size leaves of them.

Each passage is scaled down, coded by SVT-AV1 and scaled up again, several times over with other sizes and quantisers,
and kept on disk as packed frames like the clean ones. What is made depends on contents and settings alone.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vivae.media import ColorInfo, Picture, Planes, atomic_path, pack, unpack
from vivae.media.av1 import Av1Settings, decode_av1, encode_av1
from vivae.media.resample import Shrinker, base_size, enlarged
from vivae.train.dataset import Passage
from vivae.train.recipe import DataSettings, DegradeSettings, Stage
from vivae.train.sampler import check_batch, draw_place, mirrored

GOLDEN = 0.6180339887
"""Steps of this share spread any number of draws evenly over a range."""


@dataclass(frozen=True)
class Pair:
    """A clean passage and one degraded version of it, frame by frame; and how it was degraded."""

    clean: Passage
    degraded: Passage
    shrink: float
    crf: float

    def __len__(self) -> int:
        return len(self.degraded)


class PairBatch(NamedTuple):
    """Crops: degraded (B, T + 1, 24, h, w) with one frame to come, clean (B, T, 24, h, w), both uint8."""

    degraded: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    shrink: NDArray[np.float32]
    """(B,) display width over base width."""
    crf: NDArray[np.float32]
    """(B,)"""
    place: NDArray[np.int64]
    """(B, 2) packed row and column of the crop."""


def make_pairs(
    passages: Sequence[Passage],
    settings: DegradeSettings,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[Pair]:
    """All versions of all passages; those that an earlier run has made are taken from the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    pairs = []
    pieces = [piece for passage in passages for piece in _pieces(passage, settings.frames)]
    wanted = [piece for piece in pieces for _ in range(settings.variants)]
    for index, passage in enumerate(wanted):
        draw = index * GOLDEN % 1
        crf = round(settings.crf_low + draw * (settings.crf_high - settings.crf_low), 2)
        shrink = settings.shrinks[index % len(settings.shrinks)]
        pairs.append(_pair(passage, shrink, crf, settings, cache))
        if progress:
            progress(index + 1, len(wanted))
    return pairs


def _pieces(passage: Passage, longest: int) -> Iterator[Passage]:
    """A passage in parts of nearly equal length."""
    count = -(-len(passage) // longest)
    borders = np.linspace(0, len(passage), count + 1).astype(int)
    for first, last in pairwise(borders.tolist()):
        yield Passage(passage.array, passage.shape, passage.first + first, last - first, passage.clip)


def _pair(clean: Passage, shrink: float, crf: float, settings: DegradeSettings, cache: Path) -> Pair:
    count = len(clean)
    what = (clean.array.name, clean.first, count, shrink, crf, settings.preset)
    path = cache / (hashlib.sha256(repr(what).encode()).hexdigest()[:32] + ".packed")
    shape = (count, *clean.shape[1:])
    if not path.is_file() or path.stat().st_size != int(np.prod(shape)):
        with atomic_path(path, force=True) as beside, Path(beside).open("wb") as file:
            for planes in _degraded(clean.frames, shrink, crf, settings.preset):
                file.write(pack(planes).tobytes())
    return Pair(clean, Passage(path, shape, 0, count, clean.clip), shrink, crf)


def _degraded(frames: NDArray[np.uint8], shrink: float, crf: float, preset: int) -> Iterator[Planes]:
    height, width = frames.shape[2] * 4, frames.shape[3] * 4
    columns, rows = base_size(width, height, shrink)
    shrinker = Shrinker(columns, rows)
    picture = Picture(columns, rows, Fraction(25), ColorInfo.guess(height))
    small = (shrinker(unpack(frame, height, width)) for frame in frames)
    coded = encode_av1(small, picture, Av1Settings(crf, preset), threads=1)
    for planes in decode_av1((unit.data for unit in coded), threads=1):
        yield enlarged(planes, width, height)


class PairSampler:
    """sampler(step) -> `PairBatch`, this process's share; a pure function of seed, step and process."""

    def __init__(
        self, pairs: Sequence[Pair], settings: DataSettings, stage: Stage, *, seed: int, rank: int, world: int
    ):
        check_batch(stage, world)
        self.pairs = [pair for pair in pairs if len(pair) > stage.frames]
        lengths = np.sqrt([len(pair) for pair in self.pairs])
        self.chances = lengths / lengths.sum()
        self.settings, self.stage = settings, stage
        self.seed, self.rank, self.world = seed, rank, world

    def __call__(self, step: int) -> PairBatch:
        rng = np.random.default_rng((self.seed, step))
        share = self.stage.batch // self.world
        drawn = [
            (self.pairs[rng.choice(len(self.pairs), p=self.chances)], rng.random(4))
            for _ in range(self.stage.batch)
        ]
        return joined(
            [self._crop(pair, places) for pair, places in drawn[self.rank * share : (self.rank + 1) * share]]
        )

    def _crop(self, pair: Pair, places: NDArray[np.float64]) -> PairBatch:
        count, side = self.stage.frames, self.settings.crop // 4
        first, top, left = draw_place(places[:3], pair.degraded.frames.shape, (count + 1, side, side))
        crop = cropped(pair, first, count, top, left, side)
        if self.settings.flip and places[3] < 0.5:
            crop = crop._replace(degraded=mirrored(crop.degraded), clean=mirrored(crop.clean))
        return crop


def cropped(pair: Pair, first: int, count: int, top: int, left: int, side: int) -> PairBatch:
    """One crop of a pair as a batch of one; places and side in packed positions."""
    area = (slice(top, top + side), slice(left, left + side))
    return PairBatch(
        np.asarray(pair.degraded.frames[first : first + count + 1, :, *area])[None],
        np.asarray(pair.clean.frames[first : first + count, :, *area])[None],
        np.array([pair.shrink], np.float32),
        np.array([pair.crf], np.float32),
        np.array([[top, left]]),
    )


def joined(batches: Sequence[PairBatch]) -> PairBatch:
    """Several batches of one shape as one."""
    return PairBatch(*(np.concatenate(parts) for parts in zip(*batches, strict=True)))


def pair_windows(pairs: Sequence[Pair], crop: int, frames: int, limit: int) -> list[PairBatch]:
    """Up to `limit` fixed crops from the middle of pairs spread over the half."""
    long = [pair for pair in pairs if len(pair) > frames]
    chosen = [
        long[index]
        for index in np.unique(np.linspace(0, len(long) - 1, min(limit, len(long))).round().astype(int))
    ]
    side = crop // 4
    windows = []
    for pair in chosen:
        _, _, rows, columns = pair.degraded.shape
        middle = ((len(pair) - frames) // 2, (rows - side) // 2, (columns - side) // 2)
        windows.append(cropped(pair, middle[0], frames, *middle[1:], side))
    return windows
