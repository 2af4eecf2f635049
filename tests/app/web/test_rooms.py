"""Names are text, rooms are apart, limits hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivae.app.web.rooms import Limits, Rooms, shown_name
from vivae.errors import InputError


@given(st.text(max_size=400))
def test_a_name_is_one_line_without_folders(name):
    shown = shown_name(name)
    assert 1 <= len(shown) <= 130
    assert "/" not in shown
    assert "\\" not in shown
    assert shown.isprintable()
    assert shown not in (".", "..")


@pytest.mark.parametrize("name", ["../../etc/passwd.mp4", "a\x00b.mp4", "$(rm -rf x).mp4", "C:\\x\\y.MP4"])
def test_what_a_visitor_calls_a_file_is_not_in_its_path(tmp_path, name):
    room = Rooms(tmp_path, Limits()).new()
    clip = room.admit(name, Limits())
    assert clip.path.parent == room.folder
    assert clip.path.suffix == ".mp4"
    assert clip.path.stem.removeprefix("clip-").isalnum()


@pytest.mark.parametrize("name", ["list.m3u8", "x.txt", "noname", "x.mp4.exe", ".mp4"])
def test_other_kinds_are_refused(tmp_path, name):
    room = Rooms(tmp_path, Limits()).new()
    with pytest.raises(InputError, match="no kind"):
        room.admit(name, Limits())
    assert not room.clips


def test_only_so_many_clips(tmp_path):
    limits = Limits(clips=2)
    room = Rooms(tmp_path, limits).new()
    room.admit("a.mp4", limits)
    room.admit("a.mp4", limits)
    with pytest.raises(InputError, match="remove one"):
        room.admit("a.mp4", limits)


def test_a_secret_opens_one_room_and_no_other(tmp_path):
    rooms = Rooms(tmp_path, Limits())
    mine, other = rooms.new(), rooms.new()
    assert rooms.find(mine.key) is mine
    assert mine.folder != other.folder
    assert rooms.find(mine.key + "x") is None
    assert rooms.find(None) is None
    with pytest.raises(InputError, match="no longer here"):
        mine.clip(other.admit("a.mp4", Limits()).key)


def test_rooms_of_the_absent_are_found_and_their_files_removed(tmp_path):
    rooms = Rooms(tmp_path, Limits(idle=0))
    room = rooms.new()
    room.admit("a.mp4", Limits()).path.write_bytes(b"x")
    assert rooms.left() == [room]
    rooms.close(room)
    assert list(tmp_path.iterdir()) == []
    assert rooms.find(room.key) is None


def test_empty_rooms_do_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr("vivae.app.web.rooms.MOST_ROOMS", 3)
    rooms = Rooms(tmp_path, Limits())
    used = rooms.new()
    used.admit("a.mp4", Limits())
    for _ in range(6):
        last = rooms.new()
    assert len(list(tmp_path.iterdir())) == 3
    assert rooms.find(used.key) is used
    assert rooms.find(last.key) is last


@pytest.mark.parametrize("facts", [(61, 64, 64), (1, 5000, 5000)])
def test_limits_of_length_and_size(facts):
    duration, width, height = facts
    limits = Limits(seconds=60)
    limits.check({"duration": 60, "width": 4096, "height": 2304})
    with pytest.raises(InputError, match="command line"):
        limits.check({"duration": duration, "width": width, "height": height})
