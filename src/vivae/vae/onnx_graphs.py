"""A `VideoVAE` as ONNX graphs: encoder, decoder and prior, one step each, with the streaming state in and out.

    encoder   x, picture, memory, quality                  -> latent (of a Gaussian posterior also log_deviation)
    decoder   latent, picture, memory, quality             -> next_picture, next_memory
    prior     symbols, last_symbols, context, quality      -> mean, scale, next_context

and `condition` for a model that takes one. Shapes and units are those of `vivae.vae.model`; batch, rows and columns are
free. What a step gives as next_* goes into the following one without that prefix; before the first, picture is 0.5
everywhere and the others 0. The receiver's latent is what `quantise` makes of the sender's.

Exported by torch's tracing exporter: the graphs have no branches that depend on values, and it takes a second where the
newer one, which reasons about shapes, took minutes.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vivae import __version__
from vivae.errors import UnsupportedError
from vivae.vae.model import VideoVAE
from vivae.vae.networks import memory_level

OPSET = 17
Arrays = dict[str, NDArray[np.float32]]


class _Encode(nn.Module):
    def __init__(self, model: VideoVAE) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, x: Tensor, picture: Tensor, memory: Tensor, quality: Tensor, condition: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        model = self.model
        out = model.encoder(x, picture, memory, quality, condition)
        if model.config.posterior == "uniform":
            latent: Tensor = out * model.steps(quality)
            return latent
        mean, log_deviation = out.chunk(2, 1)
        return mean * model.steps(quality), log_deviation.clamp(-8.0, 4.0)


class _Decode(nn.Module):
    def __init__(self, model: VideoVAE) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        latent: Tensor,
        picture: Tensor,
        memory: Tensor,
        quality: Tensor,
        condition: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        z = latent / self.model.steps(quality)
        picture, memory = self.model.decoder(z, picture, memory, quality, condition)
        return picture, memory


class _Expect(nn.Module):
    def __init__(self, model: VideoVAE) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        symbols: Tensor,
        last_symbols: Tensor,
        context: Tensor,
        quality: Tensor,
        condition: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        prior = self.model.prior
        context = prior.begin(last_symbols, context, quality, condition)
        expected = prior.expect(context, symbols)
        return expected.mean, expected.scale, context


@dataclass(frozen=True, slots=True)
class Graph:
    """One of the three: its torch form, names, and at which scale each input lies, in latent positions a side."""

    module: Callable[[VideoVAE], nn.Module]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


GRAPHS = {
    "encoder": Graph(_Encode, ("x", "picture", "memory", "quality"), ("latent",)),
    "decoder": Graph(_Decode, ("latent", "picture", "memory", "quality"), ("next_picture", "next_memory")),
    "prior": Graph(
        _Expect, ("symbols", "last_symbols", "context", "quality"), ("mean", "scale", "next_context")
    ),
}


def names_of(model: VideoVAE, part: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Inputs and outputs of a graph of this model."""
    graph = GRAPHS[part]
    inputs = (*graph.inputs, "condition") if model.config.condition_channels else graph.inputs
    gaussian = part == "encoder" and model.config.posterior == "gaussian"
    return inputs, (*graph.outputs, "log_deviation") if gaussian else graph.outputs


def example(model: VideoVAE, part: str, rows: int, columns: int, seed: int = 0) -> dict[str, Tensor]:
    """Random inputs of a graph, for a latent of rows x columns positions."""
    generator = torch.Generator().manual_seed(seed)
    config = model.config
    fold = config.stride // 4
    sizes = {
        "x": (config.picture_channels, fold),
        "picture": (config.picture_channels, fold),
        "memory": (config.memory_channels, fold // 2 ** memory_level(config)),
        "condition": (config.condition_channels, fold),
        "context": (config.prior_width, 1),
    }
    inputs, _ = names_of(model, part)
    found = {}
    for name in inputs:
        if name == "quality":
            found[name] = torch.rand(1, generator=generator)
            continue
        channels, scale = sizes.get(name, (config.latent_channels, 1))
        values = torch.rand(1, channels, scale * rows, scale * columns, generator=generator)
        if name in ("symbols", "last_symbols"):
            values = ((values - 0.5) * 9).round()
        elif name == "latent":
            values = (values - 0.5) * 9
        elif name == "context":
            values = (values * 64).floor() / 16
        elif name == "condition":
            values = (values * 255).round() / 255
        found[name] = values
    return found


@torch.no_grad()
def onnx_bytes(model: VideoVAE, part: str) -> bytes:
    """One of the graphs ("encoder", "decoder", "prior") as an ONNX file. Raises UnsupportedError without onnx."""
    try:
        import onnx
    except ImportError as error:
        raise UnsupportedError("ONNX is not installed: pip install 'vivae[export]'") from error
    module = GRAPHS[part].module(model).eval()
    inputs, outputs = names_of(model, part)
    values = example(model, part, 3, 4)
    arguments = (*(values[name] for name in inputs), *([] if "condition" in inputs else [None]))
    module(*arguments)  # so that the integer form of the prior's weights is at hand, and traced as constants
    axes = {name: _axes(name) for name in (*inputs, *outputs)}
    with TemporaryDirectory() as room, warnings.catch_warnings():
        file = Path(room) / "graph.onnx"
        warnings.simplefilter("ignore")  # of its own age, and of shapes that become constants, which are
        torch.onnx.export(
            module, arguments, file, dynamo=False, opset_version=OPSET, input_names=list(inputs),
            output_names=list(outputs), dynamic_axes=axes,
        )  # fmt: skip
        found = onnx.load_model(file)
    found.producer_name, found.producer_version = "vivae", __version__
    found.graph.name = f"{model.config.name} {part}"
    found.doc_string = __doc__ or ""
    notes = {"model": model.config.name, "sha256": model.hash, "part": part}
    notes["config"] = json.dumps(model.config.model_dump(mode="json"))
    for key, value in notes.items():
        entry = found.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(found)
    return bytes(found.SerializeToString())


def _axes(name: str) -> dict[int, str]:
    if name == "quality":
        return {0: "batch"}
    grid = {"x": "picture", "condition": "picture", "next_picture": "picture", "next_memory": "memory"}.get(
        name, name
    )
    of = grid if grid in ("picture", "memory") else "latent"
    return {0: "batch", 2: f"{of}_rows", 3: f"{of}_columns"}


class Session:
    """A graph ready to run in onnxruntime, on as many threads as torch uses. Raises UnsupportedError without it."""

    def __init__(self, graph: bytes) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise UnsupportedError("onnxruntime is not installed: pip install 'vivae[export]'") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._wanted = {part.name for part in self._session.get_inputs()}

    def __call__(self, **inputs: Tensor | None) -> tuple[Tensor, ...]:
        """Outputs in order; inputs that are None are left out, and those that the model does not look at."""
        given = {
            name: value.contiguous().numpy()
            for name, value in inputs.items()
            if value is not None and name in self._wanted
        }
        return tuple(torch.from_numpy(value) for value in self._session.run(None, given))
