"""Generators of either kind: tokens and back, any length from window to window, and what is known stays."""

import pytest
import torch

from tests.vae.generators import ALL, small
from vivae.vae.rollout import draws_of, from_clip, from_ends, from_nothing, rolled_out
from vivae.vae.zoo import load_generator, serialise


def rolled(made, start, frames, count=1, seed=0, steps=2):
    parts = list(rolled_out(made, start, frames, draws_of(seed, count), steps=steps))
    return torch.cat(parts, 1)


def shape(made):
    height, width = made.size
    return (height, width) if made.config.vae.kind == "things" else (24, height // 4, width // 4)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("frames", [1, 8, 9, 21])
def test_any_length(kind, frames):
    made = small(kind)
    clip = rolled(made, from_nothing(made), frames, 2)
    assert clip.shape == (2, frames, *shape(made))
    assert torch.isfinite(clip).all()


@pytest.mark.parametrize("kind", ALL)
def test_longer_clips_begin_like_shorter_ones(kind):
    made = small(kind)
    long, short = (rolled(made, from_nothing(made), frames) for frames in (20, 8))
    assert torch.allclose(long[:, :8], short, atol=1e-5)


@pytest.mark.parametrize("kind", ALL)
def test_seeds_decide(kind):
    made = small(kind)
    first, again, other = (rolled(made, from_nothing(made), 8, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("seen", [1, 3, 4, 8])
def test_going_on_from_a_clip(kind, seen):
    made = small(kind)
    clip = torch.rand(1, seen, *shape(made))
    start = from_clip(made, clip)
    assert start.frames == min(seen, 4) // made.unit * made.unit
    assert rolled(made, start, 11).shape[1] == 11


@pytest.mark.parametrize("kind", ALL)
def test_between_two_ends(kind):
    made = small(kind)
    before, after = torch.rand(1, 4, *shape(made)), torch.rand(1, 4, *shape(made))
    start = from_ends(made, before, after, 4)
    assert start.frames == 2
    assert rolled(made, start, 4).shape[1] == 4
    with pytest.raises(ValueError, match="do not fit"):
        from_ends(made, before, after, 8)


@pytest.mark.parametrize("kind", ALL)
def test_known_tokens_come_back_to_the_bit(kind):
    made = small(kind)
    start = from_clip(made, torch.rand(1, 4, *shape(made)))
    tokens = made.sample(made.noise(draws_of(0, 1)), start.given, start.known, steps=2)
    for own, mark, part in zip(start.given, start.known, tokens, strict=True):
        assert torch.equal(part[mark], own[mark])


@pytest.mark.parametrize("kind", ALL)
def test_measured_tokens_are_normal_and_back(kind):
    made = small(kind)
    batches = [made.encode(torch.rand(3, 8, *shape(made)), 0) for _ in range(2)]
    made.measure(batches)
    for kind_, part in zip(made.kinds, made.normal(batches[0]), strict=True):
        if kind_.name != "label":
            assert part.abs().mean() < 3
    for own, part in zip(batches[0], made.natural(made.normal(batches[0])), strict=True):
        assert torch.allclose(own, part, atol=1e-3)


def test_classes_that_are_not_there_are_refused():
    made = small("things")
    assert rolled(made, from_nothing(made, [2]), 8).shape[1] == 8
    for labels in ([3], [-1], [0, 1, 2]):
        with pytest.raises(ValueError, match="do not suit"):
            from_nothing(made, labels)
    with pytest.raises(ValueError, match="do not suit"):
        from_nothing(small("window"), [0])


def test_classes_are_drawn_of_themselves_and_belong_to_the_seed():
    made = small("things")
    starts = [from_nothing(made, draws=draws_of(seed, 3)) for seed in (5, 5, 6)]
    assert torch.equal(starts[0].given[0], starts[1].given[0])
    assert torch.equal(starts[0].given[0][1], starts[2].given[0][0])  # clip 1 of seed 5 is clip 0 of seed 6
    assert (starts[0].given[0].sum(-1) == 1).all()
    assert starts[0].known[0].all()
    many = from_nothing(made, draws=draws_of(0, 60)).given[0].sum((0, 1))
    assert (many > 20).all()


@pytest.mark.parametrize("kind", ALL)
def test_saved_and_loaded(kind, tmp_path):
    made = small(kind)
    path = tmp_path / "model.safetensors"
    path.write_bytes(serialise(made))
    loaded = load_generator(path)
    assert loaded.config == made.config
    for name, value in made.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name].float(), value.float(), rtol=1e-3, atol=1e-5)
