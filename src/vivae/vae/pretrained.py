"""A VAE as a folder in the layout of the Hugging Face hub, without needing the hub: config.json, model.safetensors,
README.md (the model card). `model.safetensors` is vivae's own file, so the folder works for every `--model`."""

import json
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from vivae import __version__
from vivae.errors import FormatError, InputError
from vivae.media import atomic_dir
from vivae.vae.config import VAEConfig
from vivae.vae.cost import cost_of
from vivae.vae.model import VideoVAE
from vivae.vae.zoo import fill, is_own, list_models, load_model, resolve, serialise, weights_hash

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_OURS = {"architectures": ["VideoVAE"], "library_name": "vivae", "model_type": "vivae-video-vae"}


def save_pretrained(
    model: VideoVAE, folder: str | os.PathLike[str], *, force: bool = False
) -> dict[str, Any]:
    """Write the folder; a model that was loaded from a file keeps its weights file, and with it its hash.

    force: replace a folder that holds such a model. Raises OutputError.
    """
    weights = serialise(model, model.notes)
    with atomic_dir(folder, force) as part:
        (part / WEIGHTS).write_bytes(weights)
        config = _OURS | {"vivae_version": __version__} | model.config.model_dump(mode="json")
        (part / CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        (part / CARD).write_text(card_of(model, weights_hash(part / WEIGHTS)), "utf-8")
    return {
        "output": str(folder),
        "model": model.config.name,
        "sha256": weights_hash(Path(folder) / WEIGHTS),
        "size_bytes": len(weights),
    }


def from_pretrained(name: str | os.PathLike[str], *, device: str = "cpu") -> VideoVAE:
    """The model of such a folder, of a training's folder or weights file, or of a shipped name.

    Where the weights file has lost vivae's own header, as after being saved by other software, config.json describes
    it. Raises InputError for what is missing, FormatError for what does not fit together.
    """
    path = resolve(name if isinstance(name, str) else Path(name))
    if is_own(path):
        return load_model(path, device=device)
    config = path.parent / CONFIG
    if not config.is_file():
        raise InputError(f"'{path}' says nothing about its model, and there is no {CONFIG} beside it")
    try:
        told = json.loads(config.read_text("utf-8"))
        fields = {key: value for key, value in told.items() if key in VAEConfig.model_fields}
        model = VideoVAE(VAEConfig.model_validate(fields))
        fill(model, load_file(path))
    except (ValidationError, ValueError, AttributeError, OSError, SafetensorError, RuntimeError) as error:
        raise FormatError(f"'{config}' and '{path.name}' are no vivae model: {error}") from error
    model.hash = weights_hash(path)
    return model.requires_grad_(False).eval().to(device)


def card_of(model: VideoVAE, sha256: str) -> str:
    """The model card, as Markdown with the metadata that hubs read."""
    config, notes = model.config, model.notes
    cost = cost_of(config)
    recipe = notes.get("recipe", {})
    trained = ""
    if notes:
        trained = (
            f"\n## Training\n\n{notes.get('steps', '?')} steps in {notes.get('minutes', '?')} minutes on "
            f"{notes.get('hardware', 'unknown hardware')}, {notes.get('clips', '?')} clips. The recipe:\n\n"
            f"```json\n{json.dumps(recipe, indent=1)}\n```\n"
        )
    # What the package ships is under its licence; what a user has trained is the user's.
    shipped = model.hash in {load_model(name).hash for name in list_models("vae")}
    licence = "license: apache-2.0\n" if shipped else ""
    return f"""---
library_name: vivae
{licence}pipeline_tag: video-to-video
tags: [video, vae, variational-autoencoder, video-compression, cpu]
---
# {config.name}

A conditional, streaming variational autoencoder of video, for the Python package vivae: 8-bit 4:2:0 frames of any size
and number in, {config.latent_channels} latent channels at a {config.stride}th of width and height out, and back.
{cost.parameters:,} parameters; {cost.encoder:.1f} kMAC a pixel to encode, {cost.decoder:.1f} to decode.

## Use

```python
import vivae

model = vivae.VideoVAE.from_pretrained("path/to/this/folder")
```

or on the command line: `vivae reconstruct clip.mp4 -o through.mkv --model path/to/this/folder`.

| | |
|---|---|
| SHA-256 of model.safetensors | `{sha256}` |
| posterior | {config.posterior} |
| latent channels that also work alone | {", ".join(map(str, config.nested)) or "-"} |
| frames a latent | {config.temporal_stride} |
{trained}"""
