"""The prior p(z | c): which symbols to expect, in integer arithmetic that is the same on every machine.

Encoder and decoder of a compressed file must agree on every probability to the bit, or the rest of the file
turns to noise. Float networks do not: their sums depend on instruction set, threads and layout. Here weights
are integers times a power of two, activations are multiples of 1/16, and every sum stays below 2^24 units, so
float32 holds each intermediate value exactly and the order of summation cannot matter.

The network sees only symbols decoded before (of earlier steps, and of earlier passes of this one), the quality
index and, where a model has one, an 8-bit integer condition. It emits indices into a stored table of integer
frequencies; nothing is exponentiated while coding.

Source of the idea: Balle, Johnston, Minnen, "Integer networks for data compression with latent-variable
models", ICLR 2019; two-pass spatial context: He et al., "Checkerboard context model", CVPR 2021.
"""

from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.vae.blocks import straight_through
from vivae.vae.config import VAEConfig

UNIT = 16
"""Activations are multiples of 1/UNIT, from 0 to 255/UNIT."""
SYMBOL_LIMIT = 15
"""Symbols enter the network clamped to this magnitude; coding them has no such limit."""
EXACT = 24
"""float32 holds integers up to 2^24 exactly."""
SCALES = 48
SCALE_MIN, SCALE_MAX = 0.05, 24.0
FRACTIONS = 8
"""Means are multiples of 1/FRACTIONS; their whole part is subtracted, the rest picks the table."""
REACH = 127
"""Table entries stand for -REACH..REACH; one more entry is the escape."""
TOTAL = 1 << 24
"""Frequencies of one table sum to this."""
QUALITY_STEPS = 255


class Expected(NamedTuple):
    """Location and Laplace scale of every latent, in quantiser steps, (B, L, h, w) each; differentiable."""

    mean: Tensor
    scale: Tensor


class IntegerConv2d(nn.Conv2d):
    """A convolution with integer weights times 2^-exponent, one exponent an output channel.

    In training the exponents follow the weights; `freeze` fixes them, and from then on they are part of the
    model, so that no machine has to derive them from a float sum.
    """

    exponent: Tensor

    def __init__(self, inputs: int, outputs: int, size: int):
        super().__init__(inputs, outputs, size, padding=size // 2)
        self.register_buffer("exponent", torch.zeros(outputs, dtype=torch.int32))
        self._ready: tuple[tuple[int, int, int], tuple[Tensor, Tensor]] | None = None

    @torch.no_grad()
    def freeze(self) -> None:
        """Choose each channel's exponent: as fine as 7-bit weights and exact sums allow."""
        flat = self.weight.flatten(1)
        assert self.bias is not None
        largest = torch.frexp(flat.abs().amax(1).clamp(min=1e-6)).exponent
        reach = flat.abs().sum(1) * 255 + self.bias.abs() * UNIT
        worst = torch.frexp(reach.clamp(min=1e-6)).exponent
        # One bit of the 24 is kept back for what rounding the weights may add.
        self.exponent.copy_(torch.minimum(7 - largest, EXACT - 1 - worst).clamp(0, 20))

    def quantised(self) -> tuple[Tensor, Tensor]:
        """Weights and biases as the exact dyadic numbers that are used."""
        assert self.bias is not None
        scale = torch.exp2(self.exponent.float())[:, None, None, None]
        weight = (self.weight * scale).round().clamp(-127, 127) / scale
        step = scale.flatten() * UNIT
        return weight, (self.bias * step).round() / step

    def _kept(self) -> tuple[Tensor, Tensor]:
        """The quantised form of weights that do not change, made once: it costs as much as a small convolution."""
        mark = (self.weight.data_ptr(), self.weight._version, self.exponent._version)
        if self._ready is None or self._ready[0] != mark:
            self._ready = mark, self.quantised()
        return self._ready[1]

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.freeze()
        if torch.is_grad_enabled() and self.weight.requires_grad:
            weight, bias = self.quantised()
            assert self.bias is not None
            weight, bias = straight_through(weight, self.weight), straight_through(bias, self.bias)
        else:
            weight, bias = self._kept()
        # Sums in lower precision would not be exact, whatever mode the caller trains in.
        exact = nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)
        with exact:
            return F.conv2d(x.float(), weight, bias, padding=self.padding)


def activate(x: Tensor) -> Tensor:
    """Rectify, clamp to the 8-bit range and round to a multiple of 1/UNIT (half up)."""
    bounded = x.clamp(0, 255 / UNIT)
    return straight_through(torch.floor(bounded * UNIT + 0.5) / UNIT, bounded)


class IntegerPrior(nn.Module):
    """Predicts a Laplace distribution for every symbol, in passes over groups of channels and a checkerboard."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        latent, width = config.latent_channels, config.prior_width
        self.latent_channels, self.groups = latent, config.prior_groups
        self.passes = 2 * len(self.groups)
        self.stride = config.stride
        self.remembered = 0 if config.still else 2 * latent + width
        """Inputs of the trunk that tell of the last step: the first of them."""
        self.trunk = IntegerConv2d(self.remembered + 1 + config.condition_channels, width, 3)
        self.contexts = nn.ModuleList(IntegerConv2d(width + latent, width, 3) for _ in range(self.passes))
        self.hidden = nn.ModuleList(IntegerConv2d(width, width, 1) for _ in range(self.passes))
        self.heads = nn.ModuleList(
            IntegerConv2d(width, 2 * len(range(latent)[self._part(index)]), 1) for index in range(self.passes)
        )

    def freeze(self) -> None:
        """Fix the integer form of every layer; done whenever a model is saved."""
        for module in self.modules():
            if isinstance(module, IntegerConv2d):
                module.freeze()

    def whole(self) -> bool:
        """Whether all weights are just what is used of them, as in a model read from a file that holds no more."""
        layers = [module for module in self.modules() if isinstance(module, IntegerConv2d)]
        return all(torch.equal(layer.quantised()[0], layer.weight) for layer in layers)

    @torch.no_grad()
    def adopt(self, other: "IntegerPrior") -> None:
        """Begin as a prior of fewer channels; what is new sees what its last group's passes see, and tells nothing.

        Where the groups of `other` are not the first of these (its last one may be narrower), or its width is another,
        nothing is taken over.
        """
        few, many = other.latent_channels, self.latent_channels
        own, old = self.trunk.weight, other.trunk.weight
        *whole, last = other.groups
        mine = self.groups[: len(other.groups)]
        if mine[:-1] != tuple(whole) or mine[-1].start != last.start or mine[-1].stop < few:
            return
        if len(own) != len(old):
            return
        parts = [(self.remembered, other.remembered, old.shape[1] - other.remembered)]
        if self.remembered and other.remembered:
            parts += [(2 * many, 2 * few, len(old)), (0, 0, few), (many, few, few)]
        _take(self.trunk, other.trunk, parts)
        for index in range(self.passes):
            like = index if index < other.passes else other.passes - 2 + index % 2
            seen = other.contexts[like]
            assert isinstance(seen, IntegerConv2d)
            _take(self.contexts[index], seen, [(0, 0, seen.in_channels)])
            self.hidden[index].load_state_dict(other.hidden[like].state_dict())
            if index < other.passes:
                _take_head(self.heads[index], other.heads[index])

    def mask(self, index: int, height: int, width: int) -> Tensor:
        """Which of (L, h, w) symbols pass `index` codes; the passes are disjoint and together cover all."""
        rows = torch.arange(height)[:, None] + torch.arange(width)[None, :]
        board = rows % 2 == index % 2
        channels = torch.zeros(self.latent_channels, dtype=torch.bool)
        channels[self._part(index)] = True
        return channels[:, None, None] & board

    def begin(
        self, symbols: Tensor, context: Tensor, quality: Tensor, condition: Tensor | None = None
    ) -> Tensor:
        """Context (B, width, h, w) of a step from the last step's symbols and context.

        quality: (B,) in [0, 1], used as a whole number of 1/255. condition: (B, C, H/4, W/4) in [0, 1], whole
        multiples of 1/255.
        """
        level = torch.floor(quality * QUALITY_STEPS + 0.5) / UNIT
        known = [level[:, None, None, None].expand(-1, 1, *symbols.shape[-2:])]
        if self.remembered:
            near = symbols.clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
            known = [near, near.abs(), context, *known]
        if condition is not None:
            codes = torch.floor(condition * 255 + 0.5)
            pooled = F.avg_pool2d(codes, self.stride // 4) if self.stride > 4 else codes
            known.append(torch.floor(pooled + 0.5) / UNIT)
        return activate(self.trunk(torch.cat(known, 1)))

    def _pass(self, context: Tensor, index: int, decoded: Tensor) -> Expected:
        near = decoded.clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
        features = activate(self.contexts[index](torch.cat([context, near], 1)))
        features = activate(self.hidden[index](features))
        mean, level = self.heads[index](features).chunk(2, 1)
        mean = mean.clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
        mean = straight_through(torch.floor(mean * FRACTIONS + 0.5) / FRACTIONS, mean)
        # Four scale steps a unit: the head then reaches every scale with small weights.
        level = (level * 4 + SCALES / 2).clamp(0, SCALES - 1)
        return Expected(mean, straight_through(torch.floor(level + 0.5), level))

    def _part(self, index: int) -> slice:
        """The channels that a pass predicts."""
        return self.groups[index // 2]

    def expect(self, context: Tensor, symbols: Tensor) -> Expected:
        """All passes at once, for training and for counting bits: (B, L, h, w) whole `symbols` are known."""
        height, width = symbols.shape[-2:]
        mean = torch.zeros_like(symbols)
        level = torch.zeros_like(symbols)
        decoded = torch.zeros_like(symbols)
        for index in range(self.passes):
            mask = self.mask(index, height, width).to(symbols.device)
            found = self._pass(context, index, decoded)
            whole = self._part(index)
            mean = torch.where(mask, _spread(found.mean, whole, mean), mean)
            level = torch.where(mask, _spread(found.scale, whole, level), level)
            decoded = torch.where(mask, symbols, decoded)
        return Expected(mean, scale_of(level))

    @torch.no_grad()
    def predict(self, context: Tensor, index: int, decoded: Tensor) -> tuple[Tensor, Tensor]:
        """Table indices and offsets, int64 (L, h, w) each, valid where `mask(index)` holds.

        What is coded is symbol - offset, with the frequencies of the table. decoded: (1, L, h, w) symbols known
        so far, zero elsewhere.
        """
        found = self._pass(context, index, decoded)
        whole = self._part(index)
        mean = _spread(found.mean, whole, decoded)[0]
        level = _spread(found.scale, whole, decoded)[0]
        offset = torch.floor(mean + 0.5)
        fraction = (mean - offset) * FRACTIONS + FRACTIONS // 2
        return (level * FRACTIONS + fraction).long(), offset.long()


def _take(own: nn.Module, other: IntegerConv2d, parts: list[tuple[int, int, int]]) -> None:
    """The weights of `other` for parts of the inputs (first of the own, first of the other's, count); else zero."""
    assert isinstance(own, IntegerConv2d)
    assert own.bias is not None
    assert other.bias is not None
    own.weight.zero_()
    for to, at, count in parts:
        own.weight[:, to : to + count] = other.weight[:, at : at + count]
    own.bias.copy_(other.bias)


def _take_head(own: nn.Module, other: nn.Module) -> None:
    """Means and scales of the first channels; those of channels that are new begin as zero."""
    assert isinstance(own, IntegerConv2d)
    assert isinstance(other, IntegerConv2d)
    for new, old in ((own.weight, other.weight), (own.bias, other.bias)):
        assert new is not None
        assert old is not None
        new.zero_()
        for half, values in zip(new.chunk(2), old.chunk(2), strict=True):
            half[: len(values)] = values


def _spread(part: Tensor, whole: slice, like: Tensor) -> Tensor:
    full = torch.zeros_like(like)
    full[:, whole] = part
    return full


def scale_of(level: Tensor) -> Tensor:
    """Laplace scale, in quantiser steps, of a (possibly fractional) scale index."""
    ratio = float(np.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1))
    return SCALE_MIN * torch.exp(level * ratio)


def frequency_tables() -> NDArray[np.int64]:
    """Integer frequencies (SCALES * FRACTIONS, 2 * REACH + 2), rows summing to TOTAL, every entry at least 1.

    A model carries these as data: they are computed once, when it is made, and never while coding.
    """
    ratio = np.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)
    scales = SCALE_MIN * np.exp(np.arange(SCALES) * ratio)
    fractions = (np.arange(FRACTIONS) - FRACTIONS // 2) / FRACTIONS
    edges = np.arange(-REACH, REACH + 2) - 0.5
    distance = (edges[None, None] - fractions[None, :, None]) / scales[:, None, None]
    tail = 0.5 * np.exp(-np.abs(distance))
    cdf = np.where(distance < 0, tail, 1 - tail).reshape(SCALES * FRACTIONS, -1)
    # Differences of a CDF near 1 lose the small masses: take them on the side where the tail is small.
    upper = np.where(distance < 0, 1 - tail, tail).reshape(SCALES * FRACTIONS, -1)
    right = distance.reshape(SCALES * FRACTIONS, -1)[:, :-1] > 0
    mass = np.where(right, upper[:, :-1] - upper[:, 1:], cdf[:, 1:] - cdf[:, :-1])
    escape = np.maximum(1 - mass.sum(1, keepdims=True), 2.0**-20)
    mass = np.concatenate([mass, escape], 1)
    mass /= mass.sum(1, keepdims=True)
    frequencies = np.maximum(np.floor(mass * (TOTAL - mass.shape[1])), 1).astype(np.int64)
    frequencies[np.arange(len(frequencies)), frequencies.argmax(1)] += TOTAL - frequencies.sum(1)
    return frequencies


def bits_of(value: Tensor, expected: Expected) -> Tensor:
    """-log2 of the Laplace mass of the unit interval around `value`, elementwise; value may carry noise.

    This is the KL from a uniform posterior of width one, centred on `value`, to the prior (Balle et al., ICLR
    2017), and the length that the range coder reaches.
    """
    distance = (value - expected.mean).abs()
    b = expected.scale
    # Mass of [d - 1/2, d + 1/2]: one tail minus the other, stable on both sides of the peak.
    inside = 1 - 0.5 * (torch.exp(-(distance + 0.5) / b) + torch.exp((distance - 0.5).clamp(max=0) / b))
    outside_log = -(distance - 0.5) / b + torch.log(-torch.expm1(-1 / b)) - float(np.log(2))
    inside_log = torch.log(inside.clamp(min=1e-9))
    return -torch.where(distance < 0.5, inside_log, outside_log) / float(np.log(2))
