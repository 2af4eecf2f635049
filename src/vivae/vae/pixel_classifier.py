"""Which pixels are the object's, learned from one video while it runs: ridge regression on random Fourier features.

Cosines of random projections of a pixel's colour, texture and surroundings stand for a Gaussian kernel (Rahimi and
Recht, NeurIPS 2007), so this is kernel regression whose training is one sum over pixels and one small system. The sum
over what a person said is kept apart from that over the frames since, and never fades.
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[Any]
"""float32."""

COARSER = 2
"""Pixels that share one sample, each way."""
FEATURES = 192
WIDTH = 0.35
"""Of the kernel, inversely, in the units of `pixel_signs`."""
RIDGE = 1e-3
KEPT = 0.9
"""Share of the older frames in what the frames since add up to."""
SAID = 0.5
"""Share of what a person said beside what was found since."""
NEAR = 40.0
"""Pixels, at 240 lines, from an object at which its surroundings count less by 1/e than those that touch it."""


def pixel_signs(picture: NDArray[np.uint8], moving: Field) -> Field:
    """Y, U, V (h, w, 3) and what moves (h, w) -> (h / 2, w / 2, SIGNS): colours at three scales, edges, motion."""
    size = max(1, picture.shape[1] // COARSER), max(1, picture.shape[0] // COARSER)
    centred = (picture.astype(np.float32) - 128) * np.array([1, 2, 2], np.float32)
    fine = cv2.resize(centred, size, interpolation=cv2.INTER_AREA)
    across = cv2.Sobel(picture[..., 0], cv2.CV_32F, 1, 0)
    down = cv2.Sobel(picture[..., 0], cv2.CV_32F, 0, 1)
    slopes = np.dstack(
        [np.abs(across), np.abs(down), 0.7 * np.abs(across + down), 0.7 * np.abs(across - down)]
    )
    slopes = cv2.GaussianBlur(cv2.resize(slopes, size, interpolation=cv2.INTER_AREA), (0, 0), 2)
    motion = cv2.resize(moving, size, interpolation=cv2.INTER_AREA)
    return np.dstack(
        [
            fine / 25, cv2.GaussianBlur(fine, (0, 0), 2) / 22, cv2.GaussianBlur(fine, (0, 0), 5) / 25,
            np.sqrt(slopes) / 5, MOTION * motion, MOTION * cv2.GaussianBlur(motion, (0, 0), 3),
        ]
    ).astype(np.float32)  # fmt: skip


SIGNS = 15
MOTION = 2.0
"""How much motion counts beside colour."""


class FourierFeatures:
    """(N, SIGNS) to (N, FEATURES + 1); always the same draw."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._project = (WIDTH * rng.normal(0, 1, (SIGNS, FEATURES))).astype(np.float32)
        self._shift = rng.uniform(0, 2 * np.pi, FEATURES).astype(np.float32)

    def __call__(self, signs: Field) -> Field:
        rows = signs.reshape(-1, signs.shape[-1])
        waves = np.cos(rows @ self._project + self._shift)
        return np.concatenate([waves, np.ones((len(rows), 1), np.float32)], 1)


class PixelClassifier:
    """Learns from features (N, FEATURES + 1) and masks (N,), and tells of new ones: above 0 the object, below not."""

    def __init__(self) -> None:
        self._said: list[tuple[Field, Field]] = []
        self._since: tuple[Field, Field] | None = None
        self._weights = np.zeros(FEATURES + 1, np.float32)

    def say(self, features: Field, mask: Field) -> None:
        """A mask (h, w), 0 to 1, that a person gave; it counts for good."""
        self._said.append(_sums(features, mask, _balance(mask)))
        self._since = None
        self._solve()

    def follow(self, features: Field, mask: Field, kept: float = KEPT) -> None:
        """A mask that was found; what is unsure in it counts less. kept: share of the older frames in the sum."""
        sums = _sums(features, mask, _balance(mask) * np.abs(2 * mask - 1))
        before = self._since or sums
        self._since = _mixed(before, sums, kept)
        self._solve()

    def tell(self, features: Field) -> Field:
        """(N,): about 1 for the object, about -1 for what is not."""
        return features @ self._weights

    @property
    def state(self) -> dict[str, Field]:
        """What was learned, by name: for another one to go on as this one would."""
        sums = {f"said {count}": said for count, said in enumerate(self._said)}
        if self._since is not None:
            sums["since"] = self._since
        return {f"{name} {part}": array for name, both in sums.items() for part, array in enumerate(both)}

    @state.setter
    def state(self, state: Mapping[str, Field]) -> None:
        sums = {name[:-2]: (state[name], state[f"{name[:-2]} 1"]) for name in state if name.endswith(" 0")}
        self._since = sums.pop("since", None)
        self._said = [sums[f"said {count}"] for count in range(len(sums))]
        self._solve()

    def _solve(self) -> None:
        sums = None
        for count, said in enumerate(self._said):
            sums = said if sums is None else _mixed(sums, said, count / (count + 1))
        if self._since is not None:
            sums = self._since if sums is None else _mixed(sums, self._since, SAID)
        assert sums is not None
        normal, moment = sums
        self._weights = np.linalg.solve(normal + RIDGE * np.eye(len(moment)), moment).astype(np.float32)


def _mixed(a: tuple[Field, Field], b: tuple[Field, Field], share: float) -> tuple[Field, Field]:
    return share * a[0] + (1 - share) * b[0], share * a[1] + (1 - share) * b[1]


def _balance(mask: Field) -> Field:
    """Weights (h, w): object and surroundings weigh the same, and what is near counts most."""
    inside = mask > 0.5
    if not inside.any() or inside.all():
        return np.ones_like(mask)
    distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3) * COARSER
    near = 0.1 + 0.9 * np.exp(-distance / NEAR)
    return np.where(inside, 1 / inside.sum(), near / near[~inside].sum()).astype(np.float32)


def _sums(features: Field, mask: Field, weights: Field) -> tuple[Field, Field]:
    share = (weights / max(float(weights.sum()), 1e-9)).ravel()
    weighted = features * share[:, None]
    return (weighted.T @ features).astype(np.float64), weighted.T @ np.where(mask > 0.5, 1.0, -1.0).ravel()
