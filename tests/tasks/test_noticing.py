"""`compress --roi auto`: bits for what moves by itself, and files as usual where nothing does."""

import cv2
import numpy as np
import pytest

from tests.tasks.test_segment import FRAMES, scene
from vivae.media import probe
from vivae.media.indexed import read_indexed
from vivae.tasks import labels_kept
from vivae.tasks.compress import compress
from vivae.tasks.noticing import Noticed, filled
from vivae.tasks.segment import segment
from vivae.vae.zoo import load_segmenter

QUICK = {"quality": 90, "speed": 10}


LARGER = 3


def noisy(index):
    """The scene, larger and with noise, for coding to have something to spend bits on."""
    picture = cv2.resize(scene(index)[0], None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_LINEAR)
    noise = np.random.default_rng(index).normal(0, 6, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def disc(index):
    return cv2.resize(scene(index)[1].astype(np.uint8), None, fx=LARGER, fy=LARGER)


def write(folder, pictures):
    folder.mkdir()
    for index, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{index:05d}.png"), picture[..., ::-1])
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A disc that moves; the same and a still shot after a cut; the still one."""
    moving = [noisy(index) for index in range(FRAMES)]
    still = [255 - noisy(0)[::-1]] * FRAMES
    room = tmp_path_factory.mktemp("clips")
    return {
        "moving": write(room / "moving", moving),
        "both": write(room / "both", [*moving, *still]),
        "still": write(room / "still", still),
    }


@pytest.mark.parametrize(
    ("seen", "begins", "shown"),
    [
        ("0110100", "1000000", [1, 1, 2, 2, 4, 4, 4]),
        ("0001", "1010", [None, None, 3, 3]),
        ("0100", "1010", [1, 1, None, None]),
        ("000", "100", [None, None, None]),
        ("101", "111", [0, None, 2]),
        ("", "", []),
    ],
)
def test_gaps_take_the_mask_before_and_never_one_of_another_shot(seen, begins, shown):
    assert filled([c == "1" for c in seen], [c == "1" for c in begins]) == shown


def test_masks_hold_the_object_and_leave_shots_alone_in_which_nothing_moves(clips, tmp_path):
    clip = clips["both"]
    found = Noticed(
        clip, probe(clip), load_segmenter(), tmp_path / "kept", start=None, end=None, progress=lambda *_: None
    )
    masks = list(found.masks())
    assert len(masks) == 2 * FRAMES
    assert 0 < found.frames <= FRAMES
    for index, mask in enumerate(masks[:FRAMES]):
        true = disc(index) > 0
        assert mask.shape == true.shape
        assert (mask & true).sum() > 0.5 * true.sum()
        assert mask.mean() < 0.5
    assert all(mask.all() for mask in masks[FRAMES:])
    assert all(np.array_equal(a, b) for a, b in zip(masks, found.masks(), strict=True))


def test_it_is_what_segment_and_roi_give_one_after_the_other(clips, tmp_path):
    clip, told = clips["moving"], []
    result = compress(clip, tmp_path / "auto.mp4", roi="auto", tell=told.append, **QUICK)
    assert result["roi_frames"] > 0
    assert any("moves by itself" in sentence for sentence in told)
    segment(clip, tmp_path / "masks", auto=True)
    assert all(read_indexed(path).any() for path in (tmp_path / "masks").glob("*.png"))
    compress(clip, tmp_path / "two.mp4", roi=tmp_path / "masks", **QUICK)
    assert (tmp_path / "auto.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    compress(clip, tmp_path / "plain.mp4", **QUICK)
    assert result["size_bytes"] < (tmp_path / "plain.mp4").stat().st_size


def test_where_nothing_moves_the_file_is_as_usual(clips, tmp_path):
    told = []
    compress(clips["still"], tmp_path / "plain.mp4", **QUICK)
    result = compress(clips["still"], tmp_path / "auto.mp4", roi="auto", tell=told.append, **QUICK)
    assert result["roi_frames"] == 0
    assert any("Nothing moves" in sentence for sentence in told)
    assert (tmp_path / "auto.mp4").read_bytes() == (tmp_path / "plain.mp4").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["auto.mp4", "plain.mp4"]


def test_an_interrupted_search_goes_on(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(labels_kept, "SECONDS", 0.0)
    monkeypatch.setattr("vivae.vae.discover.WINDOW", 5)
    compress(clips["moving"], tmp_path / "whole.mp4", roi="auto", **QUICK)

    def stop(done, total):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(clips["moving"], tmp_path / "a.mp4", roi="auto", progress=stop, **QUICK)
    seen = []
    compress(
        clips["moving"],
        tmp_path / "a.mp4",
        roi="auto",
        progress=lambda done, total: seen.append(done),
        **QUICK,
    )
    assert seen[0] == 5
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "whole.mp4"]
