"""Several shots in one file: one CRF for all by SVT-AV1, against bits shared out over the shots by vivae."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from vivae.codec.layered import quality_at
from vivae.measure import bench
from vivae.measure.bench import Cell, Record
from vivae.measure.clip import Clip
from vivae.measure.ffmpeg import vmaf_of
from vivae.measure.peers import PEERS, encode
from vivae.media import Frame, Picture, open_video
from vivae.tasks.coded import measured_layered, write_lossless

SIZE = (848, 480)
FRAMES = 32
"""Of each shot."""
CRFS = (25, 33, 41, 49, 56, 62)
PEER = "SVT-AV1 preset 6"


def multishot(data: str | os.PathLike[str], model: str | Path, speed: int, threads: int) -> Record:
    """At each CRF: bytes, mean VMAF-NEG over the shots and that of the worst shot, of both."""
    clip, names = spliced(data)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        source = write_lossless(clip, room / "clip.mp4")
        for crf in CRFS:
            trial = encode(PEERS[PEER], clip, crf, room / "all.mp4", threads=threads)
            anchor = _shots(clip, room / "all.mp4")
            made = measured_layered(
                source, clip, room / "ours.mp4", quality=quality_at(crf), speed=speed, model=model
            )
            ours = _shots(clip, room / "ours.y4m")
            rows.append(
                {
                    "crf": crf,
                    "size_bytes": trial.size_bytes,
                    "vmaf_neg": anchor,
                    "vivae_bytes": made.trial.size_bytes,
                    "vivae_vmaf_neg": ours,
                }
            )
    return {"shots": names, "rows": rows}


def spliced(data: str | os.PathLike[str]) -> tuple[Clip, list[str]]:
    """The clips natively at least 848 wide, 32 frames each, scaled down to 848x480, one after the other."""
    chosen = [wanted for wanted in bench.evaluation_clips(data) if wanted.in_mean]
    clips = [clip for clip in (wanted.load(FRAMES) for wanted in chosen) if clip.picture.width >= SIZE[0]]
    step, color = Fraction(1, 25), clips[0].picture.color
    frames: list[Frame] = []
    for clip in clips:
        for frame in clip.frames:
            y, u, v = (
                np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
                for plane, size in zip(frame.planes, (SIZE, *[(SIZE[0] // 2, SIZE[1] // 2)] * 2), strict=True)
            )
            frames.append(Frame(y, u, v, len(frames) * step, step, color))
    info = replace(clips[0].info, time_base=step, fps=1 / step)
    return Clip("shots", info, Picture(*SIZE, 1 / step, color), tuple(frames)), [clip.name for clip in clips]


def _shots(clip: Clip, path: Path) -> list[float]:
    """VMAF-NEG of each shot."""
    with open_video(path) as reader:
        seen = list(reader)
    found = []
    for at in range(0, len(clip.frames), FRAMES):
        part = slice(at, at + FRAMES)
        found.append(vmaf_of(clip.picture, clip.frames[part], seen[part]).neg)
    return found


def shot_cells(found: Record) -> dict[str, Sequence[Cell]]:
    """A row for each CRF: what one setting gives, what vivae gives, and the difference in rate where it is as good."""
    rows: dict[str, Sequence[Cell]] = {}
    for row in found["rows"]:
        anchor, ours = row["vmaf_neg"], row["vivae_vmaf_neg"]
        rows[str(row["crf"])] = [
            row["size_bytes"],
            float(np.mean(anchor)),
            min(anchor),
            row["vivae_bytes"],
            float(np.mean(ours)),
            min(ours),
            100 * (row["vivae_bytes"] / row["size_bytes"] - 1),
        ]
    return rows
