"""What a benchmark makes of one file, and of many: a point of cost and quality, and the rate between two curves."""

from collections.abc import Iterable, Sequence
from math import log10
from pathlib import Path

from vivae.measure.bdrate import bjontegaard
from vivae.measure.bench import Record
from vivae.measure.clip import Clip
from vivae.measure.ffmpeg import vmaf
from vivae.measure.quality import compare_clips
from vivae.media import Frame


def point(clip: Clip, setting: float, path: Path, seen: Sequence[Frame], command: str) -> Record:
    """One file's cost and quality. Raises ValueError if it holds another number of frames."""
    quality, _ = compare_clips(clip.frames, seen)
    perceived = vmaf(clip, seen)
    size = path.stat().st_size
    return {
        "setting": setting,
        "size_bytes": size,
        "kbit_per_second": 8 * size / clip.seconds / 1000,
        "bits_per_pixel": 8 * size / clip.pixels,
        "vmaf": perceived.vmaf,
        "vmaf_neg": perceived.neg,
        "command": command,
        **{
            key: getattr(quality, key)
            for key in ("psnr_yuv", "psnr_y", "psnr_u", "psnr_v", "ms_ssim", "ssim")
        },
    }


def rate(anchor: Iterable[Record], test: Iterable[Record], metric: str) -> tuple[float | None, float]:
    """Rate of a curve against another at equal quality in per cent, and the overlap of their qualities."""
    curves = [[(p["size_bytes"], _scale(p[metric], metric)) for p in points] for points in (anchor, test)]
    found = bjontegaard(*curves)
    return (None, 0.0) if found is None else (found.rate_percent, found.overlap)


def _scale(value: float, metric: str) -> float:
    """More is better, and what comes near a bound counts by its logarithm: MS-SSIM near 1, LPIPS near 0."""
    if metric == "ms_ssim":
        return -10 * log10(max(1e-9, 1 - value))
    return -10 * log10(max(1e-9, value)) if metric == "lpips" else value
