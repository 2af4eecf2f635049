"""`--grain` measured: a source with noise of a sensor, coded with and without, against the clean original.

Quality is judged with the synthesis off, for grain is no fault and would count as one; the grain itself is judged by
its deviation and by how alike neighbours are, beside the noise that was there. The rate is that between the best each
can do: where there is noise, more bits can be worse, and such points are left out (see `bjontegaard`).
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import vivae
from vivae.codec.layered import quality_at
from vivae.measure.bdrate import bjontegaard
from vivae.measure.bench import BenchClip, Record, markdown_table
from vivae.measure.clip import Clip
from vivae.measure.peers import PEERS, encode
from vivae.measure.quality import compare_clips
from vivae.media import Frame, Planes
from vivae.media.av1 import eight_bit
from vivae.media.packets import decode_packets, read_packets
from vivae.tasks.coded import write_lossless
from vivae.train.disturb import with_noise

SIGMA, SEED = 15.0, 20
CRFS = (25, 33, 41, 49, 56, 62)
PEER = "SVT-AV1 preset 6"


class Looks(NamedTuple):
    """Of noise in luma: its standard deviation in code values, and the correlation of samples side by side."""

    deviation: float
    correlation: float


def grain(wanted: BenchClip, frames: int, speed: int, threads: int) -> Record:
    """Points of both against the clean clip, the rate between them, and the looks of noise and grain."""
    clip = wanted.load(frames)
    rng = np.random.default_rng(SEED)
    noisy = replace(
        clip,
        frames=tuple(
            Frame(*with_noise(frame.planes, SIGMA, rng, frame.color), frame.time, frame.duration, frame.color)
            for frame in clip.frames
        ),
    )
    plain, ours, looks = [], [], []
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        source = write_lossless(noisy, room / "noisy.mp4")
        for crf in CRFS:
            trial = encode(PEERS[PEER], noisy, crf, room / "plain.mp4", threads=threads)
            plain.append((trial.size_bytes, _quality(clip, room / "plain.mp4")))
            made = vivae.compress(
                source, room / "ours.mp4", quality=quality_at(crf), speed=speed, grain=True, force=True
            )
            ours.append((made["size_bytes"], _quality(clip, room / "ours.mp4")))
            looks.append(_looks(_grain_of(room / "ours.mp4")))
    found = bjontegaard(plain, ours)
    return {
        "plain": plain,
        "vivae": ours,
        "rate_percent": found and found.rate_percent,
        "overlap": found.overlap if found else 0.0,
        "same_crf_bytes_percent": [100 * (b[0] / a[0] - 1) for a, b in zip(plain, ours, strict=True)],
        "same_crf_psnr_gain": [b[1] - a[1] for a, b in zip(plain, ours, strict=True)],
        "noise": _looks(_lost(clip.frames, noisy.frames))._asdict(),
        "grain": looks[1]._asdict(),
    }


def grain_table(found: Mapping[str, Record]) -> str:
    """The Markdown of all clips."""
    rows = {
        name: [
            one["rate_percent"],
            one["overlap"],
            *(one["same_crf_bytes_percent"][index] for index in (1, 3)),
            *(one["same_crf_psnr_gain"][index] for index in (1, 3)),
            *(one[what][key] for key in Looks._fields for what in ("noise", "grain")),
        ]
        for name, one in found.items()
    }
    columns = [
        "clip", "rate at equal quality, per cent", "overlap", "bytes at CRF 33, per cent", "at CRF 49", "dB at CRF 33",
        "at CRF 49", "noise: deviation", "grain: deviation", "noise: correlation", "grain: correlation",
    ]  # fmt: skip
    table = markdown_table(columns, rows, (1, 2, 1, 1, 2, 2, 1, 1, 2, 2))
    title = (
        f"## With --grain: noise of {SIGMA:g}, against {PEER} on the noisy source, PSNR-YUV of the clean one"
    )
    return f"{title}\n\n{table}"


def _quality(clip: Clip, path: Path) -> float:
    """PSNR-YUV in dB of what was coded, without grain."""
    shown = zip(clip.frames, _decoded(path, grain=False), strict=True)
    quality, _ = compare_clips(
        clip.frames, [Frame(*planes, frame.time, frame.duration, frame.color) for frame, planes in shown]
    )
    return quality.psnr_yuv


def _decoded(path: Path, *, grain: bool) -> list[Planes]:
    pictures = decode_packets(read_packets(path), path.name, grain=grain)
    return [eight_bit(picture) for _, picture in pictures]


def _grain_of(path: Path) -> list[NDArray[np.float64]]:
    pairs = zip(_decoded(path, grain=True), _decoded(path, grain=False), strict=True)
    return [shown[0].astype(np.float64) - coded[0] for shown, coded in pairs]


def _lost(clean: Sequence[Frame], noisy: Sequence[Frame]) -> list[NDArray[np.float64]]:
    return [b.y.astype(np.float64) - a.y for a, b in zip(clean, noisy, strict=True)]


def _looks(noise: Sequence[NDArray[np.float64]]) -> Looks:
    power = float(np.mean([(n**2).mean() for n in noise]))
    beside = float(np.mean([(n[:, 1:] * n[:, :-1]).mean() for n in noise]))
    return Looks(power**0.5, beside / power if power else 0.0)
