"""State spaces over latents: laws that are found again, and clips that go on from moment to moment."""

import numpy as np
import pytest
import torch

from tests.vae.generators import ALL, small
from vivae.train.composed import bouncing
from vivae.vae.rollout import draws_of, from_clip, from_nothing, rolled_out, streamed
from vivae.vae.states import StatesConfig, StateSpace
from vivae.vae.zoo import load_generator, serialise


def swinging(count, length, seed=0):
    """Two numbers that swing with a period of 20 and noise, seen through six: (count, length, 6)."""
    rng = np.random.default_rng(seed)
    turn = 0.97 * np.array([[np.cos(0.314), -np.sin(0.314)], [np.sin(0.314), np.cos(0.314)]])
    at, rows = rng.standard_normal((count, 2)), []
    for _ in range(length + 50):
        at = at @ turn.T + 0.2 * rng.standard_normal((count, 2))
        rows.append(at)
    mix = np.random.default_rng(9).standard_normal((2, 6))
    return torch.from_numpy(np.stack(rows[50:], 1) @ mix + 3).float()


def far(space, state, steps, seed=0):
    draws = torch.Generator().manual_seed(seed)
    latents = []
    for _ in range(steps):
        state = space.go_on(state, torch.randn(state.place.shape, generator=draws))
        latents.append(space.latent(state))
    return torch.stack(latents, -2)


def test_a_linear_law_is_found_again():
    tracks = swinging(20, 60)
    space = StateSpace(StatesConfig(rank=2, width=0), 6)
    space.fit(tracks)
    assert torch.allclose(space.latent(space.begin(tracks)), tracks[:, -1], atol=1e-3)
    others = swinging(20, 60, seed=1)
    told = space.latent(space.go_on(space.begin(others[:, :-1]), torch.zeros(20, 2)))
    kept = (others[:, -2] - others[:, -1]).square().mean()
    assert (told - others[:, -1]).square().mean() < 0.6 * kept


@pytest.mark.parametrize("count", [1, 20])
def test_a_linear_state_space_neither_dies_nor_runs_away(count):
    tracks = swinging(count, 60)
    space = StateSpace(StatesConfig(rank=2, width=0), 6)
    space.fit(tracks)
    later = far(space, space.begin(tracks[:1]), 4000)
    assert later[:, 2000:].std().item() == pytest.approx(later[:, :2000].std().item(), rel=0.4)
    assert later.std().item() == pytest.approx(tracks.std().item(), rel=0.5)


def test_the_network_learns_what_is_not_linear():
    """Walls: a straight line goes through them."""
    rng = np.random.default_rng(0)
    paths = torch.from_numpy(np.stack([bouncing(rng, 1, 20, 36.0, 3.6)[0] for _ in range(512)])).float()
    torch.manual_seed(0)
    space = StateSpace(StatesConfig(rank=2, width=48, memory=4), 2)
    space.fit(paths)
    optimiser = torch.optim.Adam(space.parameters(), 5e-3)
    draws = torch.Generator().manual_seed(0)
    before = space.loss(paths, draws).item()
    for _ in range(150):
        optimiser.zero_grad()
        loss = space.loss(paths, draws)
        loss.backward()
        optimiser.step()
    assert loss.item() < before - 0.5
    with torch.no_grad():
        state = space.go_on(space.begin(paths[:, :-1]), torch.zeros(512, 2))
        error = (space.latent(state) - paths[:, -1]).norm(dim=-1)
        straight = 2 * paths[:, -2] - paths[:, -3]
    assert error.mean() < (straight - paths[:, -1]).norm(dim=-1).mean()


def test_what_was_never_seen_is_not_walked_into():
    rng = np.random.default_rng(0)
    paths = torch.from_numpy(np.stack([bouncing(rng, 1, 20, 36.0, 3.6)[0] for _ in range(64)])).float()
    space = StateSpace(StatesConfig(rank=2, width=8), 2)  # knows no walls: it was not trained
    space.fit(paths)
    later = far(space, space.begin(paths), 400)
    assert later.min() >= -2.0
    assert later.max() <= 38.0


def shape(made):
    height, width = made.size
    return (height, width) if made.config.vae.kind == "things" else (24, height // 4, width // 4)


def streaming(kind):
    made = small(kind, states={"rank": 3, "width": 0 if kind == "window" else 8})
    torch.manual_seed(1)
    made.states.fit(made.tracks(made.encode(torch.rand(6, 8, *shape(made)), 0)))
    return made


def told(made, start, frames, count=1, seed=0):
    parts = list(streamed(made, start, frames, draws_of(seed, count), steps=2))
    return torch.cat(parts, 1)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("seen", [0, 1, 2, 4])
@pytest.mark.parametrize("frames", [1, 7, 21])
def test_any_length_from_any_start(kind, seen, frames):
    made = streaming(kind)
    start = from_clip(made, torch.rand(1, seen, *shape(made))) if seen else from_nothing(made)
    clip = told(made, start, frames, 2)
    assert clip.shape == (2, frames, *shape(made))
    assert torch.isfinite(clip).all()


@pytest.mark.parametrize("kind", ALL)
def test_longer_clips_begin_like_shorter_ones_and_seeds_decide(kind):
    made = streaming(kind)
    start = from_clip(made, torch.rand(1, 4, *shape(made)))
    long, short, other = told(made, start, 20), told(made, start, 7), told(made, start, 7, seed=1)
    assert torch.equal(long[:, :7], short)
    assert not torch.allclose(other, short)
    assert torch.allclose(told(made, start, 7, 2)[1], other[0], atol=1e-5)


@pytest.mark.parametrize("kind", ALL)
def test_the_first_window_from_nothing_is_the_flows(kind):
    made = streaming(kind)
    start = from_nothing(made)
    (window,) = rolled_out(made, start, 8, draws_of(0, 1), steps=2)
    assert torch.equal(told(made, start, 12)[:, :8], window)


def test_without_a_flow_the_state_space_begins_by_itself():
    made = small("window", states={"rank": 3, "width": 0}, flow=None)
    with pytest.raises(ValueError, match="no flow"):
        made.sample([], [], [], steps=1)
    torch.manual_seed(1)
    clips = torch.rand(6, 8, *shape(made))
    made.states.fit(made.tracks(made.encode(clips)))
    first, other = (told(made, from_nothing(made, draws=draws_of(0, 2)), 9, 2, seed) for seed in (0, 5))
    assert first.shape == (2, 9, *shape(made))
    assert torch.isfinite(first).all()
    assert not torch.allclose(first, other)


def test_without_a_state_space_nothing_streams():
    made = small("things")
    assert not made.streams
    with pytest.raises(ValueError, match="no state space"):
        told(made, from_nothing(made), 3)


@pytest.mark.parametrize("kind", ALL)
def test_saved_and_loaded(kind, tmp_path):
    made = streaming(kind)
    path = tmp_path / "model.safetensors"
    path.write_bytes(serialise(made))
    loaded = load_generator(path)
    assert loaded.streams
    start = from_clip(made, torch.rand(1, 4, *shape(made)))
    assert torch.allclose(told(made, start, 4), told(loaded, start, 4), atol=0.05)
