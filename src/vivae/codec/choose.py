"""Choosing how a shot is coded: what one setting costs and gives, beside others near it.

All in one currency: dB of quality above the line that the shot's own curve draws around the wanted quantiser, so that
a smaller file and a better picture can be weighed against each other. The plain way is always among the choices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vivae.codec.repair import Repair
from vivae.codec.shot import Base, Coded, decode_shot, encode_shots, with_layer
from vivae.codec.spool import Shot
from vivae.measure.quality import picture_psnr
from vivae.media.av1 import CRF_RANGE, Av1Settings, Depth
from vivae.media.resample import base_size
from vivae.vae.enhancer import Enhancer

TOOLS: tuple[tuple[Depth, str], ...] = ((8, ""), (10, "hierarchical-levels=4"))
"""Bit depth and further parameters: which is better depends on the content, by 10 per cent of the bits either way, and
shows only at the preset at which it stays: four presets quicker, the wrong one won so often that a third of that was
lost. 10 bits without the rest, or the rest without 10 bits, brought hardly anything beside these two. The second alone
has two thirds of what both have, in half of the time."""
BOTH_TOOLS_UP_TO, SECOND_TOOL_UP_TO = 4, 8
"""Speeds up to which both are tried, and up to which the second is taken; above, 8 bits are quicker."""
SLOPE_STEP = 4.0
"""CRF from which to which the slope of a shot's curve is taken."""
SLOPES = (0.5, 9.0)
"""dB for each e-fold of bits, between which any curve's slope lies."""
SHRINK_FROM = 38.0
"""CRF below which a smaller base has not paid on any clip."""
FINAL_STEP = 2
"""Presets by which the coding that stays is slower than the speed says, and the tries of sizes are quicker: which size
is best shows in quick tries, too, and the time that they leave is worth 6 per cent of the bits in the last one."""
QUICKEST_TRY = 8
"""Whether quicker presets still show which way is best was not looked into."""
TRIED_FRAMES = 64
"""Frames at the beginning of a shot on which sizes are tried, and its quick encodes made."""
SCENE_STEPS = (4.0, 8.0)
"""CRF above the usual one at which a camera's own model is tried on a base of full size."""
SCENE_SHRINKS = ((2.0, 3.0),)
"""And the smaller bases that are tried then, see `Effort.shrinks`."""
SMALLEST_BASE = 64
"""Lines or columns of a base that is worth coding smaller."""
HOPELESS = 0.35
"""Log of the bits that a smaller base, merely scaled up, takes over those of full size at equal quality. From here on
an enhancer is not tried, because it is not expected to make up for so much: a judgement, not a measurement."""
WORTH = 0.03
"""dB that a choice must be better than the plain one by: less is noise, and simpler is safer."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to look. shrinks: (display over base width, how much lower the CRF of that base is) to try."""

    preset: int
    """SVT-AV1's, at which sizes are tried."""
    final: int
    """At which the shot is coded in the end, with each of the tools."""
    tools: tuple[tuple[Depth, str], ...]
    """Bit depth and further parameters, the usual ones first; sizes are tried with their depth."""
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
    if speed <= BOTH_TOOLS_UP_TO:
        tools = TOOLS
    else:
        tools = TOOLS[1:] if speed <= SECOND_TOOL_UP_TO else TOOLS[:1]
    final = max(0, speed - FINAL_STEP) if speed <= 8 else speed
    return Effort(max(speed, min(speed + FINAL_STEP, QUICKEST_TRY)), final, tools, shrinks)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a shot is to be coded, before the last choices. planned: whether its base size is settled."""

    crf: float
    shrink: float = 1.0
    planned: bool = True
    slope: float | None = None
    """Of the shot's own curve there, see `slope_of`, where that is known."""


def best_coding(
    shot: Shot, setting: Setting, effort: Effort, model: Enhancer, *, depth: Depth | None = None, threads: int
) -> Coded:
    """Coded in the way, of those that the effort allows, that is most above the shot's own curve at the setting.

    depth: what is settled already, because all shots of a file share it.
    """
    tools = [(depth or bits, extra) for bits, extra in effort.tools]
    usual = Av1Settings(setting.crf, effort.preset, tools[0][0])
    base = Base(usual, setting.shrink)
    bases = _others(shot, usual, setting, effort, model)
    slope = setting.slope
    if len(shot) > 1 and (bases or (slope is None and len(tools) > 1)):
        tried = replace(shot, times=shot.times[:TRIED_FRAMES])
        plain, beside, *others = encode_shots(tried, [base, _beside(base), *bases], threads=threads)
        curve = curve_of(tried, plain, beside, threads)
        slope = curve.slope
        base = _best_size(tried, plain, others, curve, effort, model, threads)
    ways = [
        replace(base, settings=replace(base.settings, preset=effort.final, depth=bits, extra=extra))
        for bits, extra in (tools[:1] if slope is None else tools)
    ]
    found = _best_way(shot, ways, slope, threads)
    if base.enhanced:
        return with_layer(shot, found, model, "upscale", threads=threads)[0]
    return found if effort.repair is None else effort.repair.given(shot, found, threads)


@dataclass(frozen=True, slots=True)
class Curve:
    """A shot's own, where one coding of it lies: bits, dB of PSNR-YUV without an enhancer, and the slope."""

    bits: int
    quality: float
    slope: float

    def height(self, bits: int, quality: float) -> float:
        """How many dB another coding lies above it."""
        return quality - self.quality - self.slope * math.log(bits / self.bits)


def _beside(base: Base) -> Base:
    """A coarser base, or a finer one where none is coarser."""
    crf = base.settings.crf
    other = crf + SLOPE_STEP if crf + SLOPE_STEP <= CRF_RANGE[1] else crf - SLOPE_STEP
    return replace(base, settings=replace(base.settings, crf=other))


def curve_of(shot: Shot, plain: Coded, beside: Coded, threads: int) -> Curve:
    """From the plain coding and one beside it."""
    quality, worse = (quality_of(shot, found, threads=threads) for found in (plain, beside))
    return Curve(plain.bits, quality, slope_of(quality - worse, plain.bits, beside.bits))


def slope_of(gain: float, more: int, less: int) -> float:
    """dB for each e-fold of bits: what is gained with more bits over less."""
    ratio = math.log(more / less)
    return round(float(np.clip(gain / ratio, *SLOPES)), 3) if ratio else SLOPES[1]


def _best_size(
    shot: Shot,
    plain: Coded,
    others: Sequence[Coded],
    curve: Curve,
    effort: Effort,
    model: Enhancer,
    threads: int,
) -> Base:
    """The base of the plain coding, or that of another one, to be enhanced, which comes highest above its curve."""
    best, highest = plain.base, WORTH
    if others and effort.repair is not None:
        highest += effort.repair.worth(shot, plain, threads)[1]
    for coded in others:
        height = curve.height(coded.bits, quality_of(shot, coded, threads=threads))
        # Enhancing takes longer than all else here, and most shots are so much better at full size that it need not
        # be tried. A camera's own model may make up for more.
        if model.config.scene_size is None and height < -HOPELESS * curve.slope:
            continue
        height += with_layer(shot, coded, model, "upscale", threads=threads)[1]
        if height > highest:
            best, highest = coded.base, height
    return best


def _best_way(shot: Shot, ways: Sequence[Base], slope: float | None, threads: int) -> Coded:
    """Of bases of one size the coding that comes highest above the shot's curve through the first; none is enhanced
    yet."""
    found = encode_shots(shot, ways, threads=threads)
    if slope is None or len(found) == 1:
        return found[0]
    usual, *others = (quality_of(shot, coded, threads=threads) for coded in found)
    curve = Curve(found[0].bits, usual, slope)
    heights = [WORTH, *(curve.height(c.bits, quality) for c, quality in zip(found[1:], others, strict=True))]
    return found[int(np.argmax(heights))]


def _others(shot: Shot, usual: Av1Settings, setting: Setting, effort: Effort, model: Enhancer) -> list[Base]:
    """Other bases to try than the plain one: smaller ones, and what a camera's own model can make of coarser ones."""
    crf = setting.crf
    scene = model.config.scene_size is not None
    bases: list[Base] = []
    if crf >= SHRINK_FROM and not setting.planned:
        for shrink, lower in effort.shrinks + (SCENE_SHRINKS if scene else ()):
            width, height = base_size(shot.picture.width, shot.picture.height, shrink)
            if min(width, height) >= SMALLEST_BASE:
                bases.append(Base(replace(usual, crf=max(CRF_RANGE[0], crf - lower)), shrink))
    if scene and setting.shrink == 1:
        bases += [
            Base(replace(usual, crf=min(CRF_RANGE[1], crf + step)), enhance=True) for step in SCENE_STEPS
        ]
    return bases


def quality_of(shot: Shot, coded: Coded, *, threads: int) -> float:
    """Mean PSNR-YUV in dB of the coded pictures, a smaller base merely scaled up."""
    return float(np.mean(qualities_of(shot, coded, None, threads=threads)))


def qualities_of(
    shot: Shot, coded: Coded, model: Enhancer | None, *, threads: int, first: int = 0, last: int | None = None
) -> list[float]:
    """PSNR-YUV in dB of each picture from `first` up to `last`, as a receiver with the model sees it."""
    last = len(shot) if last is None else last
    pictures = decode_shot(coded, model, threads=threads, first=first, last=last)
    return [picture_psnr(clean, seen) for clean, seen in zip(shot.part(first, last), pictures, strict=True)]
