"""Layers over bases of full size measured: what vivae decodes of a file beside what players show of it, and SVT-AV1's
own files.

With `--tune perceptual`, and with the repair of slow speeds. In how it looks (VMAF, VMAF-NEG, and LPIPS-squeeze where
its weights are at hand), in PSNR, which texture costs, and in steadiness.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import vivae
from vivae.codec.layered import quality_at
from vivae.measure.bench import BenchClip, Cell, Record, markdown_table
from vivae.measure.clip import Clip
from vivae.measure.peers import PEERS, encode
from vivae.measure.perceptual import lpips_squeeze, mean_lpips
from vivae.measure.steadiness import warping_errors
from vivae.media import Frame, open_video
from vivae.media.resample import enlarged
from vivae.tasks.coded import write_lossless
from vivae.tasks.rates import point, rate
from vivae.train.lpips import Lpips

CRFS = (33, 41, 49, 56, 62)
PEER = "SVT-AV1 preset 6"
PLAYERS, OURS = "as players show it", "as vivae shows it"
RATED = ("vmaf", "vmaf_neg", "lpips", "psnr_yuv")


def both_ways(wanted: BenchClip, frames: int, speed: int, tune: str, peers: Path, threads: int) -> Record:
    """Points of SVT-AV1, and of files of `vivae.compress`, seen both ways. peers: where LPIPS-squeeze lies."""
    clip = wanted.load(frames)
    distance = lpips_squeeze(peers)
    points: dict[str, list[Record]] = {PEER: [], PLAYERS: [], OURS: []}
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        source = write_lossless(clip, room / "clip.mp4")
        for crf in CRFS:
            trial = encode(PEERS[PEER], clip, crf, room / "plain.mp4", threads=threads)
            points[PEER].append(_point(clip, crf, trial.path, _shown(clip, trial.path), distance))
            path = room / "ours.mp4"
            vivae.compress(
                source,
                path,
                quality=quality_at(crf),
                speed=speed,
                tune=tune,
                threads=threads,
                force=True,
            )
            points[PLAYERS].append(_point(clip, crf, path, _shown(clip, path), distance))
            with vivae.open(path) as shown:
                points[OURS].append(_point(clip, crf, path, list(shown), distance))
    return {"points": points, "rates": {name: _rates(points[PEER], points[name]) for name in (PLAYERS, OURS)}}


def both_ways_table(what: str, found: Mapping[str, Record]) -> str:
    """The Markdown of all clips. what: how the files were made."""
    parts = [f"## With {what}: rate at equal quality against {PEER}, per cent\n"]
    labels = {"vmaf": "VMAF", "vmaf_neg": "VMAF-NEG", "lpips": "LPIPS-squeeze", "psnr_yuv": "PSNR-YUV"}
    columns = ["clip", *(f"{labels[key]}, {way}" for way in (OURS, PLAYERS) for key in RATED)]
    rates: dict[str, list[Cell]] = {
        name: [one["rates"][way].get(key) for way in (OURS, PLAYERS) for key in RATED]
        for name, one in found.items()
    }
    parts.append(markdown_table(columns, rates, [1] * (len(columns) - 1)))
    parts.append("## The same files: what it gives and takes, means over their qualities\n")
    columns = [
        "clip",
        "PSNR-YUV dB",
        "VMAF",
        "VMAF-NEG",
        "LPIPS-squeeze, per cent",
        "warping error, per cent",
    ]
    changes: dict[str, list[Cell]] = {
        name: [
            *(_change(one["points"], key, relative=False) for key in ("psnr_yuv", "vmaf", "vmaf_neg")),
            *(_change(one["points"], key, relative=True) for key in ("lpips", "warping_error")),
        ]
        for name, one in found.items()
    }
    parts.append(markdown_table(columns, changes, (2, 1, 1, 1, 1)))
    return "\n".join(parts)


def _shown(clip: Clip, path: Path) -> list[Frame]:
    """What a player makes of a file at the clip's size."""
    with open_video(path) as reader:
        return [
            Frame(*enlarged(f.planes, clip.picture.width, clip.picture.height), f.time, f.duration, f.color)
            for f in reader
        ]


def _point(clip: Clip, crf: float, path: Path, seen: Sequence[Frame], distance: Lpips | None) -> Record:
    still, moved = warping_errors(*([frame.to_rgb() for frame in frames] for frames in (clip.frames, seen)))
    return point(clip, crf, path, seen, "") | {
        "lpips": None if distance is None else mean_lpips(distance, clip.frames, seen),
        "warping_error": moved / max(still, 1e-9),
    }


def _rates(anchor: Sequence[Record], test: Sequence[Record]) -> Record:
    """Rate at equal quality in per cent, by every measure that was taken."""
    return {key: rate(anchor, test, key)[0] for key in RATED if anchor[0][key] is not None}


def _change(points: Mapping[str, Sequence[Record]], key: str, *, relative: bool) -> float | None:
    pairs = [(b[key], a[key]) for b, a in zip(points[PLAYERS], points[OURS], strict=True)]
    if any(value is None for pair in pairs for value in pair):
        return None
    return float(np.mean([100 * (a / b - 1) if relative else a - b for b, a in pairs]))
