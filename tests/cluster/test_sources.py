"""What a folder, a pattern or a list means."""

import pytest

from vivae.cluster.sources import find_items, is_archive
from vivae.errors import InputError


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def names(items):
    return [item.name.as_posix() for item in items]


def test_a_folder_of_images_is_one_video_and_a_folder_of_videos_an_archive(tmp_path):
    make(tmp_path, "frames/1.png", "frames/2.png", "films/a.mp4", "films/b.MOV", "films/cover.jpg")
    assert not is_archive(tmp_path / "frames")
    assert is_archive(tmp_path / "films")
    assert names(find_items([tmp_path / "films"])) == ["a", "b"]
    assert [item.path for item in find_items([tmp_path / "frames"])] == [tmp_path / "frames"]


def test_folders_are_searched_to_any_depth_and_numbered_images_in_them_are_videos(tmp_path):
    make(tmp_path, "x/a.mp4", "x/y/b.mkv", "x/bear/00000.png", "x/bear/00001.png", "x/art/poster.png")
    make(tmp_path, "x/.hidden/c.mp4", "x/.d.mp4", "x/notes.txt")
    assert names(find_items([tmp_path / "x"])) == ["a", "bear", "y/b"]


def test_the_results_are_no_sources(tmp_path):
    make(tmp_path, "a.mp4", "out/a.mp4")
    assert names(find_items([tmp_path], leave_out=tmp_path / "out")) == ["a"]


def test_patterns(tmp_path):
    make(tmp_path, "x/a.mp4", "x/y/b.mp4", "x/y/c.png", "one/1.png", "one/2.png", "two/1.png", "two/2.png")
    assert is_archive(tmp_path / "x" / "**" / "*.mp4")
    assert names(find_items([f"{tmp_path}/x/**/*.mp4"])) == ["a", "y/b"]
    assert not is_archive(f"{tmp_path}/one/*.png")
    assert names(find_items([f"{tmp_path}/[ot]*"])) == ["one", "two", "a", "y/b"][:2]


def test_names_are_unique(tmp_path):
    make(tmp_path, "a.mp4", "a.mov", "b.mp4", "x/b.mp4")
    assert names(find_items([tmp_path])) == ["a.mov", "a.mp4", "b", "x/b"]
    with pytest.raises(InputError, match="two videos are named"):
        find_items([tmp_path / "b.mp4", tmp_path / "x" / "b.mp4"])


def test_each_file_counts_once(tmp_path):
    make(tmp_path, "a.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    assert len(find_items([tmp_path, tmp_path / "a.mp4"])) == 1


@pytest.mark.parametrize("name", ["nothing.mp4", "*.mp4", "empty"])
def test_nothing_found_says_so(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=name.replace("*", r"\*")):
        find_items([tmp_path / name])


def test_equal_content_has_equal_digests_whatever_the_names(tmp_path):
    make(tmp_path, "one/1.png", "one/2.png")
    for name in ("1", "2"):
        (tmp_path / "two").mkdir(exist_ok=True)
        (tmp_path / "two" / f"frame{name}.png").write_bytes((tmp_path / "one" / f"{name}.png").read_bytes())
    one, two = (find_items([tmp_path / name])[0] for name in ("one", "two"))
    assert one.digest() == two.digest()
    (tmp_path / "two" / "frame2.png").write_bytes(b"other bytes")
    assert one.digest() != two.digest()
