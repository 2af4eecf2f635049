"""`doctor`: whether this machine and this installation can do the work, for people and for bug reports."""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import torch

from vivae.app.speed import Report, measured_speeds
from vivae.codec.entropy import check_coder, check_prior
from vivae.errors import VivaeError
from vivae.measure.bench import environment
from vivae.media.encoders import ENCODERS
from vivae.vae.blocks import has_bfloat16
from vivae.vae.zoo import list_models, load_any, load_model

_LOW_DISK_BYTES = 1 << 30
INSTRUCTION_SETS = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "avx_vnni", "amx_tile", "amx_bf16", "amx_int8", "asimd", "asimddp", "bf16", "i8mm", "sve", "sve2",
)  # fmt: skip
DECODERS = (
    "h264", "hevc", "libdav1d", "vp8", "vp9", "mpeg2video", "mpeg4", "prores", "dnxhd", "mjpeg", "ffv1", "huffyuv",
    "rawvideo",
)  # fmt: skip
EXTRAS = {
    "demo": "skvideo", "web": "gradio", "cluster": "ray", "bench": "imageio_ffmpeg", "tune": "optuna",
    "export": "onnxruntime", "docs": "mkdocs",
}  # fmt: skip
"""A package by which each extra is known."""


def doctor(*, speed: bool = False, progress: Report = lambda label, share: None) -> dict[str, Any]:
    """Look at versions, processor, GPU, codecs, extras, shipped weights, the exactness of the entropy coder, the disk.

    speed: also measure how many frames of 640x352 a second each verb does here; takes a minute or two.
    `problems` says in words what stands in the way; it is empty where all is well.
    """
    problems: list[str] = []
    free = shutil.disk_usage(Path.cwd()).free
    if free < _LOW_DISK_BYTES:
        problems.append("less than 1 GiB of disk is free here")
    report = environment(torch.get_num_threads()) | {
        "instruction_sets": _instruction_sets(),
        "native_bfloat16": has_bfloat16(torch.device("cpu")),
        "gpu": _gpu(),
        "encoders": {name: encoder.name in av.codecs_available for name, encoder in ENCODERS.items()},
        "decoders": [name for name in DECODERS if name in av.codecs_available],
        "extras": {extra: find_spec(module) is not None for extra, module in EXTRAS.items()},
        "models": _models(problems),
        "exact_coding": _codes_exactly(problems),
        "free_disk_bytes": free,
        "problems": problems,
    }
    if speed:
        report["frames_per_second_640x352"] = measured_speeds(progress)
    return report


def _instruction_sets() -> list[str]:
    """Of those that make networks fast, what the processor has, by the names of the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    flags = {
        word for line in lines if line.lower().startswith(("flags", "features")) for word in line.split()
    }
    return [name for name in INSTRUCTION_SETS if name in flags]


def _gpu() -> str | None:
    if not torch.cuda.is_available():
        return None
    found = torch.cuda.get_device_properties(0)
    return f"{found.name}, {found.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"


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
