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
from vivae.measure.bdrate import rate_at
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
COARSER = 66
"""One more of vivae's, which codes finer at a CRF: its curve is to reach as low as the anchor's."""
PEER = "SVT-AV1 preset 6"


def multishot(data: str | os.PathLike[str], model: str | Path, speed: int, threads: int) -> Record:
    """Of each file of both: bytes, and VMAF-NEG of each shot."""
    clip, names = spliced(data)
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        source = write_lossless(clip, room / "clip.mp4")

        def anchor(crf: int) -> Record:
            trial = encode(PEERS[PEER], clip, crf, room / "all.mp4", threads=threads)
            return {"crf": crf, "size_bytes": trial.size_bytes, "vmaf_neg": _shots(clip, room / "all.mp4")}

        def ours(crf: int) -> Record:
            made = measured_layered(
                source, clip, room / "ours.mp4", quality=quality_at(crf), speed=speed, model=model
            )
            return {
                "crf": crf,
                "size_bytes": made.trial.size_bytes,
                "vmaf_neg": _shots(clip, room / "ours.y4m"),
            }

        return {"shots": names, "anchor": [*map(anchor, CRFS)], "vivae": [*map(ours, (*CRFS, COARSER))]}


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
    found: list[float] = []
    for at in range(0, len(clip.frames), FRAMES):
        part = slice(at, at + FRAMES)
        found += vmaf_of(clip.picture, clip.frames[part], seen[part], "neg")
    return found


def shot_cells(found: Record) -> dict[str, Sequence[Cell]]:
    """A row for each CRF: what one setting gives; what vivae takes for the same mean, interpolated between its files,
    what its worst shot has then, and the difference in rate."""
    files = sorted(
        (float(np.mean(row["vmaf_neg"])), min(row["vmaf_neg"]), row["size_bytes"]) for row in found["vivae"]
    )
    means, worst, sizes = zip(*files, strict=True)
    rows: dict[str, Sequence[Cell]] = {}
    for row in found["anchor"]:
        size, mean = row["size_bytes"], float(np.mean(row["vmaf_neg"]))
        taken = rate_at(zip(sizes, means, strict=True), mean)
        told: list[Cell] = [None] * 3
        if taken is not None:
            told = [taken, float(np.interp(mean, means, worst)), 100 * (taken / size - 1)]
        rows[str(row["crf"])] = [size, mean, min(row["vmaf_neg"]), *told]
    return rows
