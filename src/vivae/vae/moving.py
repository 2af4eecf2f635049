"""What moves by itself, frame by frame: pictures in, each with its flow and q(z|flow) out, three frames later."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vivae.vae.motion import Motion
from vivae.vae.segmenter import FINEST, GAPS, FlowSegmenter, flow_signs
from vivae.vae.unexplained import moving_odds, unexplained

Picture = NDArray[np.uint8]
Field = NDArray[Any]
REACH = max(GAPS)


@dataclass(frozen=True, slots=True)
class View:
    """A frame in small and what is known of its motion."""

    picture: Picture
    """Y, U, V (h, w, 3)."""
    back: Field | None
    """float32 (h, w, 2): where each pixel was in the frame before; None where a shot begins."""
    moving: Field
    """float32 (h, w): probability of moving by itself."""
    odds: Field | None = None
    """float32 (h, w): log odds of it, with what the camera leaves unexplained of the picture; where asked for."""


class MotionWindow:
    """Pictures of one size in, views out. Holds seven frames.

    odds: whether views hold log odds.
    """

    def __init__(self, network: FlowSegmenter, *, odds: bool = False) -> None:
        self._network, self._motion, self._odds = network, Motion(finest=FINEST), odds
        self._held: list[Picture] = []
        self._next = 0
        """Place in `_held` of the first picture whose view has not been given."""

    def run(self, pictures: Iterable[tuple[Picture, bool]]) -> Iterator[View]:
        """Pictures, each with whether a shot begins with it, as views."""
        for picture, begins in pictures:
            if begins:
                yield from self.finish()
            yield from self.push(picture)
        yield from self.finish()

    def push(self, picture: Picture) -> Iterator[View]:
        """The next picture of the shot."""
        self._held.append(picture)
        if len(self._held) - 1 - self._next >= REACH:
            yield self._view(self._next)
            self._next += 1
            if self._next > REACH:
                del self._held[0]
                self._next -= 1

    def finish(self) -> Iterator[View]:
        """The views of the last pictures of a shot."""
        while self._next < len(self._held):
            yield self._view(self._next)
            self._next += 1
        self._held, self._next = [], 0

    def _view(self, place: int) -> View:
        flows = flows_around(self._held, place, self._motion)
        moving, camera = _told(self._network, self._held[place], flows)
        odds = moving_odds(moving, unexplained(self._held, place, camera)) if self._odds else None
        return View(self._held[place], flows.get(-1), moving, odds)


def what_moves(network: FlowSegmenter, pictures: list[Picture], place: int, motion: Motion) -> Field:
    """float32 (h, w): how likely each pixel of `pictures[place]` moves by itself; a single picture tells nothing: 0."""
    return _told(network, pictures[place], flows_around(pictures, place, motion))[0]


def flows_around(pictures: list[Picture], place: int, motion: Motion) -> dict[int, Field]:
    """Flow (h, w, 2) in pixels from `pictures[place]` to those around it, by gap; of `GAPS` those that there are."""
    here = _luma(pictures[place])
    return {
        gap: motion.between(here, _luma(pictures[place + gap]))
        for gap in GAPS
        if 0 <= place + gap < len(pictures)
    }


def _told(
    network: FlowSegmenter, picture: Picture, found: dict[int, Field]
) -> tuple[Field, dict[int, Field]]:
    """float32 (h, w), q that a pixel is not the camera's, and the camera's motion (h, w, 2) by gap.

    Where nothing is known q is 0. Flow towards frames beyond the ends is made of what there is, as if all moved on
    evenly.
    """
    height, width = picture.shape[:2]
    if not found or min(height, width) < 2 ** (len(network.down) + 2):
        return np.zeros((height, width), np.float32), {}
    flows = []
    for gap in GAPS:
        near = min(found, key=partial(_unlike, gap))
        flows.append(found[near] * np.float32(gap / near))
    signs = flow_signs(flows)
    with torch.inference_mode():
        q = network(torch.from_numpy(signs.inputs)[None]).softmax(1)[0]
    moving = cv2.resize(1 - q[0].numpy(), (width, height), interpolation=cv2.INTER_LINEAR)
    return moving, {
        gap: cv2.resize(steps, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(gap)
        for gap, steps in zip(GAPS, signs.camera, strict=True)
    }


def _unlike(gap: int, other: int) -> tuple[int, bool]:
    """How little the flow over one gap tells of that over another."""
    return abs(abs(other) - abs(gap)), other * gap < 0


def _luma(picture: Picture) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture[..., 0])
