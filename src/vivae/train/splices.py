"""Clips with known transitions, made of other footage: cuts, dissolves, fades, wipes, pushes, and look-alikes.

As TransNet is taught and judged (Souček and Lokoč, 2020). The look-alikes are what detectors are known to fall for:
flashes, lights switched, whip pans, fast zooms, shaken cameras, things that pass close by, frozen frames, captions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Footage = NDArray[np.uint8]
"""(T, H, W, 3) uint8 Y, U, V of full resolution: one shot without cuts."""
Float = NDArray[np.float32]

CUT_SHARE = 0.55
"""Of all transitions."""
SHOT_FRAMES = (14, 70)
LEAST = 14
"""Frames that both sides of a gradual transition have."""


@dataclass
class Splice:
    """A clip and the truth about it."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3)"""
    cuts: list[int] = field(default_factory=list)
    """First frames of shots that begin at once."""
    graduals: list[tuple[int, int, str]] = field(default_factory=list)
    """Of each transition that takes time: first mixed frame, first unmixed frame, kind."""
    decoys: list[tuple[int, int, str]] = field(default_factory=list)
    """Where something only looks like a transition: first frame, first frame after, kind."""


def make_splice(rng: Generator, footage: Sequence[Footage], size: tuple[int, int], shots: int) -> Splice:
    """`shots` shots of `footage` one after the other. size: columns and rows. Neighbours are of different footage."""
    pieces: list[Float] = []
    splice = Splice(np.empty(0, np.uint8))
    length, last = 0, -1
    current = np.empty(0, np.float32)
    for number in range(shots):
        which = int(rng.choice([k for k in range(len(footage)) if k != last] or [0]))
        last = which
        following, decoys = _take(rng, footage[which], size, int(rng.integers(*SHOT_FRAMES)))
        if not number:
            current = following
            splice.decoys += decoys
            continue
        if rng.random() < CUT_SHARE or min(len(current), len(following)) < LEAST:
            kind, mixed, used = "cut", current[:0], 0
        else:
            kind, mix, _ = _KINDS[int(rng.choice(len(_KINDS), p=[share for _, _, share in _KINDS]))]
            mixed, used = mix(rng, current, following)
        pieces.append(current[: len(current) - used])
        length += len(pieces[-1])
        if len(mixed):
            splice.graduals.append((length, length + len(mixed), kind))
            pieces.append(mixed)
            length += len(mixed)
        else:
            splice.cuts.append(length)
        splice.decoys += [(a + length - used, b + length - used, name) for a, b, name in decoys if a >= used]
        current = following[used:]
    pieces.append(current)
    splice.frames = np.clip(np.concatenate(pieces) + 0.5, 0, 255).astype(np.uint8)
    return splice


def _take(
    rng: Generator, footage: Footage, size: tuple[int, int], length: int
) -> tuple[Float, list[tuple[int, int, str]]]:
    """A shot through a virtual camera, with its decoys: float32 (length, H, W, 3)."""
    stride = int(rng.choice([1, 1, 1, 2])) if len(footage) > 2 * length else 1
    start = int(rng.integers(0, max(1, len(footage) - stride * length)))
    order = start + stride * np.arange(length)
    fold = 2 * max(len(footage) - 1, 1)  # short footage runs back and forth
    order = np.abs((order + fold // 2) % fold - fold // 2)
    if rng.random() < 0.2:
        order = order[::-1]
    zoom = rng.uniform(0.5, 1.0)
    path = np.tile(np.array([rng.uniform(0, 1), rng.uniform(0, 1), zoom]), (length, 1))
    blur = np.zeros(length)
    decoys: list[tuple[int, int, str]] = []
    if rng.random() < 0.3:
        drift = np.array([rng.normal(0, 0.5), rng.normal(0, 0.3), rng.normal(0, 0.15)])
        path += np.linspace(0, 1, length)[:, None] * drift
    room = length - 10
    if room > 6 and rng.random() < 0.3:
        frames = int(rng.integers(3, min(12, room)))
        at = int(rng.integers(5, length - frames - 4))
        ramp = np.clip((np.arange(length) - at + 1) / frames, 0, 1)
        if rng.random() < 0.6:
            zoom = min(zoom, 0.62)
            path[:, 2] = zoom
            ends = (0.02, 0.98) if rng.random() < 0.5 else (0.98, 0.02)
            path[:, 0] = ends[0] + (ends[1] - ends[0]) * ramp
            blur[at : at + frames] = (1 - zoom) / frames
            decoys.append((at, at + frames, "whip pan"))
        else:
            ends = (1.0, 0.45) if rng.random() < 0.5 else (0.45, 1.0)
            path[:, 2] = ends[0] + (ends[1] - ends[0]) * ramp
            decoys.append((at, at + frames, "fast zoom"))
    elif rng.random() < 0.15:
        path[:, :2] += rng.normal(0, rng.uniform(0.02, 0.12), (length, 2))
        decoys.append((0, length, "shaken camera"))
    mirror = rng.random() < 0.5
    gain, lift, colour = rng.uniform(0.7, 1.3), rng.uniform(-25, 25), rng.uniform(0.6, 1.3)
    shot = np.empty((length, size[1], size[0], 3), np.float32)
    for index in range(length):
        view = _view(footage[order[index]], path[index], blur[index], size)
        shot[index] = view[:, ::-1] if mirror else view
    shot[..., 0] = 128 + gain * (shot[..., 0] - 128) + lift
    shot[..., 1:] = 128 + colour * (shot[..., 1:] - 128)
    for _ in range(2):
        if room > 12 and rng.random() < 0.35:
            frames = int(rng.integers(1, 13))
            at = int(rng.integers(5, length - frames - 4)) if length - frames - 4 > 5 else 5
            name, effect = _DECOYS[int(rng.integers(len(_DECOYS)))]
            if all(at >= b + 6 or at + frames + 6 <= a for a, b, _ in decoys):
                frames = effect(rng, shot, at, min(frames, length - at - 5))
                decoys.append((at, at + frames, name))
    return np.clip(shot, 0, 255), decoys


def _view(frame: NDArray[np.uint8], place: NDArray[np.float64], blur: float, size: tuple[int, int]) -> Float:
    """A window of the frame. place: left and top, 0 to 1 of the room there is, and the window's share of the side."""
    height, width = frame.shape[:2]
    share = float(np.clip(place[2], 0.3, 1))
    w, h = max(2, round(width * share)), max(2, round(height * share))
    x = round(float(np.clip(place[0], 0, 1)) * (width - w))
    y = round(float(np.clip(place[1], 0, 1)) * (height - h))
    view = np.asarray(cv2.resize(frame[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA), np.float32)
    if blur:
        view = np.asarray(cv2.blur(view, (max(1, round(blur * size[0] / share)), 1)), np.float32)
    return view


# Decoys change a shot in place, from frame `at` on, and return over how many frames.


def _flash(rng: Generator, shot: Float, at: int, frames: int) -> int:
    frames = min(frames, int(rng.integers(1, 5)))
    height, width = shot.shape[1:3]
    rows, columns = np.mgrid[0:height, 0:width]
    spread = rng.uniform(0.3, 2)
    far = (rows / height - rng.uniform(0, 1)) ** 2 + (columns / width - rng.uniform(0, 1)) ** 2
    light = np.exp(-far / spread**2) * rng.uniform(50, 200)
    for index in range(frames):
        strength = rng.uniform(0.5, 1)
        shot[at + index, ..., 0] += strength * light
        shot[at + index, ..., 1:] = 128 + (shot[at + index, ..., 1:] - 128) * (1 - 0.5 * strength)
    return frames


def _blink(rng: Generator, shot: Float, at: int, frames: int) -> int:
    """A frame or two lost to one colour."""
    frames = min(frames, int(rng.integers(1, 3)))
    shot[at : at + frames] = (rng.choice([16, 235, rng.uniform(16, 235)]), 128, 128)
    return frames


def _light(rng: Generator, shot: Float, at: int, frames: int) -> int:
    """Lights go on, off or to another colour, and stay so."""
    frames = 1 if rng.random() < 0.5 else min(3 * frames, len(shot) - at - 2)
    ramp = np.clip((np.arange(len(shot)) - at + 1) / frames, 0, 1).astype(np.float32)[:, None, None]
    gain = rng.uniform(0.35, 0.8) if rng.random() < 0.6 else rng.uniform(1.2, 1.6)
    shot[..., 0] = 16 + (shot[..., 0] - 16) * (1 + (gain - 1) * ramp)
    shot[..., 1:] += (rng.normal(0, 8, 2) * ramp[..., None]).astype(np.float32)
    return frames


def _passing(rng: Generator, shot: Float, at: int, frames: int) -> int:
    """Something large passes before the camera: near and plain, or a vehicle with a picture of its own, before all of
    the view or behind what stands at one side."""
    height, width = shot.shape[1:3]
    frames = min(int(rng.integers(4, 13) if rng.random() < 0.5 else rng.integers(10, 45)), len(shot) - at - 2)
    broad = rng.uniform(0.2, 0.7 if rng.random() < 0.5 else 2.5) * width
    if rng.random() < 0.5:
        thing = np.empty(shot.shape[1:], np.float32)
        thing[:] = (rng.uniform(20, 200), rng.normal(128, 12), rng.normal(128, 12))
        grain = rng.normal(0, 18, (6, 8)).astype(np.float32)
        thing[..., 0] += cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
    else:
        thing = shot[int(rng.integers(len(shot)))][::-1, ::-1] * rng.uniform(0.6, 1.1)
    columns = np.arange(width) if rng.random() < 0.5 else np.arange(width)[::-1]
    lean = np.linspace(0, rng.normal(0, 0.15), height)[:, None] * width
    top = 0 if rng.random() < 0.5 else int(rng.uniform(0, 0.6) * height)
    side = 0 if rng.random() < 0.5 else int(rng.uniform(0.1, 0.6) * width)
    reach = width + broad * rng.uniform(0.3, 1)
    for index in range(frames):
        left = -broad + reach * (index + 0.5) / frames
        edge = columns[None, :] - left + lean
        mask = (np.clip(edge, 0, 3) / 3 * np.clip(broad - edge, 0, 3) / 3).astype(np.float32)[..., None]
        mask[:top] = 0
        mask[:, :side] = 0
        moving = np.roll(thing, round(left) if columns[0] == 0 else -round(left), 1)
        shot[at + index] = shot[at + index] * (1 - mask) + moving * mask
    if reach < width + 0.9 * broad and rng.random() < 0.7:  # it stops there
        shot[at + frames :] = shot[at + frames :] * (1 - mask) + moving * mask
    return frames


def _freeze(rng: Generator, shot: Float, at: int, frames: int) -> int:
    """The picture stands still, then jumps to where it should be."""
    shot[at : at + frames] = shot[at - 1]
    return frames


def _caption(rng: Generator, shot: Float, at: int, frames: int) -> int:
    """A graphic stands on the picture until the end of the shot."""
    height, width = shot.shape[1:3]
    h, w = int(height * rng.uniform(0.1, 0.35)), int(width * rng.uniform(0.3, 0.9))
    y, x = int(rng.uniform(0, height - h)), int(rng.uniform(0, width - w))
    colour = (rng.uniform(16, 235), rng.normal(128, 20), rng.normal(128, 20))
    shot[at : at + 4 * frames, y : y + h, x : x + w] = colour
    return frames


_DECOYS: tuple[tuple[str, Callable[[Generator, Float, int, int], int]], ...] = (
    ("flash", _flash),
    ("flash", _flash),
    ("blank frame", _blink),
    ("light change", _light),
    ("light change", _light),
    ("passing object", _passing),
    ("passing object", _passing),
    ("passing object", _passing),
    ("frozen frames", _freeze),
    ("caption", _caption),
)


# Transitions: the mixed frames, and how many frames of each side they used up.


def _ramp(rng: Generator, frames: int) -> Float:
    """Shares of the later picture, strictly between 0 and 1; often linear, as most editors do."""
    ramp = np.arange(1, frames + 1) / (frames + 1)
    if rng.random() < 0.3:
        ramp = ramp * ramp * (3 - 2 * ramp)
    return ramp.astype(np.float32)[:, None, None, None]


def _room(a: Float, b: Float, frames: int) -> int:
    return min(frames, len(a) - 8, len(b) - 8)


def _dissolve(rng: Generator, a: Float, b: Float) -> tuple[Float, int]:
    frames = _room(a, b, int(rng.integers(5, 41)))
    share = _ramp(rng, frames)
    return a[-frames:] * (1 - share) + b[:frames] * share, frames


def _fade(rng: Generator, a: Float, b: Float) -> tuple[Float, int]:
    """Out to one colour, and in from it."""
    frames = _room(a, b, int(rng.integers(5, 26)))
    luma = rng.choice([16, 16, 16, 235])
    colour = np.array([luma, 128, 128], np.float32)
    share = _ramp(rng, frames)
    hold = np.broadcast_to(colour, (int(rng.integers(0, 12)), *a.shape[1:]))
    return np.concatenate([
        a[-frames:] * (1 - share) + colour * share, hold, b[:frames] * share + colour * (1 - share)
    ]), frames  # fmt: skip


def _wipe(rng: Generator, a: Float, b: Float) -> tuple[Float, int]:
    """An edge runs over the picture: straight in any direction, a circle, a clock's hand, or blinds."""
    frames = _room(a, b, int(rng.integers(7, 31)))
    height, width = a.shape[1:3]
    rows, columns = np.mgrid[0:height, 0:width]
    y, x = rows / (height - 1) - 0.5, columns / (width - 1) - 0.5
    kind = rng.choice(["edge", "edge", "edge", "circle", "clock", "blinds"])
    if kind == "edge":
        turn = rng.choice([0, 0.5, 1, 1.5]) * np.pi if rng.random() < 0.7 else rng.uniform(0, 2 * np.pi)
        order = x * np.cos(turn) + y * np.sin(turn)
    elif kind == "circle":
        order = np.hypot(x, y) * rng.choice([-1, 1])
    elif kind == "clock":
        order = np.arctan2(y, x)
    else:
        order = (x * int(rng.integers(3, 8))) % 1
    order = (order - order.min()) / (np.ptp(order) + 1e-6)
    soft = rng.choice([0.01, rng.uniform(0.01, 0.2)])
    time = np.linspace(0, 1, frames + 2)[1:-1, None, None] * (1 + soft)
    share = np.clip((time - order) / soft, 0, 1).astype(np.float32)[..., None]
    return a[-frames:] * (1 - share) + b[:frames] * share, frames


def _push(rng: Generator, a: Float, b: Float) -> tuple[Float, int]:
    """The new picture pushes the old one out, or slides over it."""
    frames = _room(a, b, int(rng.integers(6, 25)))
    axis, slides, back = int(rng.integers(1, 3)), rng.random() < 0.4, rng.random() < 0.5
    old, new = (part[:, ::-1] if axis == 1 else part[:, :, ::-1] for part in (a, b)) if back else (a, b)
    side = a.shape[axis]
    mixed = []
    for index, share in enumerate(np.linspace(0, 1, frames + 2)[1:-1]):
        at = int(np.clip(round(share * side), 1, side - 1))
        before, after = old[len(old) - frames + index], new[index]
        rest = (before if slides else np.roll(before, -at, axis - 1)).copy()
        place = (slice(side - at, None), slice(0, at))
        if axis == 1:
            rest[place[0]] = after[place[1]]
        else:
            rest[:, place[0]] = after[:, place[1]]
        mixed.append(rest)
    found = np.stack(mixed)
    return (found[:, ::-1] if axis == 1 else found[:, :, ::-1]) if back else found, frames


_KINDS: tuple[tuple[str, Callable[[Generator, Float, Float], tuple[Float, int]], float], ...] = (
    ("dissolve", _dissolve, 0.45),
    ("fade", _fade, 0.25),
    ("wipe", _wipe, 0.2),
    ("wipe", _push, 0.1),
)
"""Names, makers and shares."""
