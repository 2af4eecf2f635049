"""Search: copies are found whatever was done to them, strangers are not; the index follows the folder."""

import shutil

import cv2
import numpy as np
import pytest

import vivae
from vivae.errors import InputError
from vivae.media import encode_png, open_video
from vivae.tasks.bench_search import KINDS, write_copy
from vivae.tasks.search_index import FOLDER, read_index


@pytest.fixture(scope="module")
def library(bikes, bunny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    (folder / "deep").mkdir()
    shutil.copy(bikes, folder / "bikes.mp4")
    shutil.copy(bunny, folder / "deep" / "bunny.mp4")
    read_index(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_an_altered_copy_is_found_where_it_was_taken(library, bikes, tmp_path, kind):
    write_copy(bikes, tmp_path / "copy.mp4", 6.1, kind, seed=1)
    found = vivae.search(tmp_path / "copy.mp4", library)
    assert found["found"]
    best = found["matches"][0]
    assert best["video"].endswith("bikes.mp4")
    assert abs(best["start_s"] - 6.1) < 0.8
    assert best["mirrored"] == (kind in ("mirrored", "all three"))


def test_a_frame_and_an_image_are_found(library, bunny, tmp_path):
    assert vivae.search(f"{bunny}@2.5", library)["matches"][0]["video"].endswith("bunny.mp4")
    with open_video(bunny, start=1) as reader:
        (tmp_path / "still.png").write_bytes(encode_png(next(reader)))
    assert vivae.search(tmp_path / "still.png", library)["matches"][0]["video"].endswith("bunny.mp4")


def test_a_stranger_is_not_found(library, tmp_path):
    noise = np.random.default_rng(0).normal(0, 1, (180, 320, 3))
    picture = np.clip(128 + 300 * cv2.GaussianBlur(noise, (0, 0), 6), 0, 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "stranger.png"), picture)
    found = vivae.search(tmp_path / "stranger.png", library)
    assert not found["found"]
    assert found["matches"] == []


def test_the_index_follows_the_folder(bikes, tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    shutil.copy(bikes, folder / "a.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    _, told = read_index(folder)
    assert (told["videos"], told["new"], list(told["unreadable"])) == (1, 2, ["broken.mp4"])
    _, told = read_index(folder)
    assert (told["videos"], told["new"], list(told["unreadable"])) == (1, 0, ["broken.mp4"])
    (folder / "a.mp4").rename(folder / "b.mp4")
    every, told = read_index(folder)
    assert (told["new"], told["gone"]) == (1, 1)
    assert every[0].path.name == "b.mp4"
    assert len(list((folder / FOLDER).glob("*.safetensors"))) == 1


def test_a_damaged_index_is_made_anew(bikes, tmp_path):
    shutil.copy(bikes, tmp_path / "a.mp4")
    read_index(tmp_path)
    (tmp_path / FOLDER / "index.json").write_text("{")
    _, told = read_index(tmp_path)
    assert (told["videos"], told["new"]) == (1, 1)
    next((tmp_path / FOLDER).glob("*.safetensors")).write_bytes(b"damaged")
    _, told = read_index(tmp_path)
    assert (told["videos"], told["new"]) == (1, 1)


def test_an_empty_folder_says_so(bikes, tmp_path):
    with pytest.raises(InputError, match="no video"):
        vivae.search(bikes, tmp_path)
    with pytest.raises(InputError, match="no folder"):
        vivae.search(bikes, tmp_path / "missing")
