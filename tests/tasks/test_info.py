"""What `info` says of each kind of file."""

import json

import pytest

from vivae.errors import FormatError, InputError
from vivae.tasks.features import encode
from vivae.tasks.info import info


def test_a_video(bikes):
    found = info(bikes)
    assert found["kind"] == "video"
    assert (found["width"], found["height"], found["fps"], found["frames"]) == (640, 272, 25.0, 250)


def test_a_model(small_model):
    found = info(small_model)
    assert found["kind"] == "model"
    assert found["config"]["name"] == "small"
    assert len(found["hash"]) == 64


def test_latents(bikes, small_model, tmp_path):
    encode(bikes, tmp_path / "z.safetensors", model=small_model, end=0.1)
    found = info(tmp_path / "z.safetensors")
    assert found["kind"] == "latents"
    assert (found["model"], found["frames"], found["width"]) == ("small", 3, 640)
    json.dumps(found)


def test_what_cannot_be_described(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"not at all")
    (tmp_path / "a.mp4").write_bytes(b"not at all")
    for name in ("a.safetensors", "a.mp4"):
        with pytest.raises(FormatError, match=name):
            info(tmp_path / name)
    with pytest.raises(InputError, match=r"missing\.mp4"):
        info(tmp_path / "missing.mp4")
