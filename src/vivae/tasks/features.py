"""The latent itself as a file: `encode` writes it for people who want features, `decode` makes video of it again.

The file is safetensors with three tensors and, as metadata, a `LatentHeader`:

    latents    float16 (N, L, rows, columns), in quantiser steps; one for each step of the model
    times      float64 (T,), seconds from the start; T = N unless the model puts several frames into one latent
    durations  float64 (T,), seconds

Nothing is entropy-coded here: small files are the business of `vivae.codec`.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from vivae.errors import FormatError, InputError
from vivae.media import ColorInfo, Frame, VideoReader, atomic_path, open_video, open_writer
from vivae.media.source import MAX_SIDE
from vivae.tasks.common import Progress, expected_frames, kept_channels, no_progress, unit_quality
from vivae.tasks.familiar import check_familiar
from vivae.vae.model import VideoVAE
from vivae.vae.onnx_runtime import Runtime, in_runtime
from vivae.vae.stream import Layout, StreamDecoder, encode_stream, latent_array
from vivae.vae.zoo import check_made_with, load_model, notes_of

_HEADER_BYTES = 8192
"""Room kept at the front of the file for the header, which is only known at the end; the rest of it stays blank."""

_KEY = "vivae-latents"
"""Of the header among the metadata of the file."""
_LONGEST = 1e9
"""Seconds; what lies beyond is damage."""


class LatentHeader(BaseModel):
    """What a latent file says about itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["vivae-latent-1"] = "vivae-latent-1"
    model: str
    model_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the weights file."""
    quality: float = Field(ge=0, le=100)
    width: int = Field(ge=1, le=MAX_SIDE)
    height: int = Field(ge=1, le=MAX_SIDE)
    fps: Fraction = Field(gt=0)
    time_base: Fraction = Field(gt=0)
    sar: Fraction = Field(gt=0)
    """Sample aspect ratio."""
    color: ColorInfo


def encode(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: str | Path = "base",
    quality: float = 100.0,
    channels: int | None = None,
    device: str = "cpu",
    runtime: Runtime = "torch",
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write the latents of a video or image to `dst`, a .safetensors file, in memory that does not grow with length.

    quality: 0 to 100, the fineness of the quantiser's steps. channels: keep only that many leading channels of the
    latent, one of the model's nested representations. start, end: seconds. runtime: "torch", or "onnx" for
    onnxruntime, faster on many CPUs and equal to the last bits of a float.
    Returns what was written: path, frames, shape of the latents, size in bytes, model.
    Raises InputError, FormatError, OutputError.
    """
    if Path(dst).suffix != ".safetensors":
        raise InputError(f"latents are written to a .safetensors file, not to '{dst}'")
    level = unit_quality(quality)
    vae = in_runtime(load_model(model, device=device), runtime)
    check_familiar(src, vae, notes_of(model), start)
    kept = kept_channels(vae.config, channels)
    with open_video(src, start=start, end=end) as reader, atomic_path(dst, force) as part:
        total = expected_frames(reader.info, start, end)
        header = _header(vae, reader, quality)
        spans: list[tuple[float, float]] = []
        shape: tuple[int, ...] = ()
        count = 0
        with part.open("wb") as file:
            file.seek(8 + _HEADER_BYTES)
            for coded in encode_stream(vae, reader, quality=level, channels=kept):
                array = latent_array(coded)[:kept]
                file.write(array.tobytes())
                shape, count = array.shape, count + 1
                spans += [(float(frame.time), float(frame.duration)) for frame in coded.frames]
                progress(len(spans), total)
            for column in zip(*spans, strict=True):
                file.write(np.array(column, "<f8").tobytes())
            _write_front(file, header, (count, *shape), len(spans))
    return {
        "output": str(dst),
        "frames": len(spans),
        "latents": [count, *shape],
        "size_bytes": Path(dst).stat().st_size,
        "model": vae.config.name,
    }


def decode(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: str | Path | None = None,
    codec: str | None = None,
    crf: float | None = None,
    device: str = "cpu",
    runtime: Runtime = "torch",
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Make video of a latent file that `encode` wrote: .mp4, .mkv, .webm, .y4m, .png or a folder of PNG.

    model: where the model is not a shipped one, its path; it must be the one that made the file.
    codec, crf: of the written video, as for `vivae.media.open_writer`. runtime: as of `encode`.
    Raises FormatError for a damaged file, ModelMismatch for another model's, OutputError.
    """
    with _open_latents(src) as (header, latents, times, durations):
        found = load_model(model or header.model, device=device)
        check_made_with(found, os.fspath(src), header.model, header.model_hash)
        vae = in_runtime(found, runtime)
        step = vae.config.temporal_stride
        rows = latents.get_shape()
        layout = Layout(vae.config, header.height, header.width)
        fits = rows[1] <= layout.latent_size[0] and tuple(rows[2:]) == layout.latent_size[1:]
        if not fits or rows[0] != -(-len(times) // step):
            raise FormatError(
                f"'{src}' is damaged: latents of shape {tuple(rows)} do not fit what its header says"
            )
        decoder = StreamDecoder(vae, header.height, header.width, quality=unit_quality(header.quality))
        with open_writer(
            dst,
            width=header.width,
            height=header.height,
            fps=header.fps,
            color=header.color,
            sar=header.sar,
            codec=codec,
            crf=crf,
            time_base=header.time_base,
            inputs=[src],
            force=force,
        ) as writer:
            for index in range(rows[0]):
                latent = torch.zeros(layout.latent_size)
                latent[: rows[1]] = torch.from_numpy(_finite(latents[index], src))
                spans = range(index * step, min((index + 1) * step, len(times)))
                for number, planes in zip(spans, decoder.push(latent, len(spans)), strict=True):
                    span = _exact(times[number]), _exact(durations[number])
                    writer.write(Frame(*planes, *span, header.color))
                progress(spans.stop, len(times))
    return {"output": str(dst), "frames": len(times), "model": vae.config.name}


def is_latent_file(src: str | os.PathLike[str]) -> bool:
    """Whether a safetensors file holds latents. Raises InputError, FormatError."""
    with _opened(src) as file:
        return _KEY in (file.metadata() or {})


def read_header(src: str | os.PathLike[str]) -> tuple[LatentHeader, tuple[int, ...], int]:
    """What a latent file says about itself, the shape of its latents, and its number of frames."""
    with _open_latents(src) as (header, latents, times, _):
        return header, tuple(latents.get_shape()), len(times)


def _header(vae: VideoVAE, reader: VideoReader, quality: float) -> LatentHeader:
    info = reader.info
    return LatentHeader(
        model=vae.config.name,
        model_hash=vae.hash,
        quality=quality,
        width=info.width,
        height=info.height,
        fps=info.fps,
        time_base=info.time_base,
        sar=info.sar,
        color=info.color,
    )


def _write_front(file: BinaryIO, header: LatentHeader, shape: tuple[int, ...], frames: int) -> None:
    """The safetensors header, into the room that was kept for it."""
    ends = np.cumsum([0, 2 * int(np.prod(shape)), 8 * frames, 8 * frames]).tolist()
    kinds = {"latents": ("F16", shape), "times": ("F64", (frames,)), "durations": ("F64", (frames,))}
    front: dict[str, Any] = {"__metadata__": {_KEY: header.model_dump_json()}}
    for index, (name, (dtype, size)) in enumerate(kinds.items()):
        front[name] = {"dtype": dtype, "shape": size, "data_offsets": ends[index : index + 2]}
    text = json.dumps(front).encode()
    if len(text) > _HEADER_BYTES:
        raise InputError("the model's name is too long for the header of a latent file: rename it")
    file.seek(0)
    file.write(_HEADER_BYTES.to_bytes(8, "little") + text.ljust(_HEADER_BYTES))


@contextmanager
def _opened(src: str | os.PathLike[str]) -> Iterator[Any]:
    if not Path(src).is_file():
        raise InputError(f"there is no file '{src}'")
    try:
        with safe_open(src, framework="np") as file:
            yield file
    except SafetensorError as error:
        raise FormatError(f"'{src}' is not a readable safetensors file: {error}") from error


@contextmanager
def _open_latents(
    src: str | os.PathLike[str],
) -> Iterator[tuple[LatentHeader, Any, NDArray[np.float64], NDArray[np.float64]]]:
    """Header, latents (read slice by slice), times and durations. Raises InputError, FormatError."""
    with _opened(src) as file:
        text = (file.metadata() or {}).get(_KEY)
        if text is None:
            raise FormatError(f"'{src}' holds no latents: it was not written by 'vivae encode'")
        header = _parsed(text, src)
        latents = file.get_slice("latents")
        times, durations = file.get_tensor("times"), file.get_tensor("durations")
        sound = (
            latents.get_dtype() == "F16"
            and len(latents.get_shape()) == 4
            and times.ndim == 1
            and times.shape == durations.shape
            and _between(times, 0.0, _LONGEST)
            and _between(durations, 1e-9, _LONGEST)
            and bool((np.diff(times) > 0).all())
        )
        if not sound:
            raise FormatError(f"'{src}' is damaged: its tensors are not those of a latent file")
        yield header, latents, times, durations


def _parsed(text: str, src: str | os.PathLike[str]) -> LatentHeader:
    try:
        return LatentHeader.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise FormatError(f"'{src}' is no latent file of this version: {field}: {first['msg']}") from error


def _between(values: NDArray[np.float64], low: float, high: float) -> bool:
    return bool(((values >= low) & (values <= high)).all())  # False for NaN


def _finite(latent: NDArray[np.float16], src: str | os.PathLike[str]) -> NDArray[np.float32]:
    if not np.isfinite(latent).all():
        raise FormatError(f"'{src}' is damaged: it holds latents that are no numbers")
    return latent.astype(np.float32)


def _exact(seconds: float) -> Fraction:
    """The fraction that was meant: time stamps are multiples of small fractions of a second."""
    return Fraction(float(seconds)).limit_denominator(1_000_000)
