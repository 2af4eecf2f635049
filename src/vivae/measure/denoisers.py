"""The filters that people denoise with, through the ffmpeg program and OpenCV, for measuring beside them.

Strengths were chosen once, on footage that is not reported on, for the best colour PSNR at each level of noise; each
peer is told the true level.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vivae.errors import VivaeError
from vivae.measure.ffmpeg import ffmpeg_program
from vivae.media import ColorInfo, Planes
from vivae.media.color import rgb_to_yuv, yuv_to_rgb

FILTERS: dict[str, Callable[[float], str]] = {
    "nlmeans": lambda sigma: f"nlmeans=s={min(0.47 * sigma, 5.8 + 0.285 * sigma):.2f}:p=7:r=11",
    "bm3d": lambda sigma: f"bm3d=sigma={2 * sigma:g}",
    "vaguedenoiser": lambda sigma: f"vaguedenoiser=threshold={1.3 * sigma:g}:nsteps=6",
    "hqdn3d": lambda sigma: f"hqdn3d={sigma:g}",
}
AROUND = 2
"""Frames before and after that OpenCV's filter looks at."""


@dataclass(frozen=True)
class Filtered:
    """What a peer made. frames: index and planes of those it was asked for."""

    frames: list[tuple[int, Planes]]
    seconds: float
    command: str


def filtered(frames: Sequence[Planes], what: str) -> Filtered:
    """Frames of even size through a filter of ffmpeg."""
    height, width = frames[0][0].shape
    raw = b"".join(np.ascontiguousarray(plane).tobytes() for planes in frames for plane in planes)
    kind = ["-f", "rawvideo", "-pix_fmt", "yuv420p"]
    command = [
        ffmpeg_program(),
        "-loglevel",
        "error",
        *kind,
        "-s",
        f"{width}x{height}",
        "-i",
        "-",
        "-vf",
        what,
    ]
    started = time.perf_counter()
    done = subprocess.run([*command, *kind, "-"], input=raw, capture_output=True, check=False)
    seconds = time.perf_counter() - started
    whole = np.frombuffer(done.stdout, np.uint8)
    if done.returncode or whole.size != len(raw):
        raise VivaeError(f"ffmpeg failed with -vf {what}: {done.stderr.decode(errors='replace').strip()}")
    sizes = np.cumsum([height * width, height * width // 4])
    result = []
    for index, frame in enumerate(whole.reshape(len(frames), -1)):
        y, u, v = np.split(frame, sizes)
        half = (height // 2, width // 2)
        result.append((index, (y.reshape(height, width), u.reshape(half), v.reshape(half))))
    return Filtered(result, seconds, f"ffmpeg -vf {what}")


def non_local_means(
    frames: Sequence[Planes], wanted: Sequence[int], sigma: float, color: ColorInfo
) -> Filtered:
    """OpenCV's fastNlMeansDenoisingColoredMulti at the wanted frames: it takes seconds for each."""
    pictures = [np.ascontiguousarray(yuv_to_rgb(planes, color)[..., ::-1]) for planes in frames]
    strength = 0.47 * sigma
    result, started = [], time.perf_counter()
    for index in wanted:
        reach = min(AROUND, index, len(frames) - 1 - index)
        clean = cv2.fastNlMeansDenoisingColoredMulti(
            pictures, index, 2 * reach + 1, None, strength, strength, 7, 15
        )
        result.append((index, rgb_to_yuv(np.asarray(clean, np.uint8)[..., ::-1], color)))
    seconds = (time.perf_counter() - started) * len(frames) / len(wanted)
    return Filtered(result, seconds, f"cv2.fastNlMeansDenoisingColoredMulti h={strength:g}")
