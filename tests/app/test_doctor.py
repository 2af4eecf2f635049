"""`doctor`: what it says about a machine, and how fast the verbs are there."""

import pytest

import vivae
from vivae.app import speed


def test_a_machine_is_described():
    told = vivae.doctor()
    assert told["cpu"]
    assert told["threads"] >= 1
    assert "h264" in told["decoders"]
    assert told["encoders"]["av1"]
    assert told["extras"]["export"]
    assert "frames_per_second_640x352" not in told


@pytest.mark.slow
def test_every_verb_is_timed(monkeypatch):
    for name, value in {"WIDTH": 160, "HEIGHT": 96, "FRAMES": 5, "WARM_SECONDS": 0.1}.items():
        monkeypatch.setattr(speed, name, value)
    seen = []
    told = speed.measured_speeds(lambda label, share: seen.append((label, share)))
    assert {"compress", "decompress .vva", "enhance", "stylize --mode art", "shots"} <= set(told)
    assert all(isinstance(value, float) and value > 0 for value in told.values()), told
    assert [share for _, share in seen] == sorted(share for _, share in seen)
    assert seen[-1] == ("done", 1.0)
