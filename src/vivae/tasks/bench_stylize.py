"""`bench stylize`: how steady styled clips are, against their input and against AdaIN frame by frame, and how fast."""

import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vivae.measure import bench
from vivae.measure.bench import BenchClip, Record
from vivae.measure.clip import Clip, Progress, no_progress
from vivae.measure.steadiness import warping_errors
from vivae.media import Frame, Planes, pack, unpack
from vivae.media.color import recolor, yuv_to_rgb
from vivae.tasks.stylize import Mode, Style, read_styles, styled, watched
from vivae.vae.enhancing import as_picture, as_tensor
from vivae.vae.model import VideoVAE
from vivae.vae.zoo import STYLE_COLOR, load_model

VERSION = 2
CLIPS = ("blocks", "road", "foreman", "blackswan")
PEER = "AdaIN in the latent, each frame alone"


def bench_stylize(
    data: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    styles: Sequence[str | Path],
    frames: int = 24,
    threads: int = 2,
    clips: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Record:
    """Measure both modes on the evaluation clips; raw figures and tables go to the folder `dst`.

    What an earlier run with the same settings has left there is kept. styles: pictures, each measured alone. frames: of
    each clip, at most. clips: names, `CLIPS` without. Raises InputError for what is missing.
    """
    folder = Path(dst)
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    chosen = bench.evaluation_clips(data, clips or CLIPS)
    vae = load_model("base")
    found: dict[str, Record] = {}
    jobs = [(clip, Path(style)) for clip in chosen for style in styles]
    for number, (clip, style) in enumerate(jobs):
        progress(f"{clip.name}: {style.stem}", number / len(jobs))
        picture = read_styles(style)[0].picture
        under = {"version": VERSION, "frames": frames, "threads": threads, "style": int(picture.sum())}
        records = bench.Records(folder, under | {"model": vae.hash})
        key = f"{clip.name}-{style.stem}"
        found[key] = records.get(key, clip.path, partial(_measure, clip, style, frames, vae))
    progress("done", 1.0)
    result: Record = {"bench": "stylize", "environment": bench.environment(threads), "points": found}
    bench.write_json(folder / "results.json", result)
    bench.write_text(folder / "results.md", _table(result))
    return {"output": str(folder)}


def _measure(wanted: BenchClip, style: Path, frames: int, vae: VideoVAE) -> Record:
    clip = wanted.load(frames)
    chosen = read_styles(style)
    speeds: dict[str, float] = {}
    busy: dict[str, float] = {}
    results: dict[str, list[Planes]] = {}
    modes: tuple[Mode, ...] = ("photo", "art")
    for mode in modes:
        begun, worked = time.perf_counter(), time.process_time()
        shots = list(watched(iter(clip.frames), repeat(None)))
        results[mode] = [
            planes for _, planes in styled(iter(clip.frames), shots, chosen, mode, 1.0, repeat(None))
        ]
        speeds[mode] = len(clip.frames) / (time.perf_counter() - begun)
        busy[mode] = (time.process_time() - worked) / len(clip.frames)
    results["adain"] = list(adain(clip, chosen[0], vae))
    color = clip.picture.color
    own, *others = warping_errors(
        (frame.to_rgb() for frame in clip.frames),
        *([yuv_to_rgb(planes, color) for planes in result] for result in results.values()),
    )
    return {
        "input": own,
        "warping": dict(zip(results, others, strict=True)),
        "fps": speeds,
        "cpu_seconds": busy,
        "size": f"{clip.picture.width}x{clip.picture.height}",
    }


@torch.inference_mode()
def adain(clip: Clip, style: Style, vae: VideoVAE) -> Iterator[Planes]:
    """Adaptive instance normalisation (Huang & Belongie, ICCV 2017) of the VAE's latent, each frame for itself."""
    quality = torch.ones(1)
    goal = _latent(Frame.from_rgb(style.picture, STYLE_COLOR).planes, vae, quality)
    goal_mean, goal_spread = goal.mean((2, 3), keepdim=True), goal.std((2, 3), keepdim=True)
    for frame in clip.frames:
        latent = _latent(recolor(frame.planes, frame.color, STYLE_COLOR), vae, quality)
        mean, spread = latent.mean((2, 3), keepdim=True), latent.std((2, 3), keepdim=True)
        moved = (latent - mean) / (spread + 1e-5) * goal_spread + goal_mean
        rows, columns = (side * vae.config.stride // 4 for side in latent.shape[2:])
        picture, _ = vae.decode(moved, vae.initial_state(1, rows, columns), quality)
        packed = as_picture(picture)[0][:, : -(-frame.height // 4), : -(-frame.width // 4)]
        yield recolor(unpack(packed, frame.height, frame.width), STYLE_COLOR, frame.color)


def _latent(planes: Planes, vae: VideoVAE, quality: torch.Tensor) -> torch.Tensor:
    fold = vae.config.stride // 4
    packed: NDArray[np.uint8] = pack(planes)
    missing = [(0, 0), *((0, -side % fold) for side in packed.shape[1:])]
    inputs = as_tensor(np.pad(packed, missing, mode="edge"))
    return vae.find_latent(inputs, vae.initial_state(1, *inputs.shape[2:]), quality)


def _table(result: Record) -> str:
    rows = {}
    for name, point in result["points"].items():
        own, found = point["input"], point["warping"]
        art, peer = found["art"], found["adain"]
        speeds = point["fps"]
        rows[name] = [
            point["size"],
            own,
            found["photo"] / own,
            art / own,
            peer / own,
            art / peer,
            speeds["photo"],
            speeds["art"],
            point["cpu_seconds"]["art"],
        ]
    columns = [
        "clip and style",
        "size",
        "warping error of the input",
        "photo / input",
        "art / input",
        "AdaIN / input",
        "art / AdaIN",
        "photo fps",
        "art fps",
        "art, CPU seconds a frame",
    ]
    return (
        bench.markdown_table(columns, rows, [0, 1, 2, 2, 2, 2, 1, 1, 3])
        + "\n"
        + bench.provenance(result["environment"])
    )
