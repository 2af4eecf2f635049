"""Following objects that a person pointed at, frame by frame, in memory that does not grow.

What is believed of each object comes from four sides: the mask before, moved along the flow; a classifier that learns
the object's colours, texture and motion from this very video (`vivae.vae.pixel_classifier`); what looks like it in
frames whose masks are known (`vivae.vae.resemblance`); and that neighbours belong together. They are added as log odds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.vae.model import VideoVAE
from vivae.vae.moving import View
from vivae.vae.pixel_classifier import COARSER, FourierFeatures, PixelClassifier, pixel_signs
from vivae.vae.resemblance import Resemblance

Field = NDArray[Any]
"""float32 (h, w)."""


@dataclass(frozen=True)
class TrackerSettings:
    """Chosen on five DAVIS sequences, see the lab notes."""

    inertia: float = 1.0
    """Weight of the moved mask."""
    edge: float = 9.0
    """Pixels from the moved mask's edge, at 240 lines, in which its log odds grow by one `inertia`."""
    sure: float = 6.0
    """The most that the moved mask is sure of, in those units."""
    appearance: float = 4.0
    """Weight of the classifier."""
    trust: float = 1.2
    """The most that the classifier is sure of."""
    resemblance: float = 2.0
    """Weight of what looks alike in other frames."""
    smooth: float = 1.0
    """Deviation, in pixels, of the blur of the log odds."""
    least: int = 8
    """Pixels below which an object counts as out of sight."""


class Tracker:
    """Objects by id. `say` what a frame shows, then `follow` those after it. model: whose features are compared."""

    def __init__(self, model: VideoVAE, settings: TrackerSettings | None = None) -> None:
        self._alike = Resemblance(model)
        self.settings = settings or TrackerSettings()
        self._features = FourierFeatures()
        self._classifiers: dict[int, PixelClassifier] = {}
        self._masks: dict[int, Field] = {}

    @property
    def masks(self) -> dict[int, Field]:
        """The likelihoods of the last frame, by id."""
        return dict(self._masks)

    @property
    def state(self) -> dict[str, Field]:
        """What is known of each object, by its id and a name: for another tracker to go on as this one would."""
        state = {f"{object_} mask": mask for object_, mask in self._masks.items()}
        state |= {f"alike {name}": array for name, array in self._alike.state.items()}
        for object_, classifier in self._classifiers.items():
            state |= {f"{object_} {name}": array for name, array in classifier.state.items()}
        return state

    @state.setter
    def state(self, state: Mapping[str, Field]) -> None:
        self._masks = {}
        learned: dict[int, dict[str, Field]] = {}
        alike: dict[str, Field] = {}
        for key, array in state.items():
            whose, _, name = key.partition(" ")
            if whose == "alike":
                alike[name] = array
            elif name == "mask":
                self._masks[int(whose)] = array
            else:
                learned.setdefault(int(whose), {})[name] = array
        self._alike.state = alike
        self._classifiers = {object_: PixelClassifier() for object_ in learned}
        for object_, classifier in self._classifiers.items():
            classifier.state = learned[object_]

    def say(self, view: View, masks: dict[int, Field]) -> dict[int, Field]:
        """What a person says of this frame: likelihoods (h, w) by id; objects that are not named stay as they are."""
        features = self._features(pixel_signs(view.picture, view.moving))
        for object_, mask in masks.items():
            classifier = self._classifiers.setdefault(object_, PixelClassifier())
            classifier.say(features, _halved(mask, view))
            self._masks[object_] = mask
        self._alike.say(self._alike.features(view.picture), self._masks)
        return dict(self._masks)

    def follow(self, view: View) -> dict[int, Field]:
        """The likelihood (h, w) of each object in the next frame; where a shot begins nothing is known of it."""
        setting = self.settings
        if view.back is None:
            self._alike.restart()
            self._masks = {object_: np.zeros_like(mask) for object_, mask in self._masks.items()}
            return dict(self._masks)
        height, width = view.picture.shape[:2]
        columns = view.back[..., 0] + np.arange(width, dtype=np.float32)
        rows = view.back[..., 1] + np.arange(height, dtype=np.float32)[:, None]
        features = self._features(pixel_signs(view.picture, view.moving))
        looks = self._alike.features(view.picture)
        alike = self._alike.tell(looks, self._masks)
        found: dict[int, Field] = {}
        for object_, mask in self._masks.items():
            moved = cv2.remap(mask, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            if (moved > 0.5).sum() < setting.least:
                found[object_] = np.zeros_like(mask)
                continue
            told = self._classifiers[object_].tell(features).reshape(_half_size(view)[::-1])
            told = cv2.resize(told, (width, height), interpolation=cv2.INTER_LINEAR)
            odds: Field = setting.appearance * np.clip(told, -setting.trust, setting.trust)
            odds += setting.resemblance * alike[object_]
            odds += setting.inertia * np.clip(_depth(moved) / setting.edge, -setting.sure, setting.sure)
            odds = cv2.GaussianBlur(odds, (0, 0), setting.smooth)
            found[object_] = (1 / (1 + np.exp(-2 * odds))).astype(np.float32)
        self._masks = _exclusive(found)
        for object_, mask in self._masks.items():
            if (mask > 0.5).sum() >= setting.least:
                self._classifiers[object_].follow(features, _halved(mask, view))
        self._alike.follow(looks, self._masks)
        return dict(self._masks)


def _depth(mask: Field) -> Field:
    """Distance to the edge in pixels, positive inside."""
    inside = (mask > 0.5).astype(np.uint8)
    return cv2.distanceTransform(inside, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)


def _exclusive(masks: dict[int, Field]) -> dict[int, Field]:
    """Where several objects claim a pixel the likeliest has it."""
    if len(masks) < 2:
        return masks
    best = np.max(list(masks.values()), 0)
    return {
        object_: np.where(mask < best, np.minimum(mask, 1 - best), mask) for object_, mask in masks.items()
    }


def _half_size(view: View) -> tuple[int, int]:
    height, width = view.picture.shape[:2]
    return max(1, width // COARSER), max(1, height // COARSER)


def _halved(mask: Field, view: View) -> Field:
    return cv2.resize(mask, _half_size(view), interpolation=cv2.INTER_AREA)
