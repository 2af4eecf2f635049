"""The server as a whole: it answers, ends when told, leaves nothing, and refuses what would be unsafe."""

import fcntl
import importlib.util
import socket
import threading
import urllib.request

import pytest

import vivae
from vivae.app.serve import PREFIX, _own_folder
from vivae.errors import InputError, UnsupportedError


def test_it_answers_until_it_is_told_to_end_and_leaves_nothing(tmp_path):
    addresses, until, ready = [], threading.Event(), threading.Event()

    def answer(address):
        addresses.append(address)
        ready.set()

    serving = threading.Thread(
        target=lambda: vivae.serve(port=0, folder=tmp_path, threads=1, ready=answer, until=until)
    )
    serving.start()
    try:
        assert ready.wait(300)
        with urllib.request.urlopen(addresses[0], timeout=60) as page:
            text = page.read().decode()
        assert "vivae" in text
        assert "bench.js" in text
        assert "fonts.googleapis" not in text
        assert [path.name.startswith(PREFIX) for path in tmp_path.iterdir()] == [True]
    finally:
        until.set()
        serving.join(60)
    assert not serving.is_alive()
    assert list(tmp_path.iterdir()) == []


def test_other_machines_need_a_token():
    with pytest.raises(InputError, match="token"):
        vivae.serve(host="0.0.0.0")


@pytest.mark.parametrize("option", ["jobs", "max_upload", "max_minutes", "max_pixels", "idle_minutes"])
def test_limits_are_more_than_nothing(option):
    with pytest.raises(InputError, match=option):
        vivae.serve(**{option: 0})


def test_a_port_in_use_is_one_sentence():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match="--port"):
            vivae.serve(port=other.getsockname()[1])


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gradio" else found(name))
    with pytest.raises(UnsupportedError, match=r"vivae\[web\]"):
        vivae.serve()


def test_what_a_killed_server_has_left_is_removed_and_a_living_ones_is_not(tmp_path):
    left, alive, foreign = (tmp_path / name for name in (f"{PREFIX}left", f"{PREFIX}alive", "other"))
    for folder in (left, alive, foreign):
        folder.mkdir()
        (folder / "lock").touch()
    with (alive / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _own_folder(tmp_path) as root:
            assert root.stat().st_mode & 0o077 == 0
            assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
                (alive.name, foreign.name, root.name)
            )
    assert not root.exists()
