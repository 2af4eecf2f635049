"""Calming a background: the object keeps every sample, the rest loses detail, masks are what their files say."""

import cv2
import numpy as np
import pytest

from vivae.codec.roi import calm, calmed
from vivae.errors import FormatError, InputError
from vivae.media import Frame
from vivae.media.masks import read_masks
from vivae.tasks.compress import compress
from vivae.tasks.decompress import decompress


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return Frame.from_rgb(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8))


def square(height=120, width=160):
    mask = np.zeros((height, width), bool)
    mask[40:80, 60:100] = True
    return mask


def detail(plane):
    return np.abs(np.diff(plane.astype(int))).mean()


def test_the_object_keeps_every_sample(frame):
    seen = calm(frame, square(), 2.0)
    assert np.array_equal(seen.y[40:80, 60:100], frame.y[40:80, 60:100])
    assert np.array_equal(seen.u[20:40, 30:50], frame.u[20:40, 30:50])
    assert detail(seen.y[:20]) < 0.6 * detail(frame.y[:20])
    assert (seen.time, seen.duration, seen.color) == (frame.time, frame.duration, frame.color)


def test_strength_counts(frame):
    amounts = [detail(calm(frame, square(), strength).y[:20]) for strength in (1.0, 3.0, 9.0)]
    assert amounts == sorted(amounts, reverse=True)


def test_everything_masked_changes_nothing_and_nothing_masked_calms_all(frame):
    assert np.array_equal(calm(frame, np.ones((120, 160), bool), 5.0).y, frame.y)
    assert detail(calm(frame, np.zeros((120, 160), bool), 5.0).y) < 0.5 * detail(frame.y)


def test_every_frame_needs_a_mask(frame):
    with pytest.raises(InputError, match="1 frames only"):
        list(calmed([frame, frame], [square()]))


def write(path, mask):
    cv2.imwrite(str(path), mask.astype(np.uint8) * 7)


def test_masks_from_a_folder_and_from_one_image(tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for number in range(3):
        write(folder / f"{number:05d}.png", np.roll(square(), number, 1))
    found = list(read_masks(folder, 160, 120))
    assert len(found) == 3
    assert np.array_equal(found[2], np.roll(square(), 2, 1))
    write(tmp_path / "one.png", square())
    endless = read_masks(tmp_path / "one.png", 160, 120)
    assert all(np.array_equal(next(endless), square()) for _ in range(5))
    assert next(read_masks(tmp_path / "one.png", 320, 240)).sum() == 4 * square().sum()


def test_masks_that_do_not_fit_are_refused(tmp_path):
    write(tmp_path / "one.png", square())
    with pytest.raises(InputError, match="proportions"):
        next(read_masks(tmp_path / "one.png", 120, 160))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises((InputError, FormatError)):
        next(read_masks(tmp_path / "bad.png", 160, 120))


def test_compress_spends_less_around_the_object(bikes, tmp_path):
    mask = np.zeros((272, 640), bool)
    mask[100:200, 200:400] = True
    write(tmp_path / "mask.png", mask)
    options = {"quality": 50, "speed": 10, "end": 0.4}
    plain = compress(bikes, tmp_path / "plain.mp4", **options)
    told = compress(bikes, tmp_path / "roi.mp4", roi=tmp_path / "mask.png", **options)
    assert told["size_bytes"] < 0.9 * plain["size_bytes"]
    decompress(tmp_path / "roi.mp4", tmp_path / "roi.y4m")
    with pytest.raises(InputError, match="roi"):
        compress(bikes, tmp_path / "a.vva", roi=tmp_path / "mask.png")
    assert told["frames"] == plain["frames"]
