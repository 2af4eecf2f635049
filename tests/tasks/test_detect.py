"""Detection on a small made scene: walkers are usual, a runner is not."""

import csv
import json
import os
import shutil
import threading
import time
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

import vivae
from vivae.errors import FormatError, InputError, OutputError
from vivae.media import ColorInfo, Frame, live, open_video, open_writer
from vivae.tasks.anomaly_maps import strangeness_map
from vivae.tasks.bench_detect import auc

SIZE = (240, 160)


def scene(speeds, count, seed=0, body=None, starts=None):
    """Textured squares that cross a textured ground at so many pixels a frame, from places that depend on the seed."""
    fixed, drawn = np.random.default_rng(9), np.random.default_rng(seed)
    ground = np.kron(fixed.integers(80, 150, (20, 30)), np.ones((8, 8))).astype(np.uint8)
    usual = np.kron(fixed.integers(160, 240, (6, 6)), np.ones((5, 5))).astype(np.uint8)
    grey = np.full((80, 120), 128, np.uint8)
    starts = drawn.integers(0, 200, len(speeds)) if starts is None else starts
    for step in range(count):
        luma = ground.copy()
        for row, (start, speed) in enumerate(zip(starts, speeds, strict=True)):
            left = int(start + speed * step) % 205
            luma[20 + 50 * row : 50 + 50 * row, left : left + 30] = usual if body is None else body
        yield Frame(luma, grey, grey, Fraction(step, 25), Fraction(1, 25), ColorInfo.guess(160))


def write(path, frames):
    frames = list(frames)
    with open_writer(
        path, width=SIZE[0], height=SIZE[1], fps=Fraction(25), color=frames[0].color, codec="h264", crf=18
    ) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def after(first, then):
    """Frames, and others after them."""
    first, then = list(first), list(then)
    for number, frame in enumerate(then):
        frame.time = Fraction(len(first) + number, 25)
    return [*first, *then]


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def normal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("normal")
    for seed in range(8):
        write(folder / f"{seed}.mkv", scene((2, 3), 40, seed))
    return folder


@pytest.fixture(scope="module")
def model(normal, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "street.safetensors"
    told = vivae.detect_fit(normal, path, steps=60)
    assert told["clips"] == 8
    assert told["frames"] == 320
    return path


@pytest.fixture(scope="module")
def unusual(tmp_path_factory):
    frames = after(scene((2, 3), 40, 20), scene((2, 7), 28, starts=(20, 4)))
    return write(tmp_path_factory.mktemp("unusual") / "run.mkv", frames)


def test_the_runner_is_found_with_a_place_and_a_reason(model, unusual, tmp_path):
    told = vivae.detect_score(model, unusual, tmp_path / "scores.csv", report=True)
    assert told["frames"] == 68
    assert told["events"] >= 1
    rows = table(tmp_path / "scores.csv")
    assert [int(row["frame"]) for row in rows] == list(range(68))
    scores = [float(row["score"]) for row in rows]
    assert np.mean(scores[52:]) > np.max(scores[:20]) + 0.5
    assert not any(int(row["alarm"]) for row in rows[:20])
    for row in rows[25:26] + rows[60:61]:
        assert float(row["score"]) == pytest.approx(float(row["motion"]) + float(row["surprise"]), abs=1e-3)
    event = json.loads((tmp_path / "scores.events.json").read_text())["events"][0]
    assert event["peak_s"] > 1.4
    assert "faster" in event["reason"]
    assert 50 <= event["box"][1] + event["box"][3] / 2 <= 120  # the lower lane
    page = (tmp_path / "scores.html").read_text()
    assert "data:image/jpeg" in page
    assert "Faster than" in page


def test_a_strange_look_at_usual_speed_counts_too(model, tmp_path):
    strange = np.tile([[0], [255]], (15, 30)).astype(np.uint8)
    clip = write(tmp_path / "look.mkv", after(scene((2, 3), 40, 30), scene((2, 3), 30, 30, strange)))
    vivae.detect_score(model, clip, tmp_path / "a.csv")
    surprise = [float(row["surprise"]) for row in table(tmp_path / "a.csv")]
    assert np.mean(surprise[58:]) > np.max(surprise[:20])


def test_normal_footage_raises_few_alarms(model, tmp_path):
    clip = write(tmp_path / "more.mkv", scene((2, 3), 60, 50))
    told = vivae.detect_score(model, clip, tmp_path / "scores.csv")
    assert told["alarm_frames"] <= 6


def test_an_empty_view_is_not_strange(model, tmp_path):
    clip = write(tmp_path / "empty.mkv", scene((), 20))
    assert vivae.detect_score(model, clip, tmp_path / "a.csv")["events"] == 0


def test_a_few_abnormal_frames_among_the_normal_do_little_harm(normal, unusual, tmp_path):
    folder = tmp_path / "dirty"
    shutil.copytree(normal, folder)
    write(folder / "00.mkv", scene((2, 7), 9, starts=(20, 60)))
    vivae.detect_fit(folder, tmp_path / "m.safetensors", steps=60)
    vivae.detect_score(tmp_path / "m.safetensors", unusual, tmp_path / "a.csv")
    scores = [float(row["score"]) for row in table(tmp_path / "a.csv")]
    assert np.mean(scores[52:]) > np.max(scores[:20])


def test_the_same_seed_gives_the_same_model(normal, tmp_path):
    for name in ("a", "b"):
        vivae.detect_fit(normal / "0.mkv", tmp_path / f"{name}.safetensors", steps=5, seed=3)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("kind", ["pipe", "growing"])
def test_a_source_that_is_still_being_made_gives_the_same_scores(model, unusual, tmp_path, kind, monkeypatch):
    whole = tmp_path / "whole.ts"
    with open_video(unusual) as reader, av.open(whole, "w", format="mpegts") as target:
        stream = target.add_stream("libx264", rate=25, width=SIZE[0], height=SIZE[1])
        for frame in reader:
            target.mux(stream.encode(av.VideoFrame.from_ndarray(frame.to_rgb(), format="rgb24")))
        target.mux(stream.encode())
    data = whole.read_bytes()
    vivae.detect_score(model, whole, tmp_path / "whole.csv")
    place = tmp_path / "live.ts"
    monkeypatch.setattr(live, "PATIENCE", 1.5)
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.write_bytes(data[: len(data) // 3])

    def make():
        with place.open("ab" if kind == "growing" else "wb") as file:
            for at in range(len(data) // 3 if kind == "growing" else 0, len(data), 20_000):
                file.write(data[at : at + 20_000])
                file.flush()
                time.sleep(0.02)

    maker = threading.Thread(target=make)
    maker.start()
    told = vivae.detect_score(model, place, tmp_path / "live.csv", follow=kind == "growing")
    maker.join()
    assert told["frames"] == 68
    scores = [[float(row["score"]) for row in table(tmp_path / f"{name}.csv")] for name in ("whole", "live")]
    assert scores[1] == pytest.approx(scores[0], abs=2e-3)


def test_maps_say_where(model, unusual, tmp_path):
    scores, folder, shown = tmp_path / "a.csv", tmp_path / "maps", tmp_path / "shown.mp4"
    vivae.detect_score(model, unusual, scores, maps=folder)
    maps = np.stack([cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in sorted(folder.iterdir())])
    assert maps.shape == (68, SIZE[1], SIZE[0])
    assert maps.dtype == np.uint8
    # The runner is in the lower lane, from frame 40 on; the walker above it stays usual.
    assert maps[45:, 70:].max((1, 2)).mean() > 2 * maps[45:, :60].max((1, 2)).mean()
    assert maps[45:, 70:].max((1, 2)).mean() > 2 * maps[:35].max((1, 2)).mean()
    vivae.detect_score(model, unusual, scores, maps=shown, force=True)
    with open_video(unusual) as plain, open_video(shown) as coloured:
        pairs = list(zip(plain, coloured, strict=True))
    assert all(abs(a.time - b.time) < 0.001 for a, b in pairs)
    changed = np.stack([np.abs(a.u.astype(int) - b.u) for a, b in pairs])
    assert changed[45:, 35:].max() > 20
    with pytest.raises(InputError, match="folder or a video"):
        vivae.detect_score(model, unusual, tmp_path / "b.csv", maps=tmp_path / "maps.txt")
    with pytest.raises(OutputError):
        vivae.detect_score(model, unusual, tmp_path / "b.csv", maps=unusual, force=True)
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "a.events.json", "maps", "shown.mp4"}


def test_a_map_ends_with_the_picture():
    found = strangeness_map(40, 60, [((-10, 10, 30, 20), 0.5), ((10, 10, 20, 20), 2.0), ((5, 5, 9, 9), -1.0)])
    assert found.shape == (40, 60)
    assert found[20, 20] == pytest.approx(2.0)
    assert found[20, 2] == pytest.approx(0.5)
    assert found[:10].max() == found[30:].max() == found[:, 30:].max() == 0


def test_more_false_alarms_lower_the_threshold(model, unusual, tmp_path):
    strict = vivae.detect_score(model, unusual, tmp_path / "a.csv", false_alarms=0.1)
    loose = vivae.detect_score(model, unusual, tmp_path / "b.csv", false_alarms=100)
    assert loose["threshold"] < strict["threshold"]


def test_bad_input(model, unusual, tmp_path):
    with pytest.raises(InputError, match="there is no model"):
        vivae.detect_score(tmp_path / "none", unusual, tmp_path / "a.csv")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(FormatError):
        vivae.detect_score(tmp_path / "bad.safetensors", unusual, tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"\.csv"):
        vivae.detect_score(model, unusual, tmp_path / "a.txt")
    other = tmp_path / "other.y4m"
    strip = Frame.from_rgb(np.zeros((100, 300, 3), np.uint8))
    with open_writer(other, width=300, height=100, fps=Fraction(25), color=strip.color) as writer:
        writer.write(strip)
    still = write(tmp_path / "still.mkv", scene((), 20))
    with pytest.raises(InputError, match="nothing moves"):
        vivae.detect_fit(still, tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()
    with pytest.raises(InputError, match="another camera"):
        vivae.detect_score(model, other, tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


def test_auc_counts_ties_half():
    truth = np.array([0, 0, 1, 1])
    assert auc(np.array([0.0, 1, 2, 3]), truth) == 1
    assert auc(np.array([1.0, 1, 1, 1]), truth) == 0.5
    assert auc(np.array([3.0, 2, 1, 0]), truth) == 0
