"""Motion fields in the stream: read as they were written, cheap where smooth, bounded where damaged."""

import numpy as np
import pytest

from vivae.codec.entropy import SymbolReader, SymbolWriter, Tables
from vivae.codec.motion_field import THRESHOLDS, FieldCoder
from vivae.errors import FormatError
from vivae.vae.compensation import FARTHEST
from vivae.vae.prior import frequency_tables
from vivae.vae.softness import LEVELS


@pytest.fixture(scope="module")
def tables():
    return Tables(frequency_tables())


def written(tables, fields):
    """The bytes of fields of one size, and the bits of each."""
    coder, writer, bits = FieldCoder(*fields[0].shape[:2]), SymbolWriter(tables), []
    for field in fields:
        before = writer.bits
        assert np.array_equal(coder.code(writer, field), field)
        bits.append(writer.bits - before)
    return writer.finish(), bits


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 5), (8, 8), (9, 17), (30, 53)])
@pytest.mark.parametrize("reach", [0, 3, FARTHEST])
def test_fields_come_back(tables, size, reach):
    rng = np.random.default_rng(reach)
    fields = [rng.integers(-reach, reach + 1, (*size, 2)).astype(np.int32) for _ in range(4)]
    data, _ = written(tables, fields)
    coder, reader = FieldCoder(*size), SymbolReader(tables, data)
    for field in fields:
        found = coder.code(reader)
        assert found.dtype == np.int32
        assert np.array_equal(found, field)
    reader.finish()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 17)])
def test_softness_comes_back(tables, size):
    rng = np.random.default_rng(3)
    parts = [rng.integers(-3, 4, (*size, 2)), rng.integers(0, LEVELS + 1, (*size, 1))]
    field = np.concatenate(parts, -1).astype(np.int32)
    writer = SymbolWriter(tables)
    FieldCoder(*size, soft=True).code(writer, field)
    reader = SymbolReader(tables, writer.finish())
    assert np.array_equal(FieldCoder(*size, soft=True).code(reader), field)
    reader.finish()


def test_softness_that_nobody_wants_soon_costs_next_to_nothing(tables):
    bits = []
    for soft in (False, True):
        coder, field = FieldCoder(14, 24, soft=soft), np.zeros((14, 24, 2 + soft), np.int32)
        for _ in range(4):
            writer = SymbolWriter(tables)
            coder.code(writer, field)
        bits.append(writer.bits)
    assert bits[1] - bits[0] < 0.03 * 14 * 24


def test_what_stands_still_soon_costs_next_to_nothing(tables):
    _, bits = written(tables, [np.zeros((14, 24, 2), np.int32)] * 6)
    assert bits[-1] < 0.03 * 14 * 24 * 2
    assert bits[-1] < bits[0]


def test_what_moves_together_is_cheap(tables):
    rng = np.random.default_rng(0)
    pan = np.tile(np.array([17, -6], np.int32), (14, 24, 1))
    scattered = rng.integers(-17, 18, pan.shape).astype(np.int32)
    assert written(tables, [pan] * 3)[1][-1] < 0.25 * written(tables, [scattered] * 3)[1][-1]


def test_a_key_forgets(tables):
    rng = np.random.default_rng(1)
    field = rng.integers(-5, 6, (9, 11, 2)).astype(np.int32)
    coder = FieldCoder(9, 11)
    bits = []
    for _ in range(2):
        writer = SymbolWriter(tables)
        coder.code(writer, field)
        bits.append(writer.bits)
        coder.code(SymbolWriter(tables), 40 * field)
        coder.restart()
    assert bits[0] == bits[1]


def test_noise_stays_in_bounds(tables):
    rng = np.random.default_rng(2)
    for _ in range(30):
        coder, reader = FieldCoder(7, 10, soft=True), SymbolReader(tables, rng.bytes(256))
        try:
            for _ in range(5):
                field = coder.code(reader)
                assert np.abs(field[..., :2]).max() <= FARTHEST
                assert field[..., 2].min() >= 0
                assert field[..., 2].max() <= LEVELS
        except FormatError:
            continue


def test_thresholds_are_part_of_the_format():
    assert (len(THRESHOLDS), THRESHOLDS[0], THRESHOLDS[23], THRESHOLDS[-1]) == (47, 56, 1123, 23015)
    assert sum(THRESHOLDS) == 186613
    # None lies so near to half way between two whole numbers that machines could disagree.
    exact = [1024 * 0.05 * 480.0 ** ((level + 0.5) / 47) for level in range(47)]
    assert min(abs(value % 1 - 0.5) for value in exact) > 1e-3
