"""Of the page about a video: its technical data, and its figures as files to take along."""

import base64
import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from vivae.tasks.gauges import Reading
from vivae.tasks.moments import Moment, describe
from vivae.tasks.shots import as_text
from vivae.tasks.survey import Survey


def technical_facts(technical: Mapping[str, Any], found: Survey) -> dict[str, str]:
    color = technical["color"]
    sound = [
        f"{t['codec']}, {t['details']}" + (f" ({t['language']})" if t["language"] else "")
        for t in technical["audio"]
    ]
    return {
        "Size": size_of(technical["size_bytes"]),
        "Container": str(technical["container"]),
        "Codec": f"{technical['codec']}, {technical['pixel_format']}",
        "Picture": f"{technical['width']} × {technical['height']}",
        "Frames": f"{len(found.readings)} at {technical['fps']:.4g} a second"
        + (", variable" if technical["variable_rate"] else ""),
        "Length": f"{technical['duration_s']:.2f} s",
        "Bit rate": f"{technical['bits_per_second'] / 1000:,.0f} kbit/s",
        "Colour": f"{color['range']} range, {color['matrix']}",
        "Sound": "; ".join(sound) or "none",
        "Subtitles": str(len(technical["subtitles"])) if technical["subtitles"] else "none",
    }


def downloads(
    src: str | os.PathLike[str],
    technical: Mapping[str, Any],
    found: Survey,
    told: Sequence[Moment],
    tracks: str | None = None,
) -> str:
    shots = {
        "source": Path(src).name,
        "frames": len(found.readings),
        "fps": technical["fps"],
        "shots": [asdict(shot) for shot in found.shots],
    }
    everything = shots | {
        "description": describe(found),
        "moments": [asdict(moment) for moment in told],
        "surprise": [{"time_s": round(t, 4), "bits_per_pixel": round(b, 5)} for t, b in found.surprise],
    }
    frames = io.StringIO(newline="")
    writer = csv.writer(frames, lineterminator="\n")
    names = list(Reading.__dataclass_fields__)
    writer.writerow(["frame", *names])
    for number, reading in enumerate(found.readings):
        writer.writerow(
            [
                number,
                *(
                    f"{getattr(reading, name):.4g}" if name != "time" else f"{reading.time:.4f}"
                    for name in names
                ),
            ]
        )
    stem = Path(src).stem
    files = {
        f"{stem}-report.json": ("application/json", json.dumps(everything, indent=1), "All of it, JSON"),
        f"{stem}-shots.csv": ("text/csv", as_text(shots, ".csv"), "Shots, CSV"),
        f"{stem}-frames.csv": ("text/csv", frames.getvalue(), "Every frame, CSV"),
        f"{stem}-shots.edl": ("text/plain", as_text(shots, ".edl"), "Shots, EDL"),
    }
    if tracks is not None:
        files[f"{stem}-tracks.csv"] = ("text/csv", tracks, "Tracks of objects, CSV")
    links = "".join(
        f'<a download="{escape(name)}" href="data:{mime};base64,{base64.b64encode(text.encode()).decode()}">{label}</a>'
        for name, (mime, text, label) in files.items()
    )
    return f'<div class="card downloads">{links}</div>'


def size_of(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
