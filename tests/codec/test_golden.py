"""Files that earlier releases wrote still open, and still show what they showed."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import vivae
from vivae.media import open_video

FOLDER = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((FOLDER / "expected.json").read_text("utf-8"))


@pytest.mark.parametrize("name", EXPECTED)
def test_an_old_file_opens(name, tmp_path):
    told = EXPECTED[name]
    assert (FOLDER / name).stat().st_size < 100_000
    vivae.decompress(FOLDER / name, tmp_path / "out.y4m")
    with open_video(tmp_path / "out.y4m") as reader:
        frames = list(reader)
    assert [frames[0].width, frames[0].height] == told["size"]
    small = [cv2.resize(frame.y, (8, 4), interpolation=cv2.INTER_AREA).ravel() for frame in frames]
    # Entropy decoding is exact everywhere; the networks' pictures differ by rounding between machines.
    assert np.abs(np.array(small, int) - np.array(told["luma"])).max() <= 2


def test_every_golden_file_is_expected():
    assert {path.name for path in FOLDER.iterdir()} == {*EXPECTED, "expected.json"}
