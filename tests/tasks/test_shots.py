"""Shots: found where they are, at any length, written in every form, and parted without loss."""

import json

import cv2
import numpy as np
import pytest

import vivae
from vivae.errors import InputError
from vivae.measure.transitions import boundary_hits, cut_hits, gradual_hits
from vivae.media import open_video, probe
from vivae.tasks.bench_splices import write_splice
from vivae.train.footage import footage_of
from vivae.train.splices import Splice, make_splice
from vivae.vae.shot_finder import ShotFinder
from vivae.vae.shot_head import BLOCK, Judge, load_head
from vivae.vae.shot_signs import REACH, SIGNS, rows_of, thumb_of


@pytest.fixture(scope="module")
def footage(bikes, bunny):
    clips = footage_of([bikes, bunny], (320, 180), 90)
    return [shot for name in ("bikes", "bigbuckbunny") for shot in clips[name]]


@pytest.fixture(scope="module")
def parts(footage):
    """Three stretches of 40 frames that have nothing in common, 320x180: a film, its end upside down, a texture."""
    film = footage[-1]
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (180, 400, 3)), (0, 0), 9)
    texture = np.clip(128 + 400 * noise, 0, 255).astype(np.uint8)
    return [film[:40], np.stack([texture[:, k : k + 320] for k in range(40)]), film[-40:, ::-1]]


@pytest.fixture(scope="module")
def clip(parts, tmp_path_factory):
    """A cut, a flash that is none, and a dissolve."""
    a, b, c = (part.astype(np.float32) for part in parts)
    b = b.copy()
    b[18:20, ..., 0] += 90
    share = (np.arange(1, 13) / 13)[:, None, None, None]
    frames = np.concatenate([a, b[:-12], b[-12:] * (1 - share) + c[:12] * share, c[12:]])
    splice = Splice(np.clip(frames, 0, 255).astype(np.uint8), [40], [(68, 80, "dissolve")])
    path = tmp_path_factory.mktemp("shots") / "spliced.mp4"
    write_splice(splice, path)
    return path


def test_a_cut_and_a_dissolve_are_found_and_a_flash_is_neither(clip):
    found = vivae.shots(clip)
    first, second, third = found["shots"]
    assert (first["first_frame"], first["last_frame"], first["transition"]) == (0, 39, "start")
    assert (second["first_frame"], second["transition"]) == (40, "cut")
    assert third["transition"] == "dissolve"
    assert abs(third["transition_first_frame"] - 68) <= 3
    assert abs(third["transition_last_frame"] - 79) <= 3
    assert third["last_frame"] == found["frames"] - 1 == 107
    assert sum(shot["duration_s"] for shot in found["shots"]) == pytest.approx(108 / 25)


def test_part_of_a_clip_keeps_the_clock_of_the_whole(clip):
    found = vivae.shots(clip, start=2, end=2.6)
    assert len(found["shots"]) == 1
    assert found["shots"][0]["start_s"] == pytest.approx(2)
    assert found["shots"][0]["end_s"] == pytest.approx(2.6)


def test_every_format_tells_the_same_shots(clip, tmp_path):
    found = vivae.shots(clip, tmp_path / "s.json")["shots"]
    assert json.loads((tmp_path / "s.json").read_text())["shots"] == found
    vivae.shots(clip, tmp_path / "s.csv")
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert len(lines) == 1 + len(found)
    assert lines[2].startswith("2,40,")
    vivae.shots(clip, tmp_path / "s.edl")
    events = [line for line in (tmp_path / "s.edl").read_text().splitlines() if line[:3].isdigit()]
    assert events[1].split()[4] == "00:00:01:15"
    assert len(events) == len(found)


def test_pieces_hold_every_frame_of_their_shot(clip, tmp_path):
    found = vivae.shots(clip, split=tmp_path / "copied")
    with open_video(clip) as reader:
        original = [frame.y for frame in reader]
    for shot, piece in zip(found["shots"], found["pieces"], strict=True):
        with open_video(piece["file"]) as reader:
            seen = [frame.y for frame in reader]
        wanted = original[shot["first_frame"] : shot["last_frame"] + 1]
        assert len(seen) == len(wanted) + piece["frames_before"] + piece["frames_after"]
        for a, b in zip(wanted, seen[piece["frames_before"] :], strict=False):
            assert np.array_equal(a, b)
        assert piece["at_key_frame"] == (piece["frames_before"] == 0)


def test_exact_pieces_hold_nothing_else(clip, tmp_path):
    found = vivae.shots(clip, split=tmp_path / "exact", exact=True)
    for shot, piece in zip(found["shots"], found["pieces"], strict=True):
        assert probe(piece["file"]).frames == shot["last_frame"] - shot["first_frame"] + 1


def test_answers_do_not_depend_on_blocks():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(BLOCK + 150, SIGNS)).astype(np.float32)
    judge = Judge()
    found = [pair for row in rows for pair in judge.push(row)] + judge.finish()
    import torch

    line = np.concatenate([rows[:1].repeat(31, 0), rows, rows[-1:].repeat(31, 0)])
    with torch.no_grad():
        whole = torch.sigmoid(load_head()(torch.from_numpy(line.T.copy())[None]))[0, :, 31:-31].T.numpy()
    assert np.allclose(np.array(found), whole, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 2, REACH, 2 * REACH + 3])
def test_there_is_a_row_and_an_answer_for_every_frame(count):
    frame = np.full((36, 64), 90, np.uint8)
    thumbs = [thumb_of((frame, frame[::2, ::2], frame[::2, ::2]))] * count
    assert len(list(rows_of(thumbs))) == count
    finder = ShotFinder()
    for _ in range(count):
        finder.push((frame, frame[::2, ::2], frame[::2, ::2]))
    assert finder.finish() == []


def test_splices_are_as_told(footage):
    splice = make_splice(np.random.default_rng(3), footage, (64, 36), 8)
    again = make_splice(np.random.default_rng(3), footage, (64, 36), 8)
    assert np.array_equal(splice.frames, again.frames)
    assert len(splice.cuts) + len(splice.graduals) == 7
    for at in splice.cuts:
        assert 0 < at < len(splice.frames)
    for first, end, _ in splice.graduals:
        assert 0 < first < end < len(splice.frames)


def test_hits_are_counted_as_told():
    assert cut_hits([10, 20], [10, 21]).f1 == pytest.approx(0.5)
    assert gradual_hits([(5, 9), (20, 30)], [(8, 12), (40, 44)]).f1 == pytest.approx(0.5)
    cuts, graduals = boundary_hits([50], [(10, 20)], [15, 17, 50, 80])
    assert (cuts.found, cuts.false, graduals.found) == (1, 1, 1)


def test_other_forms_are_refused(clip, tmp_path):
    with pytest.raises(InputError, match=r"\.csv"):
        vivae.shots(clip, tmp_path / "s.txt")
    with pytest.raises(InputError, match="--split"):
        vivae.shots(clip, exact=True)
