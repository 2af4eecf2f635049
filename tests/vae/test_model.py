"""What the model itself promises: shapes, conditions, bounds, a useful start, and an objective that trains."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from vivae.vae.config import VAEConfig
from vivae.vae.cost import cost_of
from vivae.vae.model import VideoVAE
from vivae.vae.objective import Objective, negative_elbo, plane_errors, train_step
from vivae.vae.transform import cosine_basis


@pytest.mark.parametrize("stride", [4, 8, 16])
@pytest.mark.parametrize("colour", ["yuv420", "gray"])
@pytest.mark.parametrize("posterior", ["uniform", "gaussian"])
def test_every_shape_trains(stride, colour, posterior):
    levels = {4: 1, 8: 2, 16: 3}[stride]
    config = VAEConfig(
        stride=stride,
        colour=colour,
        posterior=posterior,
        latent_channels=6,
        nested=(2,),
        temporal_stride=2,
        condition_channels=3,
        memory_channels=4,
        prior_width=8,
        widths=(8,) * levels,
        encoder_depths=(1,) * levels,
        decoder_depths=(1,) * levels,
    )
    torch.manual_seed(0)
    model = VideoVAE(config).train()
    x = torch.rand(2, config.picture_channels, 8, 12)
    condition = torch.rand(2, 3, 8, 12)
    state = model.initial_state(2, 8, 12)
    quality = torch.tensor([0.2, 1.0])
    total = torch.zeros(())
    for _ in range(2):
        step = train_step(model, x, state, quality, Objective(), condition=condition)
        state = step.state
        total = total + negative_elbo(step, quality, Objective())
    total.backward()
    assert step.picture.shape == x.shape
    assert step.picture.min() >= 0
    assert step.picture.max() <= 1
    missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert missing == []


def test_condition_reaches_all_three_networks(make_model):
    model = make_model(condition_channels=4)
    x = torch.rand(1, 24, 8, 8)
    state = model.initial_state(1, 8, 8)
    quality = torch.ones(1)
    dark, light = torch.zeros(1, 4, 8, 8), torch.ones(1, 4, 8, 8)
    one, _ = model.encode(x, state, quality, dark)
    two, _ = model.encode(x, state, quality, light)
    assert not torch.allclose(one, two)
    assert not torch.allclose(
        model.decode(one, state, quality, dark)[0], model.decode(one, state, quality, light)[0]
    )
    assert not torch.equal(model.expect(state, quality, dark), model.expect(state, quality, light))


def test_memory_and_picture_stay_bounded(make_model):
    model = make_model(seed=4)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.mul_(3)
    state = model.initial_state(1, 8, 8)
    for index in range(60):
        latent = torch.randn(1, 8, 2, 2, generator=torch.Generator().manual_seed(index)) * 50
        picture, state = model.decode(latent, state, torch.ones(1))
    assert picture.isfinite().all()
    assert state.memory.abs().max() <= 4


@pytest.mark.parametrize("stride", [4, 8, 16])
@pytest.mark.parametrize("colour", ["yuv420", "gray"])
def test_the_linear_start_is_orthonormal(stride, colour):
    levels = {4: 1, 8: 2, 16: 3}[stride]
    config = VAEConfig(
        stride=stride,
        colour=colour,
        widths=(8,) * levels,
        encoder_depths=(0,) * levels,
        decoder_depths=(0,) * levels,
        latent_channels=10,
        nested=(),
        temporal_stride=2,
    )
    basis = cosine_basis(config)
    product = basis @ basis.T
    used = product.diagonal() > 0.5
    torch.testing.assert_close(product[used][:, used], torch.eye(int(used.sum())), atol=1e-5, rtol=0)
    assert product.diagonal()[~used].abs().sum() == 0


def test_an_untrained_model_is_a_transform_codec():
    """Smooth pictures pass almost unharmed before any training."""
    torch.manual_seed(0)
    model = VideoVAE(VAEConfig()).eval()
    rows, columns = torch.meshgrid(torch.linspace(0, 3, 16), torch.linspace(0, 2, 16), indexing="ij")
    x = (0.5 + 0.3 * torch.sin(rows + columns)).expand(1, 24, 16, 16)
    state = model.initial_state(1, 16, 16)
    quality = torch.ones(1)
    with torch.no_grad():
        latent, _ = model.encode(x, state, quality)
        picture, _ = model.decode(latent, state, quality)
    error = plane_errors(picture, x, "yuv420").mean().item()
    assert 10 * math.log10(255**2 / error) > 24


def test_a_few_steps_lower_the_objective():
    torch.manual_seed(0)
    config = VAEConfig(
        stride=8,
        widths=(12, 16),
        encoder_depths=(0, 1),
        decoder_depths=(0, 1),
        latent_channels=6,
        nested=(2,),
        prior_width=16,
    )
    model = VideoVAE(config).train()
    x = torch.rand(2, 24, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    quality = torch.tensor([0.5, 1.0])
    losses = []
    for index in range(40):
        generator = torch.Generator().manual_seed(index)
        step = train_step(model, x, model.initial_state(2, 8, 8), quality, Objective(), generator)
        loss = negative_elbo(step, quality, Objective())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_cost_counts_what_runs():
    """A model of one convolution a network would be checked by hand; here: doubling depth adds exactly its blocks."""
    base = {"stride": 8, "widths": (16, 32), "encoder_depths": (0, 1), "decoder_depths": (0, 1)}
    shallow = cost_of(VAEConfig(**base))
    deep = cost_of(VAEConfig(**(base | {"encoder_depths": (0, 2), "decoder_depths": (0, 3)})))
    block = 2 * 9 * 32 * 32 / 64 / 1000
    assert deep.encoder - shallow.encoder == pytest.approx(block)
    assert deep.decoder - shallow.decoder == pytest.approx(2 * block)
    assert deep.prior == shallow.prior


def test_cost_uses_up_no_random_number():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    cost_of(VAEConfig(stride=8, widths=(16, 32), encoder_depths=(0, 1), decoder_depths=(0, 1)))
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    "wrong",
    [{"stride": 5}, {"widths": (8, 8)}, {"nested": (8, 4)}, {"name": "No Spaces"}, {"unknown": 1}],
)
def test_contradictions_are_refused(wrong):
    with pytest.raises(ValidationError):
        VAEConfig(**wrong)


def test_a_larger_model_begins_as_the_smaller_one(make_model):
    """What it has beyond the smaller one counts as nothing, and its prior may have other groups."""
    small = make_model()
    config = small.config
    large = make_model(
        latent_channels=2 * config.latent_channels,
        widths=tuple(width + 4 for width in config.widths),
        encoder_depths=tuple(depth + 1 for depth in config.encoder_depths),
        decoder_depths=tuple(depth + 1 for depth in config.decoder_depths),
        memory_channels=config.memory_channels + 2,
        groups=(2, 5),
    )
    for stacks in (large.encoder.stacks, large.decoder.stacks):
        for block in (block for stack in stacks for block in stack):
            torch.nn.init.zeros_(block.second.weight)
            torch.nn.init.zeros_(block.second.bias)
    large.adopt(small)
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(1, config.picture_channels, 8, 8, generator=generator)
    quality = torch.tensor([0.6])
    with torch.no_grad():
        found = large.encode(x, large.initial_state(1, 8, 8), quality)[0]
        wanted = small.encode(x, small.initial_state(1, 8, 8), quality)[0]
        torch.testing.assert_close(found[:, : config.latent_channels], wanted)
        found[:, config.latent_channels :] = 0
        picture, state = large.decode(found, large.initial_state(1, 8, 8), quality)
        shown, kept = small.decode(wanted, small.initial_state(1, 8, 8), quality)
    torch.testing.assert_close(picture, shown)
    torch.testing.assert_close(state.memory[:, : config.memory_channels], kept.memory)


@pytest.mark.parametrize("change", ["another group", "a wider last group", "no past"])
def test_a_larger_prior_begins_as_the_smaller_one(make_model, change):
    still = change == "no past"
    small = make_model(still=still)
    channels = small.config.latent_channels
    starts = tuple(group.start for group in small.config.prior_groups[1:])
    groups = (*starts, channels) if change == "another group" else starts
    large = make_model(seed=1, latent_channels=2 * channels, groups=groups, still=still)
    large.adopt(small)
    for model in (small, large):
        model.prior.freeze()
    symbols = torch.randint(
        -3, 4, (1, 2 * channels, 6, 6), generator=torch.Generator().manual_seed(5)
    ).float()
    quality = torch.tensor([0.6])

    def expected(model, symbols):
        state = model.initial_state(1, 24, 24)
        if not still:
            state = state._replace(symbols=symbols)
        return model.prior.expect(model.expect(state, quality), symbols)

    wanted, found = expected(small, symbols[:, :channels]), expected(large, symbols)
    assert torch.equal(found.mean[:, :channels], wanted.mean)
    assert torch.equal(found.scale[:, :channels], wanted.scale)


def test_the_prior_of_single_pictures_has_no_weights_for_a_past(make_model):
    model, other = make_model(still=True), make_model()
    assert model.prior.trunk.in_channels == 1
    assert sum(p.numel() for p in model.prior.parameters()) < sum(p.numel() for p in other.prior.parameters())
    state = model.initial_state(1, 8, 8)
    seen = model.expect(state, torch.tensor([0.6]))
    told = state._replace(symbols=state.symbols + 3, context=state.context + 1)
    assert torch.equal(model.expect(told, torch.tensor([0.6])), seen)
    model.adopt(other)
    assert torch.equal(model.prior.trunk.weight, other.prior.trunk.weight[:, -1:])


def test_only_smaller_models_are_adopted(make_model):
    small, large = make_model(), make_model(memory_channels=7)
    with pytest.raises(ValueError, match="memory_channels"):
        small.adopt(large)
