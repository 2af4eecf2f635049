"""A video looked over once: its shots, figures for every frame, pictures for a film strip, a small copy to play.

Memory grows by a few dozen bytes a frame and by one small picture a few times a second, not by frames.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vivae.media import Frame, VideoInfo, open_video, open_writer
from vivae.media.resample import shrunk, shrunk_size
from vivae.tasks.common import Progress, expected_frames, no_progress
from vivae.tasks.gauges import Gauges, Reading
from vivae.tasks.shots import Shot, shots_between
from vivae.vae.shot_finder import ShotFinder, Transition
from vivae.vae.shot_signs import thumb_of
from vivae.vae.stream import StreamEncoder
from vivae.vae.zoo import load_model

SURPRISE_SIDE = 128
"""Columns of the picture whose bits are counted."""
SURPRISE_RATE = 8
"""Frames a second, about, that the model sees."""
LOOK_RATE = 4
"""Small pictures a second, about, that are kept to choose from."""
STRIP = 48
"""Pictures of the film strip."""
COPY_SIDE, COPY_CRF = 480, 30
COPY_RATE = 15
"""Frames a second of the copy, at most, of videos over `LONG` seconds."""
LONG = 300


@dataclass(frozen=True, slots=True)
class Look:
    """A frame that may stand for others. picture: float32 descriptor of colours and layout, for comparing."""

    frame: int
    time: float
    sharpness: float
    picture: NDArray[np.float32]


@dataclass
class Survey:
    """What was found. times: when each frame begins, and at last the end; surprise: (time, bits per pixel)."""

    info: VideoInfo
    times: list[float]
    shots: list[Shot]
    transitions: list[Transition]
    readings: list[Reading]
    surprise: list[tuple[float, float]]
    looks: list[Look]
    strip: list[tuple[float, NDArray[np.uint8]]] = field(default_factory=list)
    """Times and RGB pictures."""
    moved: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 1), np.float32))
    """Seconds for which each place moved."""

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.times[-1] - self.times[0]


def survey(
    src: str | os.PathLike[str],
    *,
    model: str | Path | None = "base",
    copy: Path | None = None,
    start: float | None = None,
    end: float | None = None,
    progress: Progress = no_progress,
) -> Survey:
    """Look a video over. model: whose bits tell surprise; None for none. copy: a small .mp4 to write for playing.

    Times are on the clock of `open_video`, from `start` on. Raises InputError, FormatError.
    """
    finder, gauges = ShotFinder(), Gauges()
    times: list[float] = [0.0]
    readings: list[Reading] = []
    surprise: list[tuple[float, float]] = []
    looks: list[Look] = []
    strip: list[tuple[float, NDArray[np.uint8]]] = []
    coder = None if model is None else StreamEncoder(load_model(model), rounded=True)
    with ExitStack() as stack:
        reader = stack.enter_context(open_video(src, start=start, end=end))
        info = reader.info
        total = expected_frames(info, start, end)
        every = max(1, round(info.fps / SURPRISE_RATE))
        apart = max(1, round(info.fps / LOOK_RATE))
        thin = max(1, round(info.fps / COPY_RATE)) if total / info.fps > LONG else 1
        writer = None
        if copy is not None:
            width, height = shrunk_size(info, COPY_SIDE)
            writer = stack.enter_context(
                open_writer(
                    copy,
                    width=width,
                    height=height,
                    fps=info.fps / thin,
                    color=info.color,
                    sar=info.sar,
                    codec="h264",
                    crf=COPY_CRF,
                    time_base=info.time_base,
                )
            )
        held: Frame | None = None
        for number, frame in enumerate(reader):
            finder.push(frame.planes)
            reading = gauges.read(frame)
            readings.append(reading)
            times.append(float(frame.time + frame.duration))
            if coder is not None and number % every == 0:
                bits = float(coder.push([shrunk(frame, SURPRISE_SIDE)]).bits.sum())
                surprise.append((float(frame.time), bits / _area(info)))
            if number % apart == 0:
                looks.append(Look(number, float(frame.time), reading.sharpness, _descriptor(frame)))
            if number >= len(strip) * total / STRIP:
                strip.append((float(frame.time), shrunk(frame, 160).to_rgb()))
            if writer is not None:
                if number % thin == 0:
                    if held is not None:
                        writer.write(held)
                    held = shrunk(frame, COPY_SIDE)
                elif held is not None:
                    held = replace_duration(held, held.duration + frame.duration)
            progress(number + 1, total)
        if writer is not None and held is not None:
            writer.write(held)
    transitions = finder.finish()
    found = shots_between(transitions, times)
    return Survey(info, times, found, transitions, readings, surprise, looks, strip, gauges.moved)


def replace_duration(frame: Frame, duration: Fraction) -> Frame:
    """The same picture, shown for another time."""
    return replace(frame, duration=duration)


def _area(info: VideoInfo) -> int:
    width, height = shrunk_size(info, SURPRISE_SIDE)
    return width * height


def _descriptor(frame: Frame) -> NDArray[np.float32]:
    """Layout (blurred) and colours, both of unit length."""
    thumb = thumb_of(frame.planes)
    layout = thumb.coarse - thumb.coarse.mean()
    colours = np.sqrt(thumb.histogram)
    parts: Sequence[NDArray[np.float32]] = (layout, colours)
    return np.concatenate([part / (np.linalg.norm(part) + 1e-6) for part in parts]).astype(np.float32)
