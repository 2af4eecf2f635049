"""Label maps survive as PNG that any reader shows in colours."""

import av
import cv2
import numpy as np
import pytest

from vivae.errors import FormatError
from vivae.media.indexed import encode_indexed, palette, read_indexed


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (64, 33)])
def test_ids_survive(tmp_path, shape):
    labels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    path = tmp_path / "ids.png"
    path.write_bytes(encode_indexed(labels))
    assert np.array_equal(read_indexed(path), labels)


def test_other_readers_see_the_palette(tmp_path):
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path = tmp_path / "ids.png"
    path.write_bytes(encode_indexed(labels))
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], palette()[labels])
    with av.open(str(path)) as container:
        assert np.array_equal(next(container.decode(video=0)).to_ndarray(format="rgb24"), palette()[labels])


def test_plain_masks_are_one_object_and_grey_ids_stay(tmp_path):
    path = tmp_path / "mask.png"
    for picture, ids in (
        (np.array([[0, 255], [255, 0]], np.uint8), [[0, 1], [1, 0]]),
        (np.array([[0, 2], [5, 0]], np.uint8), [[0, 2], [5, 0]]),
        (
            np.dstack([np.full((2, 2), 255)] * 3 + [np.array([[0, 255], [0, 255]])]).astype(np.uint8),
            [[0, 1], [0, 1]],
        ),
    ):
        cv2.imwrite(str(path), picture)
        assert read_indexed(path).tolist() == ids


def test_what_is_no_image_is_refused(tmp_path):
    path = tmp_path / "mask.png"
    path.write_bytes(b"no picture")
    with pytest.raises(FormatError, match=r"mask\.png"):
        read_indexed(path)
