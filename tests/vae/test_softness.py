"""Softness: detail goes where a position says so, and nowhere else; what suits a picture is found."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from vivae.vae.compensation import moved_to
from vivae.vae.softness import LEVELS, luma_errors, softened


@pytest.fixture
def model(make_model):
    return make_model(motion=True, soft=True)


@pytest.fixture
def picture():
    return torch.rand(2, 24, 16, 24, generator=torch.Generator().manual_seed(0))


def everywhere(value):
    return torch.full((2, 1, 4, 6), value, dtype=torch.int32)


def test_none_changes_nothing(model, picture):
    assert torch.equal(softened(picture, everywhere(0), model.config), picture)


def test_each_level_leaves_less_detail_and_the_same_brightness(model, picture):
    shown = [softened(picture, everywhere(level), model.config) for level in range(LEVELS + 1)]
    for start, stop in ((0, 16), (16, 20), (20, 24)):
        deviations = [part[:, start:stop].std() for part in shown]
        assert deviations == sorted(deviations, reverse=True)
        assert deviations[-1] < 0.5 * deviations[0]
        means = [part[:, start:stop].mean() for part in shown]
        torch.testing.assert_close(torch.stack(means), means[0].expand(LEVELS + 1), atol=0.01, rtol=0)


def test_it_stays_near_its_position(model, picture):
    softness = everywhere(0)
    softness[:, :, 0, 0] = LEVELS
    shown = softened(picture, softness, model.config)
    # A position is 4x4 of the packed picture here; the passage to its neighbours ends before the middle of the next.
    assert torch.equal(shown[:, :, 8:], picture[:, :, 8:])
    assert torch.equal(shown[:, :, :, 8:], picture[:, :, :, 8:])
    assert not torch.equal(shown[:, :, :2, :2], picture[:, :, :2, :2])


def test_clips_of_a_batch_are_softened_for_themselves(model, picture):
    softness = everywhere(0)
    softness[1] = 1
    both = softened(picture, softness, model.config)
    assert torch.equal(both[0], picture[0])
    torch.testing.assert_close(both[1:], softened(picture[1:], softness[1:], model.config))


def test_odd_sides_are_softened_to_their_edges(make_model):
    """Chroma of a stride of 4 has two samples a position: a quarter of its size is not whole."""
    config = make_model(
        stride=4, widths=(8,), encoder_depths=(1,), decoder_depths=(1,), motion=True, soft=True
    ).config
    picture = torch.full((1, 24, 3, 5), 0.25)
    shown = softened(picture, torch.full((1, 1, 3, 5), LEVELS, dtype=torch.int32), config)
    torch.testing.assert_close(shown, picture)


def test_what_suits_a_picture_is_found(model, picture):
    """Half of the coming picture has the detail that is known, half only its coarse shape."""
    state = model.initial_state(2, 16, 24)._replace(picture=picture)
    softness = everywhere(0)
    softness[..., 3:] = LEVELS
    x = softened(picture, softness, model.config)
    still = np.zeros((2, 4, 6, 2), np.int32)
    moved, fields = moved_to(still, x, state, torch.tensor([0.5, 0.9]), model.config)
    assert np.array_equal(fields[..., :2], still)
    assert np.array_equal(fields[:, :, :2, 2], np.zeros((2, 4, 2)))
    assert np.array_equal(fields[:, :, 4:, 2], np.full((2, 4, 2), LEVELS))
    before, after = (luma_errors(x, one.picture, model.config)[:, 0].mean() for one in (state, moved))
    assert after < 0.2 * before


def test_without_motion_there_is_nothing_to_soften(make_model):
    with pytest.raises(ValidationError, match="soft needs motion"):
        make_model(soft=True)
