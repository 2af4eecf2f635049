"""A `VideoVAE` whose encoder and decoder run in onnxruntime, faster on many CPUs, and whose prior stays in torch.

The pictures differ from torch's in the last bits of a float. So it serves the verbs that make features and pictures,
and not the codec, whose files have to decode the same everywhere.
"""

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from vivae.errors import InputError
from vivae.vae.model import VAEState, VideoVAE
from vivae.vae.onnx_graphs import Session, onnx_bytes

Runtime = Literal["torch", "onnx"]


class OnnxVAE(VideoVAE):
    """As the model that it is made of, for inference on the CPU."""

    def __init__(self, model: VideoVAE) -> None:
        super().__init__(model.config)
        self.load_state_dict(model.state_dict())
        self.hash = model.hash
        self.requires_grad_(False).eval()
        self._encode, self._decode = (Session(onnx_bytes(model, part)) for part in ("encoder", "decoder"))

    def encode(
        self, x: Tensor, state: VAEState, quality: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        mean, *rest = self._encode(
            x=x, picture=state.picture, memory=state.memory, quality=quality, condition=condition
        )
        return mean, rest[0] if rest else None

    def decode(
        self, latent: Tensor, state: VAEState, quality: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, VAEState]:
        picture, memory = self._decode(
            latent=latent, picture=state.picture, memory=state.memory, quality=quality, condition=condition
        )
        return picture, state._replace(picture=picture, memory=memory)


def in_runtime(model: VideoVAE, runtime: Runtime) -> VideoVAE:
    """The model as it is, or in onnxruntime. Raises InputError for another name or a model that is not on the CPU."""
    if runtime == "torch":
        return model
    if runtime != "onnx":
        raise InputError(f"there is no runtime '{runtime}': choose torch or onnx")
    if next(model.parameters()).device.type != "cpu":
        raise InputError("the runtime onnx works on the CPU: leave the device out, or the runtime")
    return _made(model, torch.get_num_threads())


@lru_cache(maxsize=2)
def _made(model: VideoVAE, _threads: int) -> OnnxVAE:
    return OnnxVAE(model)
