"""`--roi` measured: bytes at equal quality inside the object, against SVT-AV1 on the whole picture."""

import tempfile
from collections.abc import Mapping, Sequence
from math import log10
from pathlib import Path

import cv2
import numpy as np

from vivae.codec.layered import quality_at
from vivae.measure.bdrate import bjontegaard
from vivae.measure.bench import BenchClip, Record, markdown_table
from vivae.measure.clip import Clip
from vivae.measure.peers import PEERS, encode
from vivae.measure.quality import psnr_yuv
from vivae.media import Frame, open_video, probe
from vivae.media.indexed import encode_indexed
from vivae.media.masks import Mask, read_masks
from vivae.tasks.coded import measured_layered, write_lossless
from vivae.tasks.common import no_progress
from vivae.tasks.noticing import Noticed
from vivae.vae.zoo import load_segmenter

CRFS = (25, 33, 41, 49, 56, 62)
PEER = "SVT-AV1 preset 6"
Point = tuple[int, float]
"""Bytes, and PSNR-YUV inside the object."""


def roi(wanted: BenchClip, frames: int, speed: int, model: str | Path, threads: int) -> Record:
    """Points of SVT-AV1, of the true masks (beside the clip) and of `auto`, and the rates between them."""
    clip = wanted.load(frames)
    folder = wanted.path.with_name(f"{wanted.name}_masks")
    size = clip.picture.width, clip.picture.height
    masks = [mask for mask, _ in zip(read_masks(folder, *size), clip.frames, strict=False)]
    plain: list[Point] = []
    ours: dict[str, list[Point]] = {"masks": [], "auto": []}
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        source = write_lossless(clip, room / "clip.mp4")
        regions = {"masks": folder, "auto": _noticed(source, room)}
        for crf in CRFS:
            trial = encode(PEERS[PEER], clip, crf, room / "plain.mp4", threads=threads)
            plain.append((trial.size_bytes, _inside(clip, room / "plain.mp4", masks)))
            for way, region in regions.items():
                made = measured_layered(
                    source,
                    clip,
                    room / "roi.mp4",
                    quality=quality_at(crf),
                    speed=speed,
                    model=model,
                    roi=region,
                )
                ours[way].append((made.trial.size_bytes, _inside(clip, room / "roi.y4m", masks)))
    found = {way: bjontegaard(plain, points) for way, points in ours.items()}
    return {"plain": plain} | {
        way: {
            "points": ours[way],
            "rate_percent": delta and delta.rate_percent,
            "overlap": delta.overlap if delta else 0.0,
        }
        for way, delta in found.items()
    }


def roi_table(found: Mapping[str, Record], peer: str) -> str:
    """The rates by clip."""
    rows = {
        name: [told[way][what] for way in ("masks", "auto") for what in ("rate_percent", "overlap")]
        for name, told in found.items()
    }
    columns = ["clip", "true masks", "overlap", "auto", "overlap"]
    title = f"## With --roi: rate at equal PSNR-YUV inside the object against {peer}, per cent\n\n"
    return title + markdown_table(columns, rows, (1, 2, 1, 2))


def _noticed(source: Path, room: Path) -> Path:
    """A folder with the masks that `--roi auto` goes by: found once for all qualities."""
    network, folder = load_segmenter(), room / "noticed"
    folder.mkdir()
    found = Noticed(source, probe(source), network, room / "kept", start=None, end=None, progress=no_progress)
    for index, mask in enumerate(found.masks()):
        (folder / f"{index:05d}.png").write_bytes(encode_indexed(mask.astype(np.uint8)))
    return folder


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
