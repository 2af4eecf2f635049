"""JPEG files that end too early: FFmpeg fills in the rest in grey, and a user must learn of it."""

import pytest
from PIL import Image

from vivae.media import open_video
from vivae.media.jpeg import is_cut_off


@pytest.fixture(params=[(False, 0), (True, 0), (False, 4), (True, 4)], ids=str)
def jpeg(request, tmp_path):
    """Baseline and progressive, with and without restart markers, and a thumbnail with an end of its own."""
    progressive, restarts = request.param
    picture = Image.effect_noise((96, 64), 60).convert("RGB")
    path = tmp_path / "noise.jpg"
    thumbnail = tmp_path / "small.jpg"
    picture.resize((24, 16)).save(thumbnail)
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail.read_bytes()
    picture.save(path, progressive=progressive, restart_marker_blocks=restarts, exif=exif)
    return path


def test_a_jpeg_is_whole_up_to_its_end_marker(jpeg):
    data = jpeg.read_bytes()
    assert not is_cut_off(data)
    assert not is_cut_off(data + b"\xff\xda\0\x03 and a film that a camera has put there")
    assert all(is_cut_off(data[:length]) for length in range(len(data)))


@pytest.mark.parametrize("sequence", [False, True])
def test_a_jpeg_without_its_end_is_read_with_a_warning(jpeg, sequence, caplog):
    path = jpeg.parent / "frames" if sequence else jpeg
    if sequence:
        path.mkdir()
        jpeg.rename(path / jpeg.name)
    file = path / jpeg.name if sequence else path
    with open_video(path) as reader:
        assert len(list(reader)) == 1
    assert not caplog.records
    file.write_bytes(file.read_bytes()[:-200])
    with open_video(path) as reader:
        assert len(list(reader)) == 1
    (record,) = caplog.records
    assert str(file) in record.getMessage()
    assert "cut off" in record.getMessage()
