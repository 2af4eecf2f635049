"""Reading generated digits: a classifier that the benchmark trains, where it looks, and how the digits move."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.train.composed import Composer, Pictures
from vivae.vae.paths import find_places
from vivae.vae.things import ThingsVAE, cut_out, drawn

READER_STEPS = 900
DOUBT = 0.7
"""Deviation, in pixels, of the places at which digits are read."""
CONFIDENT = 0.9
NO_DIGIT = 10
CLEAR = 20.0
"""Pixels, in the larger of the two directions, from which on two digits do not hide each other."""
STRAIGHT = 1.0
"""Pixels that a place may lie from where the last two say it should."""
NEAR_WALL = 4.0


class Reader(nn.Module):
    """28x28 luma -> eleven classes: the digits, and none."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(64 * 49, 11),
        )

    def forward(self, seen: Tensor) -> Tensor:
        out: Tensor = self.layers(seen[:, None])
        return out


def train_reader(pictures: Pictures, seed: int = 0) -> Reader:
    """A classifier of digits that also knows what is none: two digits mixed, a digit's part, blur, noise, nothing."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    reader = Reader().train()
    optimiser = torch.optim.AdamW(reader.parameters(), 1e-3)
    images = torch.from_numpy(pictures.images).float() / 255
    labels = torch.from_numpy(pictures.labels)
    for step in range(READER_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * (1 - step / READER_STEPS) + 1e-5
        chosen = torch.from_numpy(rng.integers(len(images), size=(2, 96)))
        seen = _as_read(images[chosen[0]], images[chosen[1]], rng)
        nothing = torch.zeros(48, 28, 28)
        none = _as_read(_no_digits(images, rng, 48), nothing, rng)
        logits = reader(torch.cat([seen, none]))
        aim = torch.cat([labels[chosen[0]], torch.full((len(none),), NO_DIGIT)])
        optimiser.zero_grad()
        F.cross_entropy(logits, aim).backward()
        optimiser.step()
    return reader.eval().requires_grad_(False)


def _as_read(images: Tensor, beside: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures as they are cut out of clips: drawn between pixels, another one near, the place not quite right."""
    count, box, side = len(images), images.shape[-1], 4 * images.shape[-1]
    places = side / 2 + rng.random((count, 1, 2))
    away = rng.uniform(-box, box, (count, 2))
    # As near as is read: along one direction by `CLEAR` at least.
    far = rng.integers(2, size=count)
    away[np.arange(count), far] = rng.choice([-1, 1], count) * rng.uniform(CLEAR, box + 4, count)
    both = np.stack([places, places + away[:, None]], 1)
    where = torch.from_numpy(both).float()
    frames = drawn(torch.stack([images, beside], 1), where, side)
    doubt = torch.from_numpy(rng.normal(0, DOUBT, (count, 1, 1, 2))).float()
    return cut_out(frames, where[:, :1] + doubt, box)[:, 0, 0]


def _no_digits(images: Tensor, rng: np.random.Generator, count: int) -> Tensor:
    pairs = images[torch.from_numpy(rng.integers(len(images), size=(2, count)))]
    mixed = (pairs[0] + pairs[1].roll(rng.integers(-4, 5, 2).tolist(), (1, 2))) * 0.6
    kind = torch.from_numpy(rng.integers(4, size=count))[:, None, None]
    part = pairs[0].roll(rng.choice([-13, 13, -16, 16], 2).tolist(), (1, 2))
    blurred = F.avg_pool2d(F.pad(pairs[0], [4] * 4), 9, 1) * 1.5
    noise = torch.from_numpy(rng.random((count, 28, 28))).float() * pairs[1].mean((1, 2), keepdim=True) * 2
    found = torch.where(
        kind == 0, mixed, torch.where(kind == 1, part, torch.where(kind == 2, blurred, noise))
    )
    return found.clamp(0, 1)


@dataclass(frozen=True, slots=True)
class Reading:
    """Of a set of clips."""

    legible: float
    """Share of frames with both digits clear of each other in which both are read with confidence."""
    clear: float
    """Share of frames that are such."""
    moving_well: float
    """Share of clips in which every thing goes straight, and turns at the walls only."""
    straight: float
    """Share of steps that go straight or turn at a wall."""
    bounces: float
    """Turns at a wall, a clip."""
    digits: list[float]
    """Share of each digit among those read with confidence."""


@torch.inference_mode()
def read_clips(clips: Tensor, reader: Reader, finder: ThingsVAE, box: int = 28) -> Reading:
    """Clips (N, T, side, side), whoever made them; `finder` sees pixels alone."""
    places, chances = [], []
    for part in clips.split(16):
        found = find_places(finder, part)
        seen = cut_out(part, found, box)
        read = reader(seen.flatten(0, 2)).softmax(-1).reshape(*seen.shape[:3], -1)
        places.append(found)
        chances.append(read)
    where, read = torch.cat(places), torch.cat(chances)
    apart = (where[:, 0] - where[:, 1]).abs().amax(-1) >= CLEAR
    sure, digit = read.max(-1)
    good = (sure >= CONFIDENT) & (digit != NO_DIGIT)
    both = good.all(1)
    counts = torch.bincount(digit[good & apart[:, None]], minlength=NO_DIGIT)[:NO_DIGIT].float()
    straight, bounces = _motion(where.double().numpy(), clips.shape[-1], box)
    return Reading(
        legible=float(both[apart].float().mean()) if apart.any() else 0.0,
        clear=float(apart.float().mean()),
        moving_well=float(straight.all((1, 2)).mean()),
        straight=float(straight.mean()),
        bounces=float(bounces.sum((1, 2)).mean()),
        digits=(counts / counts.sum().clamp_min(1)).tolist(),
    )


def _motion(
    places: NDArray[np.float64], side: int, box: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(N, K, T, 2) -> whether each step goes on as the last, mirrored at the walls; and where walls turned it."""
    low, high = box / 2, side - box / 2
    room = high - low
    at = places - low
    said = 2 * at[:, :, 1:-1] - at[:, :, :-2]
    folded = np.where(said < 0, -said, np.where(said > room, 2 * room - said, said))
    straight = np.abs(at[:, :, 2:] - said).max(-1) <= STRAIGHT
    # A bounce lies between two frames: the step before it may already be short.
    wall = (at[:, :, 1:] < NEAR_WALL) | (at[:, :, 1:] > room - NEAR_WALL)
    near = wall[:, :, 1:] | wall[:, :, :-1]
    along = np.abs(at[:, :, 2:] - said) <= STRAIGHT
    turned = near & (np.abs(at[:, :, 2:] - folded) <= 2 * NEAR_WALL)
    fits = straight | (along | turned).all(-1)
    steps = np.diff(at, axis=2)
    turns = (np.sign(steps[:, :, 1:]) != np.sign(steps[:, :, :-1])) & near & (np.abs(steps[:, :, 1:]) > 0.5)
    return fits, turns.any(-1).astype(np.float64)


def composed_clips(pictures: Pictures, count: int, seed: int, vae: ThingsVAE, speed: float) -> Tensor:
    """Real clips (count, T, side, side) of these pictures."""
    config = vae.config
    composer = Composer(
        pictures,
        things=config.things,
        frames=config.frames,
        side=config.side,
        speed=speed,
        batch=min(count, 25),
        seed=seed,
    )
    parts: list[Tensor] = []
    while sum(map(len, parts)) < count:
        parts.append(composer(len(parts)).frames)
    return torch.cat(parts)[:count]


Make = Callable[[int], Tensor]
"""count -> clips (count, T, side, side)."""
