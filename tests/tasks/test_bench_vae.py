"""The VAE's benchmark on a small model and a short clip: complete, resumable, and right about what it counts."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vivae.measure.clip import cropped, load_clip
from vivae.media import Picture
from vivae.tasks import bench_vae as benchmark
from vivae.tasks.bench_vae import bench_vae, settings
from vivae.tasks.coded import write_lossless
from vivae.tasks.memory import memory_of_a_long_stream
from vivae.vae.config import VAEConfig

WIDTH, HEIGHT = 112, 80


@pytest.fixture(scope="module")
def data(bikes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "eval").mkdir()
    whole = load_clip(bikes, frames=12)
    corner = Picture(WIDTH, HEIGHT, whole.picture.fps, whole.picture.color)
    clip = replace(
        whole, picture=corner, frames=tuple(cropped(frame, WIDTH, HEIGHT) for frame in whole.frames)
    )
    for name in ("road", "bunny"):
        write_lossless(clip, root / f"{name}.mp4").rename(root / "eval" / f"{name}.mkv")
    return root


def test_everything_is_measured_and_kept(
    data: Path, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "SPEED_SIZES", ((64, 48),))
    told = bench_vae(
        data,
        tmp_path,
        model=small_model,
        frames=12,
        clips=["road", "bunny"],
        parts=["reconstruction", "speed"],
        threads=1,
    )
    result = json.loads((tmp_path / "results.json").read_text())
    road = result["reconstruction"]["road"]
    for name, channels in result["model"]["settings"].items():
        found = road[name]
        assert found["channels"] == channels
        assert len(found["stream"]["frame_psnr_yuv"]) == 12
        assert found["stream"]["bits_per_pixel"] == pytest.approx(
            sum(found["stream"]["step_bits"]) / (WIDTH * HEIGHT * 12)
        )
        assert found["intra"]["bits_per_pixel"] > 0
    assert road["seam_ratio"] == pytest.approx(1, abs=0.005)
    assert len(road["round_trips_db"]) == benchmark.TRIPS
    for figures in result["speed"].values():
        assert figures["both_fps"] < min(figures["encode_fps"], figures["decode_fps"])
    text = (tmp_path / "results.md").read_text()
    assert "*bunny* (not in the mean)" in text
    assert all(name in told for name in ("speed 64x48",))
    assert benchmark.tables(result) == text

    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "points").iterdir()}
    bench_vae(
        data, tmp_path, model=small_model, frames=12, threads=1, clips=["road"], parts=["reconstruction"]
    )
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "points").iterdir()}
    assert before == after


def test_settings_are_named_by_values_per_rgb_value() -> None:
    config = VAEConfig(latent_channels=96, nested=(16, 32))
    assert settings(config) == {"1/48": 16, "1/24": 32, "1/8": 96}


@pytest.mark.slow
def test_memory_of_a_stream_is_watched_in_its_own_process(bunny: Path, small_model: Path) -> None:
    found = memory_of_a_long_stream(bunny, small_model, 60)
    assert 50 < found["early_mb"] <= found["peak_mb"] < 4000
