"""A convolution and what follows it: done in one pass it is the same as one after the other."""

import pytest
import torch
from torch import nn

from vivae.vae.blocks import Down, ResBlock, convolved


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
