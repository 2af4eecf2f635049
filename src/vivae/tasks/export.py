"""`export`: a model as ONNX graphs or as a folder in the Hugging Face layout, a clip as a volume for ParaView."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from vivae.errors import InputError, VivaeError
from vivae.media import atomic_path, refuse_overwrite
from vivae.media.atomic import check_target
from vivae.tasks.common import Progress, no_progress
from vivae.tasks.volume import Content, export_volume
from vivae.vae.model import VideoVAE
from vivae.vae.onnx_graphs import GRAPHS, Session, example, names_of, onnx_bytes
from vivae.vae.pretrained import save_pretrained
from vivae.vae.zoo import load_model

TOLERANCE = 1e-4
"""How far onnxruntime may be from torch, in quantiser steps for latents and symbols, in [0, 1] for pictures."""
CHECKED_SIZES = ((4, 5), (9, 3))
"""Rows and columns of latent positions on which a graph is compared with torch."""
TIMED_SIZE = (22, 40)
"""640x352 pixels at stride 16."""
TIMED_RUNS = 7


def export(
    source: str | os.PathLike[str],
    *,
    onnx: str | os.PathLike[str] | None = None,
    hf: str | os.PathLike[str] | None = None,
    vti: str | os.PathLike[str] | None = None,
    content: Sequence[Content] = ("video",),
    masks: str | os.PathLike[str] | None = None,
    width: int | None = None,
    model: str | Path = "base",
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write a model or a clip in a form that other programs read. One of onnx, hf and vti says which.

    onnx: of the model `source`, NAME.onnx stands for NAME-encoder.onnx, NAME-decoder.onnx and NAME-prior.onnx; see
    `vivae.vae.onnx_graphs` for what goes in and out. Each is compared with torch in onnxruntime, over two steps of a
    stream at two sizes, and timed beside it; more than 1e-4 apart is an error, and nothing is written.
    hf: of the model `source`, a folder with config.json, model.safetensors and README.md; see
    `VideoVAE.save_pretrained`.
    vti: of the clip `source`, a VTK image volume over x, y and time, with a picture of it beside; see
    `vivae.tasks.volume.export_volume` for content, masks, width and model.
    Raises InputError, FormatError, UnsupportedError where the `export` extra is missing, OutputError.
    """
    wanted = [name for name, value in (("onnx", onnx), ("hf", hf), ("vti", vti)) if value is not None]
    if len(wanted) != 1:
        raise InputError("say what to write: one of onnx and hf (of a model) or vti (of a clip)")
    if vti is not None:
        return export_volume(
            source, vti, content=content, masks=masks, width=width, model=model, start=start, end=end,
            force=force, progress=progress,
        )  # fmt: skip
    name = os.fspath(source)
    vae = load_model(name)
    if hf is not None:
        return save_pretrained(vae, hf, force=force)
    assert onnx is not None
    return _export_onnx(vae, name, Path(onnx), force)


def _export_onnx(model: VideoVAE, name: str, target: Path, force: bool) -> dict[str, Any]:
    if target.suffix.lower() != ".onnx":
        raise InputError(f"ONNX graphs are written to .onnx files, not to '{target.name}'")
    files = {part: target.with_name(f"{target.stem}-{part}.onnx") for part in GRAPHS}
    for file in files.values():
        check_target(file, force)
        if Path(name).exists():
            refuse_overwrite(file, name)
    graphs = {part: onnx_bytes(model, part) for part in GRAPHS}
    told = {part: _compared(model, part, graph) for part, graph in graphs.items()}
    for part, graph in graphs.items():
        with atomic_path(files[part], force) as beside:
            beside.write_bytes(graph)
        told[part] = {"file": str(files[part]), "size_bytes": len(graph)} | told[part]
    return {"model": model.config.name, "threads": torch.get_num_threads()} | told


def _compared(model: VideoVAE, part: str, graph: bytes) -> dict[str, Any]:
    """Largest difference from torch, and the time of both. Raises VivaeError where they are too far apart."""
    session = Session(graph)
    reference = GRAPHS[part].module(model).eval()
    inputs, outputs = names_of(model, part)
    largest = 0.0
    for rows, columns in CHECKED_SIZES:
        values = example(model, part, rows, columns, seed=rows)
        for _ in range(2):
            expected, found = _run(reference, values, inputs), session(**values)
            largest = max(
                [largest, *((a - b).abs().max().item() for a, b in zip(expected, found, strict=True))]
            )
            # The state that comes out goes in again, as in a stream.
            states = {key.removeprefix("next_"): value for key, value in zip(outputs, found, strict=True)}
            values |= {key: value for key, value in states.items() if key in values}
    if largest > TOLERANCE:
        raise VivaeError(
            f"the {part} of '{model.config.name}' differs by {largest:.1e} between onnxruntime and torch, more than "
            f"{TOLERANCE:.0e}: it is not exported"
        )
    values = example(model, part, *TIMED_SIZE)
    ours, theirs = _times(lambda: _run(reference, values, inputs), lambda: session(**values))
    return {
        "largest_difference": largest,
        "torch_ms": round(1000 * ours, 2),
        "onnxruntime_ms": round(1000 * theirs, 2),
        "times_as_fast": round(ours / theirs, 2),
    }


@torch.no_grad()
def _run(
    module: torch.nn.Module, values: dict[str, torch.Tensor], inputs: tuple[str, ...]
) -> tuple[torch.Tensor, ...]:
    out = module(*(values[name] for name in inputs))
    return out if isinstance(out, tuple) else (out,)


def _times(*calls: Callable[[], Any]) -> list[float]:
    """Median seconds of each, taken in turn so that what else the machine does falls on all alike."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(TIMED_RUNS):
        for call, times in zip(calls, taken, strict=True):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in taken]
