"""`enhance`: noise, traces of compression, blur, darkness and too few pixels undone, in one pass over the video."""

import itertools
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae import __version__
from vivae.codec.quantiser import quantiser_of
from vivae.codec.spool import with_cuts
from vivae.errors import FormatError, InputError
from vivae.measure.condition import Condition, measure_condition
from vivae.media import Frame, Picture, VideoInfo, open_video, open_writer, probe, refuse_overwrite
from vivae.media.av1 import Av1Settings
from vivae.media.kept import Kept, file_mark, folder_for
from vivae.media.masks import Mask, masks_for
from vivae.media.probe import check_size
from vivae.media.writer import CONTAINERS, check_output
from vivae.tasks.common import Progress, expected_frames, no_progress, unwarned
from vivae.tasks.restore import (
    BEGINNING,
    Family,
    Plan,
    Restored,
    Restorer,
    State,
    advised,
    share_of_noise,
)
from vivae.tasks.resuming import write_resumably
from vivae.tasks.stage import Passage
from vivae.tasks.traces import Traces, left_by
from vivae.vae.zoo import load_middle

logger = logging.getLogger(__name__)

Preset = Literal["fast", "best"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
SAMPLES, RUN = 12, 2
"""Places that footage is judged by, and frames at each."""
PREVIEW_SECONDS = 3
BRIEF = Passage(3, 1)
"""Of the trial that says how long the work will take: as much to do for a frame as in the usual ones, in less time."""
USUAL_CRF = 24.0
"""SVT-AV1's: enhanced footage is to stay as good as it has become."""


def enhance(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    denoise: float | Literal["auto"] | None = None,
    deblock: bool = False,
    scale: int = 1,
    light: bool = False,
    deblur: bool = False,
    rate: int = 1,
    auto: bool = False,
    mask: str | os.PathLike[str] | None = None,
    invert_mask: bool = False,
    preset: Preset = "fast",
    preview: float | None = None,
    model: str | Path | None = None,
    codec: str | None = None,
    crf: float | None = None,
    threads: int | None = None,
    device: str = "cpu",
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
    tell: Callable[[str], None] = logger.info,
) -> dict[str, Any]:
    """Write to `dst` a better `src`. Without any of the treatments, or with `auto`, what it needs is measured first.

    denoise: "auto", or the deviation of the noise in 8-bit RGB code values. deblock: remove what a codec left: blocks,
    ringing, mosquito noise, as much of it as its quantiser says there is. scale: 2, 3 or 4 times wider and higher.
    light: brighten dark and flat footage, steadily over time. deblur: sharpen soft focus. auto: what measuring advises,
    beside the treatments that are asked for. mask: images or a video of an object, the first of them for the first
    frame, see `vivae.media.masks`; only that is made better, with a soft edge, or with invert_mask all but that; where
    it is scaled, Lanczos enlarges the rest.
    preset: "fast", or "best", which takes up to four times as long: a deeper network and two looks at each frame for
    what codecs leave, four looks for the rest.
    preview: write three seconds from this time on instead, the source on the left and the result on the right.
    codec, crf: of the written video, as for `vivae.media.open_writer`. start, end: seconds.
    tell: called with a sentence about what will be done and how long it may take, before the work starts.

    Sound, subtitles, chapters, metadata, colour description and time stamps travel along. Memory does not grow with
    length. An interrupted run to AV1 goes on from its last finished segment when it is run again.
    Returns what was measured and done. Raises InputError, FormatError, UnsupportedError, OutputError.
    """
    if scale not in (1, 2, 3, 4):
        raise InputError(f"the scale must be 1, 2, 3 or 4, not {scale}")
    if rate not in (1, 2, 4):
        raise InputError(f"the rate must be 1, 2 or 4 times the source's, not {rate}")
    check_preset(preset)
    if isinstance(denoise, float | int) and not 0 <= denoise <= 100:
        raise InputError(f"noise must lie between 0 and 100 code values, not at {denoise:g}")
    refuse_overwrite(dst, src, *([] if mask is None else [mask]))
    check_output(dst, force)
    info = probe(src)
    check_size(Path(dst), info.width * scale, info.height * scale)
    unseen = 0
    if preview is not None:
        if mask is not None:
            unseen = _frames_before(src, start, preview)
        start, end = preview, preview + PREVIEW_SECONDS

    def masks() -> Iterator[Mask] | None:
        if mask is None:
            return None
        return itertools.islice(masks_for(mask, info.width, info.height, invert=invert_mask), unseen, None)

    # What is wrong with them is said before the work.
    for _ in itertools.islice(masks() or (), 1):
        pass
    with unwarned():
        condition = measure_condition(_samples(src, info, start, end), info)
        left = left_by(info.codec, quantiser_of(src, info.codec), condition.blockiness)
    asked = bool(denoise is not None or deblock or scale > 1 or light or deblur or rate > 1)
    plan = _plan(condition, left, denoise, deblock, scale, light, deblur, auto=auto or not asked)
    plan = replace(plan, rate=rate)
    family = Family(model, device, best=preset == "best")
    models = family.hashes(plan)  # a wrong name is said before the work
    middle = load_middle(device=device) if rate > 1 else None
    total = expected_frames(info, start, end) * rate
    told = {"measured": asdict(condition), "done": plan.words()}
    where = "" if mask is None else f", {'but not ' if invert_mask else 'only '}in what the masks show"
    tell(
        f"{_sentence(condition)} It will {_listed(plan.words()) or 'leave the pictures as they are'}{where}."
    )
    if deblock and not plan.deblock:
        tell(
            f"Traces of {info.codec} stay: it is coded so finely that a network would take away more than it mends."
        )
    if denoise == "auto" and not plan.noise:
        tell(f"Noise of {condition.noise:.1f} code values is left: texture would go with it.")
    with unwarned():
        expected = _duration(
            src, partial(Restorer, plan, replace(family, passage=BRIEF), middle=middle), total, start
        )
    tell(expected)
    width, height = info.width * scale * (1 if preview is None else 2), info.height * scale
    picture = Picture(width, height, info.fps * rate, info.color, info.sar)
    target: dict[str, Any] = {
        "time_base": info.time_base / rate,
        "copy_from": src,
        "start": start,
        "end": end,
    }
    suffix = Path(dst).suffix.lower()
    resumable = suffix in CONTAINERS and codec in (None, "av1") and preview is None and not info.is_image

    def work(skip: int = 0, state: State = BEGINNING) -> Iterator[Restored]:
        with open_video(src, start=start, end=end) as reader:
            yield from Restorer(plan, family, state, middle).run(with_cuts(reader), skip // rate, masks())

    if resumable:
        models += [] if middle is None else [middle.hash]
        shown = None if mask is None else f"{file_mark(mask)} {invert_mask}"
        circumstances = f"{__version__} {file_mark(src)} {start} {end} {models} {preset} {plan} {crf} {shown}"
        kept = Kept(folder_for(dst), circumstances)
        settings = Av1Settings(USUAL_CRF if crf is None else crf)
        try:
            count = write_resumably(
                dst, work, kept, picture=picture, settings=settings, threads=threads or os.cpu_count() or 1,
                total=total, progress=progress, force=force, target=target,
            )  # fmt: skip
        except (InputError, FormatError):
            # Unlike one that was interrupted, a run that cannot end well is not gone on with.
            kept.remove()
            raise
    else:
        if suffix in CONTAINERS and crf is None and codec in (None, "av1"):
            crf = USUAL_CRF
        frames: Iterator[Frame] = (item.frame for item in work())
        if preview is not None:
            frames = _beside(src, start, end, frames, rate)
        with open_writer(
            dst, width=width, height=height, fps=info.fps * rate, color=info.color, sar=info.sar, codec=codec, crf=crf,
            threads=threads, force=force, **target,
        ) as writer:  # fmt: skip
            for frame in frames:
                writer.write(frame)
                progress(writer.count, max(writer.count, total))
        count = writer.count
    return {"output": str(dst), "frames": count, "width": width, "height": height} | told


def check_preset(preset: str) -> None:
    """Raises InputError for what is none."""
    if preset not in PRESETS:
        raise InputError(f"there is no preset '{preset}': choose {' or '.join(PRESETS)}")


def _plan(
    condition: Condition,
    left: Traces,
    denoise: float | str | None,
    deblock: bool,
    scale: int,
    light: bool,
    deblur: bool,
    *,
    auto: bool,
) -> Plan:
    base = advised(condition, left) if auto else Plan()
    if denoise == "auto":
        base = replace(base, noise=condition.noise if share_of_noise(condition.noise) else 0.0)
    elif denoise is not None:
        base = replace(base, noise=float(denoise))
    if deblock:
        base = base.treating(left)
    return replace(
        base,
        scale=scale,
        light=base.light or light,
        blur=max(base.blur, min(max(condition.blur, 0.8), 2.2)) if deblur else base.blur,
    )


def _samples(
    src: str | os.PathLike[str], info: VideoInfo, start: float | None, end: float | None
) -> list[list[Frame]]:
    """Frames from places spread over the span, or its first ones where seeking finds nothing."""
    begin = start or 0.0
    finish = min(end or float("inf"), float(info.duration))
    found: list[list[Frame]] = []
    for index in range(SAMPLES):
        at = begin + max(0.0, finish - begin) * index / SAMPLES
        try:
            with open_video(src, start=at) as reader:
                run = list(itertools.islice(reader, RUN))
                found += [run] if run else []
        except InputError:
            # No frame begins there: the last one lasts, or the file ends before it says so.
            if not found:
                raise
        if info.is_image:
            break
    return found


def _frames_before(src: str | os.PathLike[str], start: float | None, end: float) -> int:
    """How many frames there are between two times in seconds."""
    if end <= (start or 0):
        return 0
    with open_video(src, start=start, end=end) as reader:
        return sum(1 for _ in reader)


def _sentence(condition: Condition) -> str:
    parts = [f"noise {condition.noise:.1f} of 255", f"brightness {condition.brightness:.2f} of 1"]
    if condition.coded:
        parts.append("traces of compression")
    if condition.blur:
        parts.append(f"blur {condition.blur:.1f} pixels")
    return f"Measured: {', '.join(parts)}."


def _listed(words: list[str]) -> str:
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1] if words else ""


def _duration(
    src: str | os.PathLike[str], restorer: Callable[[], Restorer], total: int, start: float | None
) -> str:
    """How long the work may take, from doing the first second of it."""
    began, count = 0.0, -BRIEF.length
    with open_video(src, start=start) as reader:
        for _ in restorer().run(with_cuts(reader)):
            count += 1
            if not count:  # the first passage sets everything up
                began = time.monotonic()
            elif count > 0 and count % BRIEF.length == 0 and time.monotonic() - began > 1:
                break
    if count < 1:
        return "It is done in a moment."
    rate = count / max(time.monotonic() - began, 1e-3)
    seconds = total / rate
    length = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    return f"About {length} at {rate:.1f} frames a second."


def _beside(
    src: str | os.PathLike[str], start: float | None, end: float | None, results: Iterator[Frame], rate: int
) -> Iterator[Frame]:
    """The source, scaled to the result's size, and the result, with a white line between."""
    with open_video(src, start=start, end=end) as reader:
        originals = (frame for frame in reader for _ in range(rate))
        for original, result in zip(originals, results, strict=True):
            shown = [
                np.concatenate([_fitted(before, after), after], 1)
                for before, after in zip(original.planes, result.planes, strict=True)
            ]
            shown[0][:, result.width - 1 : result.width + 1] = 235
            yield Frame(shown[0], shown[1], shown[2], result.time, result.duration, result.color)


def _fitted(plane: NDArray[np.uint8], like: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if plane.shape == like.shape:
        return plane
    return np.asarray(cv2.resize(plane, like.shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
