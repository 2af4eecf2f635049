"""What benchmarks share: records are taken once, tables say what was measured, the surroundings are named."""

import json
from pathlib import Path

import pytest

from vivae.errors import InputError
from vivae.measure import bench
from vivae.measure.quality import ClipQuality


def test_a_record_is_taken_once_for_its_circumstances(tmp_path: Path) -> None:
    source = tmp_path / "data"
    source.write_bytes(b"one")
    taken: list[str] = []

    def measure() -> ClipQuality:
        taken.append("x")
        return ClipQuality(1, 2, 3, 4, 0.5, float("nan"), flicker=0, frames=2)

    first = bench.Records(tmp_path, {"model": "a"}).get("clip", source, measure)
    again = bench.Records(tmp_path, {"model": "a"}).get("clip", source, measure)
    assert first == again
    assert first["psnr_y"] == 1
    assert first["ms_ssim"] is None
    assert len(taken) == 1
    bench.Records(tmp_path, {"model": "b"}).get("clip", source, measure)
    source.write_bytes(b"two")
    bench.Records(tmp_path, {"model": "b"}).get("clip", source, measure)
    assert len(taken) == 3
    kept = json.loads((tmp_path / "points" / "clip.json").read_text())
    assert kept["under"]["model"] == "b"
    assert len(kept["under"]["data_sha256"]) == 64


def test_an_interrupted_measurement_leaves_no_record(tmp_path: Path) -> None:
    def measure() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.Records(tmp_path, {}).get("clip", None, measure)
    assert not list((tmp_path / "points").iterdir())


def test_the_mean_leaves_out_what_stands_apart() -> None:
    rows = {"a": [30.0, 1], "bunny": [99.0, 9], "b": [32.0, None]}
    text = bench.markdown_table(("clip", "dB", "n"), rows, (1, 0))
    assert "| **mean** | **31.0** | - |" in text
    lines = text.splitlines()
    assert lines[-1].startswith("| *bunny*")
    assert {line.count("|") for line in lines} == {4}


def test_missing_clips_and_unknown_names_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--data"):
        bench.evaluation_clips(tmp_path)
    with pytest.raises(InputError, match="choose from"):
        bench.evaluation_clips(tmp_path, ["nosuch"])


def test_the_surroundings_are_named() -> None:
    where = bench.environment(threads=2)
    assert where["packages"]["torch"]
    assert where["cpu"]
    assert "libavcodec" in where["ffmpeg_libraries"]
    text = bench.provenance(where)
    for word in (where["cpu"], "2 threads", where["packages"]["av"]):
        assert word in text
    json.dumps(where, allow_nan=False)
