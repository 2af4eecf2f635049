"""What comes, gathered from the last frame of a passage backwards: noise averages out, changes do not mix."""

import numpy as np
import pytest
import torch

from vivae.media import pack
from vivae.vae.coming import averaged
from vivae.vae.enhancer import AVERAGED, Enhancer, EnhancerConfig, Known
from vivae.vae.enhancing import EnhancerRunner, Sight, Step
from vivae.vae.motion import Motion

SIGMA = 12.0


def textured(seed, height=64, width=96):
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(60, 190, (height // 8, width // 8)), np.ones((8, 8)))


def frames_of(pictures, seed=9, sigma=SIGMA):
    """Planes with noise of their own, whose deviation in luma is that of RGB noise of `sigma`."""
    rng = np.random.default_rng(seed)
    found = []
    for luma in pictures:
        noisy = luma + rng.normal(0, 0.57 * sigma, luma.shape)
        grey = np.full((luma.shape[0] // 2, luma.shape[1] // 2), 128, np.uint8)
        found.append((np.clip(np.rint(noisy), 0, 255).astype(np.uint8), grey, grey))
    return found


def packed(planes):
    return [pack(frame) for frame in planes]


def pack_luma(luma):
    half = np.zeros((luma.shape[0] // 2, luma.shape[1] // 2), np.uint8)
    return pack((luma.astype(np.uint8), half, half))[:16].astype(float)


def test_where_nothing_moves_noise_averages_out():
    still = textured(0)
    frames = packed(frames_of([still] * 8))
    brought = averaged(frames, Sight(SIGMA, settle=True), Motion(finest=1))
    errors = [float(((part[:16] - pack_luma(still)) ** 2).mean()) for part in brought[:-1]]
    assert brought[-1] is None
    assert errors[0] < 0.25 * errors[-1]
    assert errors == sorted(errors)


def test_what_is_not_the_same_is_not_mixed():
    """Each frame shows something else: what is shown of the next one is that frame alone, moved."""
    frames = packed(frames_of([textured(seed) for seed in range(4)]))
    sight = Sight(SIGMA, settle=True)
    motion = Motion(finest=1)
    brought = averaged(frames, sight, motion)
    alone = [
        sight.brought(motion, one, other, other)[0] for one, other in zip(frames, frames[1:], strict=False)
    ]
    for part, single in zip(brought[:-1], alone, strict=True):
        assert np.abs(part.astype(int) - single).mean() < 1.0


@pytest.mark.parametrize("told", [0.7, 1.4])
def test_noise_need_be_known_only_roughly(told):
    still = textured(0)
    frames = packed(frames_of([still] * 8))
    brought = averaged(frames, Sight(SIGMA * told, settle=True), Motion(finest=1))
    first, last = (float(((part[:16] - pack_luma(still)) ** 2).mean()) for part in (brought[0], brought[-2]))
    assert first < 0.4 * last


def test_frames_before_the_first_that_is_wanted_cost_nothing():
    frames = packed(frames_of([textured(0)] * 6))
    sight = Sight(SIGMA, settle=True)
    whole, part = (averaged(frames, sight, Motion(finest=1), begin) for begin in (0, 3))
    assert part[:3] == [None] * 3
    assert all(np.array_equal(a, b) for a, b in zip(whole[3:-1], part[3:-1], strict=True))


@pytest.fixture(scope="module")
def enhancer():
    torch.manual_seed(0)
    shape = EnhancerConfig(
        name="test", grid=2, widths=(8, 12), blends=True, settled=True, attributes=("noise", "ahead")
    )
    model = Enhancer(shape)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.requires_grad_(False).eval()


def test_what_is_shown_changes_the_result(enhancer):
    frames = frames_of([textured(0)] * 3)
    known = Known(noise=SIGMA, ahead=AVERAGED)
    plain, told = (
        EnhancerRunner(enhancer).run(Step(frames[0], known), Step(frames[1], known), brought)
        for brought in (None, pack(frames_of([textured(1)])[0]))
    )
    assert not np.array_equal(plain[0], told[0])
