"""Objects are found and followed, forwards and backwards, and come out as masks, cut-outs and overlays."""

import csv
import json

import cv2
import numpy as np
import pytest

from vivae.errors import InputError, OutputError
from vivae.media import open_video
from vivae.media.indexed import encode_indexed, read_indexed
from vivae.media.masks import read_masks
from vivae.tasks.compress import compress
from vivae.tasks.enhance import enhance
from vivae.tasks.segment import segment
from vivae.tasks.stylize import stylize

SIZE = (160, 122)
FRAMES = 12


def scene(index, still=False):
    """A disc that crosses a ground that the camera pans over: RGB and the disc's mask."""
    rng = np.random.default_rng(3)
    ground = cv2.GaussianBlur(rng.uniform(0, 255, (160, 260, 3)), (0, 0), 2.5)
    ground = np.clip(100 + 3 * (ground - ground.mean()), 0, 255)
    skin = np.clip(cv2.GaussianBlur(rng.uniform(0, 255, (64, 64, 3)), (0, 0), 2) * (1.6, 0.5, 0.4), 0, 255)
    pan = 0 if still else 2 * index
    frame = ground[10 : 10 + SIZE[1], 20 + pan : 20 + pan + SIZE[0]].copy()
    x, y = 110 - 5 * index, 60 + index
    disc = cv2.circle(np.zeros(SIZE[::-1], np.uint8), (x, y), 22, 1, cv2.FILLED) > 0
    rows, columns = np.nonzero(disc)
    frame[disc] = skin[(rows - y) % 64, (columns - x) % 64]
    return frame.astype(np.uint8), disc


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    for index in range(FRAMES):
        cv2.imwrite(str(folder / f"{index:05d}.png"), scene(index)[0][..., ::-1])
    return folder


def masks_in(folder):
    return [read_indexed(path) for path in sorted(folder.glob("*.png"))]


def overlaps(folder):
    found = [labels == 1 for labels in masks_in(folder)]
    true = [scene(index)[1] for index in range(FRAMES)]
    return [(a & b).sum() / (a | b).sum() for a, b in zip(found, true, strict=True)]


@pytest.mark.parametrize(
    "prompt",
    [{"box": ["60,42,52,50@0.24"]}, {"point": ["82,66@0.24"]}],
    ids=["box", "point"],
)
def test_what_is_pointed_at_is_followed_both_ways(clip, tmp_path, prompt):
    told = segment(clip, tmp_path / "masks", **prompt)
    assert (told["frames"], told["objects"]) == (FRAMES, 1)
    assert min(overlaps(tmp_path / "masks")) > 0.7


def test_a_mask_is_taken_as_it_is_and_ids_stay(clip, tmp_path):
    disc = scene(4)[1]
    labels = np.where(disc, 1, 0).astype(np.uint8)
    labels[:20, :30] = 7
    (tmp_path / "ids.png").write_bytes(encode_indexed(labels))
    segment(clip, tmp_path / "masks", mask=[f"{tmp_path / 'ids.png'}@0.16"])
    found = masks_in(tmp_path / "masks")
    assert (found[4] == labels).mean() > 0.99
    assert {1, 7} <= set(np.unique(found[5]))
    assert min(overlaps(tmp_path / "masks")) > 0.75
    rows = list(csv.DictReader((tmp_path / "masks" / "tracks.csv").open()))
    assert [row["frame"] for row in rows if row["object"] == "1"] == [str(index) for index in range(FRAMES)]
    assert len(json.loads((tmp_path / "masks" / "objects.json").read_text())["images"]) == FRAMES


def test_a_correction_takes_effect_from_its_time_on(clip, tmp_path):
    wrong = np.zeros(SIZE[::-1], np.uint8)
    wrong[90:120, 5:60] = 255
    cv2.imwrite(str(tmp_path / "wrong.png"), wrong)
    right = scene(6)[1].astype(np.uint8) * 255
    cv2.imwrite(str(tmp_path / "right.png"), right)
    segment(clip, tmp_path / "masks", mask=[f"{tmp_path / 'wrong.png'}@0", f"{tmp_path / 'right.png'}@0.24"])
    found = overlaps(tmp_path / "masks")
    assert max(found[:6]) < 0.3
    assert min(found[6:]) > 0.7


def test_what_moves_is_found_by_itself(clip, tmp_path):
    segment(clip, tmp_path / "masks", auto=True)
    found = [labels > 0 for labels in masks_in(tmp_path / "masks")]
    true = [scene(index)[1] for index in range(FRAMES)]
    assert np.mean([(a & b).sum() / (a | b).sum() for a, b in zip(found, true, strict=True)]) > 0.5


def test_a_still_camera_sees_what_passes(tmp_path):
    (tmp_path / "in").mkdir()
    ground = scene(0, still=True)[0]
    disc = scene(0)[1]
    ground[disc] = 90
    for index in range(30):
        frame, _ = scene(index - 18, still=True) if index >= 20 else (ground, None)
        frame = frame.copy()
        cv2.imwrite(str(tmp_path / "in" / f"{index:05d}.png"), frame[..., ::-1])
    told = segment(tmp_path / "in", tmp_path / "masks", static_camera=True)
    found = [labels > 0 for labels in masks_in(tmp_path / "masks")]
    assert told["frames"] == 30
    assert not any(mask.any() for mask in found[:20])
    for index in range(20, 30):
        true = scene(index - 18)[1]
        assert (found[index] & true).sum() / true.sum() > 0.8


def test_masks_feed_the_other_verbs(clip, tmp_path):
    disc = scene(0)[1].astype(np.uint8) * 255
    cv2.imwrite(str(tmp_path / "disc.png"), disc)
    segment(clip, tmp_path / "masks", mask=[f"{tmp_path / 'disc.png'}"])
    masks = list(read_masks(tmp_path / "masks", *SIZE))
    assert [bool(mask.any()) for mask in masks] == [True] * FRAMES
    stylize(clip, tmp_path / "styled.mkv", style="wave", mask=tmp_path / "masks", codec="ffv1")
    compress(clip, tmp_path / "small.mp4", roi=tmp_path / "masks", speed=10)
    enhance(clip, tmp_path / "better.mp4", deblur=True, mask=tmp_path / "masks")
    for name in ("styled.mkv", "small.mp4", "better.mp4"):
        with open_video(tmp_path / name) as reader:
            assert len(list(reader)) == FRAMES


def test_overlays_keep_what_is_outside_and_cutouts_hide_it(clip, tmp_path):
    cv2.imwrite(str(tmp_path / "disc.png"), scene(0)[1].astype(np.uint8) * 255)
    prompt = {"mask": [f"{tmp_path / 'disc.png'}"]}
    segment(clip, tmp_path / "over.mkv", form="overlay", codec="ffv1", **prompt)
    with open_video(tmp_path / "over.mkv") as shown, open_video(clip) as source:
        after, before = next(shown), next(source)
    outside = cv2.dilate(scene(0)[1].astype(np.uint8), np.ones((9, 9))) == 0
    assert np.array_equal(after.y[outside], before.y[outside])
    assert np.abs(after.v[25:35, 50:60].astype(int) - before.v[25:35, 50:60]).mean() > 5
    segment(clip, tmp_path / "cut", form="cutout", **prompt)
    pixels = cv2.imread(str(tmp_path / "cut" / "00000.png"), cv2.IMREAD_UNCHANGED)
    assert pixels[60, 110, 3] == 255
    assert not pixels[outside, 3].any()


def test_single_images_and_single_frames(clip, tmp_path):
    told = segment(clip / "00000.png", tmp_path / "one", box="86,38,50,46")
    assert (told["frames"], told["objects"]) == (1, 1)
    assert segment(clip / "00000.png", tmp_path / "none", auto=True)["objects"] == 0


@pytest.mark.parametrize(
    "options",
    [
        {"point": ["5,5"], "auto": True},
        {"auto": True, "static_camera": True},
        {"point": ["5"]},
        {"point": ["500,5"]},
        {"point": ["5,5@99"]},
        {"not_point": ["5,5"]},
        {"box": ["5,5,0,10"]},
        {"box": ["5,5,10,10@x"]},
        {"point": ["5,5@0#21"]},
        {"mask": ["nothing.png@0"]},
        {"form": "hologram"},
        {"static_camera": True, "form": "cutout", "codec": "av1"},
    ],
)
def test_bad_requests_are_refused_and_leave_nothing(clip, tmp_path, options):
    with pytest.raises(InputError):
        segment(clip, tmp_path / ("out.webm" if options.get("form") == "cutout" else "out"), **options)
    assert not list(tmp_path.iterdir())


def test_the_input_is_never_overwritten(clip, tmp_path):
    with pytest.raises(OutputError):
        segment(clip, clip, auto=True, force=True)
    with pytest.raises(InputError, match="folder"):
        segment(clip, tmp_path / "masks.mp4", auto=True)


@pytest.mark.parametrize("form", ["masks", "overlay", "cutout"])
def test_an_interruption_leaves_nothing(clip, tmp_path, form):
    def interrupt(part, done, total):
        if done == 3:
            raise KeyboardInterrupt

    target = tmp_path / {"masks": "out", "overlay": "out.mp4", "cutout": "out.webm"}[form]
    with pytest.raises(KeyboardInterrupt):
        segment(clip, target, static_camera=True, form=form, progress=interrupt)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"auto": True}, {"static_camera": True}, {"box": ["2,2,9,5@0.04"]}])
def test_tiny_odd_frames_are_no_fault(tmp_path, options):
    (tmp_path / "in").mkdir()
    for index in range(3):
        picture = np.full((11, 17, 3), 40 * index, np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{index}.png"), picture)
    assert segment(tmp_path / "in", tmp_path / "masks", **options)["frames"] == 3
    assert masks_in(tmp_path / "masks")[0].shape == (11, 17)


def test_memory_does_not_depend_on_where_a_prompt_lies(clip, tmp_path, monkeypatch):
    """Going backwards in chunks gives what going backwards at once gives."""
    prompt = {"box": ["60,42,52,50@0.24"]}
    segment(clip, tmp_path / "whole", **prompt)
    monkeypatch.setattr("vivae.tasks.labelling.CHUNK", 3)
    segment(clip, tmp_path / "parts", **prompt)
    for a, b in zip(masks_in(tmp_path / "whole"), masks_in(tmp_path / "parts"), strict=True):
        assert np.array_equal(a, b)
