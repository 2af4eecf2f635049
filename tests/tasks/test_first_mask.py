"""The first mask follows what is pointed at."""

import cv2
import numpy as np
import pytest

from vivae.errors import InputError
from vivae.tasks.segment import first_mask


@pytest.fixture
def scene():
    """A red disc on a grey, noisy ground, odd-sized: the frame (RGB) and its mask."""
    rng = np.random.default_rng(0)
    frame = np.clip(rng.normal(110, 8, (301, 455, 3)), 0, 255).astype(np.uint8)
    disc = cv2.circle(np.zeros((301, 455), np.uint8), (200, 140), 60, 1, cv2.FILLED) > 0
    frame[disc] = np.clip(rng.normal((190, 40, 50), 8, (disc.sum(), 3)), 0, 255)
    return frame, disc


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_a_box_or_a_point_finds_the_object(scene):
    frame, disc = scene
    assert overlap(first_mask(frame, box=(130, 70, 145, 142)), disc) > 0.95
    assert overlap(first_mask(frame, points=[(190, 150)]), disc) > 0.9


def test_frames_around_it_tell_what_moves_as_one():
    """An object of two colours: one picture gives the part that the point is on, motion gives the whole."""
    rng = np.random.default_rng(1)
    ground = cv2.GaussianBlur(rng.uniform(0, 255, (180, 240, 3)), (0, 0), 2)
    ground = np.clip(110 + 3 * (ground - ground.mean()), 0, 255)
    skin = np.clip(cv2.GaussianBlur(rng.uniform(0, 255, (80, 60, 3)), (0, 0), 1.5) + 20, 0, 255)
    skin[40:] *= (0.2, 0.3, 0.9)
    frames = []
    for index in range(-3, 4):
        frame = ground.copy()
        left = 90 + 4 * index
        frame[50:130, left : left + 60] = skin
        frames.append(frame.astype(np.uint8))
    whole = np.zeros((180, 240), bool)
    whole[50:130, 90:150] = True
    alone = first_mask(frames[3], points=[(120, 75)])
    moved = first_mask(frames[3], points=[(120, 75)], before=frames[:3], after=frames[4:])
    assert overlap(moved, whole) > max(0.75, overlap(alone, whole))


def test_a_point_beside_it_takes_away(scene):
    frame, disc = scene
    both = disc.copy()
    both[:, 300:] = True
    corrected = first_mask(frame, mask=both, points=[(200, 140)], not_points=[(400, 150)])
    assert overlap(corrected, disc) > overlap(both, disc)
    assert not corrected[150, 400]


def test_a_mask_stays_what_it_is(scene):
    frame, disc = scene
    assert overlap(first_mask(frame, mask=disc), disc) > 0.97


def test_equal_hints_give_equal_masks(scene):
    frame, _ = scene
    masks = [first_mask(frame, box=(120, 60, 160, 160)) for _ in range(2)]
    assert np.array_equal(*masks)


@pytest.mark.parametrize(
    "hints",
    [
        {},
        {"not_points": [(3, 3)]},
        {"points": [(455, 10)]},
        {"box": (500, 0, 20, 20)},
        {"box": (10, 10, 0, 20)},
        {"mask": np.ones((5, 5), bool)},
        {"points": [(3, 3)], "after": [np.zeros((5, 5, 3), np.uint8)]},
    ],
)
def test_bad_hints_are_refused(scene, hints):
    with pytest.raises(InputError):
        first_mask(scene[0], **hints)


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (17, 3)])
def test_tiny_frames_are_no_fault(shape):
    frame = np.zeros((*shape, 3), np.uint8)
    assert first_mask(frame, points=[(0, 0)]).shape == shape
