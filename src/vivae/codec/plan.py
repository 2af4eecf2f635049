"""Which quantiser and base size each shot of a video gets, so that all together are as good as one setting for all.

What one CRF for all would give, in mean quality and on the worst shot, is predicted from a few quick encodes of each
shot; the same mean, with the worst shot no worse, is then bought where it is cheapest. Quality is VMAF-NEG where the
`bench` extra is installed, else MS-SSIM in dB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vivae.codec.allocate import Menu, Option, cheapest, interpolated
from vivae.codec.choose import (
    HOPELESS,
    SHRINK_FROM,
    SMALLEST_BASE,
    TRIED_FRAMES,
    Effort,
    Setting,
    slope_of,
)
from vivae.codec.shot import Base, Coded, decode_shot, encode_shots
from vivae.codec.spool import Shot
from vivae.errors import UnsupportedError
from vivae.measure import ffmpeg
from vivae.measure.quality import picture_psnr, structural_similarity
from vivae.media import Frame, Picture, Planes
from vivae.media.av1 import CRF_RANGE, Av1Settings
from vivae.media.resample import base_size
from vivae.vae.enhancer import Enhancer

FULL_STEPS = (-9.0, 0.0, 9.0)
"""CRF of the quick encodes, from the one for all."""
HALF_STEPS = (-16.0, -8.0)
PROBE_PRESET = 9
JUDGED_FRAMES = 10
"""Frames on which a quick encode is judged, from its middle."""

Meter = Callable[[Picture, Sequence[Planes], Sequence[Planes]], float]


def meter() -> Meter:
    """The quality that allocation goes by."""
    try:
        ffmpeg.ffmpeg_program()
    except UnsupportedError:
        return _ms_ssim
    return _vmaf_neg


def _ms_ssim(picture: Picture, clean: Sequence[Planes], seen: Sequence[Planes]) -> float:
    values = [structural_similarity(a[0], b[0])[1] for a, b in zip(clean, seen, strict=True)]
    return -10 * math.log10(max(1e-6, 1 - float(np.mean(values))))


def _vmaf_neg(picture: Picture, clean: Sequence[Planes], seen: Sequence[Planes]) -> float:
    (found,) = ffmpeg.vmaf_of(picture, _framed(clean, picture), _framed(seen, picture), "neg")
    return found


def _framed(pictures: Sequence[Planes], picture: Picture) -> list[Frame]:
    step = 1 / picture.fps
    return [Frame(*planes, index * step, step, picture.color) for index, planes in enumerate(pictures)]


class Probe(NamedTuple):
    """A quick encode of a shot, as judged."""

    crf: float
    bits: int
    quality: float
    psnr: float
    """PSNR-YUV in dB of the same pictures."""


def _within(crf: float, steps: Sequence[float]) -> list[float]:
    return sorted({min(max(crf + step, CRF_RANGE[0]), CRF_RANGE[1]) for step in steps})


def _log_bits(probes: Sequence[Probe], quality: float) -> float:
    """Of the curve through probes, at a quality; beyond its ends it goes on as straight as it comes."""
    points = sorted((probe.quality, math.log(probe.bits)) for probe in probes)
    if len(points) == 1:
        return points[0][1]
    index = min(max(sum(good < quality for good, _ in points), 1), len(points) - 1)
    (low, low_bits), (high, high_bits) = points[index - 1 : index + 1]
    return low_bits + (high_bits - low_bits) * (quality - low) / max(high - low, 1e-6)


def _slope(probes: Sequence[Probe], crf: float) -> float | None:
    """Of the curve of PSNR-YUV through probes, at a quantiser: dB for each e-fold of bits."""
    if len(probes) < 2:
        return None
    points = sorted(probes)
    index = min(max(sum(probe.crf < crf for probe in points), 1), len(points) - 1)
    fine, coarse = points[index - 1 : index + 1]
    return slope_of(fine.psnr - coarse.psnr, fine.bits, coarse.bits)


class ShotProbes:
    """What a shot costs and gives over a range of quantisers, learned once from quick encodes around `crf`."""

    def __init__(
        self, shot: Shot, crf: float, effort: Effort, model: Enhancer, quality: Meter, *, threads: int
    ) -> None:
        self._frames = len(shot)
        tried = replace(shot, times=shot.times[:TRIED_FRAMES])

        def bases(steps: Sequence[float], shrink: float) -> list[Base]:
            preset = max(effort.preset, PROBE_PRESET)
            return [Base(Av1Settings(at, preset), shrink) for at in _within(crf, steps)]

        def judged(coded: Coded, network: Enhancer | None) -> Probe:
            bits = _bits(coded, len(shot))
            return Probe(coded.base.settings.crf, bits, *_seen(tried, coded, network, quality, threads))

        def repaired(coded: Coded) -> Probe:
            if effort.repair is None:
                return judged(coded, None)
            return judged(effort.repair.given(tried, coded, threads), effort.repair.model)

        full, halves = bases(FULL_STEPS, 1.0), []
        smallest = min(base_size(shot.picture.width, shot.picture.height, 2.0))
        if effort.shrinks and crf >= SHRINK_FROM and smallest >= SMALLEST_BASE:
            halves = bases(HALF_STEPS, 2.0)
        coded = encode_shots(tried, full + halves[-1:], threads=threads)
        found = {1.0: [repaired(one) for one in coded[: len(full)]]}
        for half in coded[len(full) :]:
            plain = judged(half, None)
            # As among the choices for one shot: most need not be tried with an enhancer.
            if math.log(plain.bits) - _log_bits(found[1.0], plain.quality) < HOPELESS:
                gain = judged(half, model).quality - plain.quality
                finer = encode_shots(tried, halves[:-1], threads=threads)
                unaided = [plain, *(judged(one, None) for one in finer)]
                # What an enhancer brings at one quantiser it brings at the next, to some tenths.
                found[2.0] = [probe._replace(quality=probe.quality + gain) for probe in unaided]
        self._options: list[Option[Setting]] = [
            Option(bits, good, Setting(at, shrink, slope=_slope(probes, at)))
            for shrink, probes in found.items()
            for at, bits, good in interpolated([probe[:3] for probe in probes], 0.5)
        ]

    def menu(self, crf: float) -> Menu[Setting]:
        """The ways to code the shot; the first is, as nearly as was learned, `crf` at full size."""
        usual = min(self._options, key=lambda option: (option.what.shrink, abs(option.what.crf - crf)))
        return Menu(self._frames, (usual, *self._options))


def _bits(coded: Coded, frames: int) -> int:
    """Of a shot of so many frames that begins as coded."""
    key, *others = (8 * len(unit.data) for unit in coded.units)
    return round(key + sum(others) * (frames - 1) / max(1, len(others)))


def _seen(
    shot: Shot, coded: Coded, model: Enhancer | None, quality: Meter, threads: int
) -> tuple[float, float]:
    """Quality and PSNR-YUV of a coded shot; of a smaller base with all that the model adds, or merely scaled up."""
    first = max(0, (len(shot) - JUDGED_FRAMES) // 2)
    last = min(len(shot), first + JUDGED_FRAMES)
    clean = list(shot.part(first, last))
    seen = list(decode_shot(coded, model, threads=threads, first=first, last=last))
    psnr = float(np.mean([picture_psnr(*pair) for pair in zip(clean, seen, strict=True)]))
    return quality(shot.picture, clean, seen), psnr


def allocated(menus: Iterable[Menu[Setting]]) -> list[Setting]:
    """The setting of each shot: as good as the first option of every menu, at the least bits."""
    every = list(menus)
    usual = [menu.options[0] for menu in every]
    frames = sum(menu.weight for menu in every)
    mean = sum(menu.weight * option.quality for menu, option in zip(every, usual, strict=True)) / frames
    return [option.what for option in cheapest(every, mean, min(option.quality for option in usual))]
