"""How near a set of generated clips is to a set of real ones, in the features of a fixed network."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

Features = NDArray[np.float64]
"""(N, D), a row a clip."""
NEIGHBOURS = 3


@dataclass(frozen=True, slots=True)
class SetQuality:
    """Of a generated set against a real one."""

    frechet: float
    """Fréchet distance of the two Gaussians; 0 is equal. Depends on the size of the sets: compare equal ones only."""
    precision: float
    """Share of generated clips inside the real set's manifold: realism."""
    recall: float
    """Share of real clips inside the generated set's manifold: coverage."""
    diversity: float
    """Mean distance between generated clips over that between real ones; 1 is as diverse."""


def compare_sets(real: Features, made: Features) -> SetQuality:
    """All figures. Raises ValueError for sets too small to have neighbours."""
    if min(len(real), len(made)) <= NEIGHBOURS:
        raise ValueError(f"sets of {len(real)} and {len(made)} clips are too small to compare")
    apart_real, apart_made, between = cdist(real, real), cdist(made, made), cdist(made, real)
    return SetQuality(
        frechet_distance(real, made),
        _inside(between, _radii(apart_real)),
        _inside(between.T, _radii(apart_made)),
        float(_mean_apart(apart_made) / max(_mean_apart(apart_real), 1e-12)),
    )


def frechet_distance(real: Features, made: Features) -> float:
    """|m - n|^2 + tr(S + R - 2 (S R)^(1/2)) (Heusel et al., NeurIPS 2017), of whatever features these are."""
    shift = real.mean(0) - made.mean(0)
    one, other = np.cov(real, rowvar=False), np.cov(made, rowvar=False)
    root = np.real(sqrtm(one @ other + 1e-9 * np.eye(len(one))))
    return float(max(0.0, shift @ shift + np.trace(one + other - 2 * root)))


def _radii(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each clip to its k-th neighbour, itself not counted."""
    return np.asarray(np.sort(apart, 1)[:, NEIGHBOURS])


def _inside(distances: NDArray[np.float64], radii: NDArray[np.float64]) -> float:
    """Share of rows that lie within some column's radius (Kynkäänniemi et al., NeurIPS 2019)."""
    return float((distances <= radii[None]).any(1).mean())


def _mean_apart(apart: NDArray[np.float64]) -> float:
    count = len(apart)
    return float(apart.sum() / (count * (count - 1)))
