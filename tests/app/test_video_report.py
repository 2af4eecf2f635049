"""The report of a video: one file that loads nothing, with what it promises; the summary keeps to its length."""

import base64
import json
import re

import numpy as np
import pytest

import vivae
from vivae.errors import InputError, OutputError
from vivae.media import probe
from vivae.tasks.gauges import Gauges
from vivae.tasks.summary import summary_pieces
from vivae.tasks.survey import survey


@pytest.fixture(scope="module")
def made(bikes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    result = vivae.report(bikes, folder / "bikes.html", end=4, summary=1.5, surprise=False)
    return result, (folder / "bikes.html").read_text(), folder


def test_the_page_is_whole_and_loads_nothing(made):
    result, page, _ = made
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert set(re.findall(r'data-shot="(\d+)"', page)) == {str(k + 1) for k in range(result["shots"])}
    assert result["description"].split(".")[0] in page


def test_the_downloads_agree_with_the_result(made):
    result, page, _ = made
    data = re.search(r'download="bikes-report.json" href="data:application/json;base64,([^"]+)"', page)
    told = json.loads(base64.b64decode(data[1]))
    assert told["frames"] == 100
    assert len(told["shots"]) == result["shots"]
    assert told["moments"] == result["moments"]
    rows = re.search(r'download="bikes-frames.csv" href="data:text/csv;base64,([^"]+)"', page)
    assert len(base64.b64decode(rows[1]).decode().splitlines()) == 101


def test_the_summary_is_as_long_as_asked_for(made):
    result, _, folder = made
    assert result["summary_s"] == pytest.approx(1.5, abs=0.35)
    assert float(probe(folder / "bikes-summary.mp4").duration) == pytest.approx(result["summary_s"], abs=0.1)


def test_names_are_escaped(bikes, tmp_path):
    odd = tmp_path / "<b>&.mp4"
    odd.write_bytes(bikes.read_bytes())
    vivae.report(odd, tmp_path / "r.html", end=0.4, surprise=False)
    assert "<h1>&lt;b&gt;&amp;.mp4</h1>" in (tmp_path / "r.html").read_text()


def test_bad_requests_are_refused_before_work(bikes, tmp_path):
    with pytest.raises(InputError, match=r"\.html"):
        vivae.report(bikes, tmp_path / "r.pdf")
    (tmp_path / "r.html").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        vivae.report(bikes, tmp_path / "r.html")
    with pytest.raises(InputError, match="shorter"):
        vivae.report(bikes, tmp_path / "s.html", summary=60, end=1, surprise=False)
    assert not (tmp_path / "s.html").exists()


def test_pieces_of_a_summary_stay_within_shots(bikes):
    found = survey(bikes, model=None, end=4)
    pieces = summary_pieces(found, 1.5)
    for piece in pieces:
        owners = [s for s in found.shots if s.start_s - 1e-6 <= piece.start and piece.end <= s.end_s + 1e-6]
        assert len(owners) == 1
    assert all(a.end <= b.start + 1e-6 for a, b in zip(pieces, pieces[1:], strict=False))


def test_gauges_rank_what_was_done_to_a_picture(bikes):
    import cv2

    from vivae.media import open_video

    with open_video(bikes, start=6) as reader:
        frame = next(reader)
    plain = Gauges().read(frame)
    y = frame.y
    frame.y = np.asarray(cv2.GaussianBlur(y, (0, 0), 2.5), np.uint8)
    assert Gauges().read(frame).sharpness < plain.sharpness - 5
    noise = np.random.default_rng(0).normal(0, 8, y.shape)
    frame.y = np.clip(y + noise, 0, 255).astype(np.uint8)
    assert Gauges().read(frame).noise > plain.noise + 4
    frame.y = (y // 4).astype(np.uint8)
    assert Gauges().read(frame).brightness < plain.brightness - 10


def test_what_is_unusual_for_a_camera_is_on_the_page(bikes, tmp_path):
    vivae.detect_fit(bikes, tmp_path / "street.safetensors", steps=5)
    told = vivae.report(
        bikes,
        tmp_path / "street.html",
        anomaly=tmp_path / "street.safetensors",
        surprise=False,
        end=2,
    )
    page = (tmp_path / "street.html").read_text("utf-8")
    assert "What is unusual here" in page
    assert page.count('class="card event"') == sum(m["kind"] == "unusual" for m in told["moments"])


def test_objects_are_on_the_page_with_their_tracks(bunny, tmp_path):
    told = vivae.report(bunny, tmp_path / "b.html", objects=True, surprise=False, start=1.6, end=2.0)
    page = (tmp_path / "b.html").read_text("utf-8")
    assert "What moves by itself" in page
    assert "b-tracks.csv" not in page
    assert "bigbuckbunny-tracks.csv" in page
    assert told["objects"]
    for track in told["objects"]:
        assert 0 < track["share"] < 1
        assert 0 <= track["first"] <= track["best"] <= track["last"] < 0.4
        assert f"Object {track['number']}<span>" in page
