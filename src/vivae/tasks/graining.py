"""`compress --grain`: what noise a video has, what it looks like, and the video without it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vivae.codec.grain import Grain, GrainMeter
from vivae.codec.spool import with_cuts
from vivae.measure.noise import noise_in
from vivae.media import Frame, VideoInfo, open_video
from vivae.tasks.restore import LEAST_NOISE, Family, Plan, Restorer

STRENGTH = 0.8
"""Of the noise, how much is taken out before coding: the encoder averages the rest away, and detail is kept."""
PLACES, RUN = 6, 4
"""Where grain is looked at, spread over the video, and frames at each place."""


@dataclass(frozen=True)
class Grained:
    """What was found: noise in 8-bit RGB code values (standard deviation), and the grain that players put back."""

    noise: float
    grain: Grain
    family: Family

    def denoised(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames without most of their noise."""
        restorer = Restorer(Plan(noise=STRENGTH * self.noise), self.family)
        return (item.frame for item in restorer.run(with_cuts(frames)))


def find_grain(
    src: str | os.PathLike[str],
    info: VideoInfo,
    family: Family,
    start: float | None = None,
    end: float | None = None,
) -> Grained | None:
    """Look at frames spread over the span (seconds); None where there is too little noise to be worth it."""
    runs = list(_runs(src, info, start, end))
    noise = noise_in(runs)
    if noise < LEAST_NOISE:
        return None
    meter = GrainMeter()
    for run in runs:
        cleaned = Restorer(Plan(noise=noise), family).run(
            (frame, not index) for index, frame in enumerate(run)
        )
        for noisy, clean in zip(run, cleaned, strict=True):
            meter.add(noisy.planes, clean.frame.planes)
    grain = meter.grain(limited=info.color.range == "limited")
    return None if grain.empty else Grained(noise, grain, family)


def _runs(
    src: str | os.PathLike[str], info: VideoInfo, start: float | None, end: float | None
) -> Iterator[list[Frame]]:
    begin, finish = start or 0.0, min(end or float("inf"), float(info.duration))
    for place in range(PLACES if info.estimated_frames > PLACES * RUN else 1):
        at = begin + max(0.0, finish - begin) * place / PLACES
        with open_video(src, start=at, end=end) as reader:
            yield list(itertools.islice(reader, RUN))
