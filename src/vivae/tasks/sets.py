"""Sets of clips for a benchmark: drawn from a generator, described by a fixed VAE, shown in a picture."""

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivae.measure.bench import Record
from vivae.media import Frame, atomic_path, encode_png, pack
from vivae.tasks.clips import tiled
from vivae.vae.enhancing import as_tensor
from vivae.vae.generator import Generator
from vivae.vae.model import VideoVAE
from vivae.vae.rollout import draws_of, from_nothing, rolled_out, streamed

SAMPLE_SEED = 1000
FEATURE_STRIDE = 4
"""Every so many frames of a clip are described."""
STEPS = 24
STREAMED = 200
"""Frames over which the speed of a state space is taken."""


def plain(made: Generator, count: int) -> Tensor:
    """`count` windows from a plain prior: independent Gaussians of the measured means and deviations."""
    parts = [
        made.decode(made.natural(made.noise(draws_of(SAMPLE_SEED + at, min(20, count - at)))))
        for at in range(0, count, 20)
    ]
    return torch.cat(parts)


def drawn(made: Generator, count: int, seed: int = SAMPLE_SEED) -> Tensor:
    """`count` windows from the learned prior."""
    parts = []
    for at in range(0, count, 50):
        draws = draws_of(seed + at, min(50, count - at))
        start = from_nothing(made, draws=draws)
        parts += list(rolled_out(made, start, made.frames, draws, steps=STEPS))
    return torch.cat(parts)


def speeds(made: Generator) -> Record:
    """Seconds to one sample of a window, in order, and their median; and frames a second of the state space."""
    seconds = []
    for number in range(6):
        begun = time.perf_counter()
        drawn(made, 1, number)
        seconds.append(time.perf_counter() - begun)
    told: Record = {
        "frames": made.frames,
        "size": "x".join(map(str, reversed(made.size))),
        "seconds": float(np.median(seconds[1:])),
        "runs": seconds[1:],
    }
    return told | {"streamed_fps": _streamed_fps(made)} if made.streams else told


def _streamed_fps(made: Generator) -> float:
    """Once the first window is there."""
    draws = draws_of(SAMPLE_SEED, 1)
    parts = streamed(made, from_nothing(made, draws=draws), made.frames + STREAMED, draws, steps=STEPS)
    next(parts)
    begun = time.perf_counter()
    frames = sum(part.shape[1] for part in parts)
    return frames / (time.perf_counter() - begun)


@torch.inference_mode()
def features(base: VideoVAE, clips: Tensor) -> NDArray[np.float64]:
    """(N, T, H, W) luma -> (N, D): of the base VAE's latent, each frame alone, what a clip's frames have in common.

    For each channel, over time and place: mean, deviation, and the mean size of its change from frame to frame.
    """
    rows = []
    for clip in clips:
        packed = np.stack(
            [_packed(frame) for frame in clip[::FEATURE_STRIDE].mul(255).round().byte().numpy()]
        )
        inputs = torch.cat([as_tensor(frame) for frame in packed])
        quality = torch.ones(len(inputs))
        latent = base.find_latent(inputs, base.initial_state(len(inputs), *inputs.shape[2:]), quality)
        changes = latent.diff(dim=0).abs().mean((0, 2, 3))
        rows.append(torch.cat([latent.mean((0, 2, 3)), latent.std((0, 2, 3)), changes]))
    return torch.stack(rows).double().numpy()


def _packed(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    gray = np.full((luma.shape[0] // 2, luma.shape[1] // 2), 128, np.uint8)
    return pack((luma, gray, gray))


def write_samples(path: Path, sets: dict[str, Tensor]) -> None:
    """A picture: for each set, rows of clips, every second frame."""
    cells = [
        np.repeat((frame.clamp(0, 1) * 255).byte().numpy()[..., None], 3, -1)
        for clips in sets.values()
        for clip in clips
        for frame in clip[::2]
    ]
    columns = len(range(0, next(iter(sets.values())).shape[1], 2))
    picture = tiled(cells, columns)
    with atomic_path(path, force=True) as part:
        part.write_bytes(encode_png(Frame.from_rgb(picture)))
