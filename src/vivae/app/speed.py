"""How fast each verb is on this machine: measured on a few frames of a made-up clip, in well under two minutes."""

import logging
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

import vivae
from vivae.errors import VivaeError
from vivae.media import ColorInfo, Frame, open_writer

WIDTH, HEIGHT = 640, 352
FRAMES = 24
"""Of the clip; the first second or so of each verb goes into loading, which is not counted."""
WARM_SECONDS = 0.2
"""Of the clip, for a first run that loads what is needed."""
Report = Callable[[str, float], None]


def measured_speeds(progress: Report = lambda label, share: None) -> dict[str, float | str]:
    """Frames of 640x352 a second, for each verb; where one fails, why.

    A second run is timed, so loading the weights does not count. Times grow with the number of pixels.
    """
    log = logging.getLogger("vivae")
    before = log.level
    log.setLevel(logging.ERROR)  # a made-up clip gives rise to warnings that mean nothing
    try:
        return _measured(progress)
    finally:
        log.setLevel(before)


def _measured(progress: Report) -> dict[str, float | str]:
    with TemporaryDirectory() as room:
        clip = Path(room) / "clip.mkv"
        _write(clip)
        verbs = _verbs(clip, Path(room))
        found: dict[str, float | str] = {}
        for index, (name, verb) in enumerate(verbs.items()):
            progress(name, index / len(verbs))
            try:
                verb(end=WARM_SECONDS)
                began = time.perf_counter()
                verb()
                found[name] = round(FRAMES / (time.perf_counter() - began), 2)
            except VivaeError as error:
                found[name] = str(error)
        progress("done", 1.0)
    return found


def _verbs(clip: Path, room: Path) -> dict[str, Callable[..., Any]]:
    def to(verb: Callable[..., Any], name: str, **options: Any) -> Callable[..., Any]:
        return partial(verb, clip, room / name, force=True, **options)

    def back(name: str) -> Callable[..., Any]:
        return partial(vivae.decompress, room / name, room / "shown.y4m", force=True)

    return {
        "compress": to(vivae.compress, "small.mp4"),
        "compress --speed 10": to(vivae.compress, "quick.mp4", speed=10),
        "compress to .vva": to(vivae.compress, "small.vva"),
        "decompress": back("small.mp4"),
        "decompress .vva": back("small.vva"),
        "reconstruct": to(vivae.reconstruct, "through.y4m"),
        "encode": to(vivae.encode, "z.safetensors"),
        "enhance": to(vivae.enhance, "clean.y4m", denoise=20.0),
        "enhance --preset best": to(vivae.enhance, "best.y4m", denoise=20.0, preset="best"),
        "enhance --scale 2": to(vivae.enhance, "large.y4m", scale=2),
        "stylize": to(vivae.stylize, "styled.y4m", style="wave"),
        "stylize --mode art": to(vivae.stylize, "painted.y4m", style="wave", mode="art"),
        "shots": to(vivae.shots, "shots.csv"),
    }


def _write(path: Path) -> None:
    """A textured plane that moves, with something moving before it and a little noise."""
    chance = np.random.default_rng(0)
    plane = cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT + 64, WIDTH + 64)), (0, 0), 3)
    plane = 120 + 60 * plane / plane.std()
    with open_writer(
        path, width=WIDTH, height=HEIGHT, fps=Fraction(25), color=ColorInfo("limited", "bt709"), codec="ffv1"
    ) as writer:
        for index in range(FRAMES):
            y = plane[index : index + HEIGHT, 2 * index : 2 * index + WIDTH].copy()
            y[100:180, 8 * index : 8 * index + 80] = 200
            y += chance.normal(0, 3, y.shape)
            chroma = cv2.resize(y, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA) / 4 + 96
            luma, u, v = (
                np.clip(np.rint(part), 16, 235).astype(np.uint8) for part in (y, chroma, 224 - chroma)
            )
            writer.write(
                Frame(luma, u, v, Fraction(index, 25), Fraction(1, 25), ColorInfo("limited", "bt709"))
            )
