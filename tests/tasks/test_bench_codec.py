"""bench codec: what it does with points, and one clip through all of it."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from tests.tasks.test_noticing import disc, noisy
from vivae.codec import repair, texture
from vivae.measure import bench
from vivae.media import ColorInfo, Frame, open_video, open_writer
from vivae.media.indexed import encode_indexed
from vivae.tasks import bench_layer, bench_roi, bench_shots, bench_speed
from vivae.tasks.bench_codec import OURS, SAME, bench_codec, hull_of
from vivae.tasks.bench_shots import shot_cells
from vivae.tasks.rates import rate


def points(*pairs):
    return [{"size_bytes": size, "psnr_yuv": quality, "ms_ssim": 1 - 1 / size} for size, quality in pairs]


def test_a_hull_is_above_all_points_and_made_of_them():
    every = points((100, 30), (200, 33), (210, 32), (400, 34), (800, 39), (1600, 40))
    hull = hull_of(every)
    assert all(point in every for point in hull)
    assert [point["size_bytes"] for point in hull] == [100, 200, 800, 1600]


def test_a_curve_beside_itself_is_no_cheaper():
    curve = points((100, 30), (200, 33), (400, 36))
    dearer = points((110, 30), (220, 33), (440, 36))
    assert rate(curve, curve, "psnr_yuv") == pytest.approx((0, 1))
    assert rate(curve, dearer, "psnr_yuv")[0] == pytest.approx(10)
    assert rate(curve, points((100, 10), (200, 12)), "psnr_yuv") == (None, 0.0)


@pytest.fixture
def data(bikes, tmp_path):
    """A folder with one tiny clip under every name."""
    root = tmp_path / "data"
    small = root / "eval" / "foreman.mkv"
    small.parent.mkdir(parents=True)
    with open_video(bikes, end=0.6) as reader:
        info = reader.info
        with open_writer(small, width=96, height=64, fps=info.fps, color=info.color, codec="ffv1") as writer:
            for frame in reader:
                frame.y, frame.u, frame.v = frame.y[:64, :96], frame.u[:32, :48], frame.v[:32, :48]
                writer.write(frame)
    others = [root / "eval" / f"{name}.mkv" for name in bench.EVAL_CLIPS]
    others += [root / "segment" / "davis" / f"{name}.mkv" for name in bench.DAVIS_CLIPS]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path != small:
            path.symlink_to(small)
    return root


def test_speed_and_memory_are_taken_and_told(data, tmp_path, monkeypatch):
    monkeypatch.setattr(bench_shots, "SIZE", (96, 64))
    monkeypatch.setattr(bench_shots, "FRAMES", 8)
    monkeypatch.setattr(bench_speed, "ENHANCED", ((160, 128),))
    monkeypatch.setattr(bench_speed, "LARGE", (160, 96))
    monkeypatch.setattr(bench_speed, "LARGE_FRAMES", 40)
    out = tmp_path / "out"
    bench_codec(data, out, parts=["speed", "memory"], speed=10)
    result = json.loads((out / "results.json").read_text())
    speed, memory = result["speed"]["codec"], result["memory"]["codec"]
    assert speed["frames"] == 8 * (len(bench.EVAL_CLIPS) - 1 + len(bench.DAVIS_CLIPS))
    assert min(value for name, value in speed.items() if name.endswith("_fps")) > 0
    for verb in ("compress", "decompress"):
        assert 0 < memory[f"{verb}_early_mb"] <= memory[f"{verb}_peak_mb"]
    tables = (out / "results.md").read_text()
    assert "160x128" in tables
    assert f"{memory['compress_peak_mb']:.0f}" in tables


def test_one_clip_from_end_to_end(data, tmp_path):
    """Quick settings: the point is that files, tables and pictures come out, and that a second run measures nothing."""
    out = tmp_path / "out"
    options = {"clips": ["foreman"], "parts": ["curves"], "speed": 10, "frames": 4}
    told = bench_codec(data, out, **options)
    assert told["psnr_yuv"] is not None
    result = json.loads((out / "results.json").read_text())
    curves = result["curves"]["foreman"]["points"]
    assert {len(found) for found in curves.values()} == {6}
    assert {SAME, OURS, "x264 medium", "x265 medium"} == set(curves)
    assert "foreman" in (out / "results.md").read_text()
    assert (out / "curves" / "foreman.png").stat().st_size > 1000
    times = {path: path.stat().st_mtime_ns for path in (out / "points").iterdir()}
    bench_codec(data, out, **options)
    assert times == {path: path.stat().st_mtime_ns for path in (out / "points").iterdir()}
    assert str(Path.cwd()) not in (out / "results.json").read_text()


def test_the_object_is_measured_by_true_masks_and_by_those_that_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_roi, "CRFS", (16, 28, 40, 52))
    folder = tmp_path / "data" / "segment" / "davis"
    (folder / "libby_masks").mkdir(parents=True)
    height, width = disc(0).shape
    with open_writer(
        folder / "libby.mkv", width=width, height=height, fps=Fraction(25), color=ColorInfo(), codec="ffv1"
    ) as writer:
        for index in range(8):
            writer.write(Frame.from_rgb(noisy(index), time=Fraction(index, 25), duration=Fraction(1, 25)))
            (folder / "libby_masks" / f"{index:05d}.png").write_bytes(encode_indexed(disc(index)))
    out = tmp_path / "out"
    bench_codec(tmp_path / "data", out, clips=["libby"], parts=["roi"], speed=10, frames=8, threads=1)
    found = json.loads((out / "results.json").read_text())["roi"]["libby"]
    plain = [size for size, _ in found["plain"]]
    assert plain == sorted(plain, reverse=True)
    for way in ("masks", "auto"):
        assert len(found[way]["points"]) == 4
        assert found[way]["overlap"] > 0.5
        assert [quality for _, quality in found[way]["points"]] != [quality for _, quality in found["plain"]]
    assert found["masks"]["points"] != found["auto"]["points"]
    table = (out / "results.md").read_text()
    assert f"{found['auto']['rate_percent']:.1f}" in table
    assert f"{found['masks']['rate_percent']:.1f}" in table


@pytest.mark.parametrize(("part", "tune"), [("texture", "perceptual"), ("repair", "psnr")])
def test_a_layer_is_seen_both_ways_in_one_file(data, tmp_path, monkeypatch, part, tune):
    monkeypatch.setattr(bench_layer, "CRFS", (33, 44, 56))
    # So small a clip gets its layer whatever that brings or takes.
    monkeypatch.setattr(repair, "WORTH", -1.0)
    monkeypatch.setattr(repair, "SLOPE", 0.0)
    monkeypatch.setattr(texture, "LARGEST_LOSS", 100.0)
    out = tmp_path / "out"
    bench_codec(data, out, clips=["foreman"], parts=[part], speed=10, frames=6)
    found = json.loads((out / "results.json").read_text())[part]["foreman"]
    plain, ours = (found["points"][way] for way in (bench_layer.PLAYERS, bench_layer.OURS))
    assert [p["size_bytes"] for p in plain] == [p["size_bytes"] for p in ours]
    # A fine shot has no layer, and is the same both ways.
    assert plain[0] == ours[0]
    assert plain[2]["psnr_yuv"] != ours[2]["psnr_yuv"]
    # Without the weights of LPIPS the other measures stand.
    assert "lpips" not in found["rates"][bench_layer.OURS]
    table = (out / "results.md").read_text()
    assert f"--tune {tune}" in table
    assert "| foreman |" in table


def test_what_counts_down_is_better_when_it_is_less():
    curve = [{"size_bytes": size, "lpips": value} for size, value in ((100, 0.08), (200, 0.04), (400, 0.02))]
    half = [
        {"size_bytes": size / 2, "lpips": value} for size, value in ((100, 0.08), (200, 0.04), (400, 0.02))
    ]
    assert rate(curve, half, "lpips")[0] == pytest.approx(-50)


def test_shots_are_compared_at_equal_mean_quality():
    def file(crf, size, *shots):
        return {"crf": crf, "size_bytes": size, "vmaf_neg": list(shots)}

    anchor = [file(30, 4000, 90, 96), file(40, 2000, 84, 90), file(50, 1000, 70, 80)]
    ours = [file(30, 3000, 92, 98), file(40, 1500, 88, 92), file(50, 750, 83, 84)]
    rows = shot_cells({"shots": ["a", "b"], "anchor": anchor, "vivae": ours})
    size, mean, worst, taken, ours_worst, rate = rows["30"]
    assert (size, mean, worst) == (4000, 93, 90)
    # Half way, on the scale of means, between the files of 1500 and of 3000 bytes.
    assert 1500 < taken < 3000
    assert 88 < ours_worst < 92
    assert rate == pytest.approx(100 * (taken / 4000 - 1))
    assert rows["40"][3] == pytest.approx(1000, rel=0.1)
    assert rows["50"][3:] == [None] * 3
