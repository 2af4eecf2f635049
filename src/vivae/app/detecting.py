"""`detect score` with a page to look at: the curve of scores, and a picture and a reason for every event."""

import base64
import os
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.app.report import Axis, Report, Series, Tile, chart, tiles
from vivae.tasks import detect
from vivae.tasks.common import Progress, no_progress

MOST_EVENTS = 60


def detect_score(
    model: str | os.PathLike[str],
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    false_alarms: float = 1.0,
    follow: bool = False,
    maps: str | os.PathLike[str] | None = None,
    report: bool = False,
    name: str | None = None,
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """As `vivae.tasks.detect.detect_score`; with `report`, also NAME.html beside `dst`, one page to look at, which
    calls the video by its file's name or by `name`."""
    gathered = detect.Gathered() if report else None
    told = detect.detect_score(
        model,
        src,
        dst,
        false_alarms=false_alarms,
        follow=follow,
        maps=maps,
        gathered=gathered,
        start=start,
        end=end,
        force=force,
        progress=progress,
    )
    if gathered is not None:
        page = Path(dst).with_suffix(".html")
        _page(name or Path(src).name, gathered, told).write(page, force=True)
        told["report"] = str(page)
    return told


def _page(name: str, gathered: detect.Gathered, told: dict[str, Any]) -> Report:
    events, scores = gathered.events, [score for _, score in gathered.curve]
    lead = f"<b>{len(events)}</b> unusual {'event' if len(events) == 1 else 'events'} in {told['frames']} frames of "
    page = Report(
        f"What is unusual in {name}",
        "detect",
        lead + f"{escape(name)}.",
        "Learned from normal footage alone.",
    )
    page.add(
        tiles(
            [
                Tile(f"{len(events)}", "", "event" if len(events) == 1 else "events"),
                Tile(f"{100 * told['alarm_frames'] / max(1, told['frames']):.1f}", "%", "of the frames"),
                Tile(
                    f"{max(scores, default=0):.2f}", "", "highest score; 1 is the strangest of normal footage"
                ),
            ]
        )
    )
    page.section(
        "Over time",
        "Above the dashed line a frame counts as unusual.",
        score_chart(gathered, told["threshold"]),
    )
    if events:
        page.section("Events", *event_cards(gathered))
    return page


def score_chart(gathered: detect.Gathered, threshold: float) -> str:
    """Scores over time, and the threshold."""
    times, scores = [time for time, _ in gathered.curve], [score for _, score in gathered.curve]
    curves = [
        Series("score", 1, times, scores),
        Series("threshold", 2, [times[0], times[-1]], [threshold] * 2, dash="4 4"),
    ]
    return chart("Score", Axis("time", "s"), Axis("score"), curves, from_zero=True)


def event_cards(gathered: detect.Gathered) -> tuple[str, str]:
    """A note, and the strangest events, each with its picture and reason, in order of time."""
    events = gathered.events
    shown = sorted(range(len(events)), key=lambda number: -events[number]["score"])[:MOST_EVENTS]
    cards = "".join(_card(events[number], gathered.thumbnails.get(number)) for number in sorted(shown))
    note = "Each at its strangest moment; the box shows where."
    if len(events) > MOST_EVENTS:
        note = f"The {MOST_EVENTS} strangest, in order of time; the box shows where."
    return note, f'<div class="shotcards" style="--shape: {gathered.shape:.4f}">{cards}</div>'


def _card(event: dict[str, Any], picture: NDArray[np.uint8] | None) -> str:
    image = ""
    if picture is not None:
        _, data = cv2.imencode(
            ".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 82]
        )
        image = f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}">'
    span = f"{event['start_s']:.1f} – {event['end_s']:.1f} s"
    words = event["reason"][0].upper() + event["reason"][1:]
    return (
        f'<div class="card event">{image}<span class="words"><b>{span}<span>score {event["score"]:.2f}</span></b>'
        f"{escape(words)}</span></div>"
    )
