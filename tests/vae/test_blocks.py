"""A convolution and what follows it, in one pass the same as one after the other; and fetching along flow."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vivae.vae.blocks import Down, ResBlock, Up, convolved, has_bfloat16, sampled


def layer_and_input(batch=1, stride=1):
    torch.manual_seed(batch)
    layer = nn.Conv2d(6, 8, 3, stride=stride, padding=1)
    return layer.requires_grad_(False), torch.randn(batch, 6, 10, 14)


@pytest.mark.parametrize("without_gradients", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("told", [{}, {"active": True}, {"gain": 8, "shift": 8, "active": True}, {"gain": 8}])
def test_in_one_pass_it_is_the_same(batch, told, without_gradients):
    layer, x = layer_and_input(batch)
    told = {key: torch.randn(batch, value) if value is not True else True for key, value in told.items()}
    apart = convolved(layer, x, **told)
    with without_gradients():
        assert torch.allclose(convolved(layer, x, **told), apart, atol=1e-5)


@pytest.mark.skipif(not has_bfloat16(torch.device("cpu")), reason="the processor has no bfloat16")
@pytest.mark.parametrize("told", [{"active": True}, {"gain": 8, "shift": 8}, {"plus": True}])
def test_in_one_pass_bfloat16_is_the_same_but_for_its_rounding(told):
    layer, x = layer_and_input()
    told = {key: torch.randn(1, value) if value is not True else True for key, value in told.items()}
    if "plus" in told:
        told["plus"] = torch.randn(1, 8, 10, 14)
    exact = convolved(layer, x, **told)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        together = convolved(layer, x, **told)
    assert together.dtype == torch.bfloat16
    # Its numbers have eight bits, of which those of weights, inputs and results are rounded.
    assert (together - exact).abs().max() < exact.abs().max() / 64


def test_doubling_in_one_pass_is_the_same():
    torch.manual_seed(1)
    up, x = Up(6, 4).requires_grad_(False), torch.randn(2, 6, 5, 7)
    apart = up(x)
    with torch.inference_mode():
        together = up(x)
    assert together.shape == (2, 4, 10, 14)
    assert torch.allclose(together, apart, atol=1e-5)


def test_what_is_added_stays_as_it_was():
    layer, x = layer_and_input()
    plus = torch.randn(1, 8, 10, 14)
    before = plus.clone()
    with torch.inference_mode():
        together = convolved(layer, x, plus=plus)
    assert torch.equal(plus, before)
    assert torch.allclose(together, layer(x) + plus, atol=1e-5)


def test_a_stride_and_a_missing_bias_are_kept():
    down = Down(6, 4).project.requires_grad_(False)
    bare = nn.Conv2d(6, 8, 1, bias=False).requires_grad_(False)
    x, shift = torch.randn(1, 6, 8, 8), torch.randn(1, 8)
    apart = down(x), bare(x) + shift[:, :, None, None]
    with torch.inference_mode():
        together = convolved(down, x), convolved(bare, x, shift=shift)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(apart, together, strict=True))


def test_gradients_reach_all_of_a_block():
    block = ResBlock(4)
    block(torch.randn(1, 4, 6, 6)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())


def test_fetching_is_torchs_bicubic_where_nothing_else_is_asked():
    rng = torch.Generator().manual_seed(3)
    flow = torch.empty(1, 2, 12, 16).uniform_(-2, 2, generator=rng)
    down, across = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij")
    noise = torch.rand((1, 3, 12, 16), generator=rng)
    places = torch.stack([(across + flow[:, 0] + 0.5) / 8 - 1, (down + flow[:, 1] + 0.5) / 6 - 1], -1)
    theirs = F.grid_sample(noise, places, mode="bicubic", padding_mode="border", align_corners=False)
    assert torch.allclose(sampled(noise, flow), theirs, atol=1e-4)


@pytest.mark.parametrize("side", [0, 1])
def test_with_a_of_one_half_whatever_is_quadratic_is_met(side):
    """Keys, 1981; and along rows and columns alike."""
    flow = torch.zeros(1, 2, 12, 12)
    flow[:, side].uniform_(-2, 2, generator=torch.Generator().manual_seed(3))
    rows, columns = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    x, y = columns + flow[0, 0], rows + flow[0, 1]

    def curved(x, y):
        return 0.3 * x**2 - x * y + 0.5 * y**2 + 2 * y

    found = sampled(curved(columns, rows)[None, None], flow, cubic=0.5)[0, 0]
    inside = (x > 1) & (x < 10) & (y > 1) & (y < 10)
    assert torch.allclose(found[inside], curved(x, y)[inside], atol=1e-3)


def fetched_again(waves, cubic):
    """The height of a wave that was moved to and fro by half a sample, away from the edges."""
    wave = torch.sin(torch.arange(64.0) * waves * torch.pi / 32).expand(1, 1, 4, 64)
    flow = torch.zeros(1, 2, 4, 64)
    for step in range(8):
        flow[:, 0] = 0.5 - step % 2
        wave = sampled(wave, flow, cubic=cubic)
    return float(wave[..., 20:44].abs().max())


def test_a_soft_filter_never_makes_details_stronger():
    assert max(fetched_again(waves, 0.4) for waves in range(1, 32)) <= 1 + 1e-4
    assert max(fetched_again(waves, 0.75) for waves in range(1, 32)) > 1.2
