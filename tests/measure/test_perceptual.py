"""LPIPS-squeeze reads the two files it is published in, here written small."""

import struct

import numpy as np
import pytest
import torch

from vivae.errors import FormatError
from vivae.measure.perceptual import HEADS, MEAN, NETWORK, lpips_squeeze, mean_lpips
from vivae.media import open_video


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def layer(name, *arrays):
    blobs = b""
    for array in arrays:
        shape = field(7, field(1, b"".join(map(varint, array.shape))))
        blobs += field(7, field(5, array.astype("<f4").tobytes()) + shape)
    # Fields of other kinds lie between, as in the published file.
    return field(
        100,
        field(1, name.encode()) + varint(10 << 3) + varint(1) + struct.pack("<Bf", 9 << 3 | 5, 1.0) + blobs,
    )


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(5)
    data = b""

    def convolution(name, out, channels, side):
        nonlocal data
        kernel = rng.normal(0, (channels * side**2) ** -0.5, (out, channels, side, side))
        data += layer(name, kernel, rng.normal(0, 0.1, out))
        return kernel

    first = convolution("conv1", 4, 3, 3)
    channels, widths = 4, [4]
    for number in range(2, 10):
        convolution(f"fire{number}/squeeze1x1", 2, channels, 1)
        convolution(f"fire{number}/expand1x1", 3, 2, 1)
        convolution(f"fire{number}/expand3x3", 3, 2, 3)
        channels = 6
        if number not in (2, 4):
            widths.append(6)
    (tmp_path / NETWORK).write_bytes(data)
    heads = {f"lin{part}.model.1.weight": torch.rand(1, width, 1, 1) for part, width in enumerate(widths)}
    torch.save(heads, tmp_path / HEADS)
    return tmp_path, first


def test_its_first_layer_sees_bgr_less_the_mean(folder):
    path, kernel = folder
    distance = lpips_squeeze(path)
    assert distance is not None
    rgb = torch.rand(1, 3, 40, 40)
    found = distance.parts[0][0]((rgb - distance.shift) / distance.scale)
    caffe = (rgb * 255 - torch.tensor(MEAN).reshape(1, 3, 1, 1)).flip(1)
    bias = distance.parts[0][0].bias
    expected = torch.nn.functional.conv2d(caffe, torch.tensor(kernel, dtype=torch.float32), bias, 2)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-2)


def test_a_clip_is_at_no_distance_from_itself(folder, bikes):
    distance = lpips_squeeze(folder[0])
    with open_video(bikes, end=0.1) as reader:
        frames = list(reader)
    assert mean_lpips(distance, frames, frames) == 0
    assert mean_lpips(distance, frames, frames[::-1]) > 0


def test_without_its_files_there_is_none(tmp_path):
    assert lpips_squeeze(tmp_path) is None


@pytest.mark.parametrize("kept", [0, 10, 700])
def test_a_damaged_file_is_refused(folder, kept):
    path = folder[0] / NETWORK
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FormatError, match="LPIPS"):
        lpips_squeeze(folder[0])
