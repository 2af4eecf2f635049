"""Teaching a `FlowSegmenter` by the ELBO of optical flow, from footage without labels.

    -ELBO = sum over pixels of  E_q[ |flow - motion of class z|_1 / scale ] + KL( q(z|flow) || p(z) )

The motion of each class is the weighted least-squares fit under q, which makes this expectation-maximisation with an
amortised E-step. Part of each batch is real footage; the other part is scenes made of it (`vivae.train.composites`),
where what moves by itself is known: there the latent is observed in part, and -log q of what is known is added, as in
semi-supervised VAEs (Kingma et al., NeurIPS 2014).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.media import unpack
from vivae.train.composites import make_scene
from vivae.train.data_settings import DataSettings
from vivae.train.dataset import Passage, check_usable
from vivae.train.lesson import on_device
from vivae.train.recipe import SceneSettings, Stage
from vivae.train.sampler import check_batch, draw_place
from vivae.vae.motion import Motion
from vivae.vae.parametric import fit_motion, quadratic_terms
from vivae.vae.segmenter import COARSER, FINEST, GAPS, FlowSegmenter, flow_signs

UNKNOWN = 255
REACH = max(GAPS)
TIMES = tuple(sorted((0, *GAPS)))
"""Frames that are needed, from the one in question."""
HERE = TIMES.index(0)
LIMIT = 8.0
"""Deviations, of the camera's motion, beyond which a pixel's error counts no more: flow fails at borders and edges."""


class FlowBatch(NamedTuple):
    """inputs (B, CHANNELS, h, w); residual (B, 2, h, w); scale (B,), see `vivae.vae.segmenter.Signs`; labels uint8
    (B, h, w), 0 camera, 1 moves by itself, 255 not known."""

    inputs: NDArray[np.float32]
    residual: NDArray[np.float32]
    scale: NDArray[np.float32]
    labels: NDArray[np.uint8]


class FlowSampler:
    """sampler(step) -> `FlowBatch`, this process's share; a pure function of seed, step and process."""

    def __init__(
        self,
        passages: Sequence[Passage],
        data: DataSettings,
        scenes: SceneSettings,
        stage: Stage,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ):
        check_batch(stage, world)
        self.passages = check_usable(list(passages), 2 * REACH + 1)
        chances = np.sqrt([len(passage) for passage in self.passages])
        self.chances = chances / chances.sum()
        self.data, self.scenes, self.stage = data, scenes, stage
        self.seed, self.rank, self.world = seed, rank, world
        self.motion = Motion(finest=FINEST)

    def __call__(self, step: int) -> FlowBatch:
        share = self.stage.batch // self.world
        made = round(self.scenes.share * self.stage.batch)
        drawn = [
            self._draw(np.random.default_rng((self.seed, step, index)), index < made)
            for index in range(self.rank * share, (self.rank + 1) * share)
        ]
        return FlowBatch(*(np.stack(part) for part in zip(*drawn, strict=True)))

    def _draw(self, rng: np.random.Generator, made: bool) -> tuple[Any, ...]:
        luma, known = self._made(rng) if made else self._real(rng)
        if rng.random() < 0.5:
            luma, known = luma[:, :, ::-1], known[:, ::-1]
        if rng.random() < 0.5:
            luma = luma[::-1]
        here = luma[HERE]
        signs = flow_signs([self.motion.between(here, luma[TIMES.index(gap)]) for gap in GAPS])
        known = np.ascontiguousarray(known[::COARSER, ::COARSER])
        return signs.inputs, signs.residual, np.float32(signs.scale), known

    def _real(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        frames = self.passages[rng.choice(len(self.passages), p=self.chances)].frames
        side = self.data.crop // 4
        stride = 2 if rng.random() < 0.25 and len(frames) > 4 * REACH + 2 else 1
        first, top, left = draw_place(rng.random(3), frames.shape, (2 * REACH * stride + 1, side, side))
        part = frames[
            first : first + 2 * REACH * stride + 1 : stride, :, top : top + side, left : left + side
        ]
        luma = np.stack([unpack(frame, self.data.crop, self.data.crop)[0] for frame in part])
        return luma, np.full(luma.shape[1:], UNKNOWN, np.uint8)

    def _made(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        objects = int(rng.choice(len(self.scenes.objects), p=self.scenes.objects))
        pictures = [self._picture(rng) for _ in range(objects + 1)]
        scene = make_scene(rng, pictures, self.data.crop, TIMES)
        return scene.frames, (scene.labels[HERE] > 0).astype(np.uint8)

    def _picture(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The luma of a frame, somewhat enlarged or not."""
        frames = self.passages[rng.choice(len(self.passages), p=self.chances)].frames
        packed = frames[int(rng.integers(len(frames)))]
        height, width = (4 * side for side in packed.shape[1:])
        scale = float(rng.uniform(1, 1.5))
        luma = cv2.resize(
            unpack(packed, height, width)[0], None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR
        )
        return np.asarray(luma, np.uint8)


class FlowELBO(nn.Module):
    """The loss of a batch, in nats a pixel."""

    def __init__(self, model: FlowSegmenter, prior: float, precision: torch.dtype | None):
        super().__init__()
        self.model = model
        self.precision = precision
        others = model.config.classes - 1
        self.log_prior = torch.log(torch.tensor([prior, *[(1 - prior) / others] * others]))

    def forward(
        self, inputs: Tensor, residual: Tensor, scale: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FlowBatch` for the shapes. Figures: the parts of the loss, and J of what is known to move."""
        with torch.autocast(
            inputs.device.type, dtype=self.precision or torch.bfloat16, enabled=self.precision is not None
        ):
            logits = self.model(inputs)
        log_q = F.log_softmax(logits.float(), 1).flatten(2)
        q = log_q.exp()
        flow = residual.flatten(2).transpose(1, 2)
        terms = quadratic_terms(*residual.shape[2:]).to(flow.device)
        with torch.no_grad():
            motion = fit_motion(flow, q, terms)
            rest = (flow[:, None] - terms @ motion).abs().sum(3)
            error = LIMIT * torch.tanh(rest / (2 * scale[:, None, None]) / LIMIT)
        distortion = (q * error).sum(1).mean()
        divergence = (q * (log_q - self.log_prior.to(q.device)[:, None])).sum(1).mean()
        observed, overlap = _observed(log_q, labels.flatten(1))
        return distortion + divergence + observed, {
            "distortion": distortion.detach(), "divergence": divergence.detach(),
            "observed": observed.detach(), "overlap": overlap,
        }  # fmt: skip


def _observed(log_q: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """-log q of what is known, the rarer side weighing more; and J at one half."""
    still = log_q[:, 0]
    moves = torch.log1p(-still.exp().clamp(max=1 - 1e-6))
    is_still, is_moving = labels == 0, labels == 1
    known = (is_still | is_moving).sum().clamp_min(1)
    loss = -(still * is_still).sum() / known - OBJECT_WEIGHT * (moves * is_moving).sum() / known
    found = still.exp() < 0.5
    both = (found & is_moving).sum()
    either = ((found & is_still) | is_moving).sum().clamp_min(1)
    return loss, (both / either).detach()


OBJECT_WEIGHT = 2.0


class MotionLesson:
    """See `vivae.train.lesson.Lesson`."""

    model: nn.Module

    def __init__(self, model: FlowSegmenter, prior: float, windows: Sequence[FlowBatch]):
        self.model = self.segmenter = model
        self.prior = prior
        self.windows = windows

    def module(self, precision: torch.dtype | None) -> nn.Module:
        return FlowELBO(self.segmenter, self.prior, precision)

    def batch(self, drawn: FlowBatch, step: int, generator: torch.Generator) -> tuple[Any, ...]:
        return _tensors(drawn, on_device(self.segmenter))

    def settle(self, model: nn.Module) -> None:
        """Nothing is derived."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean loss over the windows, and J where the truth is known."""
        assert isinstance(model, FlowSegmenter)
        elbo = FlowELBO(model, self.prior, None)
        found = [elbo(*_tensors(window, on_device(model))) for window in self.windows]
        return {
            "test_loss": sum(loss.item() for loss, _ in found) / len(found),
            "test_overlap": sum(told["overlap"].item() for _, told in found) / len(found),
        }


def _tensors(drawn: FlowBatch, device: torch.device) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in drawn)
