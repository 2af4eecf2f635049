"""Teaching a `MiddleFrame` to find the frame between two others: every clip has the answer inside it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vivae.train.data_settings import DataSettings
from vivae.train.dataset import Passage, check_usable
from vivae.train.enhance_lesson import log_error
from vivae.train.lesson import on_device
from vivae.train.recipe import Stage
from vivae.train.sampler import check_batch, draw_place, mirrored
from vivae.vae.between import found_ways
from vivae.vae.middle import MiddleFrame, Ways, unaided
from vivae.vae.motion import Motion

Passages = NDArray[np.uint8]
"""(B, 5, 24, h, w): a frame, the one before, the one to find, the one after and one more, 2, 1, 1 and 2 spans apart."""
PLACES = (0, 2, 3, 4, 6)
"""Of these frames, in spans of time."""
UNKNOWN = 0.2
"""Share of lessons in which the first frame is not shown, and of those in which the last is not."""


class PassageSampler:
    """sampler(step) -> `Passages`, this process's share; a pure function of seed, step and process."""

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
        self.passages = check_usable(list(passages), PLACES[-1] * max(gaps) + 1)
        chances = np.sqrt([len(passage) for passage in self.passages])
        self.chances = chances / chances.sum()
        self.data, self.gaps, self.stage, self.lively = data, gaps, stage, lively
        self.seed, self.rank, self.world = seed, rank, world

    def __call__(self, step: int) -> Passages:
        share = self.stage.batch // self.world
        drawn = range(self.rank * share, (self.rank + 1) * share)
        return np.stack([self._draw(np.random.default_rng((self.seed, step, index))) for index in drawn])

    def _draw(self, rng: np.random.Generator) -> Passages:
        """Of as many crops as are drawn, the one whose ends differ most."""
        return max((self._crop(rng) for _ in range(self.lively)), key=_liveliness)

    def _crop(self, rng: np.random.Generator) -> Passages:
        frames = self.passages[rng.choice(len(self.passages), p=self.chances)].frames
        gap = int(rng.choice(self.gaps))
        side = self.data.crop // 4
        first, top, left = draw_place(rng.random(3), frames.shape, (PLACES[-1] * gap + 1, side, side))
        times = [first + place * gap for place in PLACES]
        part = frames[times, :, top : top + side, left : left + side]
        passage = np.asarray(part)
        if self.data.flip and rng.random() < 0.5:
            passage = mirrored(passage)
        return np.ascontiguousarray(passage[::-1] if self.data.reverse and rng.random() < 0.5 else passage)


def _liveliness(passage: Passages) -> float:
    return float(np.abs(passage[1].astype(np.int16) - passage[3]).mean())


class Middle(nn.Module):
    """The loss of a batch: mean log of the planes' squared errors, as for all enhancers."""

    def __init__(self, model: MiddleFrame, precision: torch.dtype | None):
        super().__init__()
        self.model = model
        self.precision = precision
        self.motion = Motion("medium")

    def forward(self, clips: Passages, known: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """known: (B, 2), whether the first frame of each clip is, and the last.

        `gain_db`: over the mean of both frames, moved half way along the flow that was searched."""
        device = on_device(self.model)
        found = np.stack(
            [
                found_ways(
                    self.motion, clip[1], clip[3], clip[0] if first else None, clip[4] if last else None
                )
                for clip, (first, last) in zip(clips, known, strict=True)
            ]
        )
        ways = Ways(*torch.from_numpy(found).to(device).unbind(1))
        before, target, after = (torch.from_numpy(clips[:, 1:4]).to(device).float() / 255).unbind(1)
        with torch.autocast(
            device.type, dtype=self.precision or torch.bfloat16, enabled=self.precision is not None
        ):
            picture = self.model(before, after, ways)
        loss = log_error(picture, target).mean()
        with torch.no_grad():
            plain = unaided(before, after, ways)
            gain = (log_error(plain, target).mean() - loss) * 10
        return loss, {"gain_db": gain}


class BetweenLesson:
    """See `vivae.train.lesson.Lesson`."""

    model: nn.Module

    def __init__(self, model: MiddleFrame, windows: Sequence[Passages]):
        self.model = self.taught = model
        self.windows = windows

    def module(self, precision: torch.dtype | None) -> nn.Module:
        return Middle(self.taught, precision)

    def batch(self, drawn: Passages, step: int, generator: torch.Generator) -> tuple[Any, ...]:
        known = torch.rand(len(drawn), 2, generator=generator, device=generator.device) >= UNKNOWN
        return drawn, known.cpu()

    def settle(self, model: nn.Module) -> None:
        """Nothing is derived."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean loss, and the gain in dB over the mean of the moved frames, over the windows."""
        assert isinstance(model, MiddleFrame)
        middle = Middle(model, None)
        found = [middle(window, torch.ones(len(window), 2) > 0) for window in self.windows]
        loss = sum(loss.item() for loss, _ in found) / len(found)
        return {
            "test_loss": loss,
            "test_gain_db": sum(told["gain_db"].item() for _, told in found) / len(found),
        }
