"""How the shipped `ShotHead` was made: `python -m vivae.train.shots --data DIR`, a few minutes on a CPU.

Synthetic transitions of the footage in DIR, with look-alikes; every fifth file is kept apart to judge by.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.nn import functional as F

from vivae.media import atomic_path
from vivae.train.footage import footage_of
from vivae.train.splices import Footage, Splice, make_splice
from vivae.vae.shot_head import FORMAT, ShotHead
from vivae.vae.shot_signs import rows_of, thumb_of

logger = logging.getLogger(__name__)

SOURCE_SIZE, SIZE = (160, 90), (128, 72)
SHOTS = 12
"""Of a splice."""
WINDOW = 192
"""Rows of a training sample."""


@dataclass(frozen=True)
class Lesson:
    """Rows (SIGNS, T) of a splice and what is true of each: (2, T), cut and gradual."""

    rows: NDArray[np.float32]
    truth: NDArray[np.float32]


def lesson_of(splice: Splice) -> Lesson:
    """The splice as the detector will see it."""
    thumbs = (thumb_of((f[..., 0], f[::2, ::2, 1], f[::2, ::2, 2])) for f in splice.frames)
    rows = np.stack(list(rows_of(thumbs)), 1)
    truth = np.zeros((2, rows.shape[1]), np.float32)
    truth[0, splice.cuts] = 1
    for first, end, _ in splice.graduals:
        truth[1, first:end] = 1
    return Lesson(rows, truth)


_footage: list[Footage] = []
"""Of a worker; too much to be sent with each task."""


def _equip(footage: Sequence[Footage]) -> None:
    cv2.setNumThreads(1)
    _footage.extend(footage)


def _lesson(seed: int, number: int) -> Lesson:
    """The `number`-th of an endless row of lessons."""
    rng = np.random.default_rng((seed, number))
    return lesson_of(_coarsened(rng, make_splice(rng, _footage, SIZE, SHOTS)))


def _coarsened(rng: np.random.Generator, splice: Splice) -> Splice:
    """Noise and blocks such as cheap compression leaves."""
    if rng.random() < 0.5:
        noise = rng.normal(0, rng.uniform(0.5, 6), splice.frames.shape)
        splice.frames = np.clip(splice.frames + noise, 0, 255).astype(np.uint8)
    return splice


def teach(training: Sequence[Lesson], steps: int, seed: int) -> ShotHead:
    """Fit a head to lessons."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = ShotHead()
    every = np.concatenate([lesson.rows for lesson in training], 1)
    head.mean.copy_(torch.from_numpy(every.mean(1, keepdims=True)))
    head.scale.copy_(torch.from_numpy(every.std(1, keepdims=True) + 1e-3))
    optimiser = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    weight = torch.tensor([4.0, 1.0])[:, None]
    for step in range(steps):
        batch = []
        for _ in range(24):
            lesson = training[int(rng.integers(len(training)))]
            at = int(rng.integers(0, lesson.rows.shape[1] - WINDOW))
            batch.append((lesson.rows[:, at : at + WINDOW], lesson.truth[:, at : at + WINDOW]))
        rows, truth = (torch.from_numpy(np.stack(part)) for part in zip(*batch, strict=True))
        # Some inputs are withheld, so that none is relied on alone.
        rows = torch.where(torch.rand(len(rows), rows.shape[1], 1) < 0.03, head.mean, rows)
        loss = F.binary_cross_entropy_with_logits(head(rows), truth, pos_weight=weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 500 == 0:
            logger.info("step %d: loss %.4f", step, loss.item())
    return head.eval()


def save_head(head: ShotHead, path: Path, notes: dict[str, object]) -> None:
    """Weights as float16, whole or not at all."""
    header = json.dumps({"format": FORMAT, "notes": notes})
    tensors = {key: value.half().contiguous() for key, value in head.state_dict().items()}
    with atomic_path(path, force=True) as part:
        save_file(tensors, part, metadata={"vivae": header})


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m vivae.train.shots", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder with videos")
    parser.add_argument("--output", "-o", type=Path, required=True, help="the .safetensors to write")
    parser.add_argument("--splices", type=int, default=240)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    paths = [path for path in options.data.iterdir() if path.is_file()]
    shots = [shot for clip in footage_of(paths, SOURCE_SIZE, 360).values() for shot in clip]
    with ProcessPoolExecutor(options.workers, initializer=_equip, initargs=(shots,)) as pool:
        made = list(pool.map(partial(_lesson, options.seed), range(options.splices), chunksize=4))
    head = teach(made, options.steps, options.seed)
    save_head(
        head, options.output, {"splices": options.splices, "steps": options.steps, "seed": options.seed}
    )


if __name__ == "__main__":
    main()
