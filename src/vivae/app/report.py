"""Self-contained HTML pages about video: one file, media and scripts inside, nothing loaded from anywhere.

A `Report` collects sections made of pieces: tiles, a before/after slider of two videos in step, charts over time, a
heat map over the video, tables, facts, commands. What the pieces show and measure is their callers' business. How they
look and move is in `report_assets`.
"""

import base64
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vivae import __version__
from vivae.measure.clip import Clip
from vivae.media import atomic_path

SCRIPTS = ("player.js", "slider.js", "heat.js", "chart.js", "film.js", "page.js")
MIME = {".mp4": "video/mp4", ".webm": "video/webm", ".png": "image/png", ".jpg": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure in large type."""

    value: str
    unit: str
    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A video that can stand beside the original."""

    label: str
    media: str
    """As `Report.add_media` returned it."""
    caption: str = ""
    color: int = 1
    """Of the method, 1 to 6, the same in every piece of a page."""


@dataclass(frozen=True, slots=True)
class Series:
    """A curve of a chart. group: shown only while the slider shows a choice of that group."""

    name: str
    color: int
    x: Sequence[float]
    y: Sequence[float]
    group: str = ""
    dash: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    label: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table. cells: text after the name; media: what a click shows in the slider."""

    name: str
    cells: Sequence[str]
    color: int = 1
    media: str = ""
    best: frozenset[int] = frozenset()
    """Indices of the cells that are the best of their group."""


@dataclass
class Report:
    """A page. Text is escaped; only `lead` and notes may hold `<b>`, and their callers escape what they put in."""

    title: str
    kicker: str
    lead: str = ""
    footer: str = ""
    _body: list[str] = field(default_factory=list)
    _media: list[str] = field(default_factory=list)

    def add_media(self, path: Path) -> str:
        """Put a file into the page, once; returns the key by which pieces refer to it."""
        key = f"{len(self._media)}"
        data = base64.b64encode(path.read_bytes()).decode()
        mime = MIME[path.suffix.lower()]
        self._media.append(f'<script type="text/plain" id="media-{key}" data-mime="{mime}">{data}</script>')
        return key

    def add(self, piece: str) -> None:
        """A piece without a heading."""
        self._body.append(piece)

    def section(self, heading: str, note: str, *pieces: str) -> None:
        """A heading, a sentence about what is to be seen, and the pieces."""
        words = f'<p class="note">{note}</p>' if note else ""
        body = "\n".join(f'<div class="piece">{piece}</div>' for piece in pieces)
        self._body.append(f"<section>\n<h2>{escape(heading)}</h2>\n{words}\n{body}\n</section>")

    def html(self) -> str:
        """The whole page."""
        assets = resources.files("vivae.app") / "report_assets"
        style = (assets / "page.css").read_text("utf-8")
        script = "\n".join((assets / name).read_text("utf-8") for name in SCRIPTS)
        body, media = "\n".join(self._body), "\n".join(self._media)
        return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="vivae {__version__}">
<title>{escape(self.title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header class="top">
<p class="kicker"><i></i>vivae <span>{escape(self.kicker)}</span></p>
<h1>{escape(self.title)}</h1>
<p class="lead">{self.lead}</p>
</header>
<main>
{body}
</main>
<footer><p>{self.footer}</p></footer>
{media}
<script>
{script}</script>
</body>
</html>
"""

    def write(self, dst: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the page, whole or not at all. Raises OutputError."""
        with atomic_path(dst, force) as part:
            part.write_text(self.html(), "utf-8")


def tiles(items: Iterable[Tile]) -> str:
    """The most important figures, side by side."""
    cells = "".join(
        f"<div><b>{escape(item.value)}<small>{escape(item.unit)}</small></b><span>{escape(item.text)}</span></div>"
        for item in items
    )
    return f'<div class="tiles card">{cells}</div>'


def slider(
    clip: Clip, original: str, groups: Mapping[str, Sequence[Choice]], start: tuple[int, int] = (0, 0)
) -> str:
    """Two videos in step under one handle; what stands right is chosen by group and, within it, by method."""
    return live(
        "slider",
        _timing(clip)
        | {
            "original": original,
            "start": start,
            "groups": [
                {
                    "label": label,
                    "items": [
                        {"label": c.label, "media": c.media, "caption": c.caption, "color": c.color}
                        for c in choices
                    ],
                }
                for label, choices in groups.items()
            ],
        },
    )


def chart(
    title: str,
    x: Axis,
    y: Axis,
    series: Iterable[Series],
    *,
    start: str = "",
    marks: bool = False,
    logx: bool = False,
    from_zero: bool = False,
    height: int = 270,
) -> str:
    """Curves with axes, units, a legend that hides and shows them, and figures under the pointer.

    marks: points joined by lines instead of a curve over time. start: the group shown at first.
    """
    curves = [
        {
            "name": item.name,
            "color": item.color,
            "dash": item.dash,
            "group": item.group,
            "x": [round(float(value), 5) for value in item.x],
            "y": [round(float(value), 4) for value in item.y],
        }
        for item in series
    ]
    return live(
        "chart",
        {
            "title": title,
            "x": {"label": x.label, "unit": x.unit},
            "y": {"label": y.label, "unit": y.unit},
            "series": curves,
            "start": start,
            "marks": marks,
            "logx": logx,
            "fromZero": from_zero,
            "height": height,
        },
    )


def heat_map(clip: Clip, original: str, cells: NDArray[np.float32], stride: int, unit: str) -> str:
    """Values per region over the playing video.

    cells: (T, rows, columns), not negative, one for each frame; a region is `stride` pixels wide and high. The colours
    rise more slowly than the values, up to the value that one region in a hundred exceeds.
    """
    peak = max(float(np.quantile(cells, 0.99)), 1e-6)
    codes = np.clip(255 * np.sqrt(cells / peak), 0, 255).astype(np.uint8)
    # Shown first is where regions differ most, and not a cut, where everything is new and hard.
    calm = cells.mean((1, 2)) <= np.quantile(cells.mean((1, 2)), 0.9)
    telling = int(np.where(calm, cells.std((1, 2)), -1).argmax())
    return live(
        "heat",
        _timing(clip)
        | {
            "original": original,
            "stride": stride,
            "rows": cells.shape[1],
            "columns": cells.shape[2],
            "peak": peak,
            "unit": unit,
            "start": telling,
            "cells": base64.b64encode(codes.tobytes()).decode(),
        },
    )


def table(columns: Sequence[tuple[str, str]], groups: Mapping[str, Sequence[Row]]) -> str:
    """Rows under group headings. columns: name and unit of each; the first is that of the rows' names."""
    head = "".join(
        f"<th scope=col>{escape(name)}<small>{escape(unit) or '&nbsp;'}</small></th>"
        for name, unit in columns
    )
    bodies = []
    for label, rows in groups.items():
        lines = "".join(_line(row) for row in rows)
        bodies.append(
            f"<tbody><tr><th>{escape(label)}</th>{'<td></td>' * (len(columns) - 1)}</tr>{lines}</tbody>"
        )
    return f'<div class="card scroll"><table><thead><tr>{head}</tr></thead>{"".join(bodies)}</table></div>'


def facts(title: str, rows: Mapping[str, str]) -> str:
    """Names and values."""
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows.items())
    return f'<div class="card facts"><h3>{escape(title)}</h3><dl>{lines}</dl></div>'


def commands(lines: Sequence[tuple[str, str]]) -> str:
    """Command lines, each with what it does."""
    width = max(len(command) for command, _ in lines)
    text = "\n".join(
        f'{escape(command.ljust(width))}  <span class="c"># {escape(comment)}</span>'
        for command, comment in lines
    )
    return f'<pre class="card">{text}</pre>'


def video(path: Path, caption: str) -> str:
    """A short video that plays by itself, over and over, inside the page."""
    data = base64.b64encode(path.read_bytes()).decode()
    source = f"data:{MIME[path.suffix.lower()]};base64,{data}"
    words = f"<figcaption>{escape(caption)}</figcaption>"
    player = f'<video src="{source}" autoplay loop muted playsinline controls></video>'
    return f'<figure class="card">{player}{words}</figure>'


def row(*pieces: str) -> str:
    """Pieces side by side where there is room."""
    return f'<div class="row">{"".join(pieces)}</div>'


def _line(row: Row) -> str:
    marked = (f"<b>{escape(cell)}</b>" if k in row.best else escape(cell) for k, cell in enumerate(row.cells))
    cells = "".join(f"<td>{cell}</td>" for cell in marked)
    watch = (
        f' class="pick" data-media="{row.media}" tabindex=0 title="show it in the slider"'
        if row.media
        else ""
    )
    dot = f'<i class="dot" style="--c:var(--c{row.color})"></i>'
    return f"<tr{watch}><td>{dot}{escape(row.name)}</td>{cells}</tr>"


def _timing(clip: Clip) -> dict[str, Any]:
    # Video elements start their clock at the first frame.
    first = clip.frames[0].time
    return {
        "width": clip.picture.width * clip.picture.sar,
        "height": clip.picture.height,
        "times": [round(float(frame.time - first), 5) for frame in clip.frames],
        "duration": round(clip.seconds, 5),
    }


def live(kind: str, data: Mapping[str, Any]) -> str:
    """A piece that the page's script of that name builds from its data."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, default=float)
    # "</script>" in a name would end the element; JSON reads the escape as the same character.
    text = text.replace("<", "\\u003c")
    look = "card chart" if kind == "chart" else "card"
    return f'<div class="{look}" data-piece="{kind}"><script type="application/json">{text}</script></div>'
