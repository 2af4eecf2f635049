"""What else spoils video, made anew for every crop: noise of a sensor, too few pixels, a lens out of focus.

Nothing here is kept on disk: a crop is disturbed as it is drawn, by a generator that its place in the training decides.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from vivae.media import ColorInfo, Planes, pack, unpack
from vivae.media.color import rgb_to_yuv, yuv_to_rgb
from vivae.media.resample import Shrinker, base_size, enlarged
from vivae.train.data_settings import DataSettings, DisturbSettings
from vivae.train.dataset import Passage, check_usable
from vivae.train.degrade import PLACES, Pair, PairBatch, joined, pair_crop
from vivae.train.recipe import Stage
from vivae.train.sampler import check_batch, draw_place, mirrored
from vivae.train.side_by_side import side_by_side
from vivae.vae.enhancer import AVERAGED, Known

STILL = ColorInfo.guess(480)
"""The colours noise is added in; which matrix it is makes no difference to a network."""


def with_noise(
    planes: Planes, sigma: float, rng: np.random.Generator, color: ColorInfo = STILL, *, shot: float = 0.0
) -> Planes:
    """Gaussian noise on 8-bit RGB, clipped, and back to 4:2:0, as a file would hold it.

    sigma: its standard deviation in code values. shot: share of its variance that grows with brightness, as photons do.
    """
    rgb = yuv_to_rgb(planes, color)
    noise = rng.standard_normal(rgb.shape, np.float32)
    if shot:
        light = rgb.astype(np.float32) / 255
        noise *= np.sqrt((1 - shot) + 2 * shot * light)
    noisy = np.clip(np.rint(rgb + sigma * noise), 0, 255).astype(np.uint8)
    return rgb_to_yuv(noisy, color)


def blurred(planes: Planes, sigma: float) -> Planes:
    """A Gaussian blur; sigma in luma pixels."""
    y, u, v = (
        np.asarray(cv2.GaussianBlur(plane, (0, 0), wide), np.uint8)
        for plane, wide in zip(planes, (sigma, sigma / 2, sigma / 2), strict=True)
    )
    return y, u, v


def disturbed(
    clean: NDArray[np.uint8], settings: DisturbSettings, kind: str, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Known]:
    """Packed frames (T, 24, h, w) spoiled in one way, and what a user's estimate of it would be.

    kind: "noise", "shrink" or "blur".
    """
    height, width = clean.shape[2] * 4, clean.shape[3] * 4
    frames = [unpack(frame, height, width) for frame in clean]
    sigma, shot = 0.0, 0.0
    known = Known()
    if kind == "noise":
        # Evenly over the root: light noise is met more often, and its detail is harder to keep.
        low, high = np.sqrt(settings.noise)
        sigma = float(rng.uniform(low, high) ** 2)
        shot = float(rng.random()) if rng.random() < settings.shot_share else 0.0
    elif kind == "shrink":
        shrink = float(rng.choice(settings.shrinks))
        columns, rows = base_size(width, height, shrink)
        method = Interpolation.BICUBIC if rng.random() < settings.bicubic_share else Interpolation.AREA
        shrinker = Shrinker(columns, rows, method)
        frames = [shrinker(planes) for planes in frames]
        if rng.random() < settings.light_share:
            sigma = float(rng.uniform(0, settings.light_noise))
        known = Known(shrink=width / columns)
    else:
        blur = float(rng.uniform(*settings.blur))
        frames = [blurred(planes, blur) for planes in frames]
        sigma = float(rng.uniform(0, settings.light_noise))
        known = Known(blur=blur)
    if sigma:
        frames = [with_noise(planes, sigma, rng, shot=shot) for planes in frames]
    told = sigma * float(np.exp(rng.normal(0, settings.doubt)))
    packed = np.stack([pack(enlarged(planes, width, height)) for planes in frames])
    return packed, known._replace(noise=told)


class MixedSampler:
    """sampler(step) -> `PairBatch`: crops of pairs and of disturbed passages, in the shares of the recipe.

    This process's share; a pure function of seed, step and process.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        pairs: Sequence[Pair],
        data: DataSettings,
        settings: DisturbSettings,
        stage: Stage,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ):
        check_batch(stage, world)
        self.passages = check_usable(list(passages), stage.frames + 1)
        self.pairs = [pair for pair in pairs if len(pair) > stage.frames]
        self.data, self.settings, self.stage = data, settings, stage
        self.seed, self.rank, self.world = seed, rank, world
        self.kinds = [*settings.shares, "pair"]
        told = list(settings.shares.values())
        self.shares = np.array([*told, 1 - sum(told)]).clip(0)
        self.shares /= self.shares.sum()

    def __call__(self, step: int) -> PairBatch:
        share = self.stage.batch // self.world
        mine = range(self.rank * share, (self.rank + 1) * share)
        return joined(
            side_by_side(lambda index: self._draw(np.random.default_rng((self.seed, step, index))), mine)
        )

    def _draw(self, rng: np.random.Generator) -> PairBatch:
        kind = self.kinds[rng.choice(len(self.kinds), p=self.shares)]
        count, side = self.stage.frames, self.data.crop // 4
        if kind == "pair":
            pair = self.pairs[_drawn(rng, self.pairs)]
            return pair_crop(pair, rng.random(PLACES), count, self.data)
        passage = self.passages[_drawn(rng, self.passages)]
        places = rng.random(4)
        step = 1
        if self.settings.hurried and rng.random() < self.settings.hurried:
            step = min(int(rng.integers(2, 4)), (len(passage) - 1) // count)
        reach = step * count + 1
        first, top, left = draw_place(places[:3], passage.frames.shape, (reach, side, side))
        area = (slice(top, top + side), slice(left, left + side))
        clean = np.asarray(passage.frames[first : first + reach : step, :, *area])
        if self.data.flip and places[3] < 0.5:
            clean = mirrored(clean)
        if self.data.reverse and rng.random() < 0.5:
            clean = clean[::-1]
        degraded, known = disturbed(np.ascontiguousarray(clean), self.settings, kind, rng)
        if self.settings.ahead:
            known = known._replace(ahead=AVERAGED if rng.random() < self.settings.ahead else 0.0)
        return PairBatch(
            degraded[None], clean[None, :-1], np.array([known], np.float32), np.array([[top, left]])
        )


def _drawn(rng: np.random.Generator, passages: Sequence[Passage] | Sequence[Pair]) -> int:
    """In proportion to the root of their length."""
    chances = np.sqrt([len(passage) for passage in passages])
    return int(rng.choice(len(passages), p=chances / chances.sum()))
