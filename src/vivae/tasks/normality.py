"""What is usual before a camera, learned from normal footage, and how strange a region or a frame is beside it.

Two signs of each region: how far its motion, shape and place lie from their nearest neighbours among normal ones, and
the negative ELBO of a conditional VAE of its look given its motion. Both are scaled by what normal footage that was
held back reaches, and added.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy.spatial import cKDTree

from vivae.errors import FormatError, InputError
from vivae.media import atomic_path
from vivae.tasks.regions import FIGURES, Map, Regions, View
from vivae.vae.region import RegionVAE

FORMAT = "vivae normality 2"
SIGNS = ("motion", "surprise")
WEIGHTS = np.array((1, 1, 1, 2, 4, 2, 1), np.float32)
"""Of the figures, speeds in units of the usual one, in the distance between regions."""
NEIGHBOURS = 3
TRIM = 0.02
"""Share of the normal regions, the farthest from those of other clips, that are not believed to be normal."""
LOCAL = 200
"""Normal regions, the nearest in place, that a reason is judged by."""
STRANGE_PLACE = 0.08
"""Shares of the picture from the nearest place where something ever moved."""
AT = 0.995
"""Share of held-back normal frames that score below 1."""
TAIL = 0.1
"""Share of the held-back scores, the highest, whose fall tells how often a higher one is to be expected."""
EVENT_SECONDS = 1.2
"""That a false alarm lasts, about: neighbouring frames are alike."""
NOTHING = -4.0
"""Of a frame in which nothing moves, in the units in which both signs are added."""


@dataclass
class Normality:
    """What was learned of one camera. bank (N, 7): weighted figures of normal regions."""

    view: View
    network: RegionVAE
    bank: Map
    middle: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SIGNS, 0.0))
    spread: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SIGNS, 1.0))
    """By sign: the median of held-back frames' largest values, and how far above it the highest twentieth begins."""
    low: float = 0.0
    high: float = 1.0
    """Of the sums of both signs, what is called 0 (the median of frames) and 1."""
    surprises: Map = field(default_factory=lambda: np.zeros(1, np.float32))
    scores: Map = field(default_factory=lambda: np.zeros(1, np.float32))
    """Of held-back regions and of held-back frames, sorted."""
    fps: float = 25.0
    notes: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.bank)

    @cached_property
    def _places(self) -> cKDTree:
        return cKDTree(self.bank[:, 5:] / WEIGHTS[5:])

    def signs(self, regions: Regions) -> Map:
        """(N, 2): distance to normal motion, and nats."""
        if not len(regions.figures):
            return np.zeros((0, len(SIGNS)), np.float32)
        near = min(NEIGHBOURS, len(self.bank))
        distance = self._tree.query(weighted(regions.figures, self.view.speed), k=near)[0]
        with torch.inference_mode():
            judged = self.network(
                torch.from_numpy(regions.looks).float(), torch.from_numpy(regions.conditions).float()
            )
            nats = (judged.distortion + judged.rate).numpy()
        return np.stack([distance.reshape(len(nats), near).mean(1), nats], 1).astype(np.float32)

    def parts(self, signs: Map) -> Map:
        """(N, 2) signs to shares of a score: their sum is 1 where normal footage is at its strangest."""
        middle, spread = ([of[name] for name in SIGNS] for of in (self.middle, self.spread))
        scaled = (signs - np.array(middle)) / np.array(spread)
        return np.asarray((scaled - self.low / len(SIGNS)) / (self.high - self.low), np.float32)

    @property
    def nothing(self) -> float:
        """The score of a frame in which nothing moves."""
        return (NOTHING - self.low) / (self.high - self.low)

    def threshold(self, per_hour: float) -> tuple[float, bool]:
        """The score that normal footage exceeds so often, and whether enough of it was seen to know.

        Beyond what was seen, the highest scores are taken to fall off exponentially.
        """
        hours = len(self.scores) / self.fps / 3600
        wanted = per_hour / 3600 * EVENT_SECONDS
        tail = self.scores[-max(8, round(TAIL * len(self.scores))) :]
        slope = max(float(np.mean(tail - tail[0])), 1e-3)
        share = len(tail) / len(self.scores)
        score = float(tail[0]) + slope * float(np.log(max(share / wanted, 1.0)))
        return score, hours * per_hour >= 1

    def reason(self, figures: Map, signs: Map) -> str:
        """In words, what is strange about one region. figures (7,), signs (2,)."""
        motion, surprise = self.parts(signs[None])[0]
        if surprise > motion:
            below = float((self.surprises < signs[1]).mean())
            return f"looks unlike {_share(below)} of what moved here, for the way it moves"
        far, which = self._places.query(figures[5:], k=min(LOCAL, len(self.bank)))
        if np.min(far) > STRANGE_PLACE:
            return "moves where nothing was seen to move"
        around = self.bank[np.atleast_1d(which)]
        own = weighted(figures[None], self.view.speed)[0]
        faster, larger = (float((around[:, k] < own[k]).mean()) for k in (2, 4))
        slower = float((around[:, 2] > own[2]).mean())
        along = float((around[:, :2] @ own[:2] > 0).mean())
        told = {
            f"faster than {_share(faster)} of what was seen here": faster,
            f"larger than {_share(larger)} of what was seen here": larger,
            f"moves against {_share(1 - along)} of what was seen here": 1 - along - 0.02,
            f"slower than {_share(slower)} of what was seen here": slower - 0.02,
        }
        words, extreme = max(told.items(), key=lambda item: item[1])
        return words if extreme > 0.9 else "speed, size and place do not go together as they do here"

    def save(self, path: Path, force: bool) -> None:
        """Write it as safetensors."""
        tensors = {f"network.{name}": value.numpy() for name, value in self.network.state_dict().items()}
        tensors |= {"background": self.view.background, "bank": self.bank}
        tensors |= {"surprises": self.surprises, "scores": self.scores}
        header = {name: getattr(self, name) for name in ("middle", "spread", "low", "high", "fps", "notes")}
        header |= {"format": FORMAT, "gap": self.view.gap, "speed": self.view.speed}
        with atomic_path(path, force) as beside:
            Path(beside).write_bytes(save(tensors, metadata={"vivae": json.dumps(header)}))


def load_normality(path: Path) -> Normality:
    """Raises InputError where there is none, FormatError where it is not one."""
    if not path.is_file():
        raise InputError(f"there is no model {path}: make one with vivae detect fit")
    try:
        with safe_open(path, framework="np") as file:
            header = json.loads((file.metadata() or {}).get("vivae", "{}"))
            if header.get("format") != FORMAT:
                raise FormatError(f"'{path}' is no model of this version's vivae detect fit: make it anew")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        network = RegionVAE()
        weights = {name: torch.from_numpy(tensors[f"network.{name}"]) for name in network.state_dict()}
        network.load_state_dict(weights)
        return Normality(
            View(tensors["background"], header["gap"], header["speed"]),
            network.eval(),
            tensors["bank"],
            header["middle"],
            header["spread"],
            header["low"],
            header["high"],
            tensors["surprises"],
            tensors["scores"],
            header["fps"],
            header["notes"],
        )
    except (SafetensorError, RuntimeError, ValueError, KeyError, OSError) as error:
        raise FormatError(f"'{path}' is no whole model of vivae detect fit") from error


def weighted(figures: Map, speed: float) -> Map:
    """Figures (N, 7) as points whose distance counts."""
    units = np.array([speed] * 3 + [1.0] * (len(FIGURES) - 3), np.float32)
    return np.asarray(figures / units * WEIGHTS, np.float32)


def trusted(points: Map, clips: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which of the points (N, 7) are like those of other clips: the farthest few may be abnormal ones among the normal.

    clips: (N,), where each comes from. All, where there is but one clip.
    """
    if len(np.unique(clips)) < 2:
        return np.ones(len(points), np.bool_)
    far = np.zeros(len(points))
    for clip in np.unique(clips):
        own = clips == clip
        others = cKDTree(points[~own])
        found = others.query(points[own], k=min(NEIGHBOURS, int((~own).sum())))[0]
        far[own] = found.reshape(int(own.sum()), -1).mean(1)
    return np.asarray(far <= np.quantile(far, 1 - TRIM))


def calibrate(normality: Normality, held: Sequence[Sequence[Map]], smoothing: int) -> None:
    """Set scales and scores of `normality` from held-back footage: of each clip, the signs (N, 2) of every frame."""
    seen = [signs for clip in held for signs in clip if len(signs)]
    if len(seen) < 8:
        raise InputError(
            "the normal footage shows hardly anything that moves: give several clips, or some minutes of one"
        )
    peaks = np.stack([signs.max(0) for signs in seen])
    for column, name in enumerate(SIGNS):
        middle = float(np.median(peaks[:, column]))
        normality.middle[name] = middle
        normality.spread[name] = max(float(np.quantile(peaks[:, column], 0.95)) - middle, 1e-6)
    normality.low, normality.high = 0.0, 1.0
    sums = [np.array([frame_score(normality, signs) for signs in clip]) for clip in held if len(clip)]
    smooth = np.concatenate([smoothed(clip, smoothing) for clip in sums])
    normality.low = float(np.median(smooth))
    normality.high = max(float(np.quantile(smooth, AT)), normality.low + 1e-3)
    normality.scores = np.sort((smooth - normality.low) / (normality.high - normality.low)).astype(np.float32)
    every = np.concatenate([signs[:, 1] for signs in seen])
    normality.surprises = np.quantile(every, np.linspace(0, 1, 1001)).astype(np.float32)


def frame_score(normality: Normality, signs: Map) -> float:
    """Of its strangest region."""
    return float(normality.parts(signs).sum(1).max()) if len(signs) else normality.nothing


def smoothed(scores: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """The mean over up to `reach` frames to either side."""
    sums = np.concatenate([[0.0], np.cumsum(scores)])
    places = np.arange(len(scores))
    first, last = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(scores))
    return np.asarray((sums[last] - sums[first]) / (last - first))


def _share(share: float) -> str:
    return f"{100 * min(share, 0.999):.1f} %"
