"""Frames between others measured: every second frame is left out, found again, and compared with what it was."""

from collections.abc import Callable
from functools import partial

import numpy as np

from vivae.measure.bench import BenchClip, Record
from vivae.measure.quality import compare
from vivae.media import Frame, Planes, pack, unpack
from vivae.vae.between import Interpolator
from vivae.vae.enhancing import evened
from vivae.vae.middle import MiddleFrame
from vivae.vae.motion import Motion, moved


def between(wanted: BenchClip, frames: int, middle: MiddleFrame) -> Record:
    """PSNR-YUV in dB of the frames that were left out, by each method, from the frames that were not."""
    clip = wanted.load(frames)
    interpolator = Interpolator(middle)

    methods: dict[str, Callable[[Planes, Planes], Planes]] = {
        "mean of the two": _mean,
        "moved by DIS flow, fast": partial(_warped, Motion()),
        "moved by DIS flow, medium": partial(_warped, Motion("medium")),
    }
    scores: dict[str, list[float]] = {}
    kept = [frame.planes for frame in clip.frames[::2]]
    for index, missing in enumerate(clip.frames[1 : 2 * len(kept) - 1 : 2]):
        before, after = kept[index : index + 2]
        made = {name: method(before, after) for name, method in methods.items()}
        earlier = kept[index - 1] if index else None
        later = kept[index + 2] if index + 2 < len(kept) else None
        made["vivae"] = interpolator.between(before, after, earlier, later)
        for name, planes in made.items():
            frame = Frame(*planes, missing.time, missing.duration, missing.color)
            scores.setdefault(name, []).append(compare(missing, frame).psnr_yuv)
    return {name: float(np.mean(found)) for name, found in scores.items()}


def _mean(before: Planes, after: Planes) -> Planes:
    y, u, v = (
        ((a.astype(np.uint16) + b + 1) >> 1).astype(np.uint8) for a, b in zip(before, after, strict=True)
    )
    return y, u, v


def _warped(motion: Motion, before: Planes, after: Planes) -> Planes:
    """The mean of both frames, each moved half way along the mean of the two flows."""
    height, width = before[0].shape
    packed = evened(pack(before)), evened(pack(after))
    whole = packed[0].shape[1] * 4, packed[0].shape[2] * 4
    sides = [unpack(part, *whole) for part in packed]
    here, there = (planes[0] for planes in sides)
    half = (motion.between(here, there) - motion.between(there, here)) / np.float32(4)
    y, u, v = _mean(moved(sides[0], -half), moved(sides[1], half))
    rows, columns = -(-height // 2), -(-width // 2)
    return y[:height, :width], u[:rows, :columns], v[:rows, :columns]
