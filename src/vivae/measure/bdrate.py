"""Bjontegaard deltas: two rate-quality curves as one figure, and the range of quality it was taken over.

G. Bjontegaard, VCEG-M33 (2001), with piecewise cubic Hermite interpolation of the logarithm of rate instead of one
cubic, as the JVET common test conditions do: a single cubic overshoots between unevenly spaced points.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

RatePoint = tuple[float, float]
"""Rate in any unit above zero, and quality in dB (or any scale on which more is better)."""


@dataclass(frozen=True, slots=True)
class BjontegaardDelta:
    """The test curve against the anchor."""

    rate_percent: float
    """Mean difference of rate at equal quality; -20 means a fifth fewer bits."""
    quality: float
    """Mean difference of quality at equal rate; NaN where the curves share no rate."""
    low: float
    high: float
    """The range of quality that both curves cover, over which the rate was compared."""
    overlap: float
    """That range as a share of all the quality that either covers: 1 is the whole, below 0.5 is little evidence."""


def bjontegaard(anchor: Iterable[RatePoint], test: Iterable[RatePoint]) -> BjontegaardDelta | None:
    """Compare two curves of at least two useful points each; None where their qualities do not overlap.

    Points that cost more than another of their curve and are no better are left out: no encoder would be used there.
    Raises ValueError for fewer points, or for rates that are not above zero.
    """
    curves = [_useful(points) for points in (anchor, test)]
    (rate_a, quality_a), (rate_b, quality_b) = curves
    low, high = max(quality_a[0], quality_b[0]), min(quality_a[-1], quality_b[-1])
    if low >= high:
        return None
    span = max(quality_a[-1], quality_b[-1]) - min(quality_a[0], quality_b[0])
    log_ratio = _mean(quality_b, rate_b, low, high) - _mean(quality_a, rate_a, low, high)
    cheap, dear = max(rate_a[0], rate_b[0]), min(rate_a[-1], rate_b[-1])
    gain = np.nan
    if cheap < dear:
        gain = _mean(rate_b, quality_b, cheap, dear) - _mean(rate_a, quality_a, cheap, dear)
    return BjontegaardDelta(
        rate_percent=float(np.expm1(log_ratio) * 100),
        quality=float(gain),
        low=float(low),
        high=float(high),
        overlap=float((high - low) / span),
    )


def _useful(points: Iterable[RatePoint]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logarithms of rate and qualities, both strictly increasing."""
    kept: list[RatePoint] = []
    for rate, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not rate > 0:
            raise ValueError(f"a rate of {rate} has no logarithm")
        if not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    if len(kept) < 2:
        raise ValueError("a curve needs two points of which the dearer is better")
    rates, qualities = np.array(kept).T
    return np.log(rates), qualities


def rate_at(points: Iterable[RatePoint], quality: float) -> float | None:
    """The rate that a curve takes for a quality; None where it does not reach so far, or begins above it."""
    log_rates, qualities = _useful(points)
    if not qualities[0] <= quality <= qualities[-1]:
        return None
    return float(np.exp(PchipInterpolator(qualities, log_rates)(quality)))


def _mean(x: NDArray[np.float64], y: NDArray[np.float64], low: float, high: float) -> float:
    """Of the interpolated y over low <= x <= high."""
    return float(PchipInterpolator(x, y).integrate(low, high) / (high - low))
