"""`detect fit` and `detect score`: what is unusual in a camera's view, learned from normal footage alone."""

import csv
import json
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.media import Frame, atomic_path, open_video, refuse_overwrite
from vivae.tasks.common import Progress, expected_frames, no_progress
from vivae.tasks.normality import Normality, learned, load_normality
from vivae.tasks.signs import Map, Watcher
from vivae.train.dataset import find_clips
from vivae.vae.model import VideoVAE
from vivae.vae.zoo import load_model

logger = logging.getLogger(__name__)

MOST_FRAMES = 20_000
"""Of normal footage that are kept in mind: more are thinned out evenly."""
SMOOTHING = 4
"""Frames to either side that a frame's score is averaged with: the delay of scores."""
GAP_SECONDS = 1.0
"""Alarms nearer than this are one event."""
REASONS = {
    "motion": "faster than {share} of what was seen here",
    "surprise": "looks or changes unlike {share} of what was seen here",
}


def detect_fit(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: str | Path | None = "base",
    device: str = "cpu",
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Learn from a folder of normal clips of one camera (or one clip) what is usual, and write it to `dst`.

    model: the VAE whose surprise counts; None watches motion alone, several times quicker. A few abnormal frames among
    the normal ones do little harm: only what is common counts as usual. Clips that cannot be read are passed over with
    a warning. Returns what was learned from. Raises InputError, OutputError.
    """
    clips = find_clips(src)
    refuse_overwrite(dst, *clips)
    vae = None if model is None else load_model(model, device=device)
    totals = 0
    gathered: list[dict[str, list[Map]]] = []
    shape: tuple[int, ...] | None = None
    fps, used = 25.0, 0
    for clip in clips:
        maps: dict[str, list[Map]] = {}
        try:
            with open_video(clip) as reader:
                info = reader.info
                step = max(1, info.estimated_frames * len(clips) // MOST_FRAMES)
                for index, seen in enumerate(Watcher(vae).watch(reader)):
                    totals += 1
                    progress(totals, None)
                    if index and index % step == 0:
                        for name, values in seen.maps.items():
                            maps.setdefault(name, []).append(values)
        except InputError as error:
            logger.warning("%s is left out: %s", clip, error)
            continue
        if not maps:
            continue
        found = next(iter(maps.values()))[0].shape
        if shape is not None and found != shape:
            raise InputError(
                f"'{clip}' has another shape of picture than the others: one model is for one camera"
            )
        shape, fps, used = found, float(info.fps), used + 1
        gathered.append(maps)
    if not gathered:
        raise InputError(f"no clip of {src} has two frames that can be read")
    notes = {"clips": used, "frames": totals, "vae": None if vae is None else vae.config.name}
    normality = learned(gathered, fps, notes)
    normality.save(Path(dst), force)
    threshold, sure = normality.threshold(1.0)
    return {
        "output": str(dst),
        "clips": used,
        "frames": totals,
        "threshold": threshold,
        "threshold_is_sure": sure,
    }


@dataclass
class Scored:
    """One frame, judged. places: how strange each place is, both signs together."""

    index: int
    time: float
    score: float
    parts: dict[str, float]
    box: tuple[int, int, int, int]
    """Of the strangest place and its like around it, x y width height in pixels of the video."""
    alarm: bool = False


@dataclass
class Event:
    """Neighbouring alarms."""

    start: float
    end: float
    peak: Scored


@dataclass
class Gathered:
    """What a page about a scored video shows. thumbnails: RGB, of each event's peak."""

    curve: list[tuple[float, float]] = field(default_factory=list)
    thumbnails: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)


def detect_score(
    model: str | os.PathLike[str],
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    false_alarms: float = 1.0,
    gathered: Gathered | None = None,
    device: str = "cpu",
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Score every frame of `src` by the model of its camera; higher is stranger.

    dst: a .csv with a row a frame: frame, time_s, score, its parts, alarm, and where. Beside it, NAME.events.json lists
    events: start, end, peak, box, and a reason in words. false_alarms: how many an hour are tolerated on normal
    footage. gathered: filled with what a page shows. One pass, with a delay of a few frames and bounded memory.
    Returns the number of frames and events, and the threshold. Raises InputError, FormatError, OutputError.
    """
    normality = load_normality(Path(model))
    if false_alarms <= 0:
        raise InputError(f"false alarms an hour must be more than 0, not {false_alarms:g}")
    target = Path(dst)
    if target.suffix.lower() != ".csv":
        raise InputError(f"scores are written to a .csv file, not '{target.name}'")
    refuse_overwrite(dst, src, model)
    name = normality.notes.get("vae")
    vae = None if name is None else load_model(name, device=device)
    threshold, sure = normality.threshold(false_alarms)
    if not sure:
        logger.warning(
            "the normal footage was too short to know what happens %g times an hour: the threshold is an estimate",
            false_alarms,
        )
    watcher = EventWatch()
    count = alarms = 0
    with open_video(src, start=start, end=end) as reader, atomic_path(target, force) as part:
        total = expected_frames(reader.info, start, end)
        with Path(part).open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(
                ["frame", "time_s", "score", *normality.usual, "alarm", "x", "y", "width", "height"]
            )
            for scored, frame in scored_frames(normality, reader, vae):
                scored.alarm = scored.score > threshold
                strangest = watcher.push(scored)
                if gathered is not None:
                    gathered.curve.append((scored.time, scored.score))
                    if strangest:
                        gathered.thumbnails[len(watcher.events) - 1] = _thumbnail(frame, scored.box)
                parts = [f"{value:.4f}" for value in scored.parts.values()]
                rows.writerow(
                    [
                        scored.index,
                        f"{scored.time:.4f}",
                        f"{scored.score:.4f}",
                        *parts,
                        int(scored.alarm),
                        *scored.box,
                    ]
                )
                count, alarms = count + 1, alarms + scored.alarm
                progress(count, max(count, total))
    events = [_described(event, normality) for event in watcher.events]
    beside = target.with_suffix(".events.json")
    with atomic_path(beside, force=True) as part:
        Path(part).write_text(
            json.dumps({"threshold": threshold, "events": events}, indent=1) + "\n", "utf-8"
        )
    told = {
        "output": str(dst),
        "frames": count,
        "events": len(events),
        "alarm_frames": alarms,
        "threshold": threshold,
        "threshold_is_sure": sure,
    }
    if gathered is not None:
        gathered.events = events
    return told


def scored_frames(
    normality: Normality, frames: Iterable[Frame], vae: VideoVAE | None
) -> Iterator[tuple[Scored, Frame]]:
    """Every frame with its score, averaged over the frames around it."""
    waiting: deque[tuple[int, Frame, dict[str, Map]]] = deque()
    recent: deque[tuple[int, dict[str, float]]] = deque(maxlen=2 * SMOOTHING + 1)
    for index, seen in enumerate(Watcher(vae).watch(frames)):
        strange = normality.strangeness(seen.maps)
        recent.append((index, {name: float(values.max()) for name, values in strange.items()}))
        waiting.append((index, seen.frame, strange))
        if len(waiting) > SMOOTHING:
            yield _judged(*waiting.popleft(), recent)
    while waiting:
        yield _judged(*waiting.popleft(), recent)


def _judged(
    index: int, frame: Frame, strange: dict[str, Map], recent: Iterable[tuple[int, dict[str, float]]]
) -> tuple[Scored, Frame]:
    around = [peaks for at, peaks in recent if abs(at - index) <= SMOOTHING]
    score = float(np.mean([max(peaks.values()) for peaks in around]))
    parts = {name: float(np.mean([peaks[name] for peaks in around])) for name in strange}
    places = np.max(list(strange.values()), axis=0)
    return Scored(index, float(frame.time), score, parts, _box(places, frame)), frame


def _box(places: Map, frame: Frame) -> tuple[int, int, int, int]:
    """Around the strangest place and those connected to it that are at least half as strange."""
    row, column = np.unravel_index(int(places.argmax()), places.shape)
    alike = (places >= places.max() / 2).astype(np.uint8)
    _, labels = cv2.connectedComponents(alike)
    rows, columns = np.nonzero(labels == labels[row, column])
    height, width = frame.height / places.shape[0], frame.width / places.shape[1]
    x, y = columns.min() * width, rows.min() * height
    return round(x), round(y), round((columns.max() + 1) * width - x), round((rows.max() + 1) * height - y)


class EventWatch:
    """Joins alarms into events as they come."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def push(self, scored: Scored) -> bool:
        """Add a frame; whether it is the strangest of its event so far."""
        if not scored.alarm:
            return False
        if not self.events or scored.time - self.events[-1].end > GAP_SECONDS:
            self.events.append(Event(scored.time, scored.time, scored))
            return True
        event = self.events[-1]
        event.end = scored.time
        if scored.score <= event.peak.score:
            return False
        event.peak = scored
        return True


def _described(event: Event, normality: Normality) -> dict[str, Any]:
    peak = event.peak
    sign = max(peak.parts, key=lambda name: peak.parts[name])
    below = float((normality.scores < peak.parts[sign]).mean())
    share = f"{100 * below:.1f} %" if below < 1 else "all"
    return {
        "start_s": round(event.start, 3),
        "end_s": round(event.end, 3),
        "peak_s": round(peak.time, 3),
        "peak_frame": peak.index,
        "score": round(peak.score, 3),
        "box": list(peak.box),
        "reason": REASONS[sign].format(share=share),
    }


def _thumbnail(frame: Frame, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """RGB, at most 320 wide, the box drawn."""
    rgb = np.ascontiguousarray(frame.to_rgb())
    x, y, width, height = box
    line = max(2, frame.width // 200)
    cv2.rectangle(rgb, (x, y), (x + width, y + height), (255, 64, 32), line)
    scale = min(1.0, 320 / frame.width)
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
