"""The pages with the players, which stand inside the workbench and alone: a clip, or two videos in step.

They are made of the pieces that the reports have; the media stay where they are and are asked for by address.
"""

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from vivae.app.report import live

MOST_TIMES = 200_000
WORKBENCH = "workbench.js"
"""All scripts of the workbench in one: those that Gradio puts into a page run in the order in which they come in."""
WORKBENCH_PARTS = ("player.js", "bench.js", "nav.js", "tray.js", "viewer.js", "queue.js")


def source_page(title: str, facts: Mapping[str, Any], place: str) -> str:
    """A clip to look through and to point into; place: its address, below which are its view and its masks."""
    data = timing(facts) | {
        "media": f"{place}/view",
        "masks": f"{place}/mask",
        "title": title,
        "pixels": [facts["width"], facts["height"]],
    }
    return _page(title, "source", data, ("player.js", "slider.js"), ("source.js",))


def video_page(title: str, facts: Mapping[str, Any], media: str) -> str:
    """A video to look through."""
    data = timing(facts) | {
        "media": media,
        "title": title,
        "pixels": [facts["width"], facts["height"]],
    }
    return _page(title, "source", data, ("player.js", "slider.js"), ("source.js",))


def compare_page(
    title: str, facts: Mapping[str, Any], before: str, after: str, labels: Sequence[str] = ("Before", "After")
) -> str:
    """Two videos in step. facts: of the part of the clip that is compared."""
    data = timing(facts) | {
        "original": before,
        "original_label": labels[0],
        "groups": [{"label": "", "items": [{"label": labels[1], "media": after, "caption": "", "color": 1}]}],
        "start": [0, 0],
    }
    return _page(title, "slider", data, ("player.js", "slider.js"), ())


def timing(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Times of frames at the clip's rate, and the shape of the picture."""
    count = max(1, min(int(facts["frames"]), MOST_TIMES))
    fps = facts["fps"] or 25.0
    return {
        "width": facts["width"] * facts["sar"],
        "height": facts["height"],
        "times": [round(index / fps, 5) for index in range(count)],
        "duration": round(count / fps, 5),
    }


def _page(title: str, kind: str, data: Mapping[str, Any], shared: Sequence[str], own: Sequence[str]) -> str:
    names = (*shared, *own, "page.js", "frame.js")
    scripts = "\n".join(f'<script src="/v/assets/{name}"></script>' for name in names)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/v/assets/page.css">
<link rel="stylesheet" href="/v/assets/frame.css">
</head>
<body class="frame">
{live(kind, data)}
{scripts}
</body>
</html>
"""


def asset(name: str) -> bytes | None:
    """A script or style by its name, from this package's assets or the reports'."""
    if name == WORKBENCH:
        return b"\n".join([*(asset(part) or b"" for part in WORKBENCH_PARTS), b"vivaeBench.start();"])
    app = resources.files("vivae.app")
    for folder in (app / "web" / "assets", app / "report_assets"):
        for file in folder.iterdir():
            if file.name == name:
                return file.read_bytes()
    return None
