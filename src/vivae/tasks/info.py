"""`info`: what a file is, a video or image, a compressed file, latents, or a model."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vivae.codec.describe import describe, describe_shots
from vivae.media import probe
from vivae.tasks.features import is_latent_file, read_header
from vivae.vae.zoo import list_models, load_any, notes_of, resolve


def info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe a file, or a shipped model by its name. `kind` says which of the following keys to expect.

    video, image: size, rate, duration, codec, colour, tracks, metadata; of AV1 also its shots and how
    they are enhanced. latents: model, quality, shape.
    compressed: model, quality, rates, what the bytes are spent on, whether it is intact.
    model: configuration, parameters, SHA-256 and what its training noted.
    Raises InputError for a missing or foreign file, FormatError for a damaged one.
    """
    if str(path) in list_models() and not Path(path).exists():
        return _model(resolve(str(path)))
    if Path(path).suffix == ".safetensors":
        return _latents(path) if is_latent_file(path) else _model(path)
    if Path(path).suffix.lower() == ".vva":
        return describe(path)
    return _video(path)


def _video(path: str | os.PathLike[str]) -> dict[str, Any]:
    found = probe(path)
    shots = {"shots": describe_shots(path)} if found.codec == "av1" and not found.is_image else {}
    return {
        "kind": "image" if found.is_image else "video",
        "path": str(path),
        "size_bytes": found.size_bytes,
        "container": found.container,
        "codec": found.codec,
        "width": found.width,
        "height": found.height,
        "fps": float(found.fps),
        "variable_rate": found.variable_rate,
        "frames": found.frames,
        "duration_s": float(found.duration),
        "bits_per_second": round(found.size_bytes * 8 / float(found.duration)),
        "pixel_format": found.pixel_format,
        "color": asdict(found.color),
        "sample_aspect_ratio": str(found.sar),
        "rotation": found.rotation,
        "audio": [asdict(track) for track in found.audio],
        "subtitles": [asdict(track) for track in found.subtitles],
        "metadata": found.metadata,
    } | shots


def _latents(path: str | os.PathLike[str]) -> dict[str, Any]:
    header, shape, frames = read_header(path)
    return {
        "kind": "latents",
        "path": str(path),
        "size_bytes": Path(path).stat().st_size,
        "frames": frames,
        "latents": list(shape),
    } | header.model_dump(mode="json", exclude={"format"})


def _model(path: str | os.PathLike[str]) -> dict[str, Any]:
    model = load_any(Path(path))
    return {
        "kind": "model",
        "path": str(path),
        "size_bytes": Path(path).stat().st_size,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "hash": model.hash,
        "config": model.config.model_dump(mode="json"),
        "notes": notes_of(Path(path)),
    }
