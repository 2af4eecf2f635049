"""Packing to 24 channels: exact, in the documented order, for every size."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivae.media import PACKED_CHANNELS, ColorInfo, Frame, pack, unpack

sizes = st.tuples(st.integers(1, 37), st.integers(1, 37))


def random_planes(height, width, seed=0):
    rng = np.random.default_rng(seed)
    half = (-(-height // 2), -(-width // 2))
    return tuple(rng.integers(0, 256, shape, np.uint8) for shape in ((height, width), half, half))


@given(size=sizes, seed=st.integers(0, 1000))
def test_unpack_undoes_pack(size, seed):
    planes = random_planes(*size, seed)
    packed = pack(planes)
    assert packed.shape == (PACKED_CHANNELS, -(-size[0] // 4), -(-size[1] // 4))
    assert packed.dtype == np.uint8
    for before, after in zip(planes, unpack(packed, *size), strict=True):
        assert np.array_equal(before, after)


@given(size=sizes)
def test_channel_order_and_repeated_edges(size):
    """Against the definition, sample by sample."""
    y, u, v = random_planes(*size)
    packed = pack((y, u, v))
    _, rows, columns = packed.shape
    for row in range(rows):
        for column in range(columns):
            for k in range(16):
                i, j = min(4 * row + k // 4, size[0] - 1), min(4 * column + k % 4, size[1] - 1)
                assert packed[k, row, column] == y[i, j]
            for k in range(4):
                i, j = min(2 * row + k // 2, u.shape[0] - 1), min(2 * column + k % 2, u.shape[1] - 1)
                assert packed[16 + k, row, column] == u[i, j]
                assert packed[20 + k, row, column] == v[i, j]


def test_a_frame_packs_as_its_planes_do():
    planes = random_planes(10, 14)
    frame = Frame(*planes, Fraction(0), Fraction(1, 25), ColorInfo())
    assert np.array_equal(pack(frame), pack(planes))
    assert (frame.height, frame.width) == (10, 14)


def test_unpack_refuses_another_size():
    with pytest.raises(ValueError, match="expected"):
        unpack(np.zeros((24, 2, 2), np.uint8), 16, 16)
