"""The benchmark of segment measures part by part, and keeps what it has."""

import json

import av
import cv2
import numpy as np
import pytest

from vivae.errors import InputError
from vivae.tasks.bench_segment import bench_segment
from vivae.vae.segmenter import FlowSegmenter, SegmenterConfig

FRAMES = 5


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data" / "segment" / "davis"
    (folder / "cows_masks").mkdir(parents=True)
    rng = np.random.default_rng(2)
    ground = cv2.GaussianBlur(rng.uniform(0, 255, (64, 96, 3)), (0, 0), 2)
    with av.open(folder / "cows.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(FRAMES):
            mask = np.zeros((64, 96), np.uint8)
            mask[20:44, 10 + 4 * index : 40 + 4 * index] = 255
            frame = np.where(mask[..., None] > 0, 255 - ground, ground).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            cv2.imwrite(str(folder / "cows_masks" / f"{index:05d}.png"), mask)
        container.mux(stream.encode())
    return tmp_path / "data"


@pytest.fixture
def small_network(monkeypatch):
    network = FlowSegmenter(SegmenterConfig(widths=(4, 6), depths=(1, 1))).eval()
    network.hash = "small"
    monkeypatch.setattr("vivae.tasks.bench_segment.load_segmenter", lambda model: network)


def test_parts_are_measured_apart_and_told_together(data, tmp_path, small_network):
    out = tmp_path / "out"
    bench_segment(data, out, clips=["cows"], parts=["auto"], threads=1)
    ways = json.loads((out / "results.json").read_text())["points"]["cows"]["ways"]
    assert set(ways) == {"auto"}
    assert len(ways["auto"]["J_frames"]) == FRAMES
    kept = (out / "points" / "auto-cows.json").read_bytes()
    bench_segment(data, out, clips=["cows"], parts=["auto", "prompted"], threads=1)
    found = json.loads((out / "results.json").read_text())["points"]["cows"]["ways"]
    assert set(found) == {"auto", "mask", "box", "point"}
    # As DAVIS has it, the frame that the mask is given in and the last one do not count.
    assert len(found["mask"]["J_frames"]) == FRAMES - 2
    assert found["auto"] == ways["auto"]
    assert (out / "points" / "auto-cows.json").read_bytes() == kept
    table = (out / "results.md").read_text()
    assert "| sequence | auto | mask | box | point |" in table


def test_what_is_not_there_is_told(data, tmp_path):
    with pytest.raises(InputError, match="no part 'clicks'"):
        bench_segment(data, tmp_path / "out", parts=["clicks"])
    with pytest.raises(InputError, match="no sequence 'zebra'"):
        bench_segment(data, tmp_path / "out", clips=["zebra"])
    with pytest.raises(InputError, match=r"blackswan\.mkv' is missing"):
        bench_segment(data, tmp_path / "out", parts=["auto"])
