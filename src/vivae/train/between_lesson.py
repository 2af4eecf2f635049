"""Teaching a `MiddleFrame` to find the frame between two others: every clip has the answer inside it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vivae.train.dataset import Passage, check_usable
from vivae.train.enhance_lesson import log_error
from vivae.train.lesson import on_device
from vivae.train.recipe import DataSettings, Stage
from vivae.train.sampler import check_batch, draw_place, mirrored
from vivae.vae.between import flow_both_ways
from vivae.vae.middle import MiddleFrame, unaided
from vivae.vae.motion import Motion

Triplets = NDArray[np.uint8]
"""(B, 3, 24, h, w): a frame, the one to find, and the one after."""


class TripletSampler:
    """sampler(step) -> `Triplets`, this process's share; a pure function of seed, step and process."""

    def __init__(
        self,
        passages: Sequence[Passage],
        data: DataSettings,
        gaps: Sequence[int],
        stage: Stage,
        *,
        lively: int = 1,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ):
        check_batch(stage, world)
        self.passages = check_usable(list(passages), 2 * max(gaps) + 1)
        chances = np.sqrt([len(passage) for passage in self.passages])
        self.chances = chances / chances.sum()
        self.data, self.gaps, self.stage, self.lively = data, gaps, stage, lively
        self.seed, self.rank, self.world = seed, rank, world

    def __call__(self, step: int) -> Triplets:
        share = self.stage.batch // self.world
        drawn = range(self.rank * share, (self.rank + 1) * share)
        return np.stack([self._draw(np.random.default_rng((self.seed, step, index))) for index in drawn])

    def _draw(self, rng: np.random.Generator) -> Triplets:
        """Of as many crops as are drawn, the one whose ends differ most."""
        return max((self._crop(rng) for _ in range(self.lively)), key=_liveliness)

    def _crop(self, rng: np.random.Generator) -> Triplets:
        frames = self.passages[rng.choice(len(self.passages), p=self.chances)].frames
        gap = int(rng.choice(self.gaps))
        side = self.data.crop // 4
        first, top, left = draw_place(rng.random(3), frames.shape, (2 * gap + 1, side, side))
        part = frames[first : first + 2 * gap + 1 : gap, :, top : top + side, left : left + side]
        triplet = np.asarray(part)
        if self.data.flip and rng.random() < 0.5:
            triplet = mirrored(triplet)
        return np.ascontiguousarray(triplet[::-1] if self.data.reverse and rng.random() < 0.5 else triplet)


def _liveliness(triplet: Triplets) -> float:
    return float(np.abs(triplet[0].astype(np.int16) - triplet[2]).mean())


class Middle(nn.Module):
    """The loss of a batch: mean log of the planes' squared errors, as for all enhancers."""

    def __init__(self, model: MiddleFrame, precision: torch.dtype | None):
        super().__init__()
        self.model = model
        self.precision = precision
        self.motion = Motion("medium")

    def forward(self, triplets: Triplets) -> tuple[Tensor, dict[str, Tensor]]:
        """`gain_db`: over the mean of both frames, moved half way along the flow that was searched."""
        device = on_device(self.model)
        found = np.stack([flow_both_ways(self.motion, clip[0], clip[2]) for clip in triplets])
        forth, back = torch.from_numpy(found).to(device).unbind(1)
        before, target, after = (torch.from_numpy(triplets).to(device).float() / 255).unbind(1)
        with torch.autocast(
            device.type, dtype=self.precision or torch.bfloat16, enabled=self.precision is not None
        ):
            picture = self.model(before, after, forth, back)
        loss = log_error(picture, target).mean()
        with torch.no_grad():
            plain = unaided(before, after, forth, back)
            gain = (log_error(plain, target).mean() - loss) * 10
        return loss, {"gain_db": gain}


class BetweenLesson:
    """See `vivae.train.lesson.Lesson`."""

    model: nn.Module

    def __init__(self, model: MiddleFrame, windows: Sequence[Triplets]):
        self.model = self.taught = model
        self.windows = windows

    def module(self, precision: torch.dtype | None) -> nn.Module:
        return Middle(self.taught, precision)

    def batch(self, drawn: Triplets, step: int, generator: torch.Generator) -> tuple[Any, ...]:
        return (drawn,)

    def settle(self, model: nn.Module) -> None:
        """Nothing is derived."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean loss, and the gain in dB over the mean of the moved frames, over the windows."""
        assert isinstance(model, MiddleFrame)
        middle = Middle(model, None)
        found = [middle(window) for window in self.windows]
        loss = sum(loss.item() for loss, _ in found) / len(found)
        return {
            "test_loss": loss,
            "test_gain_db": sum(told["gain_db"].item() for _, told in found) / len(found),
        }
