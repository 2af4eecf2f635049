"""`bench cluster` on an archive of a moment."""

import json

import pytest

import vivae
from vivae.cluster import bench
from vivae.measure.bench import BenchClip


@pytest.mark.slow
def test_it_measures_and_goes_on(pieces, tmp_path, monkeypatch):
    clips = [BenchClip(path.stem, path, True) for path in sorted(pieces.glob("*.mkv"))]
    monkeypatch.setattr(bench.bench, "evaluation_clips", lambda data, only: clips)
    monkeypatch.setattr(bench, "VERBS", {"compress": {"speed": 10}})
    vivae.bench_cluster(pieces, tmp_path / "out", jobs=(1, 2), engines=("local",), frames=3)
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {name: point["frames"] for name, point in result["points"].items()} == {
        "compress-local-1": 9, "compress-local-2": 9,
    }  # fmt: skip
    assert "2 x 1 thread" in (tmp_path / "out" / "results.md").read_text()

    def again(*_):
        raise AssertionError("what is measured is not measured again")

    monkeypatch.setattr(bench, "_run", again)
    vivae.bench_cluster(pieces, tmp_path / "out", jobs=(1, 2), engines=("local",), frames=3)
