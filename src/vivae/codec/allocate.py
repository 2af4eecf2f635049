"""Spending bits over shots: the cheapest choice of one option for each that keeps a mean quality and a floor.

Lagrangian: each shot takes the option that is best at one common price of quality, and the price is moved until the
mean is met (Shoham, Gersho, IEEE ASSP 1988; over shots: Katsavounidis, "Dynamic optimizer", 2018). Nothing here knows
of video.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from scipy.interpolate import PchipInterpolator

K = TypeVar("K")
ROUNDS = 60
"""Halvings of the interval in which the price lies."""


@dataclass(frozen=True, slots=True)
class Option(Generic[K]):
    """One way to code a shot: its cost, what it gives on any scale on which more is better, and what it is."""

    bits: float
    quality: float
    what: K


@dataclass(frozen=True, slots=True)
class Menu(Generic[K]):
    """The options of one shot, and how much the shot counts in the mean."""

    weight: float
    options: tuple[Option[K], ...]


def cheapest(menus: Sequence[Menu[K]], mean: float, worst: float) -> list[Option[K]]:
    """One option of each menu: least bits with the weighted mean quality at least `mean`, and each at least `worst`.

    Where a shot cannot reach `worst` its best option counts as reaching it; where all cannot reach `mean`, all are at
    their best.
    """
    allowed = [_above(menu.options, worst) for menu in menus]
    weights = [menu.weight for menu in menus]

    def at(price: float) -> list[Option[K]]:
        return [
            min(options, key=lambda option: (option.bits - price * weight * option.quality, option.bits))
            for options, weight in zip(allowed, weights, strict=True)
        ]

    low, high = 0.0, 1.0
    if _mean(at(low), weights) >= mean:
        return at(low)
    while _mean(at(high), weights) < mean:
        if high > 1e18:
            return [max(options, key=lambda option: option.quality) for options in allowed]
        low, high = high, 8 * high
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean(at(middle), weights) < mean else (low, middle)
    return _trimmed(at(high), allowed, weights, mean)


def _trimmed(
    chosen: list[Option[K]], allowed: Sequence[Sequence[Option[K]]], weights: Sequence[float], mean: float
) -> list[Option[K]]:
    """What the common price gives beyond the mean is given back where that saves most: options come in steps."""
    while True:
        spare = (_mean(chosen, weights) - mean) * sum(weights)
        swaps = [
            (chosen[index].bits - option.bits, index, option)
            for index, options in enumerate(allowed)
            for option in options
            if option.bits < chosen[index].bits
            and (chosen[index].quality - option.quality) * weights[index] <= spare
        ]
        if not swaps:
            return chosen
        _, index, option = max(swaps, key=lambda swap: swap[0])
        chosen[index] = option


def _above(options: Iterable[Option[K]], worst: float) -> list[Option[K]]:
    every = list(options)
    enough = [option for option in every if option.quality >= worst]
    return enough or [max(every, key=lambda option: option.quality)]


def _mean(options: Sequence[Option[K]], weights: Sequence[float]) -> float:
    return sum(o.quality * w for o, w in zip(options, weights, strict=True)) / sum(weights)


def interpolated(
    probes: Iterable[tuple[float, float, float]], step: float
) -> list[tuple[float, float, float]]:
    """(setting, bits, quality) at every `step` of the setting between those of at least one probe, ends included."""
    settings, bits, qualities = np.array(sorted(probes), dtype=float).T
    if len(settings) == 1:
        return [(float(settings[0]), float(bits[0]), float(qualities[0]))]
    log_bits = PchipInterpolator(settings, np.log(bits))
    quality = PchipInterpolator(settings, qualities)
    wanted = np.arange(settings[0], settings[-1] + step / 2, step)
    return [
        (float(at), float(np.exp(log_bits(at))), float(quality(at)))
        for at in np.minimum(wanted, settings[-1])
    ]
