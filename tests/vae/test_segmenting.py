"""Motion models fit, what moves by itself stands out, classifiers learn, backgrounds hold."""

import cv2
import numpy as np
import torch

from vivae.vae.background import Background
from vivae.vae.identity import Identities
from vivae.vae.motion import Motion
from vivae.vae.moving import MotionWindow, what_moves
from vivae.vae.parametric import camera_motion, fit_motion, quadratic_terms
from vivae.vae.pixel_classifier import FourierFeatures, PixelClassifier, pixel_signs
from vivae.vae.segmenter import FINEST, GAPS, FlowSegmenter, SegmenterConfig, flow_signs
from vivae.vae.zoo import list_models, load_any, load_segmenter


def test_weighted_fits_find_each_class_its_motion():
    terms = quadratic_terms(20, 30)
    motions = torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(0))
    owner = (torch.arange(600) % 3 == 0).float()
    flow = (terms @ motions[0]) * owner[:, None] + (terms @ motions[1]) * (1 - owner[:, None])
    found = fit_motion(flow[None], torch.stack([owner, 1 - owner])[None], terms)[0]
    assert torch.allclose(found, motions, atol=0.02)


def test_a_class_without_pixels_has_a_finite_motion():
    terms = quadratic_terms(8, 8)
    assert fit_motion(torch.randn(1, 64, 2), torch.zeros(1, 1, 64), terms).isfinite().all()


def test_the_camera_is_what_most_of_the_picture_shares():
    terms = quadratic_terms(24, 32)
    camera = torch.randn(6, 2, generator=torch.Generator().manual_seed(1))
    flow = (terms @ camera).reshape(24, 32, 2)
    flow[4:12, 5:15] += torch.tensor([6.0, -3.0])
    assert torch.allclose(camera_motion(flow.reshape(1, -1, 2), terms)[0], camera, atol=0.03)


def test_signs_do_not_depend_on_the_camera():
    rng = np.random.default_rng(0)
    own = cv2.GaussianBlur(rng.normal(0, 3, (64, 80, 2)).astype(np.float32), (0, 0), 4)
    pan = np.array([3.0, -1.0], np.float32)
    plain, panned = (flow_signs([(own + move) * gap for gap in GAPS]) for move in (0 * pan, pan))
    assert np.abs(plain.inputs - panned.inputs).mean() < 0.02 * np.abs(plain.inputs).mean()


def test_the_network_takes_any_size():
    network = FlowSegmenter(SegmenterConfig(widths=(4, 6), depths=(1, 1))).eval()
    for size in ((33, 47), (1, 5), (16, 16)):
        assert network(torch.zeros(1, 9, *size)).shape == (1, 3, *size)


def moving_square(index):
    rng = np.random.default_rng(4)
    ground = cv2.GaussianBlur(rng.uniform(0, 255, (140, 220, 3)), (0, 0), 2)
    ground = np.clip(110 + 3 * (ground - ground.mean()), 0, 255).astype(np.uint8)
    picture = ground[10:130, 10 + 2 * index : 170 + 2 * index].copy()
    patch = ground[30:70, 60:110]
    left = 90 - 3 * index
    picture[40:80, left : left + 50] = 255 - patch
    mask = np.zeros((120, 160), bool)
    mask[40:80, left : left + 50] = True
    return picture, mask


def test_the_shipped_network_sees_what_moves_by_itself():
    pictures = [moving_square(index)[0] for index in range(7)]
    true = moving_square(3)[1]
    network = load_segmenter()
    moving = what_moves(network, pictures, 3, Motion(finest=FINEST))
    assert moving[true].mean() > moving[~true].mean() + 0.4
    still = what_moves(network, [pictures[0]] * 7, 3, Motion(finest=FINEST))
    assert still.mean() < 0.3
    assert not what_moves(network, pictures[:1], 0, Motion(finest=FINEST)).any()


def test_views_are_the_same_however_long_the_clip():
    network = FlowSegmenter(SegmenterConfig(widths=(4, 6), depths=(1, 1))).eval()
    pictures = [(moving_square(index)[0], index == 0) for index in range(9)]
    whole = list(MotionWindow(network).run(pictures))
    part = list(MotionWindow(network).run(pictures[:7]))
    assert len(whole) == 9
    assert all(np.array_equal(a.moving, b.moving) for a, b in zip(whole[:4], part[:4], strict=True))
    assert whole[0].back is None
    assert whole[1].back is not None


def test_segmenters_are_listed_and_loaded():
    assert "motion" in list_models("segmenter")
    assert isinstance(load_any("motion"), FlowSegmenter)


def test_a_classifier_knows_colours_again():
    picture, mask = moving_square(0)
    picture = picture.copy()
    picture[mask] = (60, 90, 190)
    features = FourierFeatures()(pixel_signs(picture, np.zeros((120, 160), np.float32)))
    half = cv2.resize(mask.astype(np.float32), (80, 60), interpolation=cv2.INTER_AREA)
    classifier = PixelClassifier()
    classifier.say(features, half)
    assert (classifier.tell(features).reshape(60, 80) > 0)[half > 0.9].mean() > 0.95
    classifier.follow(features, half)
    assert (classifier.tell(features).reshape(60, 80) > 0)[half < 0.1].mean() < 0.05


def test_a_background_outlives_what_passes_and_takes_in_what_stays():
    rng = np.random.default_rng(5)
    ground = cv2.GaussianBlur(rng.uniform(0, 255, (60, 80)), (0, 0), 2)
    ground = np.clip(110 + 3 * (ground - ground.mean()), 30, 220)

    def planes(left=None, light=1.0):
        y = ground * light + rng.normal(0, 1.5, ground.shape)
        if left is not None:
            y[20:40, left : left + 16] = 235
        flat = np.full((30, 40), 128, np.uint8)
        return np.clip(y, 0, 255).astype(np.uint8), flat, flat

    background = Background()
    for _ in range(30):
        assert not background.push(planes()).any()
    for left in range(0, 60, 4):
        found = background.push(planes(left))
        true = np.zeros((60, 80), bool)
        true[20:40, left : left + 16] = True
        assert (found & true).sum() / (found | true).sum() > 0.75
    assert not background.push(planes()).any()
    # A cloud is no object.
    for step in range(8):
        assert background.push(planes(light=1 - 0.02 * step)).mean() < 0.02
    for _ in range(170):
        stayed = background.push(planes(30, light=0.86))
    assert not stayed.any()


def test_ids_follow_their_objects():
    identities = Identities()
    for index in range(6):
        mask = np.zeros((60, 90), bool)
        mask[10:20, 5 + 4 * index : 15 + 4 * index] = True
        mask[40:50, 60 - 4 * index : 75 - 4 * index] = True
        labels = identities.label(mask)
        assert np.array_equal(labels > 0, mask)
        if not index:
            first = labels[12, 8], labels[45, 65]
        assert (labels[12, 8 + 4 * index], labels[45, 65 - 4 * index]) == first
    assert first[0] != first[1]
    identities.restart()
    assert identities.label(mask)[12, 30] not in first
