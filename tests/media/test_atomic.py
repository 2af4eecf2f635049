"""Whole or absent."""

import errno
import os

import pytest

from vivae.errors import OutputError
from vivae.media import atomic_dir, atomic_path, refuse_overwrite


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_the_file_appears_at_the_end_only(tmp_path):
    with atomic_path(tmp_path / "a.txt") as part:
        assert part.parent == tmp_path
        assert part.suffix == ".txt"
        part.write_text("x")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "x"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("kind", [atomic_path, atomic_dir])
def test_nothing_is_left_of_a_failure(tmp_path, kind, error):
    def work():
        with kind(tmp_path / "a") as part:
            (part / "x" if part.is_dir() else part).write_text("half")
            raise error

    with pytest.raises(error):
        work()
    assert names(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_what_a_disk_does_becomes_an_output_error(tmp_path, code):
    def work():
        with atomic_path(tmp_path / "a") as part:
            part.write_text("half")
            raise OSError(code, "as a disk says it")

    with pytest.raises(OutputError, match="cannot write"):
        work()
    assert names(tmp_path) == []


def test_existing_files_need_force_and_survive_failure(tmp_path):
    target = tmp_path / "a"
    target.write_text("old")
    with pytest.raises(OutputError, match="--force"), atomic_path(target):
        pass

    def fail():
        with atomic_path(target, force=True) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    with atomic_path(target, force=True) as part:
        part.write_text("new")
    assert target.read_text() == "new"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    def race():
        with atomic_path(tmp_path / "a") as part:
            part.write_text("ours")
            (tmp_path / "a").write_text("theirs")

    with pytest.raises(OutputError, match="meanwhile"):
        race()
    assert (tmp_path / "a").read_text() == "theirs"
    assert names(tmp_path) == ["a"]


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with atomic_path(tmp_path / "link", force=True) as part:
        part.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_missing_folders_and_wrong_kinds_are_named(tmp_path):
    with pytest.raises(OutputError, match="does not exist"), atomic_path(tmp_path / "no" / "a"):
        pass
    with pytest.raises(OutputError, match="a folder"), atomic_path(tmp_path, force=True):
        pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="a file"), atomic_dir(tmp_path / "file", force=True):
        pass


def test_folders_are_replaced_whole_and_only_with_force(tmp_path):
    target = tmp_path / "frames"
    target.mkdir()
    with atomic_dir(target) as part:  # empty: may be used
        (part / "0.png").write_text("a")
        (part / "1.png").write_text("b")
    with pytest.raises(OutputError, match="--force"), atomic_dir(target):
        pass
    with atomic_dir(target, force=True) as part:
        (part / "0.png").write_text("c")
    assert [p.name for p in target.iterdir()] == ["0.png"]
    assert names(tmp_path) == ["frames"]


def test_a_folder_with_other_things_is_never_replaced(tmp_path):
    for name in ("thesis.doc", "photos"):
        target = tmp_path / name[0]
        target.mkdir()
        (target / "0.png").write_text("x")
        (target / name).mkdir() if name == "photos" else (target / name).write_text("years of work")
        with pytest.raises(OutputError, match="other things"), atomic_dir(target, force=True) as part:
            (part / "0.png").write_text("new")
        assert (target / name).exists()
        assert (target / "0.png").read_text() == "x"


def test_inputs_are_never_overwritten(tmp_path):
    source = tmp_path / "in.mp4"
    source.write_text("x")
    (tmp_path / "soft.mp4").symlink_to(source)
    os.link(source, tmp_path / "hard.mp4")
    (tmp_path / "folder").symlink_to(tmp_path)
    for name in ("in.mp4", "soft.mp4", "hard.mp4", "folder/in.mp4", "."):
        with pytest.raises(OutputError, match="input"):
            refuse_overwrite(tmp_path / name, source)
    refuse_overwrite(tmp_path / "out.mp4", source)


def test_long_names_fit(tmp_path):
    name = "x" * 245 + ".mp4"
    with atomic_path(tmp_path / name) as part:
        part.write_text("x")
    assert names(tmp_path) == [name]
