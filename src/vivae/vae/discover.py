"""Finding the objects of a shot by themselves: what moves on its own, recognised again by its colours, steady in time.

A window of frames is read twice. First what moves (`vivae.vae.moving`) teaches a classifier of the window's colours,
textures and places; then motion, classifier, and the masks of the frames before and after, moved along the flow, are
added as log odds. Of what is left the parts that weigh much beside the heaviest are the objects; near their edges the
colours of the frame decide (GrabCut).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.vae.moving import View
from vivae.vae.outline import largest, redrawn
from vivae.vae.pixel_classifier import COARSER, FourierFeatures, PixelClassifier, pixel_signs
from vivae.vae.strands import Strands, heaviest

Field = NDArray[Any]
"""float32 (h, w)."""

WINDOW = 48
"""Frames that are looked at together."""


@dataclass(frozen=True)
class DiscovererSettings:
    """Chosen on five DAVIS sequences, see the lab notes."""

    motion: float = 1.0
    """Weight of the motion's log odds."""
    appearance: float = 2.0
    """Weight of the classifier."""
    steady: float = 0.7
    """Share of the frame before's log odds, moved, in those of a frame; the same backwards."""
    smooth: float = 1.5
    """Deviation, in pixels, of the blur of the log odds."""
    sure: float = 2.0
    """The most log odds that one side has."""
    share: float = 0.5
    """Of the heaviest part's weight in a frame, below which a part is no object."""
    strand: float = 0.3
    """The same over the shot, for parts that are tied together along the flow."""
    crumbs: float = 0.3
    """Of the largest part's area, below which what the colours cut off is dropped."""


class Discoverer:
    """Views of one shot in, likelihoods (h, w) of belonging to any object out, a window behind."""

    def __init__(self, settings: DiscovererSettings | None = None) -> None:
        self.settings = settings or DiscovererSettings()
        self._features = FourierFeatures()
        self._before: Field | None = None
        self._strands = Strands(self.settings.strand)

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """What another one needs to go on after a window as this one would."""
        before = {} if self._before is None else {"before": self._before}
        return before | {f"strands {name}": array for name, array in self._strands.state.items()}

    @state.setter
    def state(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._before = state.get("before")
        self._strands.state = {
            name.removeprefix("strands "): array
            for name, array in state.items()
            if name.startswith("strands ")
        }

    def run(self, views: Iterator[View]) -> Iterator[tuple[Field, bool]]:
        """For each view the likelihood, and whether a shot begins with it."""
        held: list[View] = []
        for view in views:
            if held and (view.back is None or len(held) >= WINDOW):
                yield from self._window(held)
                held = []
            held.append(view)
        if held:
            yield from self._window(held)

    def _window(self, views: Sequence[View]) -> Iterator[tuple[Field, bool]]:
        setting = self.settings
        if views[0].back is None:
            self._before = None
            self._strands.restart()
        odds = [_odds(view, setting.sure) for view in views]
        steady = self._steady(odds, views)
        classifier = PixelClassifier()
        for count, (view, belief) in enumerate(zip(views, steady, strict=True)):
            mask = 1 / (1 + np.exp(-belief))
            if (mask > 0.5).any():
                classifier.follow(self._told(view), _halved(mask, view), count / (count + 1))
        added = []
        for view, own in zip(views, odds, strict=True):
            features = self._told(view)
            told = classifier.tell(features).reshape(_half_size(view)[::-1])
            told = cv2.resize(told, view.picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            added.append(
                setting.motion * own + setting.appearance * np.clip(2 * told, -setting.sure, setting.sure)
            )
        beliefs = self._steady(added, views)
        self._before = beliefs[-1]
        soft = [cv2.GaussianBlur(belief, (0, 0), setting.smooth) for belief in beliefs]
        for view, belief in zip(views, self._strands.prune(soft, [v.back for v in views]), strict=True):
            found = redrawn(view.picture, heaviest(belief, setting.share))
            yield largest(found, setting.crumbs).astype(np.float32), view.back is None

    def _told(self, view: View) -> Field:
        return self._features(pixel_signs(view.picture, 1 / (1 + np.exp(-_odds(view, self.settings.sure)))))

    def _steady(self, odds: Sequence[Field], views: Sequence[View]) -> list[Field]:
        """Log odds carried along the flow, forwards and backwards, and added."""
        share = self.settings.steady
        ahead: list[Field] = []
        carried = self._before
        for own, view in zip(odds, views, strict=True):
            carried = (
                own if carried is None or view.back is None else own + share * _fetched(carried, view.back)
            )
            ahead.append(carried)
        result = [ahead[-1]]
        for index in range(len(odds) - 2, -1, -1):
            following = views[index + 1].back
            later = result[-1] if following is None else _pushed(result[-1], following)
            result.append((1 - share) * ahead[index] + share * later)
        return result[::-1]


def _odds(view: View, limit: float) -> Field:
    assert view.odds is not None, "the views hold no log odds"
    return np.clip(view.odds, -limit, limit)


def _fetched(field: Field, back: Field) -> Field:
    columns = back[..., 0] + np.arange(field.shape[1], dtype=np.float32)
    rows = back[..., 1] + np.arange(field.shape[0], dtype=np.float32)[:, None]
    return cv2.remap(field, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _pushed(field: Field, back: Field) -> Field:
    """A field of the next frame in this one's places: the flow there, turned round, serves as the flow here."""
    return _fetched(field, -_fetched_flow(back))


def _fetched_flow(back: Field) -> Field:
    """The flow of the next frame at the places that this frame's pixels go to, in one step of a fixed point."""
    return np.dstack([_fetched(back[..., channel], -back) for channel in range(2)])


def _half_size(view: View) -> tuple[int, int]:
    height, width = view.picture.shape[:2]
    return max(1, width // COARSER), max(1, height // COARSER)


def _halved(mask: Field, view: View) -> Field:
    return cv2.resize(mask, _half_size(view), interpolation=cv2.INTER_AREA)
