"""`bench codec`: the layered codec's files against other codecs', on the evaluation clips, as rate-quality curves.

For every clip and method six points, each a whole file on disk, decoded and measured in PSNR by plane, MS-SSIM, VMAF
and VMAF-NEG; then rates at equal quality. The other parts are shots spliced together, images, objects by their masks,
fixed cameras (`vivae.tasks.bench_domain`), speed and memory. Points of peers do not depend on vivae and are taken once.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import log
from pathlib import Path
from typing import Any

from vivae.codec.layered import quality_at
from vivae.measure import bench
from vivae.measure.bench import BenchClip, Cell, Record
from vivae.measure.charts import draw_curves
from vivae.measure.clip import Progress, no_progress
from vivae.measure.peers import PEERS, encode
from vivae.media import open_video
from vivae.tasks.bench_domain import CAMERAS, Camera, cameras, domain
from vivae.tasks.bench_grain import grain, grain_table
from vivae.tasks.bench_images import images
from vivae.tasks.bench_layer import both_ways, both_ways_table
from vivae.tasks.bench_roi import roi, roi_table
from vivae.tasks.bench_shots import multishot, shot_cells
from vivae.tasks.bench_speed import memory as memory_of
from vivae.tasks.bench_speed import memory_table, speed_table
from vivae.tasks.bench_speed import speed as speed_of
from vivae.tasks.coded import measured_layered, scaled_file, write_lossless
from vivae.tasks.rates import point, rate
from vivae.vae.zoo import load_enhancer, load_model

VERSION = 1
"""Of the way figures are taken: raise it, and old records are taken again."""
OWN_VERSION = 2
"""The same of vivae's own: raise it where the codec makes other files."""
PARTS = ("curves", "multishot", "images", "roi", "grain", "texture", "repair", "domain", "speed", "memory")
LADDER = (25, 33, 41, 49, 56, 62)
HD_LADDER = (49, 52, 55, 58, 61, 63)
OURS = "vivae"
SAME = "SVT-AV1 preset 6"
OTHERS = ("x265 medium", "x264 medium", "SVT-AV1 preset 4", "VVenC faster")
SHRINKS = {"3/4": 4 / 3, "1/2": 2.0}
METRICS = {"psnr_yuv": "PSNR-YUV dB", "vmaf": "VMAF", "vmaf_neg": "VMAF-NEG", "ms_ssim": "MS-SSIM"}


def bench_codec(
    data: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: str | Path = "upscale",
    speed: int = 6,
    frames: int = 64,
    threads: int = 2,
    clips: Iterable[str] = (),
    parts: Iterable[str] = ("curves", "multishot", "images", "roi"),
    peers: Iterable[str] = (),
    minutes: float = 6.0,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure the codecs on `data`; results.json, results.md, curves as PNG and all points go to the folder `dst`.

    What an earlier run with the same settings has left there is kept, so an interrupted run goes on. frames: at most,
    of each clip. clips: names of clips and cameras, all without. parts: of `PARTS`. peers: those of `OTHERS` to take
    beside SVT-AV1 at the same preset; x265 and x264 without. minutes: of each camera's training, for part "domain".
    Raises InputError for missing clips or models, UnsupportedError without the `bench` extra.
    """
    folder = Path(dst)
    folder.mkdir(parents=True, exist_ok=True)
    others = tuple(peers) or OTHERS[:2]
    enhancer = load_enhancer(model)
    named = tuple(clips)
    watched = [camera for camera in cameras(data) if not named or camera.name in named]
    chosen = bench.evaluation_clips(data, [name for name in named if name not in CAMERAS])
    if named and len(watched) == len(named):
        chosen = []
    wanted = [part for part in PARTS if part in set(parts)]
    peer_records = bench.Records(folder, {"frames": frames, "version": VERSION})
    own = {"frames": frames, "version": OWN_VERSION, "model": enhancer.hash, "speed": speed}
    own_records = bench.Records(folder, own)
    pictures = own | {"model": load_model("images").hash}
    found: dict[str, Record] = {part: {} for part in wanted}
    jobs: list[tuple[str, str, Callable[[], Record]]] = []
    for clip in chosen if "curves" in wanted else ():
        take = partial(_curves, clip, frames, speed, model, others, threads, peer_records, own_records)
        jobs.append(("curves", clip.name, take))
    if "multishot" in wanted:
        measure = partial(multishot, data, model, speed, threads)
        jobs.append(("multishot", "shots", partial(own_records.get, "spliced", None, measure)))
    for clip in chosen if "images" in wanted else ():
        records = bench.Records(folder, pictures)
        take = partial(records.get, f"images-{clip.name}", clip.path, partial(_images, clip, frames))
        jobs.append(("images", clip.name, take))
    for clip in chosen if "roi" in wanted else ():
        if clip.name in bench.DAVIS_CLIPS:
            measure = partial(roi, clip, frames, speed, model, threads)
            jobs.append(("roi", clip.name, partial(own_records.get, f"roi-{clip.name}", clip.path, measure)))
    for clip in chosen if "grain" in wanted else ():
        measure = partial(grain, clip, frames, speed, threads)
        jobs.append(("grain", clip.name, partial(own_records.get, f"grain-{clip.name}", clip.path, measure)))
    for part, network, tune in (("texture", "texture", "perceptual"), ("repair", "repair", "psnr")):
        for clip in chosen if part in wanted else ():
            records = bench.Records(folder, own | {part: load_enhancer(network).hash})
            measure = partial(both_ways, clip, frames, speed, tune, Path(data) / "peers", threads)
            jobs.append((part, clip.name, partial(records.get, f"{part}-{clip.name}", clip.path, measure)))
    for camera in watched if "domain" in wanted else ():
        measure = partial(_domain, camera, minutes, threads, progress)
        key = f"domain-{camera.name}-{minutes:g}"
        jobs.append(("domain", camera.name, partial(own_records.get, key, camera.second, measure)))
    for part, measured in (("speed", speed_of), ("memory", memory_of)):
        if part in wanted:
            measure = partial(measured, data, model, speed, threads)
            jobs.append((part, "codec", partial(own_records.get, f"{part}-{threads}", None, measure)))
    for number, (part, name, job) in enumerate(jobs):
        progress(f"{part}: {name}", number / len(jobs))
        found[part][name] = job()
    progress("done", 1.0)
    result: Record = {
        "bench": "codec",
        "environment": bench.environment(threads),
        "circumstances": own,
    } | found
    bench.write_json(folder / "results.json", result)
    bench.write_text(folder / "results.md", tables(result))
    for name, curves in found.get("curves", {}).items():
        draw_curves(folder / "curves" / f"{name}.png", name, curves["points"], "kbit_per_second", METRICS)
    return {"output": str(folder)} | _means(result)


def _images(clip: BenchClip, frames: int) -> Record:
    return images(clip.load(frames))


def _domain(camera: Camera, minutes: float, threads: int, progress: Progress) -> Record:
    with tempfile.TemporaryDirectory() as room:
        return domain(camera, Path(room), minutes, threads, progress)


def _curves(
    wanted: BenchClip,
    frames: int,
    speed: int,
    model: str | Path,
    others: Sequence[str],
    threads: int,
    peer_records: bench.Records,
    own_records: bench.Records,
) -> Record:
    """All points of one clip."""
    clip = wanted.load(frames)
    ladder = HD_LADDER if wanted.name.startswith("hd_") else ()
    points: dict[str, list[Record]] = {}
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        source = write_lossless(clip, room / "clip.mp4")

        def peer(name: str, setting: float) -> Record:
            trial = encode(PEERS[name], clip, setting, room / "peer.mp4", threads=threads)
            with open_video(trial.path) as reader:
                return point(clip, setting, trial.path, list(reader), trial.command)

        def ours(setting: float) -> Record:
            path = room / "ours.mp4"
            made = measured_layered(source, clip, path, quality=quality_at(setting), speed=speed, model=model)
            with open_video(path.with_suffix(".y4m")) as reader:
                return point(clip, setting, made.trial.path, list(reader), "")

        def hull(name: str, setting: float) -> Record:
            path = room / "hull.mp4"
            seen = scaled_file(clip, SHRINKS[name], setting, path, threads=threads)
            return point(clip, setting, path, seen, f"base {name}")

        def taken(records: bench.Records, method: str, settings: Iterable[float], take: Any) -> list[Record]:
            stem = f"{wanted.name}-{method.replace(' ', '-').replace('/', '-')}"
            return [records.get(f"{stem}-{at:g}", wanted.path, partial(take, at)) for at in settings]

        settings = sorted({*LADDER, *ladder})
        points[SAME] = taken(peer_records, SAME, settings, partial(peer, SAME))
        points[OURS] = taken(own_records, f"{OURS} speed {speed}", settings, ours)
        for name in others:
            points[name] = taken(peer_records, name, PEERS[name].ladder, partial(peer, name))
        for name in SHRINKS if ladder else ():
            lower = [at - step for at in ladder for step in (0, 10)]
            points[f"{SAME} at {name}"] = taken(peer_records, f"{SAME} {name}", lower, partial(hull, name))
    return {"points": points}


def tables(result: Record) -> str:
    """The Markdown of a result, also of one read back from results.json."""
    parts = [f"# The layered codec, speed {result['circumstances']['speed']}\n"]
    curves: Mapping[str, Record] = result.get("curves", {})
    if curves:
        rows = {name: _clip_cells(found["points"]) for name, found in curves.items()}
        columns = ["clip", *(f"{label.removesuffix(' dB')}, {SAME}" for label in METRICS.values())]
        methods = _other_methods(curves)
        columns += [f"PSNR-YUV, {name}" for name in methods] + ["least overlap"]
        parts.append("## Rate at equal quality, per cent\n")
        parts.append(bench.markdown_table(columns, rows, (*[1] * (len(columns) - 2), 2)))
        hd = {name: _hd_cells(found["points"]) for name, found in curves.items() if name.startswith("hd_")}
        if hd:
            parts.append("## HD at CRF 49 to 63: rate at equal PSNR-YUV, per cent\n")
            columns = ["clip", "full size", "overlap", "hull over sizes with Lanczos", "overlap"]
            parts.append(bench.markdown_table(columns, hd, (1, 2, 1, 2)))
    for found in result.get("multishot", {}).values():
        parts.append("## Shots spliced together, against one CRF for all\n")
        columns = [
            "CRF for all",
            "bytes",
            "mean VMAF-NEG",
            "worst shot",
            "vivae's bytes for this mean",
            "worst shot",
            "rate",
        ]
        parts.append(bench.markdown_table(columns, shot_cells(found), (0, 2, 2, 0, 2, 1)))
    if result.get("images"):
        rows = {
            name: [found["against"][peer] for peer in ("JPEG", "WebP", "AVIF")]
            for name, found in result["images"].items()
        }
        parts.append("## Images: the latent codec's rate at equal PSNR-YUV, per cent\n")
        parts.append(bench.markdown_table(["clip", "JPEG", "WebP", "AVIF"], rows, (1, 1, 1)))
    if result.get("roi"):
        parts.append(roi_table(result["roi"], SAME))
    if result.get("grain"):
        parts.append(grain_table(result["grain"]))
    for part, what in (
        ("texture", "--tune perceptual"),
        ("repair", f"--tune psnr --speed {result['circumstances']['speed']}"),
    ):
        if result.get(part):
            parts.append(both_ways_table(what, result[part]))
    if result.get("domain"):
        rows = {
            name: [
                found["rate_percent"],
                found["rate_percent_with_weights"],
                found["training_minutes"],
                found["frames"],
            ]
            for name, found in result["domain"].items()
        }
        columns = ["camera", "rate", "rate, weights counted", "minutes of training", "frames"]
        parts.append(f"## Fixed cameras, second half: rate at equal PSNR-YUV against {SAME}, per cent\n")
        parts.append(bench.markdown_table(columns, rows, (1, 1, 1, 0)))
    for part, table in (("speed", speed_table), ("memory", memory_table)):
        parts += map(table, result.get(part, {}).values())
    return "\n".join([*parts, bench.provenance(result["environment"])])


def _other_methods(curves: Mapping[str, Record]) -> list[str]:
    first = next(iter(curves.values()))["points"]
    return [name for name in first if name in OTHERS]


def _clip_cells(points: Mapping[str, list[Record]]) -> list[Cell]:
    def usual(name: str) -> list[Record]:
        every = points[name]
        return [p for p in every if p["setting"] in LADDER] if name in (SAME, OURS) else every

    cells = [rate(usual(SAME), usual(OURS), metric) for metric in METRICS]
    cells += [rate(usual(name), usual(OURS), "psnr_yuv") for name in points if name in OTHERS]
    return [*(percent for percent, _ in cells), min(overlap for _, overlap in cells)]


def _hd_cells(points: Mapping[str, list[Record]]) -> list[Cell]:
    full, ours = ([p for p in points[name] if p["setting"] in HD_LADDER] for name in (SAME, OURS))
    every = full + [p for name, more in points.items() if name.startswith(f"{SAME} at") for p in more]
    return [*rate(full, ours, "psnr_yuv"), *rate(hull_of(every), ours, "psnr_yuv")]


def hull_of(points: Iterable[Record]) -> list[Record]:
    """The upper convex hull of points in the plane of log rate and PSNR-YUV: what the best choice of sizes reaches."""
    hull: list[Record] = []
    for p in sorted(points, key=lambda p: (p["size_bytes"], -p["psnr_yuv"])):
        if hull and p["psnr_yuv"] <= hull[-1]["psnr_yuv"]:
            continue
        while len(hull) > 1:
            (x0, y0), (x1, y1), (x2, y2) = ((log(q["size_bytes"]), q["psnr_yuv"]) for q in (*hull[-2:], p))
            if (y1 - y0) * (x2 - x0) > (y2 - y0) * (x1 - x0):
                break
            hull.pop()
        hull.append(p)
    return hull


def _means(result: Record) -> Record:
    """What a command line shows at the end."""
    curves = result.get("curves", {})
    names = [name for name in curves if name not in bench.APART]
    if not names:
        return {}
    cells = bench.mean_of({name: _clip_cells(curves[name]["points"]) for name in names}, names)
    return dict(zip(METRICS, cells, strict=False))
