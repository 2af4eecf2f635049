"""An interrupted `segment` goes on where it was, and gives what an uninterrupted one gives, to the byte."""

import json

import cv2
import numpy as np
import pytest

from tests.tasks.test_segment import FRAMES, scene
from vivae.media.kept import Kept
from vivae.tasks import labels_kept
from vivae.tasks.segment import segment
from vivae.vae.moving import REACH, MotionWindow

BOX = {"box": ["60,42,52,50@0.24"]}
WAYS = {
    "auto": {"auto": True},
    "still": {"static_camera": True},
    "prompts": {"box": ["60,42,52,50@0.24", "20,20,30,30@0.4#2"], "not_point": ["5,100@0.24"]},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Twice the scene, mirrored after a cut."""
    folder = tmp_path_factory.mktemp("clip")
    for index in range(2 * FRAMES):
        picture = scene(index % FRAMES)[0]
        shown = picture if index < FRAMES else np.ascontiguousarray(255 - picture[:, ::-1])
        cv2.imwrite(str(folder / f"{index:05d}.png"), shown[..., ::-1])
    return folder


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Something is kept at every frame where that can be, and windows are short."""
    monkeypatch.setattr(labels_kept, "SECONDS", 0.0)
    monkeypatch.setattr("vivae.vae.discover.WINDOW", 5)
    monkeypatch.setattr("vivae.tasks.labelling.CHUNK", 4)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def stopping(*stages):
    """Progress that interrupts at each given number of frames, one a run."""
    left = list(stages)

    def report(part, done, total):
        if left and (part, done) == left[0]:
            left.pop(0)
            raise KeyboardInterrupt

    return report


@pytest.fixture(scope="module")
def whole(clip, tmp_path_factory):
    """What uninterrupted runs give, by way; made once."""
    made = {}

    def give(way):
        if way not in made:
            target = tmp_path_factory.mktemp("whole") / "masks"
            segment(clip, target, **WAYS[way])
            made[way] = contents(target)
        return made[way]

    return give


@pytest.mark.parametrize("way", WAYS)
def test_interrupted_at_several_places_it_gives_the_same(clip, tmp_path, way, whole):
    begun = []
    report = stopping(*(("segmenting", done) for done in (4, 8, 14, 20, 23)), ("writing", 3))

    def watch(part, done, total):
        if part == "segmenting" and not seen:
            seen.append(done)
        report(part, done, total)

    for _ in range(7):
        seen = []
        try:
            segment(clip, tmp_path / "masks", progress=watch, **WAYS[way])
        except KeyboardInterrupt:
            assert not (tmp_path / "masks").exists()
        begun += seen
    assert contents(tmp_path / "masks") == whole(way)
    assert begun == sorted(begun)
    assert begun[0] == 0
    assert begun[-1] == 2 * FRAMES
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


@pytest.mark.parametrize(("way", "most"), [("auto", 3 + REACH + 2), ("prompts", 2 + 2 * REACH)])
def test_finished_work_is_not_done_again(clip, tmp_path, monkeypatch, way, most):
    """Little before the end of the last frames of all, only their motion and that of a few around is worked out."""
    with pytest.raises(KeyboardInterrupt):
        segment(clip, tmp_path / "masks", progress=stopping(("segmenting", 23)), **WAYS[way])
    views = []
    original = MotionWindow._view
    monkeypatch.setattr(MotionWindow, "_view", lambda *given: views.append(0) or original(*given))
    segment(clip, tmp_path / "masks", **WAYS[way])
    assert 0 < len(views) <= most


def test_other_options_and_other_sources_start_anew(clip, tmp_path, whole):
    def first_done(source, **options):
        seen = []
        segment(source, tmp_path / "masks", force=True, **options, progress=lambda *told: seen.append(told))
        return seen[0][1]

    def interrupted():
        with pytest.raises(KeyboardInterrupt):
            segment(clip, tmp_path / "masks", force=True, progress=stopping(("segmenting", 9)), **BOX)

    interrupted()
    assert first_done(clip, box=["60,42,52,51@0.24"]) == 0
    interrupted()
    assert first_done(clip, auto=True) == 0
    assert contents(tmp_path / "masks") == whole("auto")
    interrupted()
    assert first_done(clip, end=0.6, **BOX) == 0
    interrupted()
    picture = clip / "00003.png"
    before = picture.read_bytes()
    try:
        picture.write_bytes(before + b"\0")
        assert first_done(clip, **BOX) == 0
    finally:
        picture.write_bytes(before)
    interrupted()
    assert first_done(clip, **BOX) == 8


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign", "head"])
def test_what_was_damaged_is_done_again(clip, tmp_path, damage, whole):
    with pytest.raises(KeyboardInterrupt):
        segment(clip, tmp_path / "masks", progress=stopping(("segmenting", 9)), **WAYS["still"])
    folder = tmp_path / ".masks.vivae"
    files = sorted(folder.iterdir())
    before = [file.read_bytes() for file in files]
    assert len(files) > 2
    for file, whole_file in zip(files, before, strict=True):
        data = bytearray(whole_file)
        if damage == "cut":
            data = data[: len(data) // 2]
        elif damage == "flip":
            data[-1] ^= 1
        elif damage == "empty":
            data = bytearray()
        elif damage == "foreign":
            data = bytearray(json.dumps({"parts": 3, "check": "none"}).encode())
        else:
            data = bytearray(bytes(data).replace(b'"parts": 8', b'"parts": 7', 1))
        file.write_bytes(bytes(data))
    assert [file.read_bytes() for file in files] != before
    segment(clip, tmp_path / "masks", **WAYS["still"])
    assert contents(tmp_path / "masks") == whole("still")
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


def test_an_overlay_goes_on_too(clip, tmp_path):
    segment(clip, tmp_path / "whole.mkv", form="overlay", codec="ffv1", **BOX)
    report = stopping(("segmenting", 7), ("writing", 5))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            segment(clip, tmp_path / "a.mkv", form="overlay", codec="ffv1", progress=report, **BOX)
    seen = []
    told = segment(
        clip, tmp_path / "a.mkv", form="overlay", codec="ffv1", progress=lambda *t: seen.append(t), **BOX
    )
    assert seen[0] == ("segmenting", 2 * FRAMES, 2 * FRAMES)
    assert told["objects"] == 1
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "whole.mkv"]


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {
        "a": np.arange(6, dtype=np.float64).reshape(2, 3),
        "b c": np.array(7),
        "none": np.zeros((0, 2), np.float32),
        "set": np.array([[True, False]]),
    }
    Kept(tmp_path / "kept", "this").put_arrays("state", {"x": [1, "y"]}, arrays)
    told, found = Kept(tmp_path / "kept", "this").get_arrays("state")
    assert told == {"x": [1, "y"]}
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert np.array_equal(found[name], array)
    assert Kept(tmp_path / "kept", "other").get_arrays("state") is None
