"""Domain training measured: a fixed camera's first half teaches the layered codec, its second half is compressed.

Against SVT-AV1 on the same second half, at equal PSNR-YUV, with the weights left out of the count and with them in it.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vivae
from vivae.codec.layered import quality_at
from vivae.measure.bdrate import bjontegaard
from vivae.measure.bench import Record
from vivae.measure.clip import Clip, load_clip
from vivae.measure.peers import PEERS, encode, measured
from vivae.media import open_writer, probe
from vivae.tasks.coded import measured_layered, write_lossless

LADDER = (44, 48, 52, 56, 60, 63)
PEER = "SVT-AV1 preset 6"
CAMERAS = ("highway", "ped2", "intel_car-detection", "intel_bottle-detection", "deeplabcut_m3v1mp4")
FRAMES = 120
"""Of the second half, compressed."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Footage of one fixed camera. seen: whether the general up-scaler was trained on some of its second half too."""

    name: str
    first: tuple[Path, ...]
    second: Path
    halves: bool
    """Whether both are the same file, to be split by time."""
    seen: bool = False


def cameras(data: str | os.PathLike[str]) -> list[Camera]:
    """Those of the evaluation set."""
    root = Path(data)
    ped2, train = root / "anomaly" / "ped2" / "train", root / "train"
    highway = root / "segment" / "highway" / "input.mkv"
    clips = tuple(ped2 / f"{number:02d}.mkv" for number in range(1, 9))
    found = [
        Camera("highway", (highway,), highway, True),
        Camera("ped2", clips, ped2 / "13.mkv", False),
    ]
    for name in CAMERAS[2:]:
        path = train / f"{name}.mp4"
        found.append(Camera(name, (path,), path, True, seen=True))
    return found


def domain(
    camera: Camera, room: Path, minutes: float, threads: int, progress: Callable[[str, float], None]
) -> Record:
    """Train on the first half for so many minutes, compress the second: points of both, and the rates compared."""
    clip, footage = _halves(camera, room)
    told = vivae.train("domain", footage, output=room / "model", minutes=minutes, force=True)
    model = Path(told["model"])
    source = write_lossless(clip, room / "second.mp4")
    anchor, ours = [], []
    for number, crf in enumerate(LADDER):
        progress(f"{camera.name} at CRF {crf}", number / len(LADDER))
        trial = encode(PEERS[PEER], clip, crf, room / "anchor.mp4", threads=threads)
        anchor.append(measured(trial, clip, threads=threads))
        ours.append(measured_layered(source, clip, room / "ours.mp4", quality=quality_at(crf), model=model))
    weights = model.stat().st_size
    rates = {
        "rate_percent": _rate(anchor, ours, 0),
        "rate_percent_with_weights": _rate(anchor, ours, weights),
    }
    points: dict[str, Any] = {"anchor": [_point(p) for p in anchor], "vivae": [_point(p) for p in ours]}
    return (
        rates
        | points
        | {
            "weights_bytes": weights,
            "training_minutes": told["minutes"],
            "frames": len(clip.frames),
            "seen_by_the_general_model": camera.seen,
        }
    )


def _halves(camera: Camera, room: Path) -> tuple[Clip, Path]:
    """The second half as a clip, and a folder with the first."""
    footage = room / "first"
    footage.mkdir(parents=True, exist_ok=True)
    if not camera.halves:
        for path in camera.first:
            shutil.copy(path, footage)
        return load_clip(camera.second, frames=FRAMES, even=True), footage
    middle = float(probe(camera.second).duration) / 2
    first = load_clip(camera.second, end=middle, even=True)
    picture = first.picture
    with open_writer(
        footage / "first.mkv", width=picture.width, height=picture.height, fps=picture.fps, color=picture.color,
        codec="h264", lossless=True, time_base=first.info.time_base, force=True,
    ) as writer:  # fmt: skip
        for frame in first.frames:
            writer.write(frame)
    return load_clip(camera.second, start=middle, frames=FRAMES, even=True), footage


def _rate(anchor: list[Any], ours: list[Any], extra: int) -> float | None:
    found = bjontegaard(
        [(point.trial.size_bytes, point.quality.psnr_yuv) for point in anchor],
        [(point.trial.size_bytes + extra, point.quality.psnr_yuv) for point in ours],
    )
    return None if found is None else found.rate_percent


def _point(point: Any) -> Record:
    return {
        "setting": point.trial.setting,
        "size_bytes": point.trial.size_bytes,
        "psnr_yuv": point.quality.psnr_yuv,
        "ms_ssim": point.quality.ms_ssim,
    }
