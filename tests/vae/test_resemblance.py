"""What looks like the object in frames whose masks are known is found again, in memory that does not grow."""

import cv2
import numpy as np
import pytest

from vivae.vae import resemblance
from vivae.vae.resemblance import Resemblance
from vivae.vae.zoo import load_model

SIZE = (90, 120)


def frame(shift):
    """A patch of one texture on another: Y, U, V and the patch's mask."""
    rng = np.random.default_rng(5)
    ground = cv2.GaussianBlur(rng.uniform(0, 255, (*SIZE, 3)), (0, 0), 1)
    patch = cv2.GaussianBlur(rng.uniform(0, 255, (*SIZE, 3)), (0, 0), 4)
    picture = np.clip(128 + 3 * (ground - 128), 0, 255)
    mask = np.zeros(SIZE, bool)
    mask[30:70, 20 + shift : 60 + shift] = True
    picture[mask] = np.clip(90 + 4 * (patch - 128), 0, 255)[30:70, 20:60].reshape(-1, 3)
    return picture.astype(np.uint8), mask


@pytest.fixture
def look():
    return Resemblance(load_model())


def told(look, shift, objects=(1,)):
    picture, mask = frame(shift)
    return look.tell(look.features(picture), dict.fromkeys(objects, mask.astype(np.float32)))


def test_an_object_is_found_where_it_has_gone(look):
    picture, mask = frame(0)
    look.say(look.features(picture), {1: mask.astype(np.float32)})
    for shift in (0, 16, 40):
        found, true = told(look, shift)[1], frame(shift)[1]
        assert found.shape == SIZE
        inside = cv2.erode(true.astype(np.uint8), np.ones((17, 17))) > 0
        outside = cv2.dilate(true.astype(np.uint8), np.ones((17, 17))) == 0
        assert (found[inside] > 0).mean() > 0.8
        assert (found[outside] < 0).mean() > 0.8


def test_nothing_is_said_of_objects_from_frames_in_which_they_were_not_known(look):
    picture, mask = frame(0)
    look.say(look.features(picture), {1: mask.astype(np.float32)})
    found = told(look, 8, (1, 2))
    assert (found[1] > 0).any()
    assert not found[2].any()
    look.say(look.features(picture), {1: mask.astype(np.float32), 2: (~mask).astype(np.float32)})
    found = told(look, 0, (1, 2))
    assert np.corrcoef(found[1].ravel(), found[2].ravel())[0, 1] < -0.9


def test_a_correction_outweighs_what_was_found_before(look):
    picture, mask = frame(0)
    features = look.features(picture)
    right, wrong = mask.astype(np.float32), np.zeros(SIZE, np.float32)
    look.say(features, {1: right})
    for _ in range(resemblance.RECENT):
        look.follow(features, {1: wrong})
    before = told(look, 4)[1]
    look.say(features, {1: right})
    after, true = told(look, 4)[1], frame(4)[1]
    assert after[true].mean() > before[true].mean() + 1


def test_another_goes_on_as_this_one_and_neither_grows(look):
    sizes = []
    for index in range(resemblance.RECENT + 4):
        picture, mask = frame(2 * index)
        features = look.features(picture)
        if index in (0, 2, 3):
            look.say(features, {1: mask.astype(np.float32), 3: mask[::-1].astype(np.float32)})
        look.follow(features, {1: mask.astype(np.float32), 3: mask[::-1].astype(np.float32)})
        sizes.append(sum(array.nbytes for array in look.state.values()))
    assert sizes[-1] == sizes[-2] == max(sizes)
    other = Resemblance(load_model())
    other.state = look.state
    for shift in (20, 24):
        for found, again in zip(
            told(look, shift, (1, 3)).values(), told(other, shift, (1, 3)).values(), strict=True
        ):
            assert np.array_equal(found, again)
        look.restart()
        other.restart()


@pytest.mark.parametrize("size", [(1, 1), (11, 17), (33, 16)])
def test_tiny_and_odd_frames(look, size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    mask = np.zeros(size, np.float32)
    mask[0, 0] = 1
    look.say(look.features(picture), {1: mask})
    found = look.tell(look.features(picture), {1: mask})[1]
    assert found.shape == size
    assert np.isfinite(found).all()
