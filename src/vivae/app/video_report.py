"""`report`: one page that makes a video plain: what it is, its shots, where to look, how it runs; a summary clip."""

import base64
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae import __version__
from vivae.app.detecting import event_cards, score_chart
from vivae.app.report import Axis, Report, Series, Tile, chart, facts, live, row, tiles
from vivae.app.report_files import downloads, size_of, technical_facts
from vivae.app.report_objects import Found, find_objects, object_cards
from vivae.errors import InputError
from vivae.media import open_video, refuse_overwrite
from vivae.media.atomic import check_target
from vivae.media.resample import shrunk
from vivae.tasks import detect
from vivae.tasks.common import Progress, no_progress
from vivae.tasks.gauges import Reading
from vivae.tasks.info import info as info_of
from vivae.tasks.moments import Moment, counted, describe, moments
from vivae.tasks.summary import keyframes, summary_pieces, write_summary
from vivae.tasks.survey import Look, Survey, survey

POINTS = 500
"""Of a curve on the page; the table for download has every frame."""
KEY_SIDE = 400
CARDS = 60
"""Keyframes shown at most."""
CURVES: Sequence[tuple[str, str, str, int]] = (
    ("motion", "Camera motion", "% of width/s", 3),
    ("activity", "What moves by itself", "% of picture", 2),
    ("brightness", "Brightness", "%", 6),
    ("sharpness", "Sharpness", "", 1),
    ("noise", "Noise", "code values", 5),
    ("blocks", "Compression blocks", "%", 5),
)


def report(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    summary: float | None = None,
    surprise: bool = True,
    anomaly: str | os.PathLike[str] | None = None,
    objects: bool = False,
    model: str | Path = "base",
    name: str | None = None,
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write one .html page about a video that opens offline: a film strip to click, shots with keyframes, what stands
    out and why, curves over time, where things move, technical data, and the figures as JSON, CSV and EDL.

    summary: also write a clip of that many seconds beside the page (NAME-summary.mp4), of the parts that stand for
    the whole. surprise: measure bits over time with `model`; the slowest part. anomaly: what `detect_fit` wrote for
    this camera; what is unusual by it is told among what stands out. objects: also find what moves
    by itself (see `vivae.segment`), with tracks; the slowest part then. name: what the page calls the video, instead of
    its file's name. Returns shots, moments and files.
    Raises InputError, FormatError, OutputError.
    """
    if Path(dst).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"a report is written to an .html file, not to '{dst}'")
    clip_path = Path(dst).with_name(f"{Path(dst).stem}-summary.mp4")
    refuse_overwrite(dst, src)
    check_target(dst, force)
    if summary is not None:
        refuse_overwrite(clip_path, src)
        check_target(clip_path, force)
    technical = info_of(src)
    if technical["kind"] != "video":
        raise InputError(f"'{src}' is no video but {technical['kind']}: a report needs one")
    begin = start or 0.0
    with tempfile.TemporaryDirectory() as room:
        copy = Path(room) / "copy.mp4"
        found = survey(
            src, model=model if surprise else None, copy=copy, start=start, end=end, progress=progress
        )
        pieces = summary_pieces(found, summary) if summary is not None else []
        keys = keyframes(found)
        told = moments(found)
        odd: _Unusual | None = None
        if anomaly is not None:
            odd = _unusual(anomaly, src, Path(room), start, end, progress)
            told = sorted([*told, *odd.moments], key=lambda moment: moment.start_s)
        size = technical["width"], technical["height"]
        things = find_objects(src, Path(room), size, start, end, progress) if objects else None
        called = Path(name or Path(src).name)
        page = _page(src, called, technical, found, keys, told, copy, begin, odd, things)
    page.write(dst, force=force)
    result: dict[str, Any] = {
        "output": str(dst),
        "description": describe(found),
        "duration_s": round(found.duration, 3),
        "shots": len(found.shots),
        "moments": [asdict(moment) for moment in told],
    }
    if things is not None:
        result["objects"] = [asdict(track) for track in things.tracks]
    if summary is not None:
        result["summary"] = str(clip_path)
        result["summary_s"] = round(write_summary(src, clip_path, pieces, start=begin, force=force), 3)
    return result


@dataclass(frozen=True)
class _Unusual:
    """What a model of the camera finds."""

    gathered: detect.Gathered
    threshold: float

    @property
    def moments(self) -> list[Moment]:
        return [
            Moment(event["start_s"], event["end_s"], "unusual", f"unusual: {event['reason']}", event["score"])
            for event in self.gathered.events
        ]


def _unusual(
    model: str | os.PathLike[str],
    src: str | os.PathLike[str],
    room: Path,
    start: float | None,
    end: float | None,
    progress: Progress,
) -> _Unusual:
    gathered = detect.Gathered()
    told = detect.detect_score(
        model, src, room / "scores.csv", gathered=gathered, start=start, end=end, progress=progress
    )
    return _Unusual(gathered, told["threshold"])


def _page(
    src: str | os.PathLike[str],
    called: Path,
    technical: Mapping[str, Any],
    found: Survey,
    keys: Sequence[Sequence[Look]],
    told: Sequence[Moment],
    copy: Path,
    begin: float,
    odd: "_Unusual | None" = None,
    things: Found | None = None,
) -> Report:
    page = Report(
        title=called.name,
        kicker="video report",
        lead=escape(describe(found)),
        footer=f"Made by vivae {__version__}. Everything on this page lies in this one file; it needs no network.",
    )
    media = page.add_media(copy)
    page.add(_tiles(technical, found))
    duration = max(found.duration, 1e-3)
    width, height = technical["width"] * float(found.info.sar), technical["height"]
    film = live(
        "film",
        {
            "media": media,
            "width": width,
            "height": height,
            "times": [round(time, 4) for time in found.times[:-1]],
            "duration": round(duration, 4),
            "strip": [[round(time, 3), _jpeg(picture, 60)] for time, picture in found.strip],
            "shots": [
                {"number": s.shot, "start": s.start_s, "end": s.end_s, "kind": s.transition}
                for s in found.shots
            ],
            "moments": [
                {"start": m.start_s, "end": m.end_s, "kind": m.kind, "reason": m.reason} for m in told
            ],
        },
    )
    page.section("All of it at a glance", "Click or drag on the strip; numbered bars are shots" + (
        ", coloured marks the moments told of below." if told else "."
    ), film)  # fmt: skip
    shape = f"--shape: {width:g} / {height}"
    if told:
        page.section(
            "Where to look", "What stands out, and why. Click to see it.", _moments(told, found, shape)
        )
    if odd is not None:
        note, cards = event_cards(odd.gathered)
        note = note if odd.gathered.events else "Nothing that the model of this camera finds strange."
        page.section("What is unusual here", note, cards, score_chart(odd.gathered, odd.threshold))
    if things is not None:
        page.section(
            "What moves by itself",
            "The objects seen most, where they are largest; click to go there."
            if things.tracks
            else "Nothing was found.",
            object_cards(
                things.tracks,
                technical["width"],
                lambda at: _frame(src, begin + at, KEY_SIDE),
                lambda picture: _jpeg(picture, 76),
                _clock,
                shape,
            ),
        )
    page.section(
        "Shots" if len(found.shots) > 1 else "The shot",
        f"The frames that stand for {'them' if len(found.shots) > 1 else 'it'} best: sharp, and like the rest of their "
        "shot; long shots have several.",
        _cards(src, found, keys, shape, begin),
    )
    page.section("How it runs", "Curves over time; click one to go there.", *_curves(found))
    page.section(
        "Where things move, and what the file is",
        "",
        row(_places(src, found, keys, begin), facts("Technical data", technical_facts(technical, found))),
    )
    page.section(
        "Take the figures along",
        "",
        downloads(called, technical, found, told, None if things is None else things.table),
    )
    return page


def _tiles(technical: Mapping[str, Any], found: Survey) -> str:
    readings = found.readings
    cuts = sum(t.kind == "cut" for t in found.transitions)
    active = float(np.mean([r.activity for r in readings]))
    things = float(np.quantile([r.objects for r in readings], 0.9))
    return tiles(
        [
            Tile(
                _clock(found.duration),
                "",
                f"{technical['width']}×{technical['height']}, {technical['fps']:.4g} fps",
            ),
            Tile(
                f"{len(found.shots)}",
                "shots" if len(found.shots) > 1 else "shot",
                "no cuts"
                if not found.transitions
                else f"{counted(cuts, 'cut')}, {counted(len(found.transitions) - cuts, 'soft transition')}",
            ),
            Tile(
                f"{active:.1f}", "%", f"of the picture moves by itself; up to {things:.0f} things at a time"
            ),
            Tile(f"{np.mean([r.sharpness for r in readings]):.0f}", "of 100", "sharpness, on average"),
            Tile(
                f"{technical['bits_per_second'] / 1000:,.0f}",
                "kbit/s",
                f"{technical['codec']}, {size_of(technical['size_bytes'])}",
            ),
        ]
    )


def _cards(
    src: str | os.PathLike[str], found: Survey, keys: Sequence[Sequence[Look]], shape: str, begin: float
) -> str:
    """A card for each shot; of very many, the longest."""
    chosen = sorted(sorted(range(len(keys)), key=lambda k: -found.shots[k].duration_s)[:CARDS])
    cards = []
    for k in chosen:
        shot = found.shots[k]
        inside = found.readings[shot.first_frame : shot.last_frame + 1]
        words = _words(inside)
        begins = "" if shot.transition in ("start", "cut") else f"begins with a {shot.transition} · "
        for number, key in enumerate(keys[k]):
            at = key.time if number else shot.start_s
            span = f"at {_clock(at)}" if number else f"{_clock(shot.start_s)} – {_clock(shot.end_s)}"
            picture = _still(src, begin + key.time, KEY_SIDE)
            cards.append(
                f'<button type="button" class="card" data-shot="{shot.shot}" data-at="{at}">'
                f'<img alt="Keyframe of shot {shot.shot}" src="data:image/jpeg;base64,{picture}">'
                f'<span class="words"><b>Shot {shot.shot}<span>{span}</span></b>'
                f"{'' if number else escape(begins + words)}</span></button>"
            )
    return f'<div class="shotcards" style="{shape}">{"".join(cards)}</div>'


def _words(readings: Sequence[Reading]) -> str:
    motion = float(np.mean([r.motion for r in readings]))
    active = float(np.mean([r.activity for r in readings]))
    bright = float(np.mean([r.brightness for r in readings]))
    camera = "still camera" if motion < 1.5 else "gentle camera" if motion < 12 else "moving camera"
    life = "calm" if active < 1 else "some action" if active < 8 else "much action"
    light = ", dark" if bright < 22 else ", bright" if bright > 62 else ""
    return f"{camera}, {life}{light}"


def _moments(told: Sequence[Moment], found: Survey, shape: str) -> str:
    rows = []
    for moment in told:
        _, picture = min(found.strip, key=lambda item: abs(item[0] - (moment.start_s + moment.end_s) / 2))
        span = _clock(moment.start_s) + (
            f" – {_clock(moment.end_s)}" if moment.end_s - moment.start_s > 0.5 else ""
        )
        rows.append(
            f'<button type="button" class="moment {moment.kind}" data-at="{moment.start_s:.3f}">'
            f'<img alt="" src="data:image/jpeg;base64,{_jpeg(picture, 60)}">'
            f"<span><b>{span}</b>{escape(moment.reason[0].upper() + moment.reason[1:])}</span></button>"
        )
    return f'<div class="card momentlist" style="{shape}">{"".join(rows)}</div>'


def _curves(found: Survey) -> list[str]:
    charts = []
    if found.surprise:
        times, bits = zip(*found.surprise, strict=True)
        series = Series("surprise", 4, *_thinned(times, bits, np.max))
        charts.append(
            chart(
                "Surprise: what the model could not foresee",
                Axis("time", "s"),
                Axis("bits per pixel"),
                [series],
                from_zero=True,
                height=230,
            )
        )
    moments_of = [r.time for r in found.readings]
    small = []
    for name, title, unit, color in CURVES:
        values = [getattr(r, name) for r in found.readings]
        series = Series(title.lower(), color, *_thinned(moments_of, values, np.mean))
        small.append(
            chart(title, Axis("time", "s"), Axis(unit or "0 to 100"), [series], from_zero=True, height=190)
        )
    return [*charts, *(row(*small[k : k + 2]) for k in range(0, len(small), 2))]


def _thinned(
    times: Sequence[float], values: Sequence[float], by: Callable[[NDArray[np.float64]], Any]
) -> tuple[list[float], list[float]]:
    """At most `POINTS` points."""
    count = min(POINTS, len(times))
    groups = np.array_split(np.arange(len(times)), count)
    every = np.asarray(values, float)
    return [times[int(group[0])] for group in groups], [float(by(every[group])) for group in groups]


def _places(src: str | os.PathLike[str], found: Survey, keys: Sequence[Sequence[Look]], begin: float) -> str:
    """The first long shot's keyframe, darkened, with the places that moved glowing."""
    longest = max(range(len(keys)), key=lambda k: found.shots[k].duration_s)
    picture = _frame(src, begin + keys[longest][0].time, 640)
    height, width = picture.shape[:2]
    share = found.moved / max(found.duration, 1e-3)
    peak = max(float(np.quantile(share, 0.995)), 1e-4)
    glow = np.clip(cv2.resize(share / peak, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1) ** 0.6
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)[..., None] * 0.62
    color = cv2.applyColorMap((glow * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    mixed = grey * (1 - 0.75 * glow[..., None]) + color * 0.95 * glow[..., None]
    text = (
        f"Where things moved by themselves, the camera's own motion taken off; the brightest places did so "
        f"{100 * peak:.0f} % of the time."
    )
    return (
        f'<div class="card places"><img alt="Map of where things move" src="data:image/jpeg;base64,'
        f'{_jpeg(np.clip(mixed, 0, 255).astype(np.uint8), 80)}"><p>{text}</p></div>'
    )


def _still(src: str | os.PathLike[str], time: float, side: int) -> str:
    return _jpeg(_frame(src, time, side), 76)


def _frame(src: str | os.PathLike[str], time: float, side: int) -> NDArray[np.uint8]:
    """RGB of the frame that is shown at a time."""
    with open_video(src, start=max(0.0, time - 1e-4)) as reader:
        return shrunk(next(reader), side).to_rgb()


def _jpeg(rgb: NDArray[np.uint8], quality: int) -> str:
    done, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    assert done
    return base64.b64encode(data.tobytes()).decode()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0.0, seconds), 60)
    return f"{int(minutes)}:{rest:04.1f}"
