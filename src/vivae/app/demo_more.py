"""The rest of the demo's tour: the same clip as a file for any player, cleaned, painted, with its objects marked; and
video that was never filmed.

Each is what the verb of that name writes; nothing is prepared for the occasion but noise, which the clip lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

import vivae
from vivae.measure.clip import Clip
from vivae.measure.quality import compare_clips
from vivae.media import Frame, open_video
from vivae.tasks.coded import measured_layered, write_lossless
from vivae.train.disturb import with_noise
from vivae.vae.zoo import list_models

SIGMA, SEED = 20, 1
RATIO = 200
PAGE_CRF = 14
GENERATED = 40
"""Frames of generated video: twice what the shipped models have seen at once."""
SAMPLES = 6


@dataclass(frozen=True)
class Shown:
    """A video for the page. group, name: how the player calls it; caption: what it is, with its figures."""

    group: str
    name: str
    path: Path
    caption: str
    command: str


Say = Callable[[str], None]


def more_of(clip: Clip, source: Path, folder: Path, room: Path, say: Say) -> Iterator[Shown]:
    """The clip through the other verbs. source: a lossless file of it. folder: where videos for the page are left."""
    name = Path(clip.info.path).name
    say("compressing for any player")
    made = measured_layered(source, clip, room / "layered.mp4", ratio=RATIO)
    kept = folder / "layered.mp4"
    kept.write_bytes(made.trial.path.read_bytes())
    yield Shown(
        "for any player",
        f"layered {RATIO}:1",
        kept,
        f"AV1, {made.trial.size_bytes / 1000:.1f} kB, {made.quality.psnr_yuv:.2f} dB",
        f"vivae compress {name} -o small.mp4 --ratio {RATIO}",
    )
    say("taking noise out")
    yield from _cleaned(clip, folder, room)
    looks: tuple[tuple[Literal["photo", "art"], str], ...] = (("photo", "wave"), ("art", "starry"))
    for mode, style in looks:
        say(f"in the style of {style}")
        path = folder / f"{mode}.mp4"
        vivae.stylize(source, path, style=style, mode=mode, codec="h264", crf=PAGE_CRF, force=True)
        command = f"vivae stylize {name} --style {style} --mode {mode} -o styled.mp4"
        yield Shown("styled", f"{style}, {mode}", path, f"--style {style} --mode {mode}", command)
    say("finding what moves")
    path = folder / "objects.mp4"
    told = vivae.segment(source, path, auto=True, form="overlay", codec="h264", crf=PAGE_CRF, force=True)
    found = f"{told['objects']} found" if isinstance(told.get("objects"), int) else "what moves by itself"
    yield Shown(
        "objects", "moving objects", path, found, f"vivae segment {name} -o marked.mp4 --auto --as overlay"
    )


def _cleaned(clip: Clip, folder: Path, room: Path) -> Iterator[Shown]:
    rng = np.random.default_rng(SEED)
    noisy = [_with(frame, with_noise(frame.planes, SIGMA, rng, frame.color)) for frame in clip.frames]
    spoiled = Clip(clip.name, clip.info, clip.picture, tuple(noisy))
    source = write_lossless(spoiled, room / "noisy.mp4")
    cleaned = folder / "clean.mp4"
    vivae.enhance(source, cleaned, denoise="auto", codec="h264", crf=PAGE_CRF, force=True)
    shown = folder / "noisy.mp4"
    shown.write_bytes(source.read_bytes())
    with open_video(cleaned) as reader:
        clean = list(reader)
    for name, path, frames in (("noisy", shown, noisy), ("vivae enhance", cleaned, clean)):
        quality, _ = compare_clips(clip.frames, frames)
        caption = f"noise of {SIGMA}: {quality.psnr_yuv:.2f} dB"
        yield Shown("cleaned", name, path, caption, "vivae enhance noisy.mp4 -o clean.mp4 --denoise auto")


def _with(frame: Frame, planes: Sequence[np.ndarray]) -> Frame:
    return Frame(planes[0], planes[1], planes[2], frame.time, frame.duration, frame.color)


def generated(folder: Path, say: Say) -> Iterator[Shown]:
    """Samples of every shipped generator, side by side."""
    for model in list_models("generator"):
        say(f"generating with {model}")
        path = folder / f"generated-{model}.mp4"
        command = f"vivae generate -o made.mp4 --model {model} --frames {GENERATED} --variations {SAMPLES}"
        vivae.generate(
            path, model=model, frames=GENERATED, variations=SAMPLES, codec="h264", crf=PAGE_CRF, force=True
        )
        yield Shown("generated", model, path, f"{model}: {SAMPLES} samples of {GENERATED} frames", command)
