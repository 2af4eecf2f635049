"""Trained models: safetensors weights, a JSON configuration inside them, a name and a SHA-256.

Nothing is unpickled and nothing is fetched: models come inside the package or from a path.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vivae.errors import FormatError, InputError, ModelMismatch
from vivae.media import ColorInfo
from vivae.vae.config import VAEConfig
from vivae.vae.enhancer import Enhancer, EnhancerConfig
from vivae.vae.generator import Generator, GeneratorConfig, new_generator
from vivae.vae.middle import MiddleConfig, MiddleFrame
from vivae.vae.model import VideoVAE
from vivae.vae.prior import IntegerConv2d
from vivae.vae.segmenter import FlowSegmenter, SegmenterConfig

FORMAT = "vivae-model-1"
ENHANCER_FORMAT = "vivae-enhancer-1"
SEGMENTER_FORMAT = "vivae-segmenter-1"
GENERATOR_FORMAT = "vivae-generator-1"
MIDDLE_FORMAT = "vivae-middle-1"
STYLE_COLOR = ColorInfo("limited", "bt601")
"""What strokes are painted in: one description, so that a style looks the same on every video."""
LIMIT_BYTES = 4 << 30
STEP = ".step"
"""Ends the name of what weights of 8 bits are to be multiplied by."""
TINY = 1e-12


def _weights_folder() -> Path:
    return Path(str(resources.files("vivae.vae") / "weights"))


def styles() -> dict[str, Path]:
    """The pictures inside the package that videos can be styled after, by name."""
    return {path.stem: path for path in sorted((_weights_folder() / "styles").glob("*.jpg"))}


AnyModel = VideoVAE | Enhancer | FlowSegmenter | Generator | MiddleFrame


def _form_of(model: AnyModel) -> tuple[str, Callable[[Any], AnyModel]]:
    """The format that a model is written in, and what builds one of a configuration."""
    if isinstance(model, VideoVAE):
        return FORMAT, VideoVAE
    if isinstance(model, Generator):
        return GENERATOR_FORMAT, new_generator
    if isinstance(model, MiddleFrame):
        return MIDDLE_FORMAT, MiddleFrame
    return (ENHANCER_FORMAT, Enhancer) if isinstance(model, Enhancer) else (SEGMENTER_FORMAT, FlowSegmenter)


def list_models(
    kind: Literal["vae", "enhancer", "segmenter", "generator", "middle"] | None = None,
) -> list[str]:
    """Names of the models inside the package: all, or those of a kind."""
    found = sorted(_weights_folder().glob("*.safetensors"))
    wanted = {
        "vae": FORMAT,
        "enhancer": ENHANCER_FORMAT,
        "segmenter": SEGMENTER_FORMAT,
        "generator": GENERATOR_FORMAT,
        "middle": MIDDLE_FORMAT,
        None: None,
    }[kind]
    return [path.stem for path in found if wanted is None or _format_of(path) == wanted]


@cache
def _format_of(path: Path) -> str | None:
    with safe_open(str(path), framework="pt") as file:
        return _header(file).get("format")


def is_own(path: Path) -> bool:
    """Whether a weights file says itself which model it holds. Raises FormatError for what is no safetensors file."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return _header(file).get("format") is not None
    except SafetensorError as error:
        raise FormatError(f"{path} is no readable safetensors file: {error}") from error


def resolve(name: str | Path) -> Path:
    """The weights file of a shipped model's name or of a path; a training's folder stands for its model."""
    shipped = _weights_folder() / f"{name}.safetensors"
    if isinstance(name, str) and name in list_models():
        return shipped
    path = Path(name)
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        names = ", ".join(list_models()) or "none"
        raise InputError(f"no model '{name}': give one of the shipped names ({names}) or a .safetensors file")
    return path


def weights_hash(path: Path) -> str:
    """SHA-256 of the weights file in hexadecimal: what a compressed file names."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def serialise(model: AnyModel, notes: dict[str, Any] | None = None, *, bits: Literal[8, 16] = 16) -> bytes:
    """Weights as float16 and tables of whole numbers, deflated, with the configuration, as safetensors bytes.

    The prior is frozen on the rounded weights, so that what is saved is exactly what will run. Its weights are whole
    numbers of 8 bits where the configuration says so. bits: of each weight of the layers that are not the prior's; 8
    are steps of one size for each channel.
    """
    form, build = _form_of(model)
    clone = build(model.config)
    state = {
        key: value.half().float() if value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    clone.load_state_dict(state)
    if isinstance(clone, VideoVAE) and not clone.prior.whole():
        clone.prior.freeze()
    tensors = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in clone.state_dict().items()
    }
    if isinstance(clone, VideoVAE):
        tensors["tables"] = _deflated(clone.tables)
    if isinstance(clone, VideoVAE) and clone.config.prior_bytes == 1:
        for key, layer in _priors(clone):
            tensors[key] = (layer.quantised()[0] * torch.exp2(layer.exponent)[:, None, None, None]).to(
                torch.int8
            )
    if bits == 8:
        tensors = dict(_in_steps(tensors))
    header = {"format": form, "config": model.config.model_dump(mode="json"), "notes": notes or {}}
    # One entry: safetensors writes several in no fixed order, and equal models should have equal bytes.
    return save(tensors, metadata={"vivae": json.dumps(header)})


def fill(model: AnyModel, tensors: dict[str, torch.Tensor]) -> None:
    """Give a model the weights of a file. Raises RuntimeError for what is missing or has another shape."""
    if isinstance(model, VideoVAE):
        for key, layer in _priors(model):
            weight, exponent = tensors.get(key), tensors.get(key.replace(".weight", ".exponent"))
            if weight is None or exponent is None or exponent.shape != layer.exponent.shape:
                continue  # said below
            if weight.dtype == torch.int8 and weight.shape == layer.weight.shape:
                tensors[key] = weight * torch.exp2(-exponent)[:, None, None, None]
        kept = tensors.get("tables")
        if kept is not None and kept.dtype == torch.uint8:
            tensors["tables"] = _inflated(kept, model.tables)
    for name in [key for key in tensors if key.endswith(STEP)]:
        weight, step = tensors.get(name.removesuffix(STEP)), tensors.pop(name)
        if weight is None or step.shape != weight.shape[:1]:
            raise RuntimeError(f"the steps {name} have no weights of their number")
        tensors[name.removesuffix(STEP)] = weight * step.reshape(-1, *[1] * (weight.dim() - 1))
    if bare := [key for key, value in tensors.items() if value.dtype == torch.int8]:
        raise RuntimeError(f"the weights {bare[0]} of 8 bits have no steps")
    model.load_state_dict(tensors)


def _in_steps(tensors: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """Matrices and filters as whole numbers from -127 to 127, beside the size of a step for each of their rows."""
    for key, value in tensors.items():
        if value.dtype != torch.float16 or value.dim() < 2 or key.startswith("prior."):
            yield key, value
            continue
        rows = value.float().flatten(1)
        step = rows.abs().amax(1).clamp_min(TINY) / 127
        yield key, (rows / step[:, None]).round().to(torch.int8).reshape(value.shape)
        yield key + STEP, step


def _deflated(tables: torch.Tensor) -> torch.Tensor:
    """Whole numbers as bytes of a zlib stream of little-endian 32-bit ones: a sixth of the size."""
    return torch.frombuffer(
        bytearray(zlib.compress(tables.cpu().numpy().astype("<i4").tobytes(), 9)), dtype=torch.uint8
    )


def _inflated(kept: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The inverse of `_deflated`, in the shape of `like`. Raises RuntimeError where it does not fit."""
    wanted = 4 * like.numel()
    stream = zlib.decompressobj()
    try:
        # One byte more than wanted: what is longer is found out, and takes no memory.
        raw = stream.decompress(kept.numpy().tobytes(), wanted + 1)
    except zlib.error as error:
        raise RuntimeError(f"the tables of frequencies are damaged: {error}") from error
    if len(raw) != wanted:
        raise RuntimeError("the tables of frequencies have another size")
    return torch.from_numpy(np.frombuffer(raw, "<i4").astype(np.int32)).reshape(like.shape)


def is_named(model: VideoVAE | Enhancer, named: str) -> bool:
    """Whether a file that names its model by this hash, or the beginning of it, means `model`.

    A model that was stored in another form, with other bytes, is the same all the same: its notes say by which hashes
    it went before.
    """
    known = (model.hash, *model.notes.get("formerly", ()))
    return bool(named) and any(whole.startswith(named) for whole in known)


def check_made_with(model: VideoVAE, src: str | Path, name: str, named: str) -> None:
    """Raises ModelMismatch where `src`, which names its model so and by this hash, was made with another."""
    if not is_named(model, named):
        raise ModelMismatch(
            f"'{src}' was made with model '{name}' {named[:12]}, not with '{model.config.name}' {model.hash[:12]}: "
            "give the right one with --model"
        )


def _priors(model: VideoVAE) -> Iterator[tuple[str, IntegerConv2d]]:
    """The layers of the prior, each with the name of its weights."""
    for name, layer in model.prior.named_modules(prefix="prior"):
        if isinstance(layer, IntegerConv2d):
            yield f"{name}.weight", layer


def load_any(name: str | Path, *, device: str | torch.device = "cpu") -> AnyModel:
    """A model of any kind by shipped name or path, in evaluation mode, with `.hash` set.

    Raises InputError for an unknown name and FormatError for a file that is no vivae model.
    """
    path = resolve(name)
    return _load(str(path), path.stat().st_mtime_ns, str(device))


def load_model(name: str | Path = "base", *, device: str | torch.device = "cpu") -> VideoVAE:
    """A trained VAE; see `load_any`. Raises InputError for an enhancer, too."""
    model = load_any(name, device=device)
    if not isinstance(model, VideoVAE):
        raise InputError(f"model '{name}' has no latent of pictures: give a VAE, such as 'base'")
    return model


def load_enhancer(name: str | Path = "upscale", *, device: str | torch.device = "cpu") -> Enhancer:
    """A trained enhancer; see `load_any`. Raises InputError for a VAE, too."""
    model = load_any(name, device=device)
    if not isinstance(model, Enhancer):
        raise InputError(f"model '{name}' is no enhancer: give one such as 'upscale'")
    return model


def load_segmenter(name: str | Path = "motion", *, device: str | torch.device = "cpu") -> FlowSegmenter:
    """A trained segmenter of flow; see `load_any`. Raises InputError for a model of another kind, too."""
    model = load_any(name, device=device)
    if not isinstance(model, FlowSegmenter):
        raise InputError(f"model '{name}' does not segment motion: give one such as 'motion'")
    return model


def load_generator(name: str | Path, *, device: str | torch.device = "cpu") -> Generator:
    """A trained generator; see `load_any`. Raises InputError for a model of another kind, too."""
    model = load_any(name, device=device)
    if not isinstance(model, Generator):
        names = ", ".join(list_models("generator"))
        raise InputError(
            f"model '{name}' is no generator: give a trained one's folder, or a shipped one ({names})"
        )
    return model


def load_middle(name: str | Path = "between", *, device: str | torch.device = "cpu") -> MiddleFrame:
    """A trained model of frames between others; see `load_any`. Raises InputError for a model of another kind, too."""
    model = load_any(name, device=device)
    if not isinstance(model, MiddleFrame):
        raise InputError(f"model '{name}' does not find frames between others: give one such as 'between'")
    return model


@lru_cache(maxsize=8)
def _load(path: str, _changed: int, device: str) -> AnyModel:
    if Path(path).stat().st_size > LIMIT_BYTES:
        raise FormatError(f"{path} is larger than any vivae model ({LIMIT_BYTES >> 30} GiB)")
    model: AnyModel
    try:
        with safe_open(path, framework="pt") as file:
            header = _header(file)
            match header.get("format"):
                case form if form == FORMAT:
                    model = VideoVAE(VAEConfig.model_validate(header["config"]))
                case form if form == ENHANCER_FORMAT:
                    model = Enhancer(EnhancerConfig.model_validate(header["config"]))
                case form if form == SEGMENTER_FORMAT:
                    model = FlowSegmenter(SegmenterConfig.model_validate(header["config"]))
                case form if form == GENERATOR_FORMAT:
                    model = new_generator(GeneratorConfig.model_validate(header["config"]))
                case form if form == MIDDLE_FORMAT:
                    model = MiddleFrame(MiddleConfig.model_validate(header["config"]))
                case other:
                    raise FormatError(f"{path} holds no vivae model (format {other!r})")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValidationError, ValueError, KeyError, OSError) as error:
        raise FormatError(f"{path} is no readable vivae model: {error}") from error
    try:
        fill(model, tensors)
    except RuntimeError as error:
        raise FormatError(f"{path}: weights and configuration disagree: {error}") from error
    model.hash = weights_hash(Path(path))
    model.notes = header.get("notes", {})
    return model.requires_grad_(False).eval().to(device)


def notes_of(name: str | Path) -> dict[str, Any]:
    """What the training wrote beside the weights: recipe, data, minutes, figures."""
    with safe_open(str(resolve(name)), framework="pt") as file:
        notes: dict[str, Any] = _header(file).get("notes", {})
    return notes


def _header(file: Any) -> dict[str, Any]:
    header = json.loads((file.metadata() or {}).get("vivae", "{}"))
    return header if isinstance(header, dict) else {}
