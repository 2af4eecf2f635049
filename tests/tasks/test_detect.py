"""Detection on a small made scene: walkers are usual, a runner is not."""

import csv
import json
from fractions import Fraction

import numpy as np
import pytest

from vivae.app.detecting import detect_score
from vivae.errors import FormatError, InputError
from vivae.media import ColorInfo, Frame, open_writer
from vivae.tasks.bench_detect import auc
from vivae.tasks.detect import detect_fit

SIZE = (240, 160)


def scene(speeds, count, seed=0):
    """Textured squares that cross a textured ground at so many pixels a frame."""
    rng = np.random.default_rng(seed)
    ground = np.kron(rng.integers(80, 150, (20, 30)), np.ones((8, 8))).astype(np.uint8)
    body = np.kron(rng.integers(160, 240, (6, 6)), np.ones((5, 5))).astype(np.uint8)
    grey = np.full((80, 120), 128, np.uint8)
    for step in range(count):
        luma = ground.copy()
        for row, speed in enumerate(speeds):
            left = int(20 + row * 60 + speed * step) % 200
            luma[20 + 50 * row : 50 + 50 * row, left : left + 30] = body
        yield Frame(luma, grey, grey, Fraction(step, 25), Fraction(1, 25), ColorInfo.guess(160))


def write(path, frames):
    frames = list(frames)
    with open_writer(
        path, width=SIZE[0], height=SIZE[1], fps=Fraction(25), color=frames[0].color, codec="h264", crf=18
    ) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.fixture(scope="module")
def normal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("normal")
    for seed in range(4):
        write(folder / f"{seed}.mkv", scene((1, 1.5), 40, seed % 2))
    return folder


@pytest.fixture(scope="module")
def model(normal, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "street.safetensors"
    told = detect_fit(normal, path, model=None)
    assert told["clips"] == 4
    assert told["frames"] == 160
    return path


@pytest.fixture(scope="module")
def unusual(tmp_path_factory):
    walking, running = list(scene((1, 1.5), 30)), list(scene((1, 9), 20))
    for number, frame in enumerate(running):
        frame.time = Fraction(30 + number, 25)
    return write(tmp_path_factory.mktemp("unusual") / "run.mkv", [*walking, *running])


def test_the_runner_is_found_with_a_place_and_a_reason(model, unusual, tmp_path):
    told = detect_score(model, unusual, tmp_path / "scores.csv", report=True)
    assert told["frames"] == 50
    assert told["events"] >= 1
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == list(range(50))
    scores = [float(row["score"]) for row in rows]
    assert np.mean(scores[35:]) > 2 * np.mean(scores[5:25])
    assert not any(int(row["alarm"]) for row in rows[5:25])
    event = json.loads((tmp_path / "scores.events.json").read_text())["events"][0]
    assert event["peak_s"] > 1
    assert "faster" in event["reason"]
    assert 50 <= event["box"][1] + event["box"][3] / 2 <= 120  # the lower lane
    page = (tmp_path / "scores.html").read_text()
    assert "data:image/jpeg" in page
    assert "faster" in page


def test_normal_footage_raises_few_alarms(model, normal, tmp_path):
    told = detect_score(model, normal / "1.mkv", tmp_path / "scores.csv")
    assert told["alarm_frames"] <= 2


def test_more_false_alarms_lower_the_threshold(model, unusual, tmp_path):
    strict = detect_score(model, unusual, tmp_path / "a.csv", false_alarms=0.1)
    loose = detect_score(model, unusual, tmp_path / "b.csv", false_alarms=100)
    assert loose["threshold"] < strict["threshold"]


def test_surprise_counts_too(normal, unusual, tmp_path):
    detect_fit(normal / "0.mkv", tmp_path / "m.safetensors")
    detect_score(tmp_path / "m.safetensors", unusual, tmp_path / "a.csv", start=1)
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 25
    assert float(rows[15]["surprise"]) > 0
    assert float(rows[15]["score"]) >= float(rows[15]["motion"]) - 1e-3


def test_bad_input(model, unusual, tmp_path):
    with pytest.raises(InputError, match="there is no model"):
        detect_score(tmp_path / "none", unusual, tmp_path / "a.csv")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(FormatError):
        detect_score(tmp_path / "bad.safetensors", unusual, tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"\.csv"):
        detect_score(model, unusual, tmp_path / "a.txt")
    other = tmp_path / "other.y4m"
    strip = Frame.from_rgb(np.zeros((100, 300, 3), np.uint8))
    with open_writer(other, width=300, height=100, fps=Fraction(25), color=strip.color) as writer:
        writer.write(strip)
    with pytest.raises(InputError, match="another camera"):
        detect_score(model, other, tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


def test_auc_counts_ties_half():
    truth = np.array([0, 0, 1, 1])
    assert auc(np.array([0.0, 1, 2, 3]), truth) == 1
    assert auc(np.array([1.0, 1, 1, 1]), truth) == 0.5
    assert auc(np.array([3.0, 2, 1, 0]), truth) == 0
