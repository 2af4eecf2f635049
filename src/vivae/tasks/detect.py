"""`detect score`: how strange every frame of a video is, where, and why, by a model of `detect fit`."""

import csv
import json
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.media import Frame, atomic_path, is_live, open_live, open_video, refuse_overwrite
from vivae.tasks.anomaly_maps import Where, open_maps
from vivae.tasks.common import Progress, expected_frames, no_progress
from vivae.tasks.normality import SIGNS, Normality, load_normality
from vivae.tasks.regions import Map, Regions, RegionWatcher, shrunk_luma

logger = logging.getLogger(__name__)

SMOOTHING_SECONDS = 0.6
"""To either side that a frame's score is averaged with: the delay of scores."""
MOST_SMOOTHING = 40
"""Frames of it, at most."""
GAP_SECONDS = 1.0
"""Alarms nearer than this are one event."""


@dataclass
class Scored:
    """One frame, judged. parts: of the score, by sign; reason: in words, why its strangest region is strange."""

    index: int
    time: float
    score: float
    parts: dict[str, float]
    box: tuple[int, int, int, int]
    """Of the strangest region, x y width height in pixels of the video; empty where nothing moves."""
    reason: str
    where: Where
    """Every region that moves, with its score by itself, not averaged over time."""
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
    shape: float = 16 / 9
    """Width over height."""

    def add(self, scored: Scored, frame: Frame, event: int | None) -> None:
        """A frame, and the number of the event of which it is the strangest so far."""
        self.shape = frame.width / frame.height
        self.curve.append((scored.time, scored.score))
        if event is not None:
            self.thumbnails[event] = _thumbnail(frame, scored.box)


def detect_score(
    model: str | os.PathLike[str],
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    false_alarms: float = 1.0,
    follow: bool = False,
    maps: str | os.PathLike[str] | None = None,
    gathered: Gathered | None = None,
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Score every frame of `src` by the model of its camera; higher is stranger.

    src: any video; also `-` for standard input, a named pipe, or a camera's address (rtsp://...), read once, with
    events logged as they begin. follow: `src` is a file that another program is still writing: read on until nothing
    was added for ten seconds. Such a source may be stopped by Ctrl-C, and what was scored is kept.
    dst: a .csv with a row a frame: frame, time_s, score, its parts, alarm, and where. Beside it, NAME.events.json lists
    events: start, end, peak, box, and a reason in words. false_alarms: how many an hour are tolerated on normal
    footage. maps: where each frame is strange, see `vivae.tasks.anomaly_maps.open_maps`: a folder of grey PNG, or a
    video with the maps over it. gathered: filled with what a page shows. One pass, with a delay of 0.6 s and bounded
    memory.
    Returns the number of frames and events, and the threshold. Raises InputError, FormatError, OutputError.
    """
    normality = load_normality(Path(model))
    if false_alarms <= 0:
        raise InputError(f"false alarms an hour must be more than 0, not {false_alarms:g}")
    target = Path(dst)
    if target.suffix.lower() != ".csv":
        raise InputError(f"scores are written to a .csv file, not '{target.name}'")
    refuse_overwrite(dst, src, model)
    if maps is not None:
        refuse_overwrite(maps, src, model, dst)
    threshold, sure = normality.threshold(false_alarms)
    if not sure:
        logger.warning(
            "the normal footage was too short to know what happens %g times an hour: the threshold is an estimate",
            false_alarms,
        )
    watcher = EventWatch()
    count = alarms = 0
    live = follow or is_live(src)
    source = open_live(src, start=start, end=end) if live else open_video(src, start=start, end=end)
    with source as reader, atomic_path(target, force) as part, ExitStack() as stack:
        draw = None
        if maps is not None:
            sound = None if live else src
            draw = stack.enter_context(open_maps(maps, reader.info, sound, force, start=start, end=end))
        total = None if live else expected_frames(reader.info, start, end)
        with Path(part).open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["frame", "time_s", "score", *SIGNS, "alarm", "x", "y", "width", "height"])
            with suppress(KeyboardInterrupt) if live else nullcontext():
                for scored, frame in scored_frames(normality, reader, float(reader.info.fps)):
                    scored.alarm = scored.score > threshold
                    known = len(watcher.events)
                    strangest = watcher.push(scored)
                    if live and len(watcher.events) > known:
                        logger.warning("unusual at %.1f s: %s", scored.time, scored.reason)
                    if gathered is not None:
                        gathered.add(scored, frame, len(watcher.events) - 1 if strangest else None)
                    if draw is not None:
                        draw(frame, scored.where)
                    rows.writerow(_row(scored))
                    count, alarms = count + 1, alarms + scored.alarm
                    progress(count, None if total is None else max(count, total))
    events = [_described(event) for event in watcher.events]
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


def _row(scored: Scored) -> list[int | str]:
    values = (scored.score, *scored.parts.values())
    return [
        scored.index,
        f"{scored.time:.4f}",
        *(f"{value:.4f}" for value in values),
        int(scored.alarm),
        *scored.box,
    ]


def smoothing_of(fps: float) -> int:
    """Frames to either side that a score is averaged with."""
    return int(np.clip(round(SMOOTHING_SECONDS * fps), 1, MOST_SMOOTHING))


def scored_frames(
    normality: Normality, frames: Iterable[Frame], fps: float
) -> Iterator[tuple[Scored, Frame]]:
    """Every frame with its score, averaged over the frames around it. Raises InputError for another view."""
    reach = smoothing_of(fps)
    waiting: deque[tuple[int, Frame, Regions, Map]] = deque()
    recent: deque[tuple[int, float, Map]] = deque(maxlen=2 * reach + 1)
    watched = RegionWatcher(normality.view).watch(_of_this_camera(normality, frames))
    for index, (frame, regions) in enumerate(watched):
        signs = normality.signs(regions)
        parts = normality.parts(signs)
        # Of the strangest region; both signs share what a frame without any has.
        part = parts[parts.sum(1).argmax()] if len(parts) else np.full(2, normality.nothing / 2, np.float32)
        recent.append((index, float(part.sum()), part))
        waiting.append((index, frame, regions, signs))
        if len(waiting) > reach:
            yield _judged(normality, *waiting.popleft(), recent, reach)
    while waiting:
        yield _judged(normality, *waiting.popleft(), recent, reach)


def _of_this_camera(normality: Normality, frames: Iterable[Frame]) -> Iterator[Frame]:
    known = normality.view.background.shape
    for number, frame in enumerate(frames):
        if number == 0 and (shape := shrunk_luma(frame).shape) != known:
            raise InputError(
                f"the model knows a view of {known[1]}x{known[0]} pixels and this video has {shape[1]}x{shape[0]}: "
                "it is of another camera"
            )
        yield frame


def _judged(
    normality: Normality,
    index: int,
    frame: Frame,
    regions: Regions,
    signs: Map,
    recent: Iterable[tuple[int, float, Map]],
    reach: int,
) -> tuple[Scored, Frame]:
    around = [(score, part) for at, score, part in recent if abs(at - index) <= reach]
    score = float(np.mean([score for score, _ in around]))
    parts = np.mean([part for _, part in around], axis=0)
    box, reason = (0, 0, 0, 0), "nothing moves"
    boxes = [_enlarged(one, normality.view.background.shape, frame) for one in regions.boxes]
    scores = normality.parts(signs).sum(1)
    if len(signs):
        which = int(scores.argmax())
        box = boxes[which]
        reason = normality.reason(regions.figures[which], signs[which])
    told = dict(zip(SIGNS, map(float, parts), strict=True))
    where = list(zip(boxes, map(float, scores), strict=True))
    return Scored(index, float(frame.time), score, told, box, reason, where), frame


def _enlarged(box: NDArray[np.int32], shape: tuple[int, ...], frame: Frame) -> tuple[int, int, int, int]:
    """From pixels looked at to those of the video."""
    across, down = frame.width / shape[1], frame.height / shape[0]
    x, y, width, height = box.tolist()
    return round(x * across), round(y * down), round(width * across), round(height * down)


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


def _described(event: Event) -> dict[str, Any]:
    peak = event.peak
    return {
        "start_s": round(event.start, 3),
        "end_s": round(event.end, 3),
        "peak_s": round(peak.time, 3),
        "peak_frame": peak.index,
        "score": round(peak.score, 3),
        "box": list(peak.box),
        "reason": peak.reason,
    }


def _thumbnail(frame: Frame, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """RGB, at most 320 wide, the box drawn."""
    rgb = np.ascontiguousarray(frame.to_rgb())
    x, y, width, height = box
    line = max(2, frame.width // 200)
    cv2.rectangle(rgb, (x, y), (x + width, y + height), (255, 64, 32), line)
    scale = min(1.0, 320 / frame.width)
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
