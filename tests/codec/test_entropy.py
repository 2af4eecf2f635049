"""Symbols to bytes: round trips, the written-down coder, ideal cost, damaged data, and the self-tests."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codec.reference import intervals_of, range_coded
from vivae.codec import entropy
from vivae.codec.entropy import VALUE_LIMIT, SymbolReader, SymbolWriter, Tables, check_coder, check_prior
from vivae.errors import FormatError, UnsupportedError
from vivae.vae.prior import REACH, SCALES, TOTAL, frequency_tables

FREQUENCIES = frequency_tables()
TABLES = Tables(FREQUENCIES)

indices = st.integers(0, len(FREQUENCIES) - 1)
values = st.one_of(st.integers(-3, 3), st.integers(-200, 200), st.integers(-VALUE_LIMIT, VALUE_LIMIT))
symbols = st.lists(st.tuples(indices, values), max_size=60)
passes = st.lists(symbols, min_size=1, max_size=4)


def arrays(pairs):
    table, value = np.array(pairs, np.int64).reshape(-1, 2).T
    return table, value


def sampled(count, seed):
    """Table indices, and values drawn from the tables."""
    rng = np.random.default_rng(seed)
    tables = rng.integers(0, len(FREQUENCIES), count)
    position = rng.integers(0, TOTAL, count)
    ends = np.cumsum(FREQUENCIES, 1)
    entries = np.array([np.searchsorted(ends[t], p, "right") for t, p in zip(tables, position, strict=True)])
    escape = entries == 2 * REACH + 1
    return tables, np.where(escape, REACH + 1, entries - REACH)


@given(passes)
def test_round_trip(coded):
    writer = SymbolWriter(TABLES)
    for pairs in coded:
        writer.code(*arrays(pairs))
    data = writer.finish()
    assert len(data) <= writer.size + 8
    reader = SymbolReader(TABLES, data)
    for pairs in coded:
        tables, expected = arrays(pairs)
        np.testing.assert_array_equal(reader.code(tables), expected)
    reader.finish()


@settings(max_examples=50)
@given(passes)
def test_bytes_are_those_of_the_reference(coded):
    writer = SymbolWriter(TABLES)
    intervals = []
    for pairs in coded:
        tables, found = arrays(pairs)
        writer.code(tables, found)
        intervals += intervals_of(FREQUENCIES.tolist(), tables.tolist(), found.tolist())
    assert writer.finish() == range_coded(intervals)


def test_known_bytes_are_those_of_the_reference():
    tables, found = zip(*entropy.KNOWN_SYMBOLS, strict=True)
    intervals = intervals_of([list(row) for row in entropy.KNOWN_FREQUENCIES], list(tables), list(found))
    assert range_coded(intervals) == entropy.KNOWN_BYTES


def test_bytes_meet_the_ideal_cost():
    tables, found = sampled(20_000, seed=1)
    writer = SymbolWriter(TABLES)
    writer.code(tables, found)
    size = 8 * len(writer.finish())
    assert writer.bits <= size <= writer.bits + 0.0005 * writer.bits + 64


@pytest.mark.parametrize("kind", ["flip", "cut", "noise"])
def test_damaged_data_end_in_a_typed_error_or_in_other_symbols(kind):
    tables, found = sampled(2000, seed=2)
    writer = SymbolWriter(TABLES)
    writer.code(tables, found)
    data = writer.finish()
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        broken = bytearray(data)
        if kind == "flip":
            broken[rng.integers(len(data))] ^= 1 << rng.integers(8)
        elif kind == "cut":
            del broken[rng.integers(len(data)) :]
        else:
            broken = bytearray(rng.bytes(len(data)))
        try:
            reader = SymbolReader(TABLES, bytes(broken))
            other = reader.code(tables)
            reader.finish()
        except FormatError:
            refused += 1
        else:
            assert other.shape == tables.shape
            assert np.abs(other).max() < 2 * VALUE_LIMIT + 2 * REACH
    assert kind == "cut" or refused > 200


def test_left_over_data_are_refused():
    writer = SymbolWriter(TABLES)
    writer.code(*sampled(100, seed=4))
    reader = SymbolReader(TABLES, writer.finish() + bytes(40))
    reader.code(sampled(100, seed=4)[0])
    with pytest.raises(FormatError):
        reader.finish()


@pytest.mark.parametrize(
    "frequencies",
    [
        np.full((2, 8), TOTAL // 8 + 1),
        np.array([[0, TOTAL]]),
        np.full((1, 4), TOTAL, np.int64) - np.array([[0, TOTAL, TOTAL, TOTAL]]),
        np.ones((1, 3), np.int64),
    ],
)
def test_damaged_tables_are_refused(frequencies):
    with pytest.raises(FormatError):
        Tables(frequencies)


def test_self_test_accepts_this_machine(make_model):
    check_coder()
    check_prior(make_model().prior, 9, 13)


def test_self_test_notices_another_coder(monkeypatch):
    monkeypatch.setattr(entropy, "KNOWN_BYTES", bytes(12))
    with pytest.raises(UnsupportedError):
        check_coder()


def test_self_test_notices_inexact_sums(make_model, monkeypatch):
    prior = make_model().prior
    whole = torch.nn.functional.conv2d

    def rough(x, weight, bias, padding):
        """Like half-precision multiplication, as some devices use for float32."""
        if x.dtype == torch.float32:
            x, weight = x.half().float(), weight.half().float()
        return whole(x, weight, bias, padding=padding) * (1 + 1e-6 * (x.dtype == torch.float32))

    monkeypatch.setattr(torch.nn.functional, "conv2d", rough)
    with pytest.raises(UnsupportedError):
        check_prior(prior, 9, 13)


def test_every_table_is_used_by_the_samples():
    """The tests above would say little if they stayed within a few tables."""
    tables, found = sampled(20_000, seed=1)
    assert len(np.unique(tables // 8)) == SCALES
    assert np.abs(found).max() > REACH
