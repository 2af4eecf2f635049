"""`--roi` measured: bytes at equal quality inside the object, against SVT-AV1 on the whole picture."""

import tempfile
from collections.abc import Sequence
from math import log10
from pathlib import Path

import cv2
import numpy as np

from vivae.measure.bdrate import bjontegaard
from vivae.measure.bench import BenchClip, Record
from vivae.measure.clip import Clip
from vivae.measure.peers import PEERS, encode
from vivae.measure.quality import psnr_yuv
from vivae.media import Frame, open_video
from vivae.media.masks import Mask, read_masks
from vivae.tasks.coded import measured_layered, write_lossless

CRFS = (25, 33, 41, 49, 56, 62)
PEER = "SVT-AV1 preset 6"


def roi(wanted: BenchClip, frames: int, speed: int, model: str | Path, threads: int) -> Record:
    """Points of both, and the rate between them; the masks lie beside the clip."""
    clip = wanted.load(frames)
    folder = wanted.path.with_name(f"{wanted.name}_masks")
    stream = read_masks(folder, clip.picture.width, clip.picture.height)
    masks = [mask for mask, _ in zip(stream, clip.frames, strict=False)]
    plain, ours = [], []
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        source = write_lossless(clip, room / "clip.mp4")
        for crf in CRFS:
            trial = encode(PEERS[PEER], clip, crf, room / "plain.mp4", threads=threads)
            plain.append((trial.size_bytes, _inside(clip, room / "plain.mp4", masks)))
            made = measured_layered(
                source, clip, room / "roi.mp4", quality=2 * (63 - crf), speed=speed, model=model, roi=folder
            )
            ours.append((made.trial.size_bytes, _inside(clip, room / "roi.y4m", masks)))
    found = bjontegaard(plain, ours)
    return {
        "plain": plain,
        "vivae": ours,
        "rate_percent": found and found.rate_percent,
        "overlap": found.overlap if found else 0.0,
    }


def _inside(clip: Clip, path: Path, masks: Sequence[Mask]) -> float:
    """Mean PSNR-YUV in dB over the frames, of the pixels inside the masks; frames without any do not count."""
    with open_video(path) as reader:
        pairs = zip(clip.frames, reader, masks, strict=True)
        return float(np.mean([_masked(clean, seen, mask) for clean, seen, mask in pairs if mask.any()]))


def _masked(clean: Frame, seen: Frame, mask: Mask) -> float:
    size = clean.u.shape[::-1]
    small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    found = []
    for a, b, where in zip(clean.planes, seen.planes, (mask, small, small), strict=True):
        error = ((a.astype(np.float64) - b) ** 2)[where].mean() if where.any() else 0.0
        found.append(10 * log10(255**2 / max(error, 1e-3)))
    return psnr_yuv(*found)
