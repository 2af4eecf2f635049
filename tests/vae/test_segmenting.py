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
from vivae.vae.strands import Strands, heaviest
from vivae.vae.unexplained import moving_odds, unexplained
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


def test_where_the_camera_explains_a_picture_nothing_moves():
    pictures = [moving_square(index)[0] for index in range(7)]
    true = moving_square(3)[1]
    # The camera pans by two pixels a frame.
    camera = {gap: np.full((120, 160, 2), (-2.0 * gap, 0), np.float32) for gap in GAPS}
    differences = unexplained(pictures, 3, camera)
    assert len(differences) == 2
    inner = slice(10, -10)
    for difference in differences:
        left, moved = difference[inner, inner], true[inner, inner]
        assert left[moved].mean() > 5 * np.median(left[~moved])
    # Flow that is sure of everything is not believed where nothing is left to explain.
    odds = moving_odds(np.full((120, 160), 0.9, np.float32), differences)[inner, inner]
    moved = true[inner, inner]
    assert (odds > 0)[moved].mean() > 0.9
    assert (odds > 0)[~moved].mean() < 0.2
    # In a first frame, half of the others are missing: the rest says the same.
    first = unexplained(pictures[3:], 0, camera)
    assert len(first) == 2
    assert all((a >= b - 1e-3).all() for a, b in zip(first, differences, strict=True))


def test_noise_is_no_motion():
    still = moving_square(0)[0]
    rng = np.random.default_rng(7)
    noisy = [np.clip(still + rng.normal(0, 25, still.shape), 0, 255).astype(np.uint8) for _ in range(7)]
    camera = {gap: np.zeros((120, 160, 2), np.float32) for gap in GAPS}
    # Flow that does not know: only the pictures speak.
    odds = moving_odds(np.full((120, 160), 0.4, np.float32), unexplained(noisy, 3, camera))
    clean = moving_odds(np.full((120, 160), 0.4, np.float32), unexplained([still] * 7, 3, camera))
    assert (clean < -3).all()
    assert odds.mean() < 0.5


def test_views_hold_log_odds_where_asked_for():
    network = FlowSegmenter(SegmenterConfig(widths=(4, 6), depths=(1, 1))).eval()
    pictures = [(moving_square(index)[0], index == 0) for index in range(5)]
    assert all(view.odds is None for view in MotionWindow(network).run(pictures))
    for view in MotionWindow(network, odds=True).run(pictures):
        assert view.odds.shape == view.moving.shape
        assert np.isfinite(view.odds).all()
    (alone,) = MotionWindow(network, odds=True).run(pictures[:1])
    assert (alone.odds < 0).all()


def blobs(*boxes):
    odds = np.full((60, 90), -3, np.float32)
    for top, left, height, width, value in boxes:
        odds[top : top + height, left : left + width] = value
    return odds


def test_what_weighs_little_over_the_shot_is_no_object():
    still = [None] + [np.zeros((60, 90, 2), np.float32)] * 5
    lasting, flash = (20, 20, 10, 10, 2.0), (20, 60, 14, 14, 3.0)
    odds = [blobs(lasting, flash) if index == 2 else blobs(lasting) for index in range(6)]
    found = Strands(0.5).prune(odds, still)
    assert all((field[20:30, 20:30] > 0).all() for field in found)
    assert (found[2][20:34, 60:74] < 0).all()
    # By itself the flash is the heavier one.
    assert heaviest(odds[2], 0.9)[25, 65]
    assert not heaviest(odds[2], 0.9)[25, 25]


def test_weights_outlast_a_window_but_not_a_cut():
    still = [np.zeros((60, 90, 2), np.float32)] * 4
    lasting, newer = (20, 20, 10, 10, 2.0), (20, 60, 12, 12, 2.0)
    strands = Strands(0.5)
    strands.prune([blobs(lasting)] * 12, [None, *still, *still, *still[:3]])
    (found,) = strands.prune([blobs(lasting, newer)], still[:1])
    assert found[25, 25] > 0
    assert found[25, 65] < 0
    # Another one that is told what this one knows goes on as it would.
    other = Strands(0.5)
    other.state = strands.state
    assert np.array_equal(*(each.prune([blobs(newer)], still[:1])[0] for each in (strands, other)))
    strands.restart()
    assert not strands.state
    (found,) = strands.prune([blobs(lasting, newer)], [None])
    assert found[25, 25] > 0
    assert found[25, 65] > 0


def test_what_runs_along_the_border_weighs_less():
    sky, thing = (0, 0, 8, 90, 3.0), (30, 40, 14, 14, 3.0)
    mask = heaviest(blobs(sky, thing), 0.5)
    assert mask[35, 45]
    assert not mask[:8].any()
    # Where there is nothing else, it is what there is.
    assert heaviest(blobs(sky), 0.5)[:8].all()
    assert not heaviest(blobs(), 0.5).any()


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
