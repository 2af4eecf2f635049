"""The few layers that every network here is built from: dense 2-D convolutions after space-to-depth.

Depthwise and 3-D convolutions are left out on purpose: on a CPU they run several times slower per
multiplication than dense 2-D ones.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.1
TORCH_CUBIC = 0.75
"""-a of the bicubic filter in PyTorch's grid_sample."""


def convolved(
    layer: nn.Conv2d,
    x: Tensor,
    *,
    gain: Tensor | None = None,
    shift: Tensor | None = None,
    plus: Tensor | None = None,
    active: bool = False,
) -> Tensor:
    """A convolution (B, C, h, w), times 1 + `gain`, and `shift` added, both (B, C); `plus` (B, C, h, w) added to that;
    or a leaky ReLU of it, where it is to be `active`.

    Without gradients, on a CPU, pictures are longer on their way to memory and back than in a small convolution: there
    all of it is done in one pass, by oneDNN, which changes results by what rounding does. Where bfloat16 is asked for
    by autocast, that is what comes out, too.
    """
    assert plus is None or not active
    if _in_one_pass(x) and (gain is None or len(x) == 1):
        weight, bias = layer.weight, layer.bias
        if gain is not None:
            weight = (weight * (1 + gain[0])[:, None, None, None]).contiguous(
                memory_format=torch.channels_last
            )
            bias = None if bias is None else bias * (1 + gain[0])
        if shift is not None:
            bias = shift[0] if bias is None else bias + shift[0]
        return _fused(layer, weight, bias, x, plus, active)
    out: Tensor = layer(x)
    if gain is not None:
        out = out * (1 + gain)[:, :, None, None]
    if shift is not None:
        out = out + shift[:, :, None, None]
    if plus is not None:
        out = plus + out
    return F.leaky_relu(out, SLOPE) if active else out


def _fused(
    layer: nn.Conv2d,
    weight: Tensor,
    bias: Tensor | None,
    x: Tensor,
    plus: Tensor | None = None,
    active: bool = False,
) -> Tensor:
    """`convolved` in one pass, with other weights and bias than the layer's own."""
    if torch.is_autocast_enabled("cpu"):
        x, weight = (part.to(torch.bfloat16, memory_format=torch.channels_last) for part in (x, weight))
        bias = None if bias is None else bias.to(torch.bfloat16)
        plus = None if plus is None else plus.to(torch.bfloat16)
    shape = (layer.padding, layer.stride, layer.dilation, layer.groups)
    fused = torch.ops.mkldnn._convolution_pointwise
    if plus is not None:
        return fused.binary(x, plus, weight, bias, *shape, "add", 1.0, None, [], None)
    return fused(x, weight, bias, *shape, *(("leaky_relu", [SLOPE], "") if active else ("none", [], "")))


def _in_one_pass(x: Tensor) -> bool:
    return (
        not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]  # what is exported must run elsewhere
        and x.device.type == "cpu"
        and (
            torch.get_autocast_dtype("cpu") == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
            if torch.is_autocast_enabled("cpu")
            else x.dtype == torch.float32
        )
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


class ResBlock(nn.Module):
    """Two 3x3 convolutions added to the identity; the second starts at zero, so depth is free at first."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return convolved(self.second, convolved(self.first, x, active=True), plus=x)


def residual_stack(width: int, depth: int) -> nn.Sequential:
    """`depth` residual blocks of `width` channels (an identity for depth 0)."""
    return nn.Sequential(*(ResBlock(width) for _ in range(depth)))


class Down(nn.Module):
    """Halve width and height: each 2x2 patch is projected as a whole, so nothing aliases away unseen."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.project = nn.Conv2d(inputs, outputs, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.project(x)
        return out


class Up(nn.Module):
    """Double width and height by a projection and depth-to-space."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.project = nn.Conv2d(inputs, 4 * outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        if not _in_one_pass(x):
            return F.pixel_shuffle(self.project(x), 2)
        # The same numbers, but those of one pixel side by side: they move as a whole, in a third of the time.
        layer, width = self.project, self.project.out_channels // 4
        order = torch.arange(4 * width).reshape(width, 4).T.flatten()
        bias = None if layer.bias is None else layer.bias[order]
        out = _fused(layer, layer.weight[order], bias, x)
        count, _, rows, columns = out.shape
        cells = out.permute(0, 2, 3, 1).reshape(count, rows, columns, 2, 2, width)
        return cells.transpose(2, 3).reshape(count, 2 * rows, 2 * columns, width).permute(0, 3, 1, 2)


class QualityGain(nn.Module):
    """A positive gain for each channel that depends on the wanted quality.

    Log gains at evenly spaced qualities are learned and interpolated linearly (gained VAE, Cui et al., CVPR
    2021), which makes one model serve a continuous range of rates.
    """

    def __init__(self, channels: int, nodes: int, low: float = 1.0, high: float = 1.0):
        super().__init__()
        ramp = torch.linspace(math.log(low), math.log(high), nodes)
        self.log_gain = nn.Parameter(ramp[:, None].repeat(1, channels))

    def forward(self, quality: Tensor) -> Tensor:
        """quality: (B,) in [0, 1] -> gains (B, C, 1, 1)."""
        nodes = self.log_gain.shape[0]
        position = quality.clamp(0, 1) * (nodes - 1)
        below = position.floor().clamp(max=nodes - 2).long()
        share = (position - below)[:, None]
        log_gain = self.log_gain[below] * (1 - share) + self.log_gain[below + 1] * share
        return log_gain.exp()[:, :, None, None]


def on_planes(picture: Tensor, sizes: Sequence[int], change: Callable[[Tensor], Tensor]) -> Tensor:
    """A packed picture (B, sum(sizes), h, w) with each plane changed as a whole: (B, 1, h * fold, w * fold), where its
    number in `sizes` is the square of the fold."""
    changed = []
    for packed in picture.split(list(sizes), 1):
        fold = math.isqrt(packed.shape[1])
        changed.append(F.pixel_unshuffle(change(F.pixel_shuffle(packed, fold)), fold))
    return torch.cat(changed, 1)


def sampled(planes: Tensor, flow: Tensor, method: str = "bicubic", cubic: float = TORCH_CUBIC) -> Tensor:
    """Planes (B, C, H, W) fetched from where flow (B, 2, H, W) leads, in samples; edges are repeated.

    method: "bicubic" or "bilinear". cubic: -a of the bicubic filter along rows and columns (Keys, 1981); aslant it is a
    little softer. Up to 0.5 it makes no detail stronger; beyond, some grow by a few per cent with each fetching.
    """
    height, width = planes.shape[2:]
    columns, rows = (torch.arange(side, device=flow.device, dtype=flow.dtype) for side in (width, height))
    across, down = flow[:, 0] + columns, flow[:, 1] + rows[:, None]

    def fetched(across: Tensor, down: Tensor, mode: str) -> Tensor:
        # In units of grid_sample: -1 and 1 are the outer edges of the first and of the last sample.
        places = torch.stack([(across + 0.5) * (2 / width) - 1, (down + 0.5) * (2 / height) - 1], -1)
        return F.grid_sample(planes, places, mode=mode, padding_mode="border", align_corners=False)

    if method != "bicubic":
        return fetched(across, down, method)
    share = cubic / TORCH_CUBIC
    found = fetched(across, down, "bicubic")
    if share == 1:
        return found
    # Along a line Keys' filters are linear in a, and that of a = 0 has two taps: linear weights on a smooth step.
    return share * found + (1 - share) * fetched(_stepped(across), _stepped(down), "bilinear")


def _stepped(places: Tensor) -> Tensor:
    whole = places.floor()
    part = places - whole
    return whole + part * part * (3 - 2 * part)


def straight_through(exact: Tensor, surrogate: Tensor) -> Tensor:
    """The value of `exact` with the gradient of `surrogate` (Bengio et al., 2013).

    Without gradients it is `exact` to the bit: the sum below would round.
    """
    if not torch.is_grad_enabled():
        return exact
    return surrogate + (exact - surrogate).detach()


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware computes bfloat16 natively."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported()
