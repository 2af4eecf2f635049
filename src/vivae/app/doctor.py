"""`doctor`: whether this machine and this installation can do the work, for people and for bug reports."""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import av
import torch

import vivae
from vivae.errors import VivaeError
from vivae.media.encoders import ENCODERS
from vivae.vae.zoo import list_models, load_model

_LOW_DISK_BYTES = 1 << 30


def doctor() -> dict[str, Any]:
    """Look at versions, processor, encoders, weights, the coder's arithmetic and the disk.

    `problems` lists in words what stands in the way; it is empty where all is well.
    """
    problems: list[str] = []
    free = shutil.disk_usage(Path.cwd()).free
    if free < _LOW_DISK_BYTES:
        problems.append("less than 1 GiB of disk is free here")
    return {
        "vivae": vivae.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: metadata.version(name) for name in ("torch", "numpy", "av", "constriction")},
        "cpu": _cpu(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "ffmpeg": av.ffmpeg_version_info,
        "encoders": {name: encoder.name in av.codecs_available for name, encoder in ENCODERS.items()},
        "models": _models(problems),
        "free_disk_bytes": free,
        "problems": problems,
    }


def _cpu() -> dict[str, Any]:
    return {
        "name": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def _cpu_name() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _models(problems: list[str]) -> dict[str, str]:
    """Name and start of the hash of each shipped model that loads."""
    found = {}
    for name in list_models():
        try:
            found[name] = load_model(name).hash[:16]
        except VivaeError as error:
            problems.append(str(error))
    if not found:
        problems.append("no trained weights are inside the package: install vivae again")
    return found
