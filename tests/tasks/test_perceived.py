"""A file that meets a perceived quality."""

import pytest

from vivae.errors import InputError
from vivae.tasks.compress import compress


def test_a_vmaf_is_met(bikes, tmp_path):
    told = compress(bikes, tmp_path / "a.mp4", target_vmaf=80, speed=10, end=0.5)
    assert told["vmaf"] == pytest.approx(80, abs=2)
    poorer = compress(bikes, tmp_path / "b.mp4", target_vmaf=60, speed=10, end=0.5)
    assert poorer["size_bytes"] < told["size_bytes"]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"target_vmaf": 101}, "between 0 and 100"), ({"target_vmaf": 80, "size": 1e5}, "exclude")],
)
def test_bad_targets_are_refused(bikes, tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        compress(bikes, tmp_path / "a.mp4", **options)


def test_the_work_is_told_of_before_it_starts(bikes, tmp_path):
    said = []

    class Enough(Exception):
        pass

    def stop(done, total):
        raise Enough

    with pytest.raises(Enough):
        compress(bikes, tmp_path / "a.mp4", quality=30, speed=10, tell=said.append, progress=stop)
    assert "250 frames" in said[0]
