"""Choosing how a shot is coded: what one setting costs and gives, beside others near it.

All in one currency: dB of quality above the line that the shot's own curve draws around the wanted quantiser, so that
a smaller file and a better picture can be weighed against each other. The plain way is always among the choices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from vivae.codec.repair import Repair
from vivae.codec.shot import Base, Coded, decode_shot, encode_shot
from vivae.codec.spool import Shot
from vivae.measure.quality import psnr, psnr_yuv
from vivae.media.av1 import CRF_RANGE, Av1Settings, Depth
from vivae.media.resample import base_size
from vivae.vae.enhancer import Enhancer

TOOLS: tuple[tuple[Depth, str], ...] = (
    (10, ""),
    (10, "hierarchical-levels=4"),
    (10, "startup-mg-size=3"),
)
"""What paid, on some clips by 5 per cent of the bits, and cost as much on others."""
SLOPE_STEP = 4.0
"""CRF from which to which the slope of a shot's curve is taken."""
SLOPES = (0.5, 9.0)
"""dB for each e-fold of bits, between which any curve's slope lies."""
SHRINK_FROM = 38.0
"""CRF below which a smaller base has not paid on any clip."""
FINAL_STEP = 2
"""Presets by which the coding that stays is slower than the speed says, and the tries are quicker: which way is best
shows in quick tries, too, and the time that they leave is worth 6 per cent of the bits in the last one."""
QUICKEST_TRY = 8
"""Whether quicker presets still show which way is best was not looked into."""
SCENE_STEPS = (4.0, 8.0)
"""CRF above the usual one at which a camera's own model is tried on a base of full size."""
SCENE_SHRINKS = ((2.0, 3.0),)
"""And the smaller bases that are tried then, see `Effort.shrinks`."""
SMALLEST_BASE = 64
"""Lines or columns of a base that is worth coding smaller."""
JUDGED_FRAMES = 16
"""Frames, from the middle of a shot, on which an enhanced choice is judged; plain ones are judged on all."""
WORTH = 0.03
"""dB that a choice must be better than the plain one by: less is noise, and simpler is safer."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to look. shrinks: (display over base width, how much lower the CRF of that base is) to try."""

    preset: int
    """SVT-AV1's, at which ways are tried."""
    final: int
    """At which the best of them is coded: trying several takes so long that a slower last time is hardly felt."""
    tools: tuple[tuple[Depth, str], ...]
    """Depth and further parameters to try beside 8 bits and none: which is best depends on the content."""
    shrinks: tuple[tuple[float, float], ...]
    repair: Repair | None = None
    """What gives shots of full size a layer where that pays."""


def effort_of(speed: int) -> Effort:
    """What a speed from 0 (slow) to 10 means: its namesake is the SVT-AV1 preset between that of the tries and that of
    the file."""
    if speed <= 3:
        shrinks: tuple[tuple[float, float], ...] = ((4 / 3, 5.0), (2.0, 13.0), (2.0, 9.0))
    elif speed <= 6:
        shrinks = ((4 / 3, 5.0), (2.0, 11.0))
    elif speed <= 8:
        shrinks = ((2.0, 11.0),)
    else:
        shrinks = ()
    final = max(0, speed - FINAL_STEP) if speed <= 8 else speed
    return Effort(
        max(speed, min(speed + FINAL_STEP, QUICKEST_TRY)),
        final,
        TOOLS[: 3 if speed <= 6 else 1 if speed <= 8 else 0],
        shrinks,
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """How a shot is to be coded, before the last choices. planned: whether its base size is settled."""

    crf: float
    shrink: float = 1.0
    planned: bool = True


def best_coding(
    shot: Shot, setting: Setting, effort: Effort, model: Enhancer, *, depth: Depth | None = None, threads: int
) -> Coded:
    """Coded in the way, of those that the effort allows, that is most above the shot's own curve at the setting.

    depth: what is settled already, because all shots of a file share it.
    """
    found = _best_try(shot, setting, effort, model, depth, threads)
    if effort.final != effort.preset:
        base = replace(found.base, settings=replace(found.base.settings, preset=effort.final))
        found = encode_shot(shot, base, model, threads=threads)
    return found if effort.repair is None else effort.repair.given(shot, found, threads)


def _best_try(
    shot: Shot, setting: Setting, effort: Effort, model: Enhancer, depth: Depth | None, threads: int
) -> Coded:
    usual = Av1Settings(setting.crf, effort.preset, depth or 8)
    plain = encode_shot(shot, Base(usual, setting.shrink), model, threads=threads)
    candidates = [
        base
        for base in _others(shot, usual, setting, effort, model)
        if depth in (None, base.settings.depth) and base != plain.base
    ]
    if len(shot) < 2 or not candidates:
        return plain
    reference = quality_of(shot, plain, model, threads=threads)
    slope = _slope(shot, plain, reference, effort, threads)

    def height(coded: Coded) -> float:
        gain = quality_of(shot, coded, model, threads=threads) - reference
        return gain - slope * math.log(coded.bits / plain.bits)

    def highest(bases: Iterable[Base], best: Coded, best_height: float) -> tuple[Coded, float]:
        for base in bases:
            coded = encode_shot(shot, base, model, threads=threads)
            if (found := height(coded)) > best_height:
                best, best_height = coded, found
        return best, best_height

    alike = [base for base in candidates if base.enhanced == plain.base.enhanced]
    best, best_height = highest(alike, plain, WORTH)
    enhanced = [base for base in candidates if base.enhanced != plain.base.enhanced]
    if enhanced and effort.repair is not None:
        best_height += effort.repair.worth(shot, best, threads)[1]
    return highest(enhanced, best, best_height)[0]


def _others(shot: Shot, usual: Av1Settings, setting: Setting, effort: Effort, model: Enhancer) -> list[Base]:
    crf = setting.crf
    scene = model.config.scene_size is not None
    bases = [Base(replace(usual, depth=depth, extra=extra), setting.shrink) for depth, extra in effort.tools]
    if crf >= SHRINK_FROM and not setting.planned:
        for shrink, lower in effort.shrinks + (SCENE_SHRINKS if scene else ()):
            width, height = base_size(shot.picture.width, shot.picture.height, shrink)
            if min(width, height) >= SMALLEST_BASE:
                bases.append(Base(replace(usual, crf=max(CRF_RANGE[0], crf - lower)), shrink))
    if scene:
        # A model of this very camera knows what a base of full size has lost, too.
        bases += [
            Base(replace(usual, crf=min(CRF_RANGE[1], crf + step)), enhance=True) for step in SCENE_STEPS
        ]
    return bases


def _slope(shot: Shot, plain: Coded, quality: float, effort: Effort, threads: int) -> float:
    """dB for each e-fold of bits around the plain coding."""
    base = plain.base
    crf = base.settings.crf
    other = crf + SLOPE_STEP if crf + SLOPE_STEP <= CRF_RANGE[1] else crf - SLOPE_STEP
    beside = replace(base, settings=replace(base.settings, crf=other))
    # An enhancer moves both points alike: without it the slope is the same, and sooner known.
    coded = encode_shot(shot, beside, None, threads=threads)
    if plain.layer is not None:
        quality = quality_of(shot, plain, None, threads=threads)
    worse = quality_of(shot, coded, None, threads=threads)
    ratio = math.log(plain.bits / coded.bits)
    return float(np.clip((quality - worse) / ratio, *SLOPES)) if ratio else SLOPES[1]


def quality_of(shot: Shot, coded: Coded, model: Enhancer | None, *, threads: int) -> float:
    """Mean PSNR-YUV in dB of what a receiver will see.

    Of an enhanced shot all frames are measured without the enhancer, and its gain is added as found on some of them.
    """
    if coded.layer is None or model is None:
        return float(np.mean(list(_measured(shot, coded, None, threads))))
    first = max(0, (len(shot) - JUDGED_FRAMES) // 2)
    last = min(len(shot), first + JUDGED_FRAMES)
    before = np.array(list(_measured(shot, coded, None, threads)))
    after = list(_measured(shot, coded, model, threads, first, last))
    return float(before.mean() + np.mean(after) - before[first:last].mean())


def _measured(
    shot: Shot, coded: Coded, model: Enhancer | None, threads: int, first: int = 0, last: int | None = None
) -> Iterator[float]:
    last = len(shot) if last is None else last
    pictures = decode_shot(coded, model, threads=threads, first=first, last=last)
    for clean, seen in zip(shot.part(first, last), pictures, strict=True):
        yield psnr_yuv(*(psnr(*pair) for pair in zip(clean, seen, strict=True)))
