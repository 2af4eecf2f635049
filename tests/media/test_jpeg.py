"""JPEG files that end too early: FFmpeg fills in the rest in grey, and a user must learn of it."""

import numpy as np
import pytest
from PIL import Image

from vivae.media import open_video
from vivae.media.jpeg import is_cut_off, luma_step


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


def test_how_coarsely_luma_was_quantised(tmp_path):
    picture = Image.effect_noise((64, 48), 60).convert("RGB")

    def data(**how):
        picture.save(tmp_path / "a.jpg", **how)
        return (tmp_path / "a.jpg").read_bytes()

    # The example table of ITU-T T.81, K.1, which quality 50 stands for, along its zigzag.
    assert luma_step(data(quality=50)) == pytest.approx(np.mean([11, 12, 14, 12, 10, 16, 14, 13, 14]))
    fine, coarse = luma_step(data(quality=95)), luma_step(data(quality=10))
    assert fine < 2
    assert coarse > 50
    wide = [[700] * 64, [9] * 64]
    assert luma_step(data(qtables=wide, quality=1)) in (255, 700)  # as this libjpeg may
    whole = data(quality=50)
    for length in range(len(whole)):
        assert luma_step(whole[:length]) in (None, luma_step(whole))
    assert luma_step(b"\xff" * 9) is luma_step(b"\xff\xdb\0\0") is None
