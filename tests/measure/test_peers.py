"""Peers on a real clip: sizes are met, curves rise, files are what they say."""

from dataclasses import replace
from pathlib import Path

import av
import pytest
from av.video.frame import PictureType

from vivae.measure import ffmpeg
from vivae.measure.bdrate import bjontegaard
from vivae.measure.clip import Clip, load_clip
from vivae.measure.peers import PEERS, encode, encode_to_size, ladder, measured, packet_bits
from vivae.measure.quality import PSNR_CAP
from vivae.media import ColorInfo


def frame_types(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [PictureType(frame.pict_type).name for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", ["x264 medium", "SVT-AV1 preset 6"])
def test_a_target_size_is_met(name: str, short_clip: Clip, tmp_path: Path) -> None:
    known: dict[float, int] = {}
    for ratio in (60, 150):
        target = short_clip.raw_bytes // ratio
        path = tmp_path / f"{ratio}.mp4"
        trial = encode_to_size(PEERS[name], short_clip, target, path, known=known)
        assert trial.size_bytes == path.stat().st_size
        assert trial.size_bytes == pytest.approx(target, rel=0.05)
    assert len(known) < 14


def test_a_size_out_of_reach_gives_the_nearest_there_is(short_clip: Clip, tmp_path: Path) -> None:
    peer = PEERS["x264 medium"]
    assert encode_to_size(peer, short_clip, 10, tmp_path / "tiny.mp4").setting == 51
    assert encode_to_size(peer, short_clip, 10**9, tmp_path / "huge.mp4").setting == 0


def test_low_delay_has_one_key_frame_and_no_b_frames(short_clip: Clip, tmp_path: Path) -> None:
    for name in ("x264 medium low delay", "x265 medium low delay"):
        trial = encode(PEERS[name], short_clip, 30, tmp_path / f"{name}.mp4")
        types = frame_types(trial.path)
        assert types[0] == "I"
        assert set(types[1:]) == {"P"}


def test_all_intra_has_only_key_frames(short_clip: Clip, tmp_path: Path) -> None:
    trial = encode(PEERS["SVT-AV1 preset 6 all intra"], short_clip, 50, tmp_path / "intra.mp4")
    with av.open(str(trial.path)) as container:
        assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)


def test_a_curve_rises_and_counts_what_lies_on_disk(short_clip: Clip, tmp_path: Path) -> None:
    points = ladder(PEERS["x264 medium"], short_clip, tmp_path)
    rates = [point.bits_per_pixel for point in points]
    assert sorted(rates, reverse=True) == rates
    assert len({point.trial.path for point in points}) == len(points)
    for point in points:
        size = point.trial.path.stat().st_size
        assert point.bits_per_pixel == pytest.approx(8 * size / (640 * 272 * 12))
        assert point.kbit_per_second == pytest.approx(8 * size / 0.48 / 1000)
        assert point.ratio == pytest.approx(640 * 272 * 1.5 * 12 / size)
        assert len(point.frames) == len(point.frame_bits) == 12
        assert sum(point.frame_bits) <= 8 * size
    curve = [(point.bits_per_pixel, point.quality.psnr_yuv) for point in points]
    delta = bjontegaard(curve, curve)
    assert delta is not None
    assert delta.rate_percent == pytest.approx(0)


def test_measuring_a_lossless_file_finds_no_loss(short_clip: Clip, tmp_path: Path) -> None:
    trial = encode(PEERS["x264 medium"], short_clip, 0, tmp_path / "lossless.mp4")
    point = measured(trial, short_clip)
    assert point.quality.psnr_yuv == PSNR_CAP
    assert sum(packet_bits(trial.path)) > 0.9 * 8 * trial.size_bytes


def test_commands_name_encoder_and_settings() -> None:
    for peer in PEERS.values():
        command = peer.command(33, threads=2)
        assert "-c:v lib" in command
        assert "33" in command
    assert "tune=1" in PEERS["SVT-AV1 preset 6"].command(33, threads=2)


def test_vvenc_and_vmaf(short_clip: Clip, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    points = [
        measured(encode(PEERS["VVenC faster"], short_clip, qp, tmp_path / f"{qp}.mp4"), short_clip)
        for qp in (32, 45)
    ]
    assert points[0].quality.psnr_yuv > points[1].quality.psnr_yuv + 2
    assert points[0].bits_per_pixel > points[1].bits_per_pixel
    same = ffmpeg.vmaf(short_clip, short_clip.frames)
    worse = ffmpeg.vmaf(short_clip, load_clip(points[1].trial.path).frames)
    assert same.vmaf > 95
    assert worse.vmaf < same.vmaf - 5
    # Lossless intermediate files do not know the colours: what they are taken for must not count.
    renamed = [replace(frame, color=ColorInfo("limited", "bt709")) for frame in short_clip.frames]
    assert ffmpeg.vmaf(short_clip, renamed) == same
    assert worse.neg <= worse.vmaf + 1e-6


def test_clips_are_cut_by_frames_pixels_and_seconds(bikes: Path) -> None:
    assert len(load_clip(bikes, frames=5).frames) == 5
    assert len(load_clip(bikes, pixels=640 * 272 * 7 + 1).frames) == 7
    assert len(load_clip(bikes, pixels=10).frames) == 1
    assert load_clip(bikes, start=1, end=1.4).seconds == pytest.approx(0.4)
