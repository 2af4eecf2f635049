"""Run lengths are COCO's; tracks say where things are and how fast."""

import csv
import json

import numpy as np
import pytest

from vivae.tasks.tracks import TrackWriter, coco_string, run_lengths


def decoded(text):
    """COCO's compressed counts, read back by its published rule."""
    counts, place = [], 0
    while place < len(text):
        value, shift, more = 0, 0, True
        while more:
            code = ord(text[place]) - 48
            value |= (code & 31) << shift
            more = bool(code & 32)
            place, shift = place + 1, shift + 5
            if not more and code & 16:
                value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def painted(counts, height, width):
    values = np.repeat(np.arange(len(counts)) % 2, counts)
    return values.reshape(width, height).T > 0


@pytest.mark.parametrize("chance", [0.0, 0.02, 0.5, 1.0])
def test_masks_come_back_from_their_run_lengths(chance):
    mask = np.random.default_rng(2).random((37, 61)) < chance
    counts = run_lengths(mask)
    assert np.array_equal(painted(counts, 37, 61), mask)
    assert decoded(coco_string(counts)) == counts


def test_a_known_string():
    # A 3x3 picture whose middle is set: four, one, four.
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True
    assert run_lengths(mask) == [4, 1, 4]
    assert coco_string([4, 1, 4]) == "414"


def test_a_square_that_moves(tmp_path):
    with TrackWriter(tmp_path, 40, 30) as tracks:
        for index in range(3):
            labels = np.zeros((30, 40), np.uint8)
            labels[5:10, 4 + 6 * index : 8 + 6 * index] = 2
            tracks.add(index, index / 10, labels)
    rows = list(csv.DictReader((tmp_path / "tracks.csv").open()))
    assert [(row["x"], row["y"], row["width"], row["height"], row["area"]) for row in rows] == [
        (str(4 + 6 * index), "5", "4", "5", "20") for index in range(3)
    ]
    assert rows[0]["speed"] == ""
    assert float(rows[1]["speed"]) == pytest.approx(60)
    told = json.loads((tmp_path / "objects.json").read_text())
    assert [image["file_name"] for image in told["images"]] == ["00000.png", "00001.png", "00002.png"]
    assert [item["category_id"] for item in told["annotations"]] == [2, 2, 2]
    assert np.array_equal(
        painted(decoded(told["annotations"][2]["segmentation"]["counts"]), 30, 40), labels == 2
    )


def test_a_clip_without_objects(tmp_path):
    with TrackWriter(tmp_path, 4, 3) as tracks:
        tracks.add(0, 0.0, np.zeros((3, 4), np.uint8))
    told = json.loads((tmp_path / "objects.json").read_text())
    assert told["annotations"] == []
    assert len(told["images"]) == 1
