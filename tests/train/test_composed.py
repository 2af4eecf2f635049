"""Composed clips: pure functions of seed and number, honest places; and the files that pictures come from."""

import gzip

import numpy as np
import pytest
import torch

from vivae.errors import FormatError, InputError
from vivae.media import Frame, encode_png
from vivae.train.composed import Composer, Pictures, bouncing, read_pictures
from vivae.vae.things import cut_out

SETTINGS = {"things": 2, "frames": 10, "side": 48, "speed": 3.0, "batch": 4, "seed": 5}


def pictures(count=6, box=12):
    rng = np.random.default_rng(1)
    return Pictures(rng.integers(0, 256, (count, box, box), np.uint8), np.arange(count))


def idx(array, magic):
    head = magic.to_bytes(4, "big") + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_mnist(folder, count=20, box=28):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, box, box), np.uint8)
    labels = np.arange(count) % 10
    (folder / "t-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images, 2051)))
    (folder / "t-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels, 2049)))
    return images, labels


def test_a_number_gives_one_clip_always():
    one, again = Composer(pictures(), **SETTINGS)(3), Composer(pictures(), **SETTINGS)(3)
    assert torch.equal(one.frames, again.frames)
    assert not torch.equal(one.frames, Composer(pictures(), **SETTINGS)(4).frames)


def test_processes_share_the_same_batch():
    whole = Composer(pictures(), **SETTINGS)(1)
    halves = [Composer(pictures(), **SETTINGS, rank=rank, world=2)(1) for rank in (0, 1)]
    assert torch.equal(whole.frames, torch.cat([half.frames for half in halves]))
    with pytest.raises(InputError, match="evenly"):
        Composer(pictures(), **SETTINGS, world=3)


def test_fewer_frames_are_part_of_all():
    few = Composer(pictures(), **SETTINGS, shown=4)(2)
    assert few.frames.shape == (4, 4, 48, 48)
    assert few.places.shape == (4, 2, 10, 2)
    assert (few.shown.diff(dim=1) == 1).all()
    assert few.shown_places().shape == (4, 2, 4, 2)


def test_places_are_where_the_pictures_are():
    alone = Composer(pictures(1), **(SETTINGS | {"things": 1}))(0)
    seen = cut_out(alone.frames, alone.places, 12)
    true = torch.from_numpy(pictures(1).images[0]).float() / 255
    # Drawn and cut out between pixels, fine noise is smoothed twice: what is left follows the picture.
    assert torch.corrcoef(torch.stack([seen.mean((0, 1, 2)).flatten(), true.flatten()]))[0, 1] > 0.8


def test_paths_keep_their_speed_and_stay_inside():
    paths = bouncing(np.random.default_rng(3), 50, 200, 36.0, 3.6)
    assert paths.min() >= 0
    assert paths.max() <= 36
    steps = np.linalg.norm(np.diff(paths, axis=1), axis=-1)
    assert np.median(steps) == pytest.approx(3.6)
    assert steps.max() <= 3.6 + 1e-9


def test_mnist_is_read_with_its_labels(tmp_path):
    images, labels = write_mnist(tmp_path)
    found = read_pictures(tmp_path, 28)
    assert np.array_equal(found.images, images)
    assert np.array_equal(found.labels, labels)
    assert read_pictures(tmp_path, 14).images.shape == (20, 14, 14)


def test_a_folder_of_images_will_do(tmp_path):
    for number, size in enumerate([(40, 20), (12, 12)]):
        rgb = np.full((*size, 3), 200, np.uint8)
        (tmp_path / f"{number}.png").write_bytes(encode_png(Frame.from_rgb(rgb)))
    found = read_pictures(tmp_path, 16)
    assert found.images.shape == (2, 16, 16)
    assert (found.labels == -1).all()
    assert found.images[0, :, 0].max() < 20  # what is tall has dark sides
    assert found.images[0, 8, 8] > 150


@pytest.mark.parametrize("damage", ["cut", "magic", "gzip"])
def test_damaged_files_are_told(tmp_path, damage):
    write_mnist(tmp_path)
    path = tmp_path / "t-images-idx3-ubyte.gz"
    content = gzip.decompress(path.read_bytes())
    changed = {
        "cut": gzip.compress(content[:-5]),
        "magic": gzip.compress(b"\1" + content),
        "gzip": b"no gzip",
    }
    path.write_bytes(changed[damage])
    with pytest.raises(FormatError, match="idx3-ubyte"):
        read_pictures(tmp_path, 28)


def test_labels_must_be_as_many(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(7, int), 2049)))
    with pytest.raises(FormatError, match="as many"):
        read_pictures(tmp_path, 28)


def test_nothing_to_move_is_told(tmp_path):
    with pytest.raises(InputError, match="no IDX file and no images"):
        read_pictures(tmp_path, 28)
    with pytest.raises(InputError, match="there is no folder"):
        read_pictures(tmp_path / "none", 28)
