"""Reconstruction writes the model's pictures and reports what is true of them."""

import pytest

from vivae.errors import InputError
from vivae.measure.quality import compare_clips
from vivae.media import open_video, probe
from vivae.tasks.reconstruct import reconstruct


def frames_of(path, **span):
    with open_video(path, **span) as reader:
        return list(reader)


def test_figures_are_those_of_the_written_pictures(bikes, small_model, tmp_path):
    result = reconstruct(bikes, tmp_path / "out.mkv", model=small_model, codec="ffv1", start=2, end=2.2)
    written = frames_of(tmp_path / "out.mkv")
    quality, _ = compare_clips(frames_of(bikes, start=2, end=2.2), written)
    assert result["frames"] == len(written) == 5
    assert result["psnr_yuv"] == pytest.approx(quality.psnr_yuv)
    assert result["ssim"] == pytest.approx(quality.ssim)
    assert result["bits_per_pixel"] > 0


def test_sound_comes_along(bunny, small_model, tmp_path):
    reconstruct(bunny, tmp_path / "out.mp4", model=small_model, start=0, end=0.1, crf=60)
    assert [track.codec for track in probe(tmp_path / "out.mp4").audio] == ["aac"]


def test_fewer_channels_cost_fewer_bits(bikes, small_model, tmp_path):
    whole = reconstruct(bikes, tmp_path / "a.y4m", model=small_model, end=0.1)
    part = reconstruct(bikes, tmp_path / "b.y4m", model=small_model, end=0.1, channels=2)
    assert part["bits_per_pixel"] < whole["bits_per_pixel"]


def test_an_image_is_a_video_of_one_frame(bikes, small_model, tmp_path):
    reconstruct(bikes, tmp_path / "still.png", model=small_model, end=0.04)
    result = reconstruct(tmp_path / "still.png", tmp_path / "out.png", model=small_model)
    assert result["frames"] == 1
    assert (tmp_path / "out.png").is_file()


def test_nothing_is_written_for_a_wrong_request(bikes, small_model, tmp_path):
    with pytest.raises(InputError):
        reconstruct(tmp_path / "missing.mp4", tmp_path / "out.mp4", model=small_model)
    with pytest.raises(InputError, match="channels"):
        reconstruct(bikes, tmp_path / "out.mp4", model=small_model, channels=7)
    with pytest.raises(InputError, match="no model"):
        reconstruct(bikes, tmp_path / "out.mp4", model="nobody")
    assert not list(tmp_path.iterdir())
