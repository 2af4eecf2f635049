"""`bench vae`: how well and how fast a model reconstructs video, at what number of values and bits.

For every clip and every number of latent channels that the model works with: quality, bits and steadiness, of the
whole stream and of I-frames alone; then seams and drift; then the latent codec's files against other codecs'; speed and
memory last. Raw figures and tables go to a folder, see `vivae.measure.bench`.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch

from vivae.measure import bench
from vivae.measure.bdrate import bjontegaard
from vivae.measure.bench import BenchClip, Cell, Record
from vivae.measure.clip import Clip, Progress, no_progress
from vivae.measure.peers import PEERS, Point, ladder
from vivae.measure.quality import compare_clips, drift, mean_squared_error, seam_ratio
from vivae.media import ColorInfo, Frame
from vivae.tasks.coded import measured_file, write_lossless
from vivae.tasks.memory import memory_of_a_long_stream
from vivae.vae.config import VAEConfig
from vivae.vae.cost import cost_of
from vivae.vae.model import VideoVAE
from vivae.vae.stream import (
    Layout,
    StreamDecoder,
    StreamEncoder,
    decode_clip,
    encode_clip,
    encode_stream,
    grouped,
)
from vivae.vae.zoo import load_model, resolve

VERSION = 1
"""Of the way figures are taken: raise it, and old records are taken again."""
PARTS = ("reconstruction", "codec", "speed", "memory")
CHUNK, SEAM_FRAMES, DRIFT_FRAMES, TRIPS = 8, 24, 16, 5
SPEED_SIZES = ((224, 224), (848, 480))
SPEED_FRAMES, SPEED_ROUNDS = 12, 3
QUALITIES = (0, 20, 40, 60, 80, 100)
OURS = "vivae latent"
LATENT_PEERS = ("x264 medium low delay", "x265 medium low delay", "SVT-AV1 preset 6 all intra")


def bench_vae(
    data: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: str | Path = "base",
    frames: int = 64,
    threads: int = 2,
    clips: Iterable[str] = (),
    parts: Iterable[str] = ("reconstruction", "codec", "speed"),
    memory_frames: int = 10_000,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure a model on `data` and write results.json, results.md and the points of each clip to the folder `dst`.

    What an earlier run with the same model, data and settings has left there is kept, so an interrupted run goes on.
    frames: at most, of each clip. clips: names, all of the evaluation set without. parts: of `PARTS`; "memory"
    reconstructs `memory_frames` frames of 640x352 and takes long. Returns the means.
    Raises InputError for missing clips or models.
    """
    folder = Path(dst)
    folder.mkdir(parents=True, exist_ok=True)
    vae = load_model(model)
    chosen = bench.evaluation_clips(data, clips)
    wanted = [part for part in PARTS if part in set(parts)]
    circumstances = {"model": vae.hash, "frames": frames, "threads": threads, "version": VERSION}
    records = bench.Records(folder, circumstances)
    jobs = _jobs(vae, model, chosen, wanted, frames, threads, memory_frames)
    found: dict[str, Record] = {part: {} for part in wanted}
    with _threads(threads):
        for number, (part, name, source, job) in enumerate(jobs):
            progress(f"{part}: {name}", number / len(jobs))
            found[part][name] = records.get(f"{part}-{name}", source, job)
    progress("done", 1.0)
    where = bench.environment(threads)
    result: Record = {
        "bench": "vae",
        "environment": where,
        "model": _model_facts(vae, model),
        "circumstances": circumstances,
    } | found
    bench.write_json(folder / "results.json", result)
    bench.write_text(folder / "results.md", tables(result))
    return {"output": str(folder), "model": vae.config.name} | _means(found)


Job = tuple[str, str, Path | None, Callable[[], Any]]
"""part, name, the data file it depends on, and what measures it."""


def _jobs(
    vae: VideoVAE,
    model: str | Path,
    clips: Sequence[BenchClip],
    parts: Sequence[str],
    frames: int,
    threads: int,
    memory_frames: int,
) -> list[Job]:
    jobs: list[Job] = []
    for clip in clips:
        if "reconstruction" in parts:
            jobs.append(("reconstruction", clip.name, clip.path, partial(reconstruction, vae, clip, frames)))
        if "codec" in parts:
            jobs.append(("codec", clip.name, clip.path, partial(codec, model, clip, frames, threads)))
    if "speed" in parts:
        jobs += [("speed", f"{w}x{h}", None, partial(speed, vae, w, h)) for w, h in SPEED_SIZES]
    if "memory" in parts:
        source = clips[0].path
        watch = partial(memory_of_a_long_stream, source, model, memory_frames)
        jobs.append(("memory", f"{memory_frames}-frames", source, watch))
    return jobs


def settings(config: VAEConfig) -> dict[str, int]:
    """The numbers of latent channels a model works with, named by latent values per RGB value: "1/24"."""
    return {
        str(Fraction(channels, 3 * config.stride**2 * config.temporal_stride)): channels
        for channels in (*config.nested, config.latent_channels)
    }


def reconstruction(vae: VideoVAE, source: BenchClip, frames: int) -> Record:
    """Quality, bits and steadiness of one clip's first `frames`."""
    clip = source.load(frames)
    found: Record = {"frames": len(clip.frames), "pixels": clip.pixels}
    for name, channels in settings(vae.config).items():
        layout = Layout(vae.config, clip.picture.height, clip.picture.width)
        values = channels * np.prod(layout.latent_size[1:]) / vae.config.temporal_stride
        found[name] = {
            "channels": channels,
            "values_per_pixel": float(values) * len(clip.frames) / clip.pixels,
            "stream": _passed(vae, clip, channels, intra=False),
            "intra": _passed(vae, clip, channels, intra=True),
        }
    short = clip.frames[:SEAM_FRAMES]
    if len(short) > CHUNK:
        found["seam_ratio"] = seam_ratio(_chunked_errors(vae, short), _whole_errors(vae, short), CHUNK)
    found["round_trips_db"] = drift(
        clip.frames[:DRIFT_FRAMES], lambda frames: _reconstructed(vae, frames, intra=False)[0], TRIPS
    )
    return found


def codec(model: str | Path, wanted: BenchClip, frames: int, threads: int) -> Record:
    """The latent codec's files and its peers' on one clip's first `frames`, and the rate between the curves."""
    clip = wanted.load(frames)
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        source = write_lossless(clip, room / "clip.mp4")
        curves = {
            OURS: [
                measured_file(source, clip, room / f"{quality}.vva", model=model, quality=quality)
                for quality in QUALITIES
            ]
        }
        for name in LATENT_PEERS:
            curves[name] = ladder(PEERS[name], clip, room, threads=threads)
    ours = _curve(curves[OURS])
    deltas = {name: bjontegaard(_curve(curves[name]), ours) for name in LATENT_PEERS}
    return {
        "curves": curves,
        "against": deltas,
    }


def speed(vae: VideoVAE, width: int, height: int) -> Record:
    """Frames a second of the networks at one size, the median of rounds; no file is read or written.

    encode: as a sender does it, with the decoder inside, which tells what the receiver will know. decode: as a receiver
    does it. Coding the symbols is not in here: see the codec's figures.
    """
    frames = _moving_noise(width, height, SPEED_FRAMES * vae.config.temporal_stride)
    channels = next(iter(settings(vae.config).values()))
    seconds: dict[str, list[float]] = {"encode": [], "decode": []}
    for round_ in range(SPEED_ROUNDS + 1):
        started = time.perf_counter()
        latents = [coded.latent for coded in encode_stream(vae, frames, channels=channels)]
        between = time.perf_counter()
        decoder = StreamDecoder(vae, height, width)
        for latent in latents:
            decoder.push(latent, vae.config.temporal_stride)
        if round_:  # the first warms up
            seconds["encode"].append(between - started)
            seconds["decode"].append(time.perf_counter() - between)
    encode, decode = (len(frames) / median(seconds[name]) for name in ("encode", "decode"))
    return {"encode_fps": encode, "decode_fps": decode, "both_fps": 1 / (1 / encode + 1 / decode)}


def tables(result: Record) -> str:
    """The Markdown of a result, also of one read back from results.json."""
    parts = [f"# Reconstruction with `{result['model']['name']}`\n"]
    measured: Mapping[str, Record] = result.get("reconstruction", {})
    for name in result["model"]["settings"] if measured else ():
        rows = {clip: _quality_cells(found[name]) for clip, found in measured.items()}
        parts.append(f"## {name} latent values per RGB value, quality 100\n")
        parts.append(bench.markdown_table(("clip", *QUALITY_COLUMNS), rows, (2, 3, 3, 4, 4, 2, 2, 3)))
    if measured:
        rows = {clip: _steady_cells(found) for clip, found in measured.items()}
        parts.append("## Seams and drift, all channels\n")
        parts.append(bench.markdown_table(("clip", *STEADY_COLUMNS), rows, (4, 2, 2)))
    if result.get("codec"):
        rows = {clip: _delta_cells(found) for clip, found in result["codec"].items()}
        columns = ("clip", *(f"rate against {name}" for name in LATENT_PEERS), "least overlap")
        parts.append("## The latent codec's files: rate at equal PSNR-YUV, per cent\n")
        parts.append(bench.markdown_table(columns, rows, (*(1 for _ in LATENT_PEERS), 2)))
    if result.get("speed"):
        rows = {size: list(found.values()) for size, found in result["speed"].items()}
        parts.append(f"## Speed of the networks, {result['circumstances']['threads']} threads\n")
        lines = bench.markdown_table(
            ("size", "encode fps", "decode fps", "one after the other"), rows, (1, 1, 1)
        )
        parts.append("\n".join(lines.splitlines()[: 2 + len(rows)]) + "\n")
    parts += [
        f"## Memory\n\n{found['frames']} frames of {found['width']}x{found['height']} through `reconstruct`: "
        f"at most {found['early_mb']:.0f} MB over the first tenth, {found['peak_mb']:.0f} MB over all.\n"
        for found in result.get("memory", {}).values()
    ]
    return "\n".join([*parts, bench.provenance(result["environment"])])


QUALITY_COLUMNS = (
    "PSNR-YUV dB",
    "bits/pixel",
    "values/pixel",
    "SSIM",
    "MS-SSIM",
    "flicker",
    "I-frames: PSNR-YUV dB",
    "I-frames: bits/pixel",
)
STEADY_COLUMNS = ("seam ratio", "after one round trip dB", f"lost after {TRIPS} round trips dB")


def _quality_cells(found: Record) -> list[Cell]:
    stream, intra = found["stream"], found["intra"]
    figures = [stream[key] for key in ("psnr_yuv", "bits_per_pixel")] + [found["values_per_pixel"]]
    figures += [stream[key] for key in ("ssim", "ms_ssim", "flicker")]
    return [*figures, intra["psnr_yuv"], intra["bits_per_pixel"]]


def _steady_cells(found: Record) -> list[Cell]:
    trips = found["round_trips_db"]
    return [found.get("seam_ratio"), trips[0], trips[0] - trips[-1]]


def _delta_cells(found: Record) -> list[Cell]:
    deltas = [found["against"][name] for name in LATENT_PEERS]
    overlaps = [delta["overlap"] for delta in deltas if delta]
    return [*(delta and delta["rate_percent"] for delta in deltas), min(overlaps, default=None)]


def _means(found: Mapping[str, Record]) -> Record:
    """What a command line shows at the end."""
    means: Record = {}
    measured = found.get("reconstruction", {})
    names = [name for name in measured if name not in bench.APART] or list(measured)
    for name in next(iter(measured.values()), {}):
        if "/" in name or name.isdigit():
            cells = bench.mean_of({clip: _quality_cells(measured[clip][name]) for clip in names}, names)
            means[f"{name} values"] = {"psnr_yuv": cells[0], "bits_per_pixel": cells[1]}
    return means | {f"speed {size}": figures for size, figures in found.get("speed", {}).items()}


def _model_facts(vae: VideoVAE, model: str | Path) -> Record:
    cost = cost_of(vae.config)
    return {
        "name": vae.config.name,
        "hash": vae.hash,
        "bytes": resolve(model).stat().st_size,
        "config": vae.config.model_dump(mode="json"),
        "kmac_per_pixel": cost.total,
        "parameters": cost.parameters,
        "settings": settings(vae.config),
    }


def _passed(vae: VideoVAE, clip: Clip, channels: int, intra: bool) -> Record:
    decoded, bits = _reconstructed(vae, clip.frames, intra=intra, channels=channels)
    quality, frames = compare_clips(clip.frames, decoded)
    return {
        **asdict(quality),
        "bits_per_pixel": sum(bits) / clip.pixels,
        "frame_psnr_yuv": [frame.psnr_yuv for frame in frames],
        "step_bits": bits,
    }


def _reconstructed(
    vae: VideoVAE, frames: Sequence[Frame], *, intra: bool, channels: int | None = None
) -> tuple[list[Frame], list[float]]:
    """Decoded frames, and the bits of each step. intra: every step as if it were the first."""
    encoder = StreamEncoder(vae, channels=channels, rounded=True)
    decoded: list[Frame] = []
    bits: list[float] = []
    for group in grouped(frames, vae.config.temporal_stride):
        if intra:
            encoder = StreamEncoder(vae, channels=channels, rounded=True)
        coded = encoder.push(group)
        decoded += coded.decoded
        bits.append(float(coded.bits.sum()))
    return decoded, bits


def _whole_errors(vae: VideoVAE, frames: Sequence[Frame]) -> list[float]:
    return [
        mean_squared_error(frame.y, decoded.y)
        for coded in encode_stream(vae, frames)
        for frame, decoded in zip(coded.frames, coded.decoded, strict=True)
    ]


def _chunked_errors(vae: VideoVAE, frames: Sequence[Frame]) -> list[float]:
    """The same through the functions for clips, `CHUNK` frames at a time."""
    layout = Layout(vae.config, frames[0].height, frames[0].width)
    quality = torch.ones(1)
    sending = receiving = vae.initial_state(1, *layout.packed_size)
    step = vae.config.temporal_stride
    errors: list[float] = []
    for chunk in grouped(frames, -(-CHUNK // step) * step):
        groups = list(grouped(chunk, step))
        latents, sending = encode_clip(
            vae, torch.stack([layout.pack(group) for group in groups], 1), quality, sending
        )
        pictures, receiving = decode_clip(vae, latents, quality, receiving)
        for index, group in enumerate(groups):
            planes = layout.unpack(pictures[:, index], len(group))
            errors += [mean_squared_error(frame.y, new[0]) for frame, new in zip(group, planes, strict=True)]
    return errors


def _curve(points: Sequence[Point]) -> list[tuple[float, float]]:
    return [(point.bits_per_pixel, point.quality.psnr_yuv) for point in points]


def _moving_noise(width: int, height: int, count: int) -> list[Frame]:
    """Soft noise that drifts: what the pixels are does not matter to the speed of a network."""
    noise = np.random.default_rng(0).integers(0, 256, (height // 8 + 1, width // 8 + 1), dtype=np.uint8)
    y = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    half = np.full((-(-height // 2), -(-width // 2)), 128, np.uint8)
    step = Fraction(1, 25)
    return [Frame(np.roll(y, 2 * k, 1), half, half, k * step, step, ColorInfo()) for k in range(count)]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
