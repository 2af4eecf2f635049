"""The prior's promise: the same integers everywhere, and bits that a coder really needs."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vivae.vae.prior import (
    EXACT,
    FRACTIONS,
    REACH,
    SCALES,
    TOTAL,
    Expected,
    IntegerConv2d,
    bits_of,
    frequency_tables,
    scale_of,
)


def test_every_sum_fits_float32(make_model):
    """The worst input that activations allow stays below 2^24 units of the last place, channel by channel."""
    model = make_model(latent_channels=32, nested=(8, 16), prior_width=64)
    for layer in model.modules():
        if isinstance(layer, IntegerConv2d):
            weight, bias = layer.quantised()
            unit = torch.exp2(layer.exponent.double())
            worst = (weight.double().abs().flatten(1).sum(1) * 255 + bias.double().abs() * 16) * unit
            assert worst.max() < 2**EXACT
            whole = weight.double() * unit[:, None, None, None]
            assert torch.equal(whole, whole.round())
            assert whole.abs().max() <= 127


def test_layers_equal_integer_arithmetic(make_model):
    model = make_model()
    generator = torch.Generator().manual_seed(3)
    for layer in [model.prior.trunk, *model.prior.contexts]:
        codes = torch.randint(-240, 256, (1, layer.in_channels, 9, 11), generator=generator)
        weight, bias = layer.quantised()
        unit = torch.exp2(layer.exponent.double())
        integer_weight = (weight.double() * unit[:, None, None, None]).long()
        integer_bias = (bias.double() * unit * 16).long()
        exact = torch.zeros(1, layer.out_channels, 9, 11, dtype=torch.int64)
        padded = F.pad(codes, (1, 1, 1, 1))
        for row in range(3):
            for column in range(3):
                window = padded[:, :, row : row + 9, column : column + 11]
                exact += torch.einsum("oi,bihw->bohw", integer_weight[:, :, row, column], window)
        exact += integer_bias[:, None, None]
        found = layer(codes.float() / 16).double() * unit[:, None, None] * 16
        assert torch.equal(found, exact.double())


def test_threads_do_not_matter(make_model):
    model = make_model(latent_channels=32, nested=(8, 16), prior_width=64)
    symbols = torch.randint(-9, 10, (1, 32, 17, 23), generator=torch.Generator().manual_seed(1)).float()
    context = torch.zeros(1, 64, 17, 23)
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            begun = model.prior.begin(symbols, context, torch.tensor([0.7]))
            results.append([model.prior.predict(begun, index, symbols) for index in range(4)])
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[1], two[1])


@pytest.mark.parametrize("groups", [None, (1,), (2, 3, 7)])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (5, 4)])
def test_passes_cover_every_symbol_once(make_model, size, groups):
    prior = make_model(groups=groups).prior
    total = sum(prior.mask(index, *size).int() for index in range(prior.passes))
    assert torch.equal(total, torch.ones(8, *size, dtype=total.dtype))


@pytest.mark.parametrize("groups", [None, (2, 3, 7)])
def test_predictions_see_only_decoded_symbols(make_model, groups):
    """What a decoder can compute pass by pass is what the encoder computed with all symbols in hand."""
    model = make_model(groups=groups)
    generator = torch.Generator().manual_seed(5)
    symbols = torch.randint(-6, 7, (1, 8, 5, 6), generator=generator).float()
    begun = model.prior.begin(symbols.flip(2), torch.zeros(1, 16, 5, 6), torch.tensor([0.4]))
    expected = model.prior.expect(begun, symbols)
    decoded = torch.zeros_like(symbols)
    for index in range(model.prior.passes):
        mask = model.prior.mask(index, 5, 6)
        table, offset = model.prior.predict(begun, index, decoded)
        mean = offset + (table % FRACTIONS - FRACTIONS // 2) / FRACTIONS
        assert torch.equal(mean[mask], expected.mean[0][mask])
        assert torch.equal(scale_of((table // FRACTIONS).float())[mask], expected.scale[0][mask])
        decoded = torch.where(mask, symbols, decoded)
    assert torch.equal(decoded, symbols)


def test_tables_are_complete():
    tables = frequency_tables()
    assert tables.shape == (SCALES * FRACTIONS, 2 * REACH + 2)
    assert tables.min() >= 1
    assert (tables.sum(1) == TOTAL).all()


def test_bits_agree_with_tables():
    tables = frequency_tables()
    for level in (0, 9, 25, 40):
        for fraction in (-4, 0, 3):
            mean = fraction / FRACTIONS
            values = torch.arange(-5, 6).float()
            bits = bits_of(
                values, Expected(torch.full((11,), mean), scale_of(torch.full((11,), float(level))))
            )
            row = tables[level * FRACTIONS + fraction + FRACTIONS // 2]
            table_bits = -np.log2(row[REACH - 5 : REACH + 6] / TOTAL)
            reachable = table_bits < 18
            np.testing.assert_allclose(bits.numpy()[reachable], table_bits[reachable], rtol=0.01, atol=2e-4)


def test_bits_have_gradients_far_from_the_mean():
    value = torch.tensor([0.0, 0.4, 3.0, 200.0], requires_grad=True)
    scale = torch.tensor([0.05, 0.3, 1.0, 20.0])
    bits_of(value, Expected(torch.zeros(4), scale)).sum().backward()
    assert torch.isfinite(value.grad).all()
    assert (value.grad[1:] > 0).all()
