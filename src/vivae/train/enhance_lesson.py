"""Teaching an `Enhancer`: clips run frame by frame as they will in use, each result the next one's memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vivae.train.critic import Critic, Taught
from vivae.train.degrade import PairBatch
from vivae.train.lesson import on_device
from vivae.train.side_by_side import side_by_side
from vivae.train.texture import TextureLoss
from vivae.vae.coming import averaged
from vivae.vae.enhancer import AVERAGED, PLANES, Enhancer, Known
from vivae.vae.enhancing import Aligned, Motions, Sight, aligned, as_picture, as_tensor

WEIGHTS = (6 / 8, 1 / 8, 1 / 8)
"""Of the planes: PSNR-YUV's."""
NOISE, AHEAD = Known._fields.index("noise"), Known._fields.index("ahead")
FLOOR = 2.0
"""Squared code values added to each crop's error: below it, a smaller error counts for little."""


class Rollout(nn.Module):
    """Mean log of the planes' squared errors, which is PSNR-YUV but for sign and scale, over a batch of clips."""

    def __init__(
        self,
        model: Enhancer,
        precision: torch.dtype | None,
        steady: float = 0.0,
        texture: TextureLoss | None = None,
    ):
        """steady: see `EnhancerRecipe`. texture: what else is paid for every frame."""
        super().__init__()
        self.model = model
        self.steady = steady
        self.texture = texture
        self.precision = precision
        self.motions: list[Motions] = []
        """One for each clip of a batch: a search has buffers of its own, and they run side by side."""

    def forward(
        self,
        degraded: NDArray[np.uint8],
        clean: NDArray[np.uint8],
        attributes: Tensor,
        known: NDArray[np.float32],
        place: NDArray[np.int64],
        corner: tuple[int, int] = (0, 0),
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `PairBatch` for the shapes; the last result carries no gradient from one frame to the next. corner: see
        `TextureLoss`."""
        device = attributes.device
        scenes = [self.model.scene(top, left, *clean.shape[-2:]) for top, left in place.tolist()]
        scene = torch.cat([part for part in scenes if part is not None]) if scenes[0] is not None else None
        finest = self.model.config.finest
        self.motions += [Motions(finest=finest) for _ in range(len(degraded) - len(self.motions))]
        brought = self._brought(degraded, known)
        losses, before, after = [], [], []
        textures: list[dict[str, Tensor]] = []
        last = [None] * len(degraded)
        for index in range(clean.shape[1]):

            def seen(clip: int, index: int = index, last: list[Any] = last) -> Aligned:
                return aligned(
                    self.motions[clip],
                    self._sight(known[clip]),
                    degraded[clip, index],
                    last[clip],
                    degraded[clip, index - 1] if index else None,
                    degraded[clip, index + 1],
                    brought=brought[clip][index],
                    truth=clean[clip, index - 1] if index and self.steady else None,
                )

            parts = side_by_side(seen, range(len(degraded)))
            picture, (present, past, _) = self._picture(parts, attributes, scene)
            target = torch.from_numpy(np.ascontiguousarray(clean[:, index])).to(device).float() / 255
            losses.append(log_error(picture, target))
            if index and self.steady:
                true = torch.cat([as_tensor(part.truth, device) for part in parts if part.truth is not None])
                losses[-1] = losses[-1] + self.steady * log_error(picture - past, target - true)
            if self.texture is not None:
                paid, told = self.texture(picture, target, corner)
                losses[-1] = losses[-1] + paid
                textures.append(told)
            with torch.no_grad():
                before.append(log_error(present, target))
                after.append(log_error(picture, target))
                last = list(as_picture(picture))
        loss = torch.stack(losses).mean()
        gain = (torch.stack(before).mean() - torch.stack(after).mean()) * 10
        figures = {"gain_db": gain}
        for name in textures[0] if textures else ():
            figures[name] = torch.stack([told[name] for told in textures]).mean()
        return loss, figures

    def _sight(self, known: NDArray[np.float32]) -> Sight:
        return Sight(float(known[NOISE]), self.model.config.sharp, self.model.config.settled)

    def _brought(self, degraded: NDArray[np.uint8], known: NDArray[np.float32]) -> list[list[Any]]:
        """Of each frame of each clip the mean of what comes, where that is shown; else None."""

        def mean(clip: int) -> list[Any]:
            if known[clip, AHEAD] != AVERAGED:
                return [None] * degraded.shape[1]
            return averaged(degraded[clip], self._sight(known[clip]), self.motions[clip].later)

        return side_by_side(mean, range(len(degraded)))

    def _picture(
        self, parts: list[Aligned], attributes: Tensor, scene: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """A result for each clip, and what the network was shown."""
        device = attributes.device
        inputs = [
            torch.cat([as_tensor(picture, device) for picture in pictures])
            for pictures in zip(*(part.pictures for part in parts), strict=True)
        ]
        with torch.autocast(
            device.type, dtype=self.precision or torch.bfloat16, enabled=self.precision is not None
        ):
            residual = self.model(*inputs, attributes, scene)
        return inputs[0] + residual.float(), inputs


def log_error(picture: Tensor, target: Tensor) -> Tensor:
    """(B,) weighted mean of log10 of the planes' mean squared errors, in squared code values."""
    square = ((picture - target) * 255) ** 2
    errors = torch.stack([part.mean((1, 2, 3)) for part in square.split(PLANES, 1)], 1)
    return (torch.log10(errors + FLOOR) * errors.new_tensor(WEIGHTS)).sum(1)


class EnhanceLesson:
    """See `vivae.train.lesson.Lesson`."""

    model: nn.Module

    def __init__(
        self,
        model: Enhancer,
        windows: Sequence[PairBatch],
        steady: float = 0.0,
        perceptual: float = 0.0,
        adversarial: float = 0.0,
    ):
        """The weights: see `EnhancerRecipe`."""
        self.model = self.enhancer = model
        self.windows = windows
        self.steady = steady
        self.texture: TextureLoss | None = None
        if perceptual or adversarial:
            critic = Critic(frames=1)
            self.model = Taught(model, critic)
            self.texture = TextureLoss(perceptual, adversarial, critic)

    def module(self, precision: torch.dtype | None) -> nn.Module:
        if self.texture is not None:
            self.texture.to(
                on_device(self.enhancer)
            )  # what judges is no part of the model that was moved there
        return Rollout(self.enhancer, precision, self.steady, self.texture)

    def batch(self, drawn: PairBatch, step: int, generator: torch.Generator) -> tuple[Any, ...]:
        top = left = 0
        if self.texture is not None:
            top, left = torch.randint(4, (2,), generator=generator, device=generator.device).tolist()
        return (
            drawn.degraded,
            drawn.clean,
            _attributes(self.enhancer, drawn),
            drawn.known,
            drawn.place,
            (top, left),
        )

    def settle(self, model: nn.Module) -> None:
        """Nothing is derived."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean loss, and the gain in dB of PSNR-YUV over the degraded picture, over the windows; with the distance in
        looks where that is taught."""
        enhancer = model.model if isinstance(model, Taught) else model
        assert isinstance(enhancer, Enhancer)
        rollout = Rollout(enhancer, None, self.steady, self.texture)
        totals: dict[str, float] = {}
        for window in self.windows:
            loss, figures = rollout(
                window.degraded,
                window.clean,
                _attributes(enhancer, window),
                window.known,
                window.place,
            )
            for name, value in {"loss": loss, **figures}.items():
                totals[f"test_{name}"] = totals.get(f"test_{name}", 0.0) + value.item() / len(self.windows)
        return totals


def _attributes(model: Enhancer, batch: PairBatch) -> Tensor:
    rows = [Known(*told).attributes(model.config.attributes) for told in batch.known.tolist()]
    return torch.tensor(rows, dtype=torch.float32, device=on_device(model))
