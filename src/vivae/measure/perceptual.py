"""LPIPS-squeeze: how different two pictures look, as SqueezeNet 1.1 sees them (Zhang et al., CVPR 2018).

The network is the one its authors published for Caffe, the heads are those that LPIPS was published with for another
training of the same network: the distance ranks results of one picture and is not to be put beside figures of other
work. Both files are needed, in one folder; nothing is fetched.
"""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vivae.errors import FormatError
from vivae.media import Frame
from vivae.train.lpips import Lpips

NETWORK, HEADS = "squeezenet_v1.1.caffemodel", "lpips_squeeze_heads.pth"
MEAN = (123.0, 117.0, 104.0)
"""RGB of 0 to 255, taken off what Caffe's networks are given, which is BGR."""
FIRES = ((2, 3), (4, 5), (6,), (7,), (8,), (9,))
"""Fire modules in each part after the first; the first three of these begin with a pooling."""
POOLED = 3


def lpips_squeeze(folder: str | Path) -> Lpips | None:
    """The distance, or None where the folder lacks a file of it. Raises FormatError for other files."""
    network, heads = Path(folder) / NETWORK, Path(folder) / HEADS
    if not (network.is_file() and heads.is_file()):
        return None
    try:
        layers = dict(_layers(memoryview(network.read_bytes())))
        found = torch.load(heads, map_location="cpu", weights_only=True)
        first = _convolution(layers["conv1"], 2, 0)
        # Caffe's first layer reads BGR.
        first.weight.data = first.weight.data.flip(1)
        parts: list[nn.Module] = [nn.Sequential(first, nn.ReLU())]
        for index, numbers in enumerate(FIRES):
            pool = [nn.MaxPool2d(3, 2, ceil_mode=True)] if index < POOLED else []
            parts.append(nn.Sequential(*pool, *(_Fire(layers, f"fire{number}") for number in numbers)))
        shift, scale = torch.tensor(MEAN) / 255, torch.full((3,), 1 / 255)
        return Lpips(parts, [found[f"lin{part}.model.1.weight"] for part in range(len(parts))], shift, scale)
    except (KeyError, ValueError, RuntimeError, struct.error, IndexError) as error:
        raise FormatError(f"'{folder}' holds other weights than those of LPIPS-squeeze: {error!r}") from error


@torch.inference_mode()
def mean_lpips(distance: Lpips, reference: Iterable[Frame], decoded: Iterable[Frame]) -> float:
    """Mean over the frames of two streams of one size."""
    values = [
        float(distance(_as_tensor(seen), _as_tensor(clean)))
        for clean, seen in zip(reference, decoded, strict=True)
    ]
    return float(np.mean(values))


def _as_tensor(frame: Frame) -> Tensor:
    return torch.from_numpy(frame.to_rgb()).permute(2, 0, 1)[None].float() / 255


class _Fire(nn.Module):
    """Squeezed to few channels, then widened by 1x1 and 3x3 convolutions side by side."""

    def __init__(self, layers: dict[str, list["_Blob"]], name: str):
        super().__init__()
        self.squeeze = _convolution(layers[f"{name}/squeeze1x1"], 1, 0)
        self.small = _convolution(layers[f"{name}/expand1x1"], 1, 0)
        self.large = _convolution(layers[f"{name}/expand3x3"], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.small(x), self.large(x)], 1).relu()


class _Blob(NamedTuple):
    shape: tuple[int, ...]
    values: NDArray[np.float32]


def _convolution(blobs: list[_Blob], stride: int, padding: int) -> nn.Conv2d:
    kernel, bias = blobs
    out, channels, side, _ = kernel.shape
    layer = nn.Conv2d(channels, out, side, stride, padding)
    layer.weight.data = torch.from_numpy(kernel.values.reshape(kernel.shape).copy())
    assert layer.bias is not None
    layer.bias.data = torch.from_numpy(bias.values.copy())
    return layer


# A .caffemodel is a protocol buffer: NetParameter.layer = 100, LayerParameter.name = 1 and .blobs = 7,
# BlobProto.data = 5 and .shape = 7, BlobShape.dim = 1.


def _layers(data: memoryview) -> Iterator[tuple[str, list[_Blob]]]:
    for number, layer in _fields(data):
        if number == 100:
            parts = list(_fields(layer))
            names = [bytes(value).decode() for field, value in parts if field == 1]
            yield names[0], [_blob(value) for field, value in parts if field == 7]


def _blob(data: memoryview) -> _Blob:
    shape: tuple[int, ...] = ()
    values = np.zeros(0, np.float32)
    for number, value in _fields(data):
        if number == 5:
            values = np.frombuffer(value, "<f4")
        elif number == 7:
            (packed,) = (inner for field, inner in _fields(value) if field == 1)
            shape = tuple(_varints(packed))
    return _Blob(shape, values)


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Numbers and contents of the fields that have a length; others are passed over."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("a field ends beyond its file")
            yield key >> 3, data[at : at + size]
            at += size
        elif kind == 0:
            _, at = _varint(data, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"no field has the kind {kind}")


def _varints(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
