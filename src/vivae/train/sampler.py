"""Batches for training: crops of passages, a pure function of seed, step and process, so that runs can resume."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.media import packed_order
from vivae.train.data_settings import DataSettings
from vivae.train.dataset import Passage, check_usable
from vivae.train.recipe import Stage

FASTER_SHARE = 0.25
"""Of the clips takes every second frame: larger motion."""
WINDOW_FRAMES = 8


class Window(NamedTuple):
    """Frames (T, 24, crop / 4, crop / 4) of a clip to test on."""

    frames: NDArray[np.uint8]
    clip: str


Turn = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
MIRRORED, UPSIDE_DOWN, TRANSPOSED = (packed_order(change) for change in (np.fliplr, np.flipud, np.transpose))


def mirrored(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Packed frames (..., 24, h, w) of the horizontally mirrored picture."""
    return packed[..., MIRRORED, :, ::-1]


def upside_down(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Packed frames (..., 24, h, w) of the vertically mirrored picture."""
    return packed[..., UPSIDE_DOWN, ::-1, :]


def transposed(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Packed frames (..., 24, w, h) of the picture with rows for columns."""
    return packed[..., TRANSPOSED, :, :].swapaxes(-1, -2)


def turns(settings: DataSettings, places: Sequence[float]) -> list[Turn]:
    """How a crop is to be turned: three draws from [0, 1) say whether it is mirrored, upside down and transposed."""
    ways = ((mirrored, settings.flip), (upside_down, settings.turn), (transposed, settings.turn))
    return [way for (way, wanted), place in zip(ways, places, strict=True) if wanted and place < 0.5]


class ClipSampler:
    """sampler(step) -> uint8 (B, T, 24, crop / 4, crop / 4), this process's share of the batch.

    Passages are drawn in proportion to the root of their length: long still footage must not drown the rest.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        settings: DataSettings,
        stage: Stage,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ):
        check_batch(stage, world)
        self.passages = check_usable(list(passages), stage.frames)
        lengths = np.sqrt([len(passage) for passage in self.passages])
        self.chances = lengths / lengths.sum()
        self.settings, self.stage = settings, stage
        self.seed, self.rank, self.world = seed, rank, world

    def __call__(self, step: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng((self.seed, step))
        share = self.stage.batch // self.world
        # Every process draws the whole batch's places and reads its own: the data do not depend on their number.
        clips = [self._draw(rng, index // share == self.rank) for index in range(share * self.world)]
        return np.stack([clip for clip in clips if clip is not None])

    def _draw(self, rng: np.random.Generator, mine: bool) -> NDArray[np.uint8] | None:
        frames = self.passages[rng.choice(len(self.passages), p=self.chances)].frames
        places = rng.random(6)
        # Drawn only where wanted: what a recipe without it sees stays the same.
        turned = rng.random(2) if self.settings.turn else (1.0, 1.0)
        if not mine:
            return None
        count = self.stage.frames
        stride = 2 if places[0] < FASTER_SHARE and len(frames) > 2 * count else 1
        span = (count - 1) * stride + 1
        side = self.settings.crop // 4
        first, top, left = draw_place(places[1:4], frames.shape, (span, side, side))
        clip = np.asarray(frames[first : first + span : stride, :, top : top + side, left : left + side])
        for turn in turns(self.settings, (places[4], *turned)):
            clip = turn(clip)
        if self.settings.reverse and places[5] < 0.5:
            clip = clip[::-1]
        return clip


def check_batch(stage: Stage, world: int) -> None:
    """Raises InputError where the batch cannot be shared evenly by so many processes."""
    if stage.batch % world:
        raise InputError(
            f"a batch of {stage.batch} clips cannot be shared evenly by {world} processes: change 'batch' in the "
            "recipe's stages, or the number of processes"
        )


def draw_place(
    chances: NDArray[np.float64], shape: tuple[int, ...], size: tuple[int, int, int]
) -> tuple[int, int, int]:
    """First frame, top and left of a part of `size` in frames of `shape` (T, C, h, w), for draws from [0, 1)."""
    first, top, left = (
        int(chance * (extent - wanted + 1))
        for chance, extent, wanted in zip(chances, (shape[0], *shape[2:]), size, strict=True)
    )
    return first, top, left


def evaluation_windows(passages: Sequence[Passage], crop: int, limit: int) -> list[Window]:
    """Up to `limit` fixed windows (T, 24, crop / 4, crop / 4) from the middle of passages spread over the half."""
    most = max((len(passage) for passage in passages), default=0)
    long = [passage for passage in passages if len(passage) >= min(WINDOW_FRAMES, most)]
    chosen = [long[index] for index in np.unique(np.linspace(0, len(long) - 1, limit).round().astype(int))]
    windows = []
    for passage in chosen:
        frames, side = passage.frames, crop // 4
        count = min(WINDOW_FRAMES, len(frames))
        first = (len(frames) - count) // 2
        top, left = (frames.shape[2] - side) // 2, (frames.shape[3] - side) // 2
        part = frames[first : first + count, :, top : top + side, left : left + side]
        windows.append(Window(np.ascontiguousarray(part), passage.clip))
    return windows
