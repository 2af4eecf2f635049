"""Scenes made of footage: a picture as background under a moving camera, with parts of other pictures moving over it.

Where each thing goes is known, so these scenes teach what moves by itself without anyone having drawn a mask. Nearness
varies over the background, because what a moving camera passes closely moves faster and is yet no object.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Field = NDArray[np.float32]


class Scene(NamedTuple):
    """frames: uint8 (T, H, W), luma; labels: uint8 (T, H, W), 0 background, 1.. the objects."""

    frames: Picture
    labels: NDArray[np.uint8]


def make_scene(rng: np.random.Generator, pictures: list[Picture], side: int, times: tuple[int, ...]) -> Scene:
    """A scene of `side` x `side` pixels at `times` (in frames, around 0).

    pictures: luma (H, W) each; the first is the background, the others lend their surface to one object each.
    """
    background, *surfaces = pictures
    camera = _camera(rng)
    nearness = _nearness(rng, side)
    frames = [_seen(background, camera(t), nearness, side) for t in times]
    labels = [np.zeros((side, side), np.uint8) for _ in times]
    for number, surface in enumerate(surfaces, 1):
        thing = _Thing(rng, surface, side)
        for index, t in enumerate(times):
            shape, texture = thing.at(t, camera(t))
            alpha = cv2.GaussianBlur(shape, (0, 0), 0.7)
            mixed = frames[index] + alpha * (texture - frames[index])
            frames[index] = mixed
            labels[index][shape > 0.5] = number
    noise = rng.uniform(0, 4)
    stack = np.stack(frames)
    stack += np.float32(noise) * rng.standard_normal(stack.shape, np.float32)
    return Scene(np.clip(stack, 0, 255).astype(np.uint8), np.stack(labels))


def _camera(rng: np.random.Generator) -> "_Motion":
    if rng.random() < 0.15:
        return _Motion(rng, 0.0, 0.0, 0.0, 0.2 * rng.random())
    speed = float(rng.exponential(2.5))
    return _Motion(rng, min(speed, 12), 0.006, 0.01, rng.uniform(0, 0.8))


class _Motion:
    """A steady similarity, with some shaking: (2, 3) for each time."""

    def __init__(
        self, rng: np.random.Generator, speed: float, turn: float, growth: float, shake: float
    ) -> None:
        angle = rng.uniform(0, 2 * np.pi)
        self.speed = speed * np.array([np.cos(angle), 0.6 * np.sin(angle)])
        self.turn, self.growth = rng.normal(0, turn), rng.normal(0, growth)
        self.shake = {t: rng.normal(0, shake, 2) for t in range(-16, 17)}
        self.shake[0] = np.zeros(2)

    def __call__(self, t: int) -> NDArray[np.float64]:
        """The linear part and the shift of everything from time 0 to t."""
        angle, zoom = self.turn * t, np.exp(self.growth * t)
        linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return np.hstack([linear, (self.speed * t + self.shake[t])[:, None]])


def smooth_noise(rng: np.random.Generator, side: int, cells: int) -> Field:
    """(side, side): noise of some `cells` waves, of deviation 1."""
    grid = rng.normal(0, 1, (cells + 3, cells + 3)).astype(np.float32)
    return np.asarray(cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC))


def _nearness(rng: np.random.Generator, side: int) -> Field:
    """How fast each place passes by, 1 on average: a slope, as of ground, with steps, as of things that stand there."""
    strength = float(rng.choice([0.0, 0.15, 0.3, 0.5]))
    field = 0.6 * smooth_noise(rng, side, 2)
    field += float(rng.normal(0, 0.6)) * np.linspace(-1, 1, side, dtype=np.float32)[:, None]
    if rng.random() < 0.5:
        field += 0.8 * (smooth_noise(rng, side, int(rng.integers(3, 7))) > 0.8)
    return np.clip(1 + strength * field, 0.2, 3).astype(np.float32)


def _seen(picture: Picture, motion: NDArray[np.float64], nearness: Field, side: int) -> Field:
    """(side, side): the background as the camera sees it."""
    grid = np.arange(side, dtype=np.float32) - side / 2
    x, y = np.meshgrid(grid, grid)
    inverse = np.linalg.inv(motion[:, :2]).astype(np.float32)
    shift = motion[:, 2].astype(np.float32)
    dx, dy = x - shift[0] * nearness, y - shift[1] * nearness
    height, width = picture.shape[:2]
    columns = inverse[0, 0] * dx + inverse[0, 1] * dy + np.float32(width / 2)
    rows = inverse[1, 0] * dx + inverse[1, 1] * dy + np.float32(height / 2)
    return _fetched(picture, columns, rows)


def _fetched(picture: NDArray[Any], columns: Field, rows: Field) -> Field:
    """Samples at these places; beyond the edges the picture is mirrored."""
    found = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(found, np.float32)


class _Part(NamedTuple):
    """An ellipse of a shape, in its units; swing and spin are what it changes by from frame to frame."""

    place: NDArray[np.float64]
    radii: NDArray[np.float64]
    angle: float
    swing: NDArray[np.float64]
    spin: float


class _Thing:
    """A shape of a few rounded parts that swing against each other, bend, and travel; its surface is a picture."""

    def __init__(self, rng: np.random.Generator, surface: Picture, side: int) -> None:
        self.side, self.surface = side, surface
        self.size = side * float(np.exp(rng.uniform(np.log(0.06), np.log(0.32))))
        self.place = rng.uniform(-0.45, 0.45, 2) * side
        own = float(np.exp(rng.uniform(np.log(0.5), np.log(9.0))))
        self.motion = _Motion(rng, own, 0.02, 0.012, 0.1)
        self.parts = [
            _Part(
                rng.normal(0, 0.55, 2), rng.uniform(0.35, 1.0, 2), rng.uniform(0, np.pi),
                rng.normal(0, 0.06, 2), rng.normal(0, 0.05),
            )
            for _ in range(int(rng.integers(1, 6)))
        ]  # fmt: skip
        self.ragged = 0.25 * smooth_noise(rng, side, int(rng.integers(4, 16)))
        self.bend = [float(rng.uniform(0, 0.5)) * smooth_noise(rng, side, 3) for _ in range(2)]
        self.from_ = rng.uniform(0.3, 0.7, 2)

    def at(self, t: int, camera: NDArray[np.float64]) -> tuple[Field, Field]:
        """Its mask (side, side) of 0 and 1, and its surface (side, side), at time t."""
        side, size = self.side, self.size
        own = self.motion(t)
        # It moves by itself, over a background that the camera moves.
        middle = self.place + camera[:, 2] + own[:, 2]
        grid = np.arange(side, dtype=np.float32) - side / 2
        x, y = np.meshgrid(grid, grid)
        inverse = np.linalg.inv(own[:, :2])
        dx, dy = x - np.float32(middle[0]), y - np.float32(middle[1])
        dx, dy = dx + np.float32(t) * self.bend[0], dy + np.float32(t) * self.bend[1]
        u = np.float32(inverse[0, 0] / size) * dx + np.float32(inverse[0, 1] / size) * dy
        v = np.float32(inverse[1, 0] / size) * dx + np.float32(inverse[1, 1] / size) * dy
        inside = np.full((side, side), 9.0, np.float32)
        for part in self.parts:
            place = part.place + part.swing * t
            px, py = u - np.float32(place[0]), v - np.float32(place[1])
            turned = part.angle + part.spin * t
            cos, sin = np.float32(np.cos(turned)), np.float32(np.sin(turned))
            a, b = (
                (cos * px + sin * py) / np.float32(part.radii[0]),
                (cos * py - sin * px) / np.float32(part.radii[1]),
            )
            inside = np.minimum(inside, a * a + b * b)
        scale, half = np.float32(side / 4), np.float32(side / 2)
        ragged = _fetched(self.ragged, u * scale + half, v * scale + half)
        height, width = self.surface.shape[:2]
        columns = u * np.float32(size) + np.float32(self.from_[0] * width)
        rows = v * np.float32(size) + np.float32(self.from_[1] * height)
        texture = _fetched(self.surface, columns, rows)
        return (inside + ragged < 1).astype(np.float32), np.asarray(texture, np.float32)
