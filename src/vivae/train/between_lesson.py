"""Teaching an `Enhancer` to find the frame between two others: every clip has the answer inside it."""

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
from vivae.vae.between import met_half_way
from vivae.vae.enhancer import Enhancer, Known
from vivae.vae.enhancing import as_tensor
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
        seed: int,
        rank: int = 0,
        world: int = 1,
    ):
        check_batch(stage, world)
        self.passages = check_usable(list(passages), 2 * max(gaps) + 1)
        chances = np.sqrt([len(passage) for passage in self.passages])
        self.chances = chances / chances.sum()
        self.data, self.gaps, self.stage = data, gaps, stage
        self.seed, self.rank, self.world = seed, rank, world

    def __call__(self, step: int) -> Triplets:
        share = self.stage.batch // self.world
        drawn = range(self.rank * share, (self.rank + 1) * share)
        return np.stack([self._draw(np.random.default_rng((self.seed, step, index))) for index in drawn])

    def _draw(self, rng: np.random.Generator) -> Triplets:
        frames = self.passages[rng.choice(len(self.passages), p=self.chances)].frames
        gap = int(rng.choice(self.gaps))
        side = self.data.crop // 4
        first, top, left = draw_place(rng.random(3), frames.shape, (2 * gap + 1, side, side))
        part = frames[first : first + 2 * gap + 1 : gap, :, top : top + side, left : left + side]
        triplet = np.asarray(part)
        if self.data.flip and rng.random() < 0.5:
            triplet = mirrored(triplet)
        return np.ascontiguousarray(triplet[::-1] if self.data.reverse and rng.random() < 0.5 else triplet)


class Middle(nn.Module):
    """The loss of a batch: mean log of the planes' squared errors, as for all enhancers."""

    def __init__(self, model: Enhancer, precision: torch.dtype | None):
        super().__init__()
        self.model = model
        self.precision = precision
        self.motion = Motion("medium")

    def forward(self, triplets: Triplets) -> tuple[Tensor, dict[str, Tensor]]:
        """`gain_db`: over the mean of the two moved frames."""
        device = on_device(self.model)
        parts = [met_half_way(self.motion, clip[0], clip[2]) for clip in triplets]
        present, last, following = (
            torch.cat([as_tensor(part[place], device) for part in parts]) for place in range(3)
        )
        told = Known().attributes(self.model.config.attributes)
        attributes = torch.tensor([told] * len(triplets), device=device)
        with torch.autocast(
            device.type, dtype=self.precision or torch.bfloat16, enabled=self.precision is not None
        ):
            residual = self.model(present, last, following, attributes)
        target = torch.from_numpy(np.ascontiguousarray(triplets[:, 1])).to(device).float() / 255
        loss = log_error(present + residual.float(), target).mean()
        gain = (log_error(present, target).mean() - loss.detach()) * 10
        return loss, {"gain_db": gain}


class BetweenLesson:
    """See `vivae.train.lesson.Lesson`."""

    model: nn.Module

    def __init__(self, model: Enhancer, windows: Sequence[Triplets]):
        self.model = self.enhancer = model
        self.windows = windows

    def module(self, precision: torch.dtype | None) -> nn.Module:
        return Middle(self.enhancer, precision)

    def batch(self, drawn: Triplets, step: int, generator: torch.Generator) -> tuple[Any, ...]:
        return (drawn,)

    def settle(self, model: nn.Module) -> None:
        """Nothing is derived."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean loss, and the gain in dB over the mean of the moved frames, over the windows."""
        assert isinstance(model, Enhancer)
        middle = Middle(model, None)
        found = [middle(window) for window in self.windows]
        loss = sum(loss.item() for loss, _ in found) / len(found)
        return {
            "test_loss": loss,
            "test_gain_db": sum(told["gain_db"].item() for _, told in found) / len(found),
        }
