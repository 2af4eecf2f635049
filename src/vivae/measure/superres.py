"""ESPCN and FSRCNN as OpenCV's dnn_superres ships them, run in torch, for measuring beside them.

Their files are TensorFlow graphs of a dozen kinds of nodes (Shi et al., CVPR 2016; Dong et al., ECCV 2016). Reading
them needs the `bench` extra. They scale luma; chroma is scaled by a bicubic filter, as their authors do.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vivae.errors import FormatError, InputError, UnsupportedError
from vivae.media import Planes

Array = NDArray[np.float32]


class GraphNet:
    """A convolutional network from a TensorFlow GraphDef (.pb) with frozen weights: luma (h, w) -> (s h, s w)."""

    def __init__(self, path: Path) -> None:
        try:
            from tensorboard.compat.proto.graph_pb2 import GraphDef
        except ImportError as error:
            raise UnsupportedError(
                "reading .pb files needs tensorboard: pip install 'vivae[bench]'"
            ) from error
        if not path.is_file():
            raise InputError(f"there is no {path}")
        graph = GraphDef()
        graph.ParseFromString(path.read_bytes())
        self._nodes = list(graph.node)
        self._constants = {
            node.name: _constant(node.attr["value"].tensor) for node in self._nodes if node.op == "Const"
        }

    @torch.inference_mode()
    def __call__(self, luma: Tensor) -> Tensor:
        """(1, 1, h, w) in [0, 1] -> (1, 1, s h, s w)."""
        values: dict[str, Tensor] = dict(self._constants)
        for node in _in_order(self._nodes):
            if node.op == "Placeholder":
                values[node.name] = luma
            elif node.op != "Const":
                inputs = [values[name.split(":")[0]] for name in node.input]
                values[node.name] = _OPERATIONS[node.op](node, *inputs)
        return values[node.name]


def _constant(tensor: Any) -> Tensor:
    shape = [part.size for part in tensor.tensor_shape.dim]
    kind = {1: np.float32, 3: np.int32}[tensor.dtype]
    content = tensor.tensor_content
    listed = tensor.float_val if kind is np.float32 else tensor.int_val
    array = np.frombuffer(content, kind) if content else np.array(listed, kind)
    whole = np.full(shape, array[0]) if array.size == 1 else array.reshape(shape)
    return torch.from_numpy(whole.copy())


def _in_order(nodes: list[Any]) -> list[Any]:
    """Nodes after what they read from."""
    left, done, ordered = list(nodes), set[str](), []
    while left:
        ready = [node for node in left if all(name.split(":")[0] in done for name in node.input)]
        if not ready:
            raise FormatError("the graph goes in a circle")
        ordered += ready
        done |= {node.name for node in ready}
        left = [node for node in left if node.name not in done]
    return ordered


def _convolved(node: Any, x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight.permute(3, 2, 0, 1), padding="same")


def _channelwise(x: Tensor) -> Tensor:
    """Constants of one axis belong to channels."""
    return x[None, :, None, None] if x.ndim == 1 else x


def _to_space(node: Any, x: Tensor) -> Tensor:
    """TensorFlow's order: block positions come before channels."""
    block = node.attr["block_size"].i
    count, channels, height, width = x.shape
    split = x.reshape(count, block, block, channels // block**2, height, width)
    return split.permute(0, 3, 4, 1, 5, 2).reshape(count, -1, height * block, width * block)


_OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "Conv2D": _convolved,
    "Add": lambda node, a, b: _channelwise(a) + _channelwise(b),
    "AddV2": lambda node, a, b: _channelwise(a) + _channelwise(b),
    "BiasAdd": lambda node, a, b: a + _channelwise(b),
    "Sub": lambda node, a, b: _channelwise(a) - _channelwise(b),
    "Mul": lambda node, a, b: _channelwise(a) * _channelwise(b),
    "Abs": lambda node, a: a.abs(),
    "Relu": lambda node, a: a.relu(),
    "Tanh": lambda node, a: a.tanh(),
    "DepthToSpace": _to_space,
    # What is computed here has its channels first all along.
    "Transpose": lambda node, a, order: a,
    "Identity": lambda node, a: a,
}


def scaled_up(net: GraphNet, planes: Planes, times: int) -> Planes:
    """Limited-range uint8 planes, luma by the network and chroma by a bicubic filter."""
    luma = torch.from_numpy((planes[0].astype(np.float32) - 16) / 219)[None, None]
    y = np.rint(net(luma)[0, 0].numpy() * 219 + 16).clip(0, 255).astype(np.uint8)
    height, width = planes[0].shape
    size = (width * times // 2, height * times // 2)
    u, v = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC), np.uint8) for plane in planes[1:]
    )
    return y, u, v
