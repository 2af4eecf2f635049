"""Motion compensation: what is known goes where the field says, and the search finds where things went."""

import cv2
import numpy as np
import pytest
import torch

from vivae.vae.compensation import PARTS, MotionSearch, as_tensor, compensated, luma_of, middle_of

STRIDE = 16
CPU = torch.device("cpu")


def texture(height, width, seed=0):
    """Smooth random luma, uint8."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


def uniform(rows, columns, across, down):
    """A field of one vector, in pixels."""
    return np.tile(np.array([across, down], np.int32) * PARTS, (rows, columns, 1))


@pytest.fixture
def known(make_model):
    """A model with motion and a state of 64x96 in which everything is random."""
    model = make_model(motion=True)
    state = model.initial_state(2, 16, 24)
    generator = torch.Generator().manual_seed(0)
    state = type(state)(*(torch.rand(part.shape, generator=generator) for part in state))
    return model, state


def test_standing_still_changes_nothing(known):
    model, state = known
    moved = compensated(state, torch.zeros(2, 2, 4, 6, dtype=torch.int32), model.config)
    for one, other in zip(moved, state, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_whole_pixels_are_fetched_as_they_are(known):
    """Luma, both chroma planes and the memory, an eighth of the frame, go the same way."""
    model, state = known
    field = torch.cat([as_tensor(uniform(4, 6, 8, -16), CPU)] * 2)
    moved = compensated(state, field, model.config)
    # Eight pixels to the right and sixteen up: two and four positions of the packed picture, one and two of the memory.
    assert torch.allclose(moved.picture[:, :, 4:, :-2], state.picture[:, :, :-4, 2:], atol=1e-3)
    assert torch.allclose(moved.memory[:, :, 2:, :-1], state.memory[:, :, :-2, 1:], atol=1e-3)
    assert torch.equal(moved.symbols, state.symbols)
    assert torch.equal(moved.context, state.context)


def test_clips_of_a_batch_go_their_own_ways(known):
    model, state = known
    fields = [as_tensor(uniform(4, 6, *way), CPU) for way in ((3, 1), (-2, 5))]
    both = compensated(state, torch.cat(fields), model.config)
    for index, field in enumerate(fields):
        one = compensated(type(state)(*(part[index : index + 1] for part in state)), field, model.config)
        assert torch.allclose(both.picture[index], one.picture[0], atol=1e-6)
        assert torch.allclose(both.memory[index], one.memory[0], atol=1e-6)


def test_what_comes_from_outside_repeats_the_edge(known):
    model, state = known
    moved = compensated(state, torch.cat([as_tensor(uniform(4, 6, 200, 0), CPU)] * 2), model.config)
    assert torch.isfinite(moved.picture).all()
    right = luma_of(state.picture, model.config)[:, :, -1:]
    assert np.abs(luma_of(moved.picture, model.config).astype(int) - right).max() <= 1


def test_learning_reaches_what_was_moved(known):
    model, state = known
    picture = state.picture.requires_grad_()
    field = torch.cat([as_tensor(uniform(4, 6, 1, 1), CPU)] * 2)
    compensated(state._replace(picture=picture), field, model.config).picture.sum().backward()
    assert picture.grad.abs().sum() > 0


def test_gray(make_model):
    model = make_model(motion=True, colour="gray")
    state = model.initial_state(1, 16, 24)
    state = state._replace(picture=torch.rand(state.picture.shape))
    moved = compensated(state, as_tensor(uniform(4, 6, 4, 0), CPU), model.config)
    assert torch.allclose(moved.picture[..., :-1], state.picture[..., 1:], atol=1e-3)


@pytest.mark.parametrize(("across", "down"), [(5, 0), (-3, 2), (0, -7)])
def test_the_search_follows_a_shift(across, down):
    wide = texture(160 + 32, 240 + 32)
    last = np.ascontiguousarray(wide[16:-16, 16:-16])
    here = np.ascontiguousarray(wide[16 + down : 160 + 16 + down, 16 + across : 240 + 16 + across])
    field = MotionSearch(STRIDE).field(here, last, 0.5)
    assert field.shape == (10, 15, 2)
    inner = field[1:-1, 1:-1] / PARTS
    assert np.abs(inner - [across, down]).mean() < 0.3


def test_noise_is_not_followed():
    """Vectors that save nothing are not worth their bits."""
    picture = texture(160, 240).astype(float)
    rng = np.random.default_rng(1)
    here, last = (
        np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8) for _ in range(2)
    )
    assert (MotionSearch(STRIDE).field(here, last, 0.3) != 0).mean() < 0.1


def test_what_was_found_before_is_tried():
    """Where flow finds nothing, in a picture that is too small for it, the field before is found again."""
    wide = texture(48, 80, seed=2)
    last, here = wide[8:24, 8:40].copy(), wide[8:24, 12:44].copy()
    before = uniform(1, 2, 4, 0)
    search = MotionSearch(STRIDE)
    assert (search.field(here, last, 0.8) != before).any()
    assert (search.field(here, last, 0.8, before) == before).all()


def test_the_middle_of_four():
    four = np.array([[5, -9], [1, 0], [2, 1], [100, 2]], np.int32)[:, None]
    assert middle_of(four).tolist() == [[4, 1]]  # (2 + 5) / 2 and (0 + 1) / 2, rounded up


@pytest.mark.parametrize("changes", [{"still": True}, {"temporal_stride": 2}])
def test_motion_is_from_frame_to_frame(make_model, changes):
    with pytest.raises(ValueError, match="motion is compensated"):
        make_model(motion=True, **changes)
