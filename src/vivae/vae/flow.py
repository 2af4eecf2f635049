"""A learned prior over a VAE's latent tokens: a transformer that carries noise to latents, with some of them given.

Rectified flow (Liu et al., ICLR 2023; Lipman et al., ICLR 2023): x_t = (1 - t) noise + t x_1, and the network is asked
for x_1 (Li & He, 2025, find that easier than the velocity). Tokens that are known are
shown as they are and marked (masked conditioning as in MCVD, Voleti et al., NeurIPS 2022): nothing known is sampling,
the first frames known is continuing, both ends known is filling between, a class known is choosing what is to appear.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.vae.blocks import has_bfloat16

LATEST = 0.95
"""The error of x_1 weighs 1 / (1 - t); from this time on that no longer grows."""

Tokens = list[Tensor]
"""One (B, count, width) for each kind, in their order."""
Known = list[Tensor]
"""One bool (B, count) for each kind: which tokens are given."""


@dataclass(frozen=True)
class Kind:
    """Tokens of one meaning. shape: how they are laid out, such as (things, frames); timed: the axis that is time."""

    name: str
    shape: tuple[int, ...]
    width: int
    timed: int | None = None

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    def at(self, times: Tensor) -> Tensor:
        """(B, T) bool -> (B, count): of a timed kind, the tokens of those times."""
        assert self.timed is not None
        view = [1] * len(self.shape)
        view[self.timed] = self.shape[self.timed]
        return times.reshape(-1, *view).expand(-1, *self.shape).flatten(1)


class FlowConfig(BaseModel):
    """Shape of a `TokenFlow`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(160, ge=16, le=1024)
    depth: int = Field(6, ge=1, le=32)
    heads: int = Field(5, ge=1, le=32)


class _Block(nn.Module):
    """Attention and a feed-forward layer; scale, shift and gate come from the time."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        # One table for all blocks would be modulated alike; each adds its own to what all share (PixArt, Chen et al.).
        self.own = nn.Parameter(torch.zeros(6 * width))
        self.query_gain = nn.Parameter(torch.ones(width // heads))
        self.key_gain = nn.Parameter(torch.ones(width // heads))

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        shift, scale, gate, wide_shift, wide_scale, wide_gate = (told + self.own)[:, None].chunk(6, -1)
        batch, count, width = x.shape
        normed = F.layer_norm(x, (width,)) * (1 + scale) + shift
        q, k, v = self.qkv(normed).reshape(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q = F.rms_norm(q, (q.shape[-1],)) * self.query_gain
        k = F.rms_norm(k, (k.shape[-1],)) * self.key_gain
        seen = _attended(q.to(v.dtype), k.to(v.dtype), v)
        x = x + gate * self.out(seen.transpose(1, 2).reshape(batch, count, width))
        normed = F.layer_norm(x, (width,)) * (1 + wide_scale) + wide_shift
        return x + wide_gate * self.narrow(F.silu(self.wide(normed)))


def _attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(B, heads, count, width) each. Spelled out on a CPU: its fused kernel takes 2 to 5 times as long in bfloat16."""
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v)
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    return scores.softmax(-1).to(v.dtype) @ v


class TokenFlow(nn.Module):
    """The network: noisy tokens, the time and which are known -> the clean tokens."""

    def __init__(self, config: FlowConfig, kinds: Sequence[Kind]):
        super().__init__()
        if config.width % config.heads:
            raise ValueError(f"width {config.width} is no multiple of {config.heads} heads")
        self.config, self.kinds = config, tuple(kinds)
        width = config.width
        self.read = nn.ModuleList(nn.Linear(kind.width + 1, width) for kind in self.kinds)
        self.write = nn.ModuleList(nn.Linear(width, kind.width) for kind in self.kinds)
        self.places = nn.ModuleList(
            nn.ParameterList(nn.Parameter(0.3 * torch.randn(side, width)) for side in kind.shape)
            for kind in self.kinds
        )
        self.clock = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 6 * width))
        self.blocks = nn.ModuleList(_Block(width, config.heads) for _ in range(config.depth))
        for layer in (self.clock[-1], *self.write):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        rates = torch.exp(torch.linspace(0, math.log(1000), width // 2))
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, tokens: Tokens, time: Tensor, known: Known) -> Tokens:
        """tokens as in `Tokens`, time (B,) in [0, 1] -> x_1 in the same form."""
        parts = []
        for index, kind in enumerate(self.kinds):
            mark = known[index].to(tokens[index].dtype)[..., None]
            parts.append(
                self.read[index](torch.cat([tokens[index], mark], -1)) + _spread(self.places[index], kind)
            )
        x = torch.cat(parts, 1)
        angle = time[:, None] * self.get_buffer("rates")
        told = self.clock(torch.cat([angle.sin(), angle.cos()], -1))
        for block in self.blocks:
            x = block(x, told)
        x = F.layer_norm(x, (x.shape[-1],))
        ends = x.split([kind.count for kind in self.kinds], 1)
        return [write(part) for write, part in zip(self.write, ends, strict=True)]


def _spread(tables: nn.Module, kind: Kind) -> Tensor:
    """What tells a token its place: the sum over axes, (count, width)."""
    total: Tensor | None = None
    assert isinstance(tables, nn.ParameterList)
    for axis, table in enumerate(tables):
        view = [1] * len(kind.shape) + [-1]
        view[axis] = kind.shape[axis]
        part = table.reshape(view)
        total = part if total is None else total + part
    assert total is not None
    return total.flatten(0, -2)


def flow_loss(flow: TokenFlow, clean: Tokens, known: Known, generator: torch.Generator) -> Tensor:
    """Mean squared error of x_1 over all that is not known; clean: of unit deviation.

    Weights are between those of the error of x_1 and of the velocity: with the latter's, early times, which decide what
    is to become of a sample, are not learned in a short training.
    """
    device, batch = clean[0].device, clean[0].shape[0]
    time = torch.rand(batch, generator=generator, device=device)
    noisy = []
    for part, given in zip(clean, known, strict=True):
        noise = torch.randn(part.shape, generator=generator, device=device)
        mixed = torch.lerp(noise, part, time[:, None, None])
        noisy.append(torch.where(given[..., None], part, mixed))
    found = flow(noisy, time, known)
    weight = 1 / (1 - time.clamp(max=LATEST))
    losses = []
    for told, part, given in zip(found, clean, known, strict=True):
        free = (~given)[..., None].float()
        error = ((told.float() - part) ** 2 * free * weight[:, None, None]).sum()
        losses.append(error / (free.sum() * part.shape[-1]).clamp_min(1))
    # Each kind counts alike: a few numbers that say what a thing looks like are not outvoted by its many places.
    return torch.stack(losses).mean()


def noise_of(kinds: Sequence[Kind], draws: Sequence[torch.Generator], device: torch.device) -> Tokens:
    """Noise for as many clips as there are generators; each clip's comes from its own, whatever the others are."""
    rows = [[torch.randn(kind.count, kind.width, generator=draw) for kind in kinds] for draw in draws]
    return [torch.stack(parts).to(device) for parts in zip(*rows, strict=True)]


@torch.inference_mode()
def sample_tokens(
    flow: TokenFlow,
    noise: Tokens,
    given: Tokens,
    known: Known,
    *,
    steps: int,
    without: Known | None = None,
    guidance: float = 1.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tokens:
    """Carry noise to latents where nothing is known, by `steps` steps of Heun's method, the last one Euler's.

    without, guidance: what has no time is led away from what it would be if only `without` were known, `guidance` times
    as far as to what it is with all that is known (classifier-free guidance, Ho & Salimans, 2022).
    """
    device, batch = given[0].device, given[0].shape[0]

    def shown(state: Tokens) -> Tokens:
        return [
            torch.where(mark[..., None], part, own)
            for mark, part, own in zip(known, given, state, strict=True)
        ]

    def aim(state: Tokens, time: float) -> Tokens:
        moment = torch.full((batch,), time, device=device)
        with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
            found = [part.float() for part in flow(state, moment, known)]
            if without is None or guidance == 1:
                return found
            hidden = [
                torch.where((mark & ~less)[..., None], torch.lerp(blank, own, time), part)
                for mark, less, blank, own, part in zip(known, without, noise, given, state, strict=True)
            ]
            blind = flow(hidden, moment, without)
        return [
            part if kind.timed is not None else torch.lerp(other.float(), part, guidance)
            for kind, part, other in zip(flow.kinds, found, blind, strict=True)
        ]

    def speed(state: Tokens, time: float) -> Tokens:
        return [(end - own) / (1 - time) for own, end in zip(state, aim(state, time), strict=True)]

    state = shown(noise)
    for index in range(steps - 1):
        now, step = index / steps, 1 / steps
        here = speed(state, now)
        ahead = shown([own + step * part for own, part in zip(state, here, strict=True)])
        there = speed(ahead, now + step)
        state = shown([own + step / 2 * (a + b) for own, a, b in zip(state, here, there, strict=True)])
        progress(index + 1, steps)
    state = shown(aim(state, (steps - 1) / steps))
    progress(steps, steps)
    return state


def draw_known(
    kinds: Sequence[Kind],
    batch: int,
    generator: torch.Generator,
    device: torch.device,
    present: Sequence[Tensor | None] = (),
) -> Known:
    """Which tokens a training shows: nothing, the first times, both ends, or some of what has no time.

    present: for each kind (B, count) bool, where False means that a token's value is unknown and may not be shown.
    """

    def chances(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    counts = {kind.shape[kind.timed] for kind in kinds if kind.timed is not None}
    length = counts.pop()
    mode = chances(batch, 1)
    position = torch.arange(length, device=device)[None]
    first = (chances(batch, 1) * (length - 1)).floor() + 1
    begins = position < first
    last = (chances(batch, 1) * (length - 1)).floor() + 1
    ends = position >= length - last.clamp(max=length - 1)
    one_end = (mode >= 0.3) & (mode < 0.7)
    both = (mode >= 0.7) & (mode < 0.9)
    times = (begins & (one_end | both)) | (ends & both)
    seen = (mode >= 0.3) & (mode < 0.9)
    known = []
    for index, kind in enumerate(kinds):
        if kind.timed is not None:
            mark = kind.at(times)
        else:
            share = torch.where(seen, 0.8, 0.25)
            mark = chances(batch, kind.count) < share
        allowed = present[index] if index < len(present) else None
        known.append(mark if allowed is None else mark & allowed)
    return known
