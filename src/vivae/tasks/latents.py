"""Walks through a generator's latent space: from one clip to another, and along its strongest directions."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from vivae.errors import InputError
from vivae.tasks.clips import as_clip, ends_of
from vivae.tasks.common import Progress, no_progress
from vivae.vae.flow import Tokens
from vivae.vae.generator import Generator
from vivae.vae.rollout import draws_of, from_nothing

Source = str | os.PathLike[str]
DRAWN = 64
"""Samples of the prior from which its strongest directions are found."""
FAR = 2.0
"""Deviations, each way, that a direction is shown to."""
STEPS = 5


def _flat(tokens: Tokens) -> Tensor:
    return torch.cat([part.flatten(1) for part in tokens], 1)


def _apart(flat: Tensor, like: Tokens) -> Tokens:
    parts = flat.split([part[0].numel() for part in like], 1)
    return [part.reshape(-1, *own.shape[1:]) for part, own in zip(parts, like, strict=True)]


def window_of(generator: Generator, source: Source, steps: int) -> Tokens:
    """Tokens of the first window of a clip, or of what a seed, written as a number, gives."""
    name = os.fspath(source)
    if name.isdigit() and not Path(name).exists():
        draws = draws_of(int(name), 1)
        start = from_nothing(generator, draws=draws)
        return generator.sample(generator.noise(draws), start.given, start.known, steps=steps)
    ends = ends_of(source, generator)
    if ends.total < 2 and generator.unit > 1:
        raise InputError(
            f"'{source}' is a single picture: give a clip of {generator.unit} frames or more, or a seed"
        )
    return generator.encode(as_clip(generator, ends.last))


@torch.inference_mode()
def interpolated(
    generator: Generator,
    ends: Sequence[Source],
    count: int,
    steps: int,
    progress: Progress = no_progress,
) -> list[Tensor]:
    """`count` windows on the straight line from one latent to the other."""
    tokens = [window_of(generator, end, steps) for end in ends]
    first, last = (_flat(part) for part in tokens)
    shares = torch.linspace(0, 1, count)[:, None]
    clips = generator.decode(_apart(torch.lerp(first, last, shares), tokens[0]))
    progress(count, count)
    return list(clips)


@torch.inference_mode()
def traversed(
    generator: Generator, directions: int, seed: int, steps: int, progress: Progress = no_progress
) -> tuple[list[Tensor], int]:
    """A row of windows for each of the strongest directions in samples of the prior, through the one of this seed.

    Directions are the principal ones of the normalised tokens. Returns the windows and how many are in a row.
    """
    draws = draws_of(seed, DRAWN)
    start = from_nothing(generator, draws=draws)
    tokens = generator.normal(
        generator.sample(generator.noise(draws), start.given, start.known, steps=steps, progress=progress)
    )
    flat = _flat(tokens)
    _, spreads, axes = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    count = min(directions, len(axes) - 1)
    reach = torch.linspace(-FAR, FAR, STEPS)[:, None]
    middle = flat.mean(0)
    rows = []
    for index in range(count):
        step = spreads[index] / (DRAWN - 1) ** 0.5
        # What the sample itself has along this direction is replaced, so that the row runs through the usual range.
        own = flat[0] - (flat[0] - middle) @ axes[index] * axes[index]
        clips = generator.decode(generator.natural(_apart(own + reach * step * axes[index], tokens)))
        rows += list(clips)
    return rows, STEPS
