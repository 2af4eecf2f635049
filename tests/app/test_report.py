"""The page: one file that asks for nothing, holds what was put in, and keeps what it is told as text."""

import base64
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vivae.app import report as pages
from vivae.app.report import Axis, Choice, Report, Row, Series, Tile
from vivae.errors import OutputError
from vivae.measure.clip import Clip, load_clip
from vivae.measure.peers import PEERS, encode

NASTY = 'a<b>"&</script><script>alert(1)</script>'
VOID = {"meta", "link", "br", "img", "input"}


class Outline(HTMLParser):
    """Elements with their attributes and text; fails on tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[int, str] = {}
        self.feed(text)
        assert not self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts[len(self.elements) - 1] = self.texts.get(len(self.elements) - 1, "") + data

    def pieces(self) -> dict[str, Any]:
        kinds = [attributes.get("data-piece") for _, attributes in self.elements]
        return {kind: json.loads(self.texts[place + 1]) for place, kind in enumerate(kinds) if kind}


@pytest.fixture(scope="module")
def clip(bikes: Path) -> Clip:
    return load_clip(bikes, frames=4)


@pytest.fixture(scope="module")
def video(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(PEERS["x264 medium"], clip, 35, tmp_path_factory.mktemp("video") / "v.mp4").path


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    return np.random.default_rng(0).gamma(1.0, 0.2, (4, 17, 40)).astype(np.float32)


@pytest.fixture(scope="module")
def page(clip: Clip, video: Path, cells: np.ndarray) -> str:
    report = Report(NASTY, "demo", lead="<b>lead</b>")
    original, other = report.add_media(video), report.add_media(video)
    report.add(pages.tiles([Tile("33.1", "dB", NASTY)]))
    report.section(
        NASTY, "", pages.slider(clip, original, {"100 : 1": [Choice(NASTY, other, "33 dB")]}, start=(0, 0))
    )
    curve = Series(NASTY, 1, [0, 0.04, 0.08, 0.12], [33.1, 33.2, 33.0, 32.9], "100 : 1")
    report.section("c", "", pages.row(pages.chart("Quality", Axis("time", "s"), Axis("PSNR", "dB"), [curve])))
    report.section("h", "", pages.heat_map(clip, original, cells, 16, "bits per pixel"))
    row = Row(NASTY, ("12.0", "33.1"), media=other, best=frozenset({1}))
    report.section("t", "", pages.table([("Method", ""), ("Size", "kB"), ("PSNR", "dB")], {NASTY: [row]}))
    report.section("f", "", pages.facts(NASTY, {NASTY: NASTY}), pages.commands([(NASTY, NASTY)]))
    return report.html()


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    for _, attributes in Outline(page).elements:
        for name in ("src", "href", "action", "srcset"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
    assert "@import" not in page
    assert "fetch(" not in page
    style = page[page.index("<style>") : page.index("</style>")]
    assert all(part.startswith(("data:", '"data:')) for part in style.split("url(")[1:])


def test_names_stay_text(page: str) -> None:
    outline = Outline(page)
    assert page.count("alert(1)") > 5
    scripts = [text for place, text in outline.texts.items() if outline.elements[place][0] == "script"]
    plain = [a for tag, a in outline.elements if tag == "script" and "type" not in a]
    assert len(plain) == 1
    assert not any("alert(1)" in text for text in scripts if "use strict" in text)
    assert outline.pieces()["slider"]["groups"][0]["items"][0]["label"] == NASTY


def test_media_are_inside(page: str, video: Path) -> None:
    outline = Outline(page)
    stores = {
        attributes["id"]: outline.texts[place]
        for place, (_, attributes) in enumerate(outline.elements)
        if (attributes.get("id") or "").startswith("media-")
    }
    assert len(stores) == 2
    slider = outline.pieces()["slider"]
    for key in (slider["original"], slider["groups"][0]["items"][0]["media"]):
        assert base64.b64decode(stores[f"media-{key}"]) == video.read_bytes()


def test_the_slider_knows_the_times_of_the_frames(page: str, clip: Clip) -> None:
    slider = Outline(page).pieces()["slider"]
    assert slider["times"] == pytest.approx([0, 0.04, 0.08, 0.12])
    assert slider["duration"] == pytest.approx(0.16)
    assert (slider["width"], slider["height"]) == (clip.picture.width, clip.picture.height)


def test_the_heat_map_gives_the_values_back(page: str, cells: np.ndarray) -> None:
    heat = Outline(page).pieces()["heat"]
    codes = np.frombuffer(base64.b64decode(heat["cells"]), np.uint8).reshape(cells.shape)
    back = (codes / 255.0) ** 2 * heat["peak"]
    inside = cells < heat["peak"]
    assert inside.mean() >= 0.98
    # One step of 255 on a square-root scale.
    assert np.abs(np.sqrt(back) - np.sqrt(cells))[inside].max() <= np.sqrt(heat["peak"]) / 255 + 1e-6


def test_charts_keep_their_figures_axes_and_units(page: str) -> None:
    found = Outline(page).pieces()["chart"]
    assert found["y"] == {"label": "PSNR", "unit": "dB"}
    assert found["series"][0]["y"] == [33.1, 33.2, 33.0, 32.9]


def test_best_cells_stand_out_and_rows_can_be_watched(page: str) -> None:
    assert "<td>12.0</td><td><b>33.1</b></td>" in page
    assert 'data-media="1"' in page


def test_figures_that_are_no_numbers_are_refused(clip: Clip) -> None:
    with pytest.raises(ValueError, match="JSON"):
        pages.chart("t", Axis("x"), Axis("y"), [Series("s", 1, [0.0], [float("nan")])])


def test_writing_is_whole_and_asks_before_replacing(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    Report("one", "k").write(target)
    with pytest.raises(OutputError, match="exists"):
        Report("two", "k").write(target)
    Report("two", "k").write(target, force=True)
    assert "<h1>two</h1>" in target.read_text("utf-8")
    assert list(tmp_path.iterdir()) == [target]
