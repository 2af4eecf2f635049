"""`doctor`: whether this machine and this installation can do the work, for people and for bug reports."""

import shutil
from pathlib import Path
from typing import Any

import av
import torch

from vivae.codec.entropy import check_coder, check_prior
from vivae.errors import VivaeError
from vivae.measure.bench import environment
from vivae.media.encoders import ENCODERS
from vivae.vae.zoo import list_models, load_any, load_model

_LOW_DISK_BYTES = 1 << 30


def doctor() -> dict[str, Any]:
    """Look at versions, processor, encoders, shipped weights, the exactness of the entropy coder, and the disk.

    `problems` says in words what stands in the way; it is empty where all is well.
    """
    problems: list[str] = []
    free = shutil.disk_usage(Path.cwd()).free
    if free < _LOW_DISK_BYTES:
        problems.append("less than 1 GiB of disk is free here")
    return environment(torch.get_num_threads()) | {
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "encoders": {name: encoder.name in av.codecs_available for name, encoder in ENCODERS.items()},
        "models": _models(problems),
        "exact_coding": _codes_exactly(problems),
        "free_disk_bytes": free,
        "problems": problems,
    }


def _models(problems: list[str]) -> dict[str, str]:
    """Name and start of the hash of each shipped model that loads."""
    found = {}
    for name in list_models():
        try:
            found[name] = load_any(name).hash[:16]
        except VivaeError as error:
            problems.append(str(error))
    if not found:
        problems.append("no trained weights are inside the package: install vivae again")
    return found


def _codes_exactly(problems: list[str]) -> bool:
    """Whether the range coder and every model's prior compute what they compute on all machines."""
    try:
        check_coder()
        for name in list_models("vae"):
            check_prior(load_model(name).prior, 16, 16)
    except VivaeError as error:
        problems.append(str(error))
        return False
    return True
