"""`bench enhance`: denoising, compression artifacts and super-resolution beside the tools people use, on real clips.

Every method gets the same frames: noise is drawn once a clip with a fixed seed. vivae measures what the footage needs
itself; the filters are told the true level of noise.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from av.video.reformatter import Interpolation

from vivae.measure import bench
from vivae.measure.bench import BenchClip, Cell, Record
from vivae.measure.clip import Clip, Progress, no_progress
from vivae.measure.denoisers import FILTERS, filtered, non_local_means
from vivae.measure.noise import noise_in
from vivae.measure.quality import ClipQuality, compare_clips, psnr
from vivae.measure.steadiness import warping_errors
from vivae.measure.superres import GraphNet, scaled_up
from vivae.media import Frame, Planes
from vivae.media.color import yuv_to_rgb
from vivae.media.resample import Shrinker, enlarged
from vivae.tasks.bench_between import between
from vivae.tasks.bench_restoring import cut_to, even, frame_like, restored
from vivae.tasks.bench_traces import CODECS, coded
from vivae.tasks.enhance import check_preset
from vivae.tasks.restore import Family, Plan
from vivae.tasks.stage import GATHERED
from vivae.train.disturb import with_noise
from vivae.vae.zoo import load_middle

PARTS = ("noise", "coded", "scale", "between", "speed")
SIGMAS = (20, 30, 50)
SLOW_FRAMES = 3
"""Of each clip, for the filter that takes seconds for each."""
SCALES = (2, 4)
SPEED_SIZE = (848, 480)
SEED = 7
VERSION = 1
CODED_VERSION = 3
"""Of the part on codecs: its files are written and read as anybody's are."""


def bench_enhance(
    data: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    preset: str = "fast",
    model: str | Path | None = None,
    frames: int = 32,
    clips: Iterable[str] = (),
    parts: Iterable[str] = PARTS,
    threads: int = 2,
    progress: Progress = no_progress,
) -> Record:
    """Measure `enhance` on the evaluation clips under `data`, and write points and tables to the folder `dst`.

    What an earlier run with the same settings has left there is kept. frames: of each clip at most. parts: of `PARTS`.
    Raises InputError for missing clips or models, UnsupportedError without the `bench` extra.
    """
    check_preset(preset)
    folder = Path(dst)
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    family = Family(model, best=preset == "best")
    chosen = bench.evaluation_clips(data, clips)
    wanted = [part for part in PARTS if part in set(parts)]
    shared = {"frames": frames, "version": VERSION}
    peers = bench.Records(folder, shared)
    hashes = _hashes(family)
    own = {
        part: bench.Records(folder, shared | {"model": known, "preset": preset})
        for part, known in hashes.items()
    }
    own["coded"] = bench.Records(
        folder, shared | {"version": CODED_VERSION, "model": hashes["coded"], "preset": preset}
    )
    networks = Path(data) / "peers"
    jobs: list[tuple[str, str, Callable[[], Record]]] = []
    for clip in chosen:
        if "noise" in wanted:
            jobs += [("noise", clip.name, partial(_noise, clip, frames, family, peers, own["noise"]))]
        if "coded" in wanted:
            take = partial(coded, clip, frames, family)
            jobs += [("coded", clip.name, partial(own["coded"].get, f"coded-{clip.name}", clip.path, take))]
        if "scale" in wanted:
            take = partial(_scale, clip, frames, family, networks)
            jobs += [("scale", clip.name, partial(own["scale"].get, f"scale-{clip.name}", clip.path, take))]
        if "between" in wanted:
            middle = load_middle()
            seen = bench.Records(folder, shared | {"model": middle.hash})
            take = partial(between, clip, frames, middle)
            jobs += [("between", clip.name, partial(seen.get, f"between-{clip.name}", clip.path, take))]
    if "speed" in wanted:
        jobs += [("speed", "848x480", partial(_speed, chosen[0], family))]
    found: dict[str, Record] = {part: {} for part in wanted}
    for number, (part, name, job) in enumerate(jobs):
        progress(f"{part}: {name}", number / len(jobs))
        found[part][name] = job()
    progress("done", 1.0)
    result: Record = {
        "bench": "enhance",
        "environment": bench.environment(threads),
        "circumstances": {**shared, "models": hashes, "preset": preset},
    } | found
    bench.write_json(folder / "results.json", result)
    bench.write_text(folder / "results.md", tables(result))
    return {"output": str(folder)}


def _hashes(family: Family) -> dict[str, str]:
    """Of the models for each part, so that points are measured anew where one changes."""
    plans = {
        "noise": [Plan(noise=30)],
        "coded": [Plan(deblock=1.0), Plan(deblock=0.5, crf=55)],
        "scale": [Plan(scale=2)],
    }
    return {part: " ".join(family.hashes(plan)[0] for plan in its) for part, its in plans.items()}


def _noise(
    wanted: BenchClip, frames: int, family: Family, peers: bench.Records, own: bench.Records
) -> Record:
    clip = even(wanted.load(frames))
    result: Record = {}
    for sigma in SIGMAS:
        key = f"noise-{wanted.name}-{sigma}"

        def noisy(sigma: int = sigma) -> list[Frame]:
            rng = np.random.default_rng(SEED)
            color = clip.picture.color
            return [frame_like(frame, with_noise(frame.planes, sigma, rng, color)) for frame in clip.frames]

        result[str(sigma)] = peers.get(key, wanted.path, lambda: _filters(clip, noisy(), sigma)) | own.get(  # noqa: B023
            f"{key}-vivae", wanted.path, lambda: _ours(clip, noisy(), family)
        )
    return result


def _filters(clip: Clip, noisy: Sequence[Frame], sigma: float) -> Record:
    planes = [frame.planes for frame in noisy]
    result = {"noisy": _score(clip, list(enumerate(planes)), 0.0, "")}
    for name, what in FILTERS.items():
        made = filtered(planes, what(sigma))
        result[name] = _score(clip, made.frames, made.seconds, made.command)
    count = len(planes)
    some = [round((at + 0.5) * count / SLOW_FRAMES) for at in range(SLOW_FRAMES)]
    slow = non_local_means(planes, some, sigma, clip.picture.color)
    result["fastNlMeansMulti"] = _score(clip, slow.frames, slow.seconds, slow.command)
    return result


def _ours(clip: Clip, noisy: Sequence[Frame], family: Family) -> Record:
    level = noise_in([noisy])
    made, seconds = restored(noisy, Plan(noise=level), family)
    scored = _score(
        clip, [(index, frame.planes) for index, frame in enumerate(made)], seconds, f"measured {level:.1f}"
    )
    return {"vivae": scored}


def _score(clip: Clip, made: Sequence[tuple[int, Planes]], seconds: float, command: str) -> Record:
    color = clip.picture.color
    pairs = [(clip.frames[index], frame_like(clip.frames[index], planes)) for index, planes in made]
    shown = [tuple(yuv_to_rgb(frame.planes, color) for frame in pair) for pair in pairs]
    quality, _ = compare_clips([a for a, _ in pairs], [b for _, b in pairs])
    whole = len(made) == len(clip.frames)
    steady = warping_errors([a for a, _ in shown], [b for _, b in shown]) if whole else (None, None)
    return {
        "psnr_rgb": float(np.mean([psnr(a, b) for a, b in shown])),
        "ssim": quality.ssim,
        "psnr_yuv": quality.psnr_yuv,
        "warping_clean": steady[0],
        "warping": steady[1],
        "seconds": seconds,
        "command": command,
    }


def _scale(wanted: BenchClip, frames: int, family: Family, networks: Path) -> Record:
    result: Record = {}
    clip = wanted.load(frames)
    for times in SCALES:
        width, height = (
            side // (2 * times) * 2 * times for side in (clip.picture.width, clip.picture.height)
        )
        clean = [frame_like(frame, cut_to(frame.planes, width, height)) for frame in clip.frames]
        shrinker = Shrinker(width // times, height // times, Interpolation.BICUBIC)
        small = [frame_like(frame, shrinker(frame.planes)) for frame in clean]
        made: dict[str, Iterator[Planes]] = {
            "bicubic": (_bicubic(frame.planes, width, height) for frame in small),
            "Lanczos": (enlarged(frame.planes, width, height) for frame in small),
            "vivae": (frame.planes for frame in restored(small, Plan(scale=times), family)[0]),
        }
        for name in ("ESPCN", "FSRCNN"):
            path = networks / f"{name}_x{times}.pb"
            if path.is_file():
                made[name] = _scaled_by(GraphNet(path), small, times)
        result[str(times)] = {
            name: _quality(clean, [frame_like(a, planes) for a, planes in zip(clean, seen, strict=True)])
            for name, seen in made.items()
        }
    return result


def _scaled_by(net: GraphNet, frames: Sequence[Frame], times: int) -> Iterator[Planes]:
    return (scaled_up(net, frame.planes, times) for frame in frames)


def _quality(clean: Sequence[Frame], seen: Sequence[Frame]) -> Record:
    quality: ClipQuality = compare_clips(clean, seen)[0]
    return {"psnr_y": quality.psnr_y, "psnr_yuv": quality.psnr_yuv, "ssim": quality.ssim}


def _speed(wanted: BenchClip, family: Family) -> Record:
    """Frames a second, and CPU seconds a frame, which other work on the machine changes less: medians of three runs."""
    width, height = SPEED_SIZE
    frame = wanted.load(1).frames[0]
    sizes = [(width, height), (width // 2, height // 2), (width // 2, height // 2)]
    y, u, v = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        for plane, size in zip(frame.planes, sizes, strict=True)
    )
    frames = [
        frame_like(frame, (np.roll(y, 2 * step, 1), np.roll(u, step, 1), np.roll(v, step, 1)))
        for step in range(GATHERED.whole)
    ]
    result: Record = {}
    plans = {
        "denoise": Plan(noise=20),
        "deblock": Plan(deblock=1.0),
        "scale 2 (output)": Plan(scale=2),
    }
    for name, plan in plans.items():
        shown = frames
        if plan.scale > 1:
            shrinker = Shrinker(width // plan.scale, height // plan.scale)
            shown = [frame_like(item, shrinker(item.planes)) for item in frames]
        runs = [_timed(shown, plan, family) for _ in range(3)]
        wall, busy = np.median(runs, axis=0)
        result[name] = {"fps": len(frames) / float(wall), "cpu_seconds": float(busy) / len(frames)}
    return result


def _timed(frames: Sequence[Frame], plan: Plan, family: Family) -> tuple[float, float]:
    """Seconds by the clock, and of all processors."""
    before = time.process_time()
    _, wall = restored(frames, plan, family)
    return wall, time.process_time() - before


def _bicubic(planes: Planes, width: int, height: int) -> Planes:
    sizes = [(width, height), (width // 2, height // 2), (width // 2, height // 2)]
    y, u, v = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        for plane, size in zip(planes, sizes, strict=True)
    )
    return y, u, v


def tables(result: Record) -> str:
    """The Markdown of a result, also of one read back from results.json."""
    parts = [f"# Enhancement, preset {result['circumstances']['preset']}\n"]
    noise: dict[str, Any] = result.get("noise", {})
    for sigma in SIGMAS if noise else ():
        rows: dict[str, list[Cell]] = {}
        for clip, levels in noise.items():
            found = levels[str(sigma)]
            peers = [found[name]["psnr_rgb"] for name in (*FILTERS, "fastNlMeansMulti")]
            ours = found["vivae"]
            steadiness = ours["warping"] / ours["warping_clean"]
            rows[clip] = [
                found["noisy"]["psnr_rgb"],
                *peers,
                ours["psnr_rgb"],
                ours["psnr_rgb"] - max(peers),
                steadiness,
            ]
        columns = ["clip", "noisy", *FILTERS, "fastNlMeansMulti", "vivae", "over the best", "warping error"]
        parts.append(
            f"## Noise of {sigma}: colour PSNR in dB, and the warping error over the clean input's\n"
        )
        parts.append(bench.markdown_table(columns, rows, [2] * (len(columns) - 1)))
    traces: dict[str, Any] = result.get("coded", {})
    if traces:
        gains = {
            clip: [found[name]["after"]["psnr_yuv"] - found[name]["before"]["psnr_yuv"] for name in CODECS]
            for clip, found in traces.items()
        }
        parts.append("## Traces of codecs: gain of PSNR-YUV in dB\n")
        parts.append(bench.markdown_table(["clip", *CODECS], gains, [2] * len(CODECS)))
    scale: dict[str, Any] = result.get("scale", {})
    for times in SCALES if scale else ():
        names = list(next(iter(scale.values()))[str(times)])
        scores = {
            clip: [found[str(times)][name]["psnr_y"] for name in names] for clip, found in scale.items()
        }
        parts.append(f"## Scaled up {times} times: PSNR of luma in dB\n")
        parts.append(bench.markdown_table(["clip", *names], scores, [2] * len(names)))
    found = result.get("between", {})
    if found:
        methods = list(next(iter(found.values())))
        scores = {clip: [told[name] for name in methods] for clip, told in found.items()}
        parts.append("## Every second frame left out and found again: PSNR-YUV in dB\n")
        parts.append(bench.markdown_table(["clip", *methods], scores, [2] * len(methods)))
    for speeds in result.get("speed", {}).values():
        rows = {name: [told["fps"], told["cpu_seconds"]] for name, told in speeds.items()}
        parts.append("## Speed at 848x480\n")
        parts.append(bench.markdown_table(["", "frames a second", "CPU seconds a frame"], rows, [1, 2]))
    return "\n".join([*parts, bench.provenance(result["environment"])])
