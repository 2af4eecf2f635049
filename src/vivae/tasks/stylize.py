"""`stylize`: video in the colours of a picture, or painted as it is, steady from frame to frame.

The source is read twice: lightly first, for the cuts and for the look of each shot, then to be mapped. So everything in
a shot goes through one and the same map, from its first frame on, in memory that does not grow with its length.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.media import Frame, Planes, open_video, open_writer, refuse_overwrite
from vivae.media.color import recolor
from vivae.media.cuts import CutWatch, thumbnail_of
from vivae.media.masks import Mask, masks_for, within
from vivae.media.writer import check_output
from vivae.tasks.common import Progress, expected_frames, no_progress
from vivae.vae.look import Grade, Look, LookMeter, look_of
from vivae.vae.styling import Painter
from vivae.vae.zoo import STYLE_COLOR, styles

Mode = Literal["photo", "art"]
Named = str | Path
LOOK_EVERY = 3
"""Frames of a shot from one that its look is taken from to the next."""


@dataclass(frozen=True)
class Style:
    """A style with its weight: a picture (RGB)."""

    path: Path
    picture: NDArray[np.uint8]
    weight: float


@dataclass(frozen=True)
class Shot:
    """A shot of the source: how many frames, and how they look."""

    frames: int
    look: Look


def stylize(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    style: Named | Sequence[Named | tuple[Named, float]],
    mode: Mode = "photo",
    strength: float = 1.0,
    mask: str | os.PathLike[str] | None = None,
    invert_mask: bool = False,
    codec: str | None = None,
    crf: float | None = None,
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write to `dst` the video `src` in the style of a picture, or of the weighted mean of several.

    style: a picture's path or a shipped picture's name; several in a list, each alone, as "NAME=WEIGHT" or as (name,
    weight). mode: "photo" takes colour and tone; "art" paints in strokes, too. strength: 0 (nothing) to 1 (all).
    mask: images or a video of an object, see `vivae.media.masks`; only
    that is styled, or with invert_mask all but that. Sound, subtitles, time stamps and colour description are kept.

    Returns the number of frames and shots. Raises InputError, FormatError, OutputError.
    """
    if not 0 <= strength <= 1:
        raise InputError(f"strength must lie between 0 and 1, not at {strength:g}")
    if mode not in ("photo", "art"):
        raise InputError(f"there is no mode '{mode}': choose photo or art")
    chosen = read_styles(style)
    inputs = [part for part in (src, mask, *(each.path for each in chosen)) if part is not None]
    refuse_overwrite(dst, *inputs)
    check_output(dst, force)
    with open_video(src, start=start, end=end) as reader:
        info = reader.info

        def masks() -> Iterator[Mask | None]:
            return (
                repeat(None) if mask is None else masks_for(mask, info.width, info.height, invert=invert_mask)
            )

        total = expected_frames(info, start, end)
        with open_video(src, start=start, end=end) as light:
            shots = list(watched(light, masks()))
        with open_writer(
            dst,
            width=info.width,
            height=info.height,
            fps=info.fps,
            color=info.color,
            sar=info.sar,
            codec=codec,
            crf=crf,
            time_base=info.time_base,
            copy_from=src,
            start=start,
            end=end,
            force=force,
        ) as writer:
            frames = 0
            for frame, planes in styled(reader, shots, chosen, mode, strength, masks()):
                writer.write(Frame(*planes, frame.time, frame.duration, frame.color))
                frames += 1
                progress(frames, total)
    return {"output": str(dst), "mode": mode, "frames": frames, "shots": len(shots)}


def watched(frames: Iterator[Frame], masks: Iterator[Mask | None]) -> Iterator[Shot]:
    """The shots of a video, in order; of each frame only a thumbnail is kept."""
    watch, meter, count = CutWatch(), LookMeter(), 0
    held = None
    before = None
    for frame, mask in chain(zip(frames, masks, strict=False), [(None, None)]):
        after = None if frame is None else thumbnail_of(frame)
        if held is not None:
            now, planes, color, held_mask = held
            if before is not None and watch.cuts(before, now, after):
                yield Shot(count, meter.look())
                meter, count = LookMeter(), 0
            if count % LOOK_EVERY == 0 or meter.empty:
                meter.push(planes, color, held_mask)
            count += 1
            before = now
        if frame is not None and after is not None:
            held = after, frame.planes, frame.color, mask
    if count:
        yield Shot(count, meter.look())


def styled(
    frames: Iterator[Frame],
    shots: Sequence[Shot],
    styles: Sequence[Style],
    mode: Mode,
    strength: float,
    masks: Iterator[Mask | None],
) -> Iterator[tuple[Frame, Planes]]:
    """Each frame with its styled planes; `shots` are those of the same frames."""
    painters = [Painter() for _ in styles] if mode == "art" else []
    weights = np.array([style.weight for style in styles])
    frames = iter(frames)
    for shot in shots:
        maps: list[Grade] = []
        for painter in painters:
            painter.restart()
        for frame, mask in zip(_first(frames, shot.frames), masks, strict=False):
            color = STYLE_COLOR if mode == "art" else frame.color
            if not maps:
                looks = [(look_of(style.picture, color), style.weight) for style in styles]
                groups = [[look] for look in looks] if mode == "art" else [looks]
                maps = [Grade.between(shot.look, group, color, strength) for group in groups]
            if mode == "photo":
                planes = maps[0].apply(frame.planes)
            else:
                seen = recolor(frame.planes, frame.color, color)
                results = [
                    painter.paint(seen, map_.apply(seen), strength)
                    for painter, map_ in zip(painters, maps, strict=True)
                ]
                planes = recolor(_mean(results, weights / weights.sum()), color, frame.color)
            yield frame, planes if mask is None else within(mask, frame.planes, planes)


def read_styles(named: Named | Sequence[Named | tuple[Named, float]]) -> list[Style]:
    """The styles that were named. Raises InputError."""
    entries = [named] if isinstance(named, str | Path) else list(named)
    if not entries:
        raise InputError("no style is given: name a picture or a shipped style")
    return [_read_style(*_weighed(entry)) for entry in entries]


def _weighed(entry: Named | tuple[Named, float]) -> tuple[Named, float]:
    if isinstance(entry, tuple):
        name, weight = entry
    else:
        name, weight = entry, 1.0
        head, sign, tail = str(entry).rpartition("=")
        if sign and not Path(entry).exists():
            try:
                name, weight = head, float(tail)
            except ValueError:
                raise InputError(f"'{tail}' is no weight: write --style NAME=0.5") from None
    if not (weight > 0 and np.isfinite(weight)):
        raise InputError(f"the weight of style '{name}' must be above 0, not {weight:g}")
    return name, weight


def _read_style(name: Named, weight: float) -> Style:
    path = styles().get(str(name), Path(name))
    if not path.is_file():
        raise InputError(f"there is no style '{name}': give a picture, or one of {', '.join(styles())}")
    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if found is None:
        raise InputError(f"'{name}' is no picture that can be read: give a .jpg or .png")
    return Style(path, np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8), weight)


def _first(frames: Iterator[Frame], count: int) -> Iterator[Frame]:
    for _, frame in zip(range(count), frames, strict=False):
        yield frame


def _mean(results: Sequence[Planes], weights: NDArray[np.float64]) -> Planes:
    if len(results) == 1:
        return results[0]
    y, u, v = (
        np.rint(sum(weight * plane for weight, plane in zip(weights, planes, strict=True))).astype(np.uint8)
        for planes in zip(*results, strict=True)
    )
    return y, u, v
