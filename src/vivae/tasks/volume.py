"""A clip as a VTK image volume over x, y and time: what ParaView, 3D Slicer and other programs open as one object."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.media import Frame, atomic_path, open_video, probe, refuse_overwrite
from vivae.media.atomic import check_target
from vivae.media.masks import read_masks
from vivae.tasks.common import Progress, expected_frames, no_progress
from vivae.vae.stream import Coded, StreamEncoder, grouped, latent_array
from vivae.vae.zoo import load_model

Content = Literal["video", "latents", "surprise", "masks"]
CONTENTS: tuple[Content, ...] = ("video", "latents", "surprise", "masks")
USUAL_WIDTH = 320
LARGEST_BYTES = 2 << 30
"""Of a volume in memory: VTK's writer needs it whole."""
SURPRISE_QUALITY = 0.5
"""At which bits are counted: there what is new costs bits and the grain of the picture hardly any."""

Array = NDArray[Any]


@dataclass
class Volume:
    """Arrays over (time, row, column) of one grid, each also with components last where it has several.

    spacing: pixels of the clip a column and row, and frames a slice. times: of the slices, in seconds.
    """

    arrays: dict[str, Array]
    spacing: tuple[float, float, float]
    times: list[float]
    name: str
    model: str | None


def export_volume(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    content: Sequence[Content] = ("video",),
    masks: str | os.PathLike[str] | None = None,
    width: int | None = None,
    model: str | Path = "base",
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write a .vti file with the clip as a volume, and beside it a .png of the volume, rendered off screen.

    content: arrays of the volume. "video": RGB, 8 bits. "surprise": bits a pixel that the VAE needs for what it did not
    expect, float32. "masks": 1 where `masks` (see `vivae.media.masks`) shows an object. "latents": the latent's
    channels, float32 in quantiser steps; the grid is then the latent's, and the others are averaged over its positions.
    width: columns of the grid, 320 or the clip's unless said. Rows run upward, as VTK has it; a slice is a frame. Field
    data name the source and hold the time of every slice in seconds.
    Raises InputError, also for a volume that does not fit in memory, FormatError, UnsupportedError, OutputError.
    """
    from vivae.tasks.volume_vtk import render, write_vti

    if Path(dst).suffix.lower() != ".vti":
        raise InputError(f"volumes are written to .vti files, not to '{Path(dst).name}'")
    content = tuple(content) + (("masks",) if masks is not None and "masks" not in content else ())
    unknown = [what for what in content if what not in CONTENTS]
    if unknown or not content:
        raise InputError(f"a volume can hold {', '.join(CONTENTS)}, not '{', '.join(unknown)}'")
    if "masks" in content and masks is None:
        raise InputError("masks need a folder or video to come from: give it with masks")
    page = Path(dst).with_suffix(".png")
    for target in (Path(dst), page):
        refuse_overwrite(target, src)
        check_target(target, force)
    volume = _gathered(src, content, masks, width, model, start, end, progress)
    with atomic_path(dst, force) as part:
        write_vti(volume, part)
    with atomic_path(page, force) as part:
        render(volume, part)
    shape = next(iter(volume.arrays.values())).shape
    return {
        "output": str(dst),
        "picture": str(page),
        "frames": shape[0],
        "rows": shape[1],
        "columns": shape[2],
        "arrays": list(volume.arrays),
        "size_bytes": Path(dst).stat().st_size,
    }


def _gathered(
    src: str | os.PathLike[str],
    content: Sequence[Content],
    masks: str | os.PathLike[str] | None,
    width: int | None,
    model: str | Path,
    start: float | None,
    end: float | None,
    progress: Progress,
) -> Volume:
    info = probe(src)
    total = expected_frames(info, start, end)
    vae = load_model(model) if {"latents", "surprise"} & set(content) else None
    if "latents" in content:
        assert vae is not None
        stride = vae.config.stride
        columns, rows = -(-info.width // stride), -(-info.height // stride)
        values = vae.config.latent_channels * 4
        step = float(stride)
    else:
        columns = min(width or USUAL_WIDTH, info.width)
        if columns < 2:
            raise InputError(f"a volume needs at least 2 columns, not {columns}")
        rows, values = max(2, round(info.height * columns / info.width)), 0
        step = info.width / columns
    values += sum({"video": 3, "surprise": 4, "masks": 1}.get(what, 0) for what in content)
    if total * rows * columns * values > LARGEST_BYTES:
        raise InputError(
            f"{total} frames of {columns}x{rows} are more than {LARGEST_BYTES >> 30} GiB: choose a part with --start "
            "and --end, or a smaller --width"
        )
    kept: dict[str, list[Array]] = {what: [] for what in content}
    shown = None if masks is None else read_masks(masks, info.width, info.height)
    times = []
    with open_video(src, start=start, end=end) as reader:
        frames: Iterator[tuple[Frame, Coded | None]] = ((frame, None) for frame in reader)
        if vae is not None:
            encoder = StreamEncoder(vae, quality=SURPRISE_QUALITY, rounded=True)
            steps = (encoder.push(group) for group in grouped(reader, vae.config.temporal_stride))
            frames = ((frame, coded) for coded in steps for frame in coded.frames)
        for frame, coded in frames:
            mask = None if shown is None else next(shown, None)
            for what in content:
                kept[what].append(_slice(what, frame, coded, mask, (columns, rows)))
            times.append(float(frame.time))
            progress(len(times), max(total, len(times)))
    return Volume(
        {what: np.stack(slices) for what, slices in kept.items()},
        (step, step, 1.0),
        times,
        Path(src).name,
        None if vae is None else vae.config.name,
    )


def _slice(
    what: Content,
    frame: Frame,
    coded: Coded | None,
    mask: NDArray[np.bool_] | None,
    size: tuple[int, int],
) -> Array:
    """One frame of an array, (rows, columns) or (rows, columns, components)."""
    if what == "video":
        return np.asarray(cv2.resize(frame.to_rgb(), size, interpolation=cv2.INTER_AREA))
    if what == "masks":
        if mask is None:
            return np.zeros(size[::-1], np.uint8)
        # A cell counts as object where any of it is: thin things survive.
        share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return (share > 0).astype(np.uint8)
    assert coded is not None
    if what == "latents":
        return latent_array(coded).astype(np.float32).transpose(1, 2, 0)
    # A latent position's bits, spread over its pixels and frames.
    stride = frame.width / coded.bits.shape[2], frame.height / coded.bits.shape[1]
    bits = coded.bits.sum(0).cpu().numpy() / (len(coded.frames) * stride[0] * stride[1])
    return np.asarray(cv2.resize(bits.astype(np.float32), size, interpolation=cv2.INTER_NEAREST))
