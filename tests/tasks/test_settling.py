"""Among segments of a camera that stands still, the one is found whose moving things agree, also in a crop."""

import cv2
import numpy as np
import pytest

from vivae.tasks.fingerprint import THUMB, Picture, fit
from vivae.tasks.settling import settle

CHROMA = np.full((2, THUMB[1] // 2, THUMB[0] // 2), 128, np.float32)
LARGE = 8
"""Pixels of the scene to one of a thumbnail."""


def scene(places, seed=0):
    """Large pictures of one background, with a small thing at each of the places (shares of width and height)."""
    rng = np.random.default_rng(seed)
    width, height = THUMB[0] * LARGE, THUMB[1] * LARGE
    ground = cv2.resize(rng.normal(128, 40, (27, 48)), (width, height), interpolation=cv2.INTER_CUBIC)
    for x, y in places:
        picture = ground.copy()
        cv2.circle(picture, (round(x * width), round(y * height)), 14, 255, -1)
        yield np.clip(picture, 0, 255).astype(np.float32)


def thumb(picture):
    return cv2.resize(picture, THUMB, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("keep", [1.0, 0.8])
def test_what_moves_decides(keep):
    places = [(0.3 + 0.03 * number, 0.5) for number in range(16)]
    pictures = list(scene(places))
    group = np.stack([[thumb(one), thumb(one)] for one in pictures])
    wanted = 9
    height, width = pictures[0].shape
    top, left = round(height * (1 - keep) * 0.4), round(width * (1 - keep) * 0.7)
    part = pictures[wanted][top : top + round(height * keep), left : left + round(width * keep)]
    picture = Picture(thumb(part), CHROMA, 16 / 9)
    takes = [[picture, picture]]
    start = 2  # the alignment is taken from another segment
    laid = fit(takes, list(group[start]), 16 / 9)
    scores = settle(takes, laid, start, group.astype(np.uint8), 16 / 9)
    assert int(scores.argmax()) == wanted
    assert scores[wanted] > 0.75


def test_a_stranger_fits_nothing():
    group = np.stack([[thumb(one)] * 2 for one in scene([(0.3 + 0.04 * k, 0.5) for k in range(8)])])
    (other,) = scene([(0.5, 0.5)], seed=5)
    takes = [[Picture(thumb(other), CHROMA, 16 / 9)] * 2]
    laid = fit(takes, list(group[0]), 16 / 9)
    assert settle(takes, laid, 0, group.astype(np.uint8), 16 / 9).max() < 0.6
