"""Where things are: from maps of places to paths that keep to their thing, and between places and speeds.

Two things that cross are told apart by their motion: of all ways to join the places of successive frames into paths,
the one whose speeds change least (found exactly, by dynamic programming).
"""

from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivae.vae.things import CELL, ThingsVAE, drawn

SPREAD = 1.2
"""Standard deviation, in cells, of a thing's patch in the map of places."""
ROUNDS = 12
LEAST = 0.1
"""Share of the map that a thing must own; one that does not is hidden, and where the other is."""
HIDDEN = 9.0
"""Pixels between two things below which their places are not told apart well."""
NOISE, BEND = 0.02, 20.0
"""In `refined`: what the squared error of a pixel is divided by, and what a change of speed by a pixel costs."""
APART = 2
"""Cells between two peaks at least."""


def places_in(chances: Tensor, things: int) -> Tensor:
    """Map of places (N, h, w), summing to 1 -> (N, things, 2) centres in pixels, x then y, in no order.

    Peaks begin, and a mixture of as many round patches is then fitted to the map by expectation maximisation, so that
    places fall between cells and two things close together are told apart.
    """
    count, height, width = chances.shape
    device = chances.device
    rows, columns = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    cells = torch.stack([columns, rows], -1).reshape(-1, 2).float()
    flat = chances.reshape(count, -1)
    left, centres = flat.clone(), []
    for _ in range(things):
        peak = cells[left.argmax(1)]
        centres.append(peak)
        near = ((cells[None] - peak[:, None]).abs() < APART).all(-1)
        left = left.masked_fill(near, 0.0)
    found = torch.stack(centres, 1)
    for _ in range(ROUNDS):
        distance = ((cells[None, None] - found[:, :, None]) ** 2).sum(-1)
        owned = (-distance / (2 * SPREAD**2)).softmax(1) * flat[:, None]
        weight = owned.sum(2, keepdim=True)
        moved = (owned @ cells) / weight.clamp_min(1e-6)
        found = torch.where(weight > 1e-3, moved, found)
    heaviest = found.gather(1, weight.argmax(1, keepdim=True).expand(-1, -1, 2))
    found = torch.where(weight > LEAST, found, heaviest)
    return found * CELL + CELL / 2


def joined(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, K, 2) in no order -> the same in an order that makes smooth paths of them."""
    count, things = places.shape[:2]
    orders = np.array(list(permutations(range(things))))
    if count < 3 or things == 1:
        return places
    options = places[:, orders]  # (T, O, K, 2)
    # cost[a, b]: of the best paths that end with order a, then b.
    steps = options[1][None] - options[0][:, None]
    cost = 1e-3 * (steps**2).sum((2, 3))
    back = []
    for time in range(2, count):
        bend = (
            options[time][None, None]
            - 2 * options[time - 1][None, :, None]
            + options[time - 2][:, None, None]
        )
        # Absolute values: a bounce bends a path once, and must not be feared too much.
        total = cost[:, :, None] + np.sqrt((bend**2).sum(-1)).sum(-1)
        back.append(total.argmin(0))
        cost = total.min(0)
    before, last = np.unravel_index(cost.argmin(), cost.shape)
    chosen = [int(last), int(before)]
    for pointers in reversed(back):
        chosen.append(int(pointers[chosen[-1], chosen[-2]]))
    return np.stack([options[time][order] for time, order in enumerate(reversed(chosen))])


def mended(paths: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, K, 2): where things hide each other, straight on from where they were told apart to where they are again."""
    count, things = paths.shape[:2]
    pairs = [(a, b) for a in range(things) for b in range(a)]
    if not pairs:
        return paths
    nearest = np.min([np.linalg.norm(paths[:, a] - paths[:, b], axis=-1) for a, b in pairs], axis=0)
    sure = np.flatnonzero(nearest >= HIDDEN)
    if len(sure) < 2:
        return paths
    times = np.arange(count)
    lost = (nearest < HIDDEN) & (times > sure[0]) & (times < sure[-1])
    made = paths.copy()
    for thing in range(things):
        for side in range(2):
            made[lost, thing, side] = np.interp(times[lost], sure, paths[sure, thing, side])
    return made


def find_places(vae: ThingsVAE, frames: Tensor) -> Tensor:
    """frames (B, T, side, side) -> paths (B, K, T, 2) in pixels."""
    things = vae.config.things
    maps = vae.place_map(frames).exp()
    found = places_in(maps.flatten(0, 1), things).reshape(*frames.shape[:2], things, 2)
    paths = [mended(joined(clip)) for clip in found.double().cpu().numpy()]
    return torch.from_numpy(np.stack(paths)).float().to(frames.device).transpose(1, 2).contiguous()


def refined(
    vae: ThingsVAE, frames: Tensor, places: Tensor, appearance: Tensor, rounds: int, rate: float = 0.15
) -> tuple[Tensor, Tensor]:
    """Places and appearances that explain these frames better: descent on the squared error, from what was inferred.

    Semi-amortised inference (Kim et al., ICML 2018); with `rounds` 0 what comes in goes out.
    """
    if not rounds:
        return places, appearance
    with torch.inference_mode(False), torch.enable_grad():
        where = places.detach().clone().requires_grad_()
        look = appearance.detach().clone().requires_grad_()
        optimiser = torch.optim.Adam([{"params": [where], "lr": rate}, {"params": [look], "lr": rate / 3}])
        for index in range(rounds):
            for group, base in zip(optimiser.param_groups, (rate, rate / 3), strict=True):
                group["lr"] = base * (1 - index / rounds)
            made = drawn(vae.pictures(look), where, vae.config.side)
            bends = where.diff(dim=2).diff(dim=2).abs().sum()
            error = ((made - frames) ** 2).sum() / NOISE + 0.5 * (look**2).sum() + BEND * bends
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
    return where.detach(), look.detach()


def with_speeds(places: Tensor) -> Tensor:
    """(..., T, 2) -> (..., T, 4): places and the step to the next place (the last step once more)."""
    steps = places.diff(dim=-2)
    return torch.cat([places, torch.cat([steps, steps[..., -1:, :]], -2)], -1)


def without_speeds(told: Tensor, firm: Tensor, trust: float = 16.0) -> Tensor:
    """The places that agree best with places and steps told together, (..., T, 4) -> (..., T, 2).

    Least squares; steps weigh `trust` times as much, as they are told so much more exactly. firm: (..., T) bool, places
    that are known and stay.
    """
    count = told.shape[-2]
    difference = torch.zeros(count - 1, count, dtype=torch.float64, device=told.device)
    index = torch.arange(count - 1, device=told.device)
    difference[index, index], difference[index, index + 1] = -1, 1
    weight = torch.where(firm, 1e6, 1.0).double()
    matrix = trust * difference.T @ difference + torch.diag_embed(weight)
    places, steps = told[..., :2].double(), told[..., :-1, 2:].double()
    aim = weight[..., None] * places + trust * difference.T @ steps
    return torch.linalg.solve(matrix, aim).to(told.dtype)
