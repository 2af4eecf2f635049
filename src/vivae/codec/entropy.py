"""Symbols to bytes and back: a range coder driven by tables of integer frequencies.

Every symbol comes with the index of its table. Symbols are coded in the order of their tables, and in their own
order within one, so that a whole table's share is one call of the coder: the decoder knows all indices before it
reads. Values beyond a table's reach are coded as its escape entry; their remainder follows as Exp-Golomb code.

The coder is constriction's (32-bit words, 64-bit state, probabilities of 24 bits), written as little-endian words.
Nothing here depends on floating point: the frequencies of a table are exactly the coder's own.

What this does not do: predict. Which table a symbol gets is the business of `vivae.vae.prior`.
"""

from functools import lru_cache
from typing import Protocol

import constriction
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from vivae.errors import FormatError, UnsupportedError
from vivae.vae.prior import TOTAL, UNIT, IntegerConv2d, IntegerPrior

_Categorical = constriction.stream.model.Categorical
_Uniform = constriction.stream.model.Uniform

ESCAPE_LENGTHS = 21
"""Remainders of escapes have below this many binary digits after their first: they stay under 2^21."""
VALUE_LIMIT = 1 << 20
"""Magnitude up to which every value can be coded, whatever its table."""

Integers = NDArray[np.int64]


class Tables:
    """Frequency tables as the coder and the count of bits need them.

    frequencies: integers (K, 2 R + 2), rows summing to TOTAL, entries at least 1: of the values -R..R and of the
    escape. Raises FormatError for others.
    """

    def __init__(self, frequencies: NDArray[np.integer]):
        whole = frequencies.astype(np.int64)
        if whole.ndim != 2 or whole.shape[1] % 2 or whole.min() < 1 or (whole.sum(1) != TOTAL).any():
            raise FormatError("the model's frequency tables are damaged: install or train it again")
        self.reach = whole.shape[1] // 2 - 1
        self.bits = (np.log2(TOTAL) - np.log2(whole)).astype(np.float32)
        # The coder gives every entry one unit of probability and shares out the rest in proportion; the rest is
        # exactly the sum of what is asked for here, so that the proportion is one and nothing is rounded.
        self.models = [_Categorical((row - 1).astype(np.float64), perfect=False) for row in whole]

    def cost(self, tables: Integers, values: Integers) -> NDArray[np.float32]:
        """Bits (N,) that values (N,) take, each with its table; of escapes nearly."""
        excess = np.maximum(np.abs(values) - self.reach, 0)
        entries = np.where(excess > 0, 2 * self.reach + 1, values + self.reach)
        return np.asarray(self.bits[tables, entries] + 2 * np.log2(1 + excess), np.float32)


class Coder(Protocol):
    """Either direction: what is coded is given or None, and what is coded is returned."""

    def code(self, tables: Integers, values: Integers | None) -> Integers: ...


class SymbolWriter:
    """Codes integers of magnitude up to VALUE_LIMIT. `bits` counts their ideal cost, -log2 of probabilities."""

    def __init__(self, tables: Tables):
        self._tables = tables
        self._coder = constriction.stream.queue.RangeEncoder()
        self.bits = 0.0

    def code(self, tables: Integers, values: Integers | None) -> Integers:
        """Append values (N,), each with the frequencies of its table (N,), and return them."""
        assert values is not None, "a writer needs values"
        reach = self._tables.reach
        beyond = np.abs(values) > reach
        entries = np.where(beyond, 2 * reach + 1, values + reach)
        order, groups = _grouped(tables)
        ordered = entries[order].astype(np.int32)
        for table, part in groups:
            self._coder.encode(ordered[part], self._tables.models[table])
        self.bits += float(self._tables.bits[tables, entries].sum())
        self._escapes(values[beyond])
        return values

    def _escapes(self, values: Integers) -> None:
        if not len(values):
            return
        excess = np.abs(values) - self._tables.reach
        lengths = np.frexp(excess)[1] - 1
        self._uniform(2, (values < 0).astype(np.int32))
        self._uniform(ESCAPE_LENGTHS, lengths.astype(np.int32))
        for length in np.unique(lengths[lengths > 0]).tolist():
            rest = excess[lengths == length] - (1 << length)
            self._uniform(1 << length, rest.astype(np.int32))

    def _uniform(self, choices: int, values: NDArray[np.int32]) -> None:
        self._coder.encode(values, _Uniform(choices))
        self.bits += len(values) * float(np.log2(choices))

    @property
    def size(self) -> int:
        """Bytes so far."""
        return 4 * int(self._coder.num_words())

    def finish(self) -> bytes:
        """All that was coded, for a `SymbolReader`."""
        return bytes(self._coder.get_compressed().astype("<u4").tobytes())


class SymbolReader:
    """Undoes `SymbolWriter`. Data that no writer made give a FormatError, here or at `finish`, or other symbols."""

    def __init__(self, tables: Tables, data: bytes, name: str = "a file"):
        self._tables, self._name = tables, name
        if len(data) % 4:
            raise self._damaged("they are not whole words")
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))

    def code(self, tables: Integers, values: Integers | None = None) -> Integers:
        """The next values (N,), of which the table indices (N,) are known."""
        reach = self._tables.reach
        order, groups = _grouped(tables)
        entries = np.empty(len(tables), np.int64)
        try:
            for table, part in groups:
                entries[order[part]] = self._coder.decode(self._tables.models[table], part.stop - part.start)
            found = entries - reach
            beyond = found > reach
            found[beyond] = self._escapes(int(beyond.sum()))
        except AssertionError as error:  # how constriction reports data that no encoder can have made
            raise self._damaged("nothing is coded so") from error
        return found

    def _escapes(self, count: int) -> Integers:
        if not count:
            return np.empty(0, np.int64)
        negative = self._uniform(2, count)
        lengths = self._uniform(ESCAPE_LENGTHS, count)
        excess = np.left_shift(1, lengths)
        for length in np.unique(lengths[lengths > 0]).tolist():
            chosen = lengths == length
            excess[chosen] += self._uniform(1 << length, int(chosen.sum()))
        magnitude = excess + self._tables.reach
        return np.where(negative == 1, -magnitude, magnitude)

    def _uniform(self, choices: int, count: int) -> Integers:
        return np.asarray(self._coder.decode(_Uniform(choices), count), np.int64)

    def finish(self) -> None:
        """Check that all was read. Raises FormatError where data are left."""
        if not self._coder.maybe_exhausted():
            raise self._damaged("some are left over")

    def _damaged(self, what: str) -> FormatError:
        return FormatError(f"the symbols in {self._name} are damaged: {what}")


def _grouped(tables: Integers) -> tuple[Integers, list[tuple[int, slice]]]:
    """The stable order by table, and which part of it each table that occurs has."""
    # Sixteen bits are enough for an index, and numpy sorts them by counting.
    order = np.argsort(tables.astype(np.uint16), kind="stable")
    counts = np.bincount(tables)
    ends = np.cumsum(counts)
    return order, [
        (table, slice(int(ends[table] - counts[table]), int(ends[table])))
        for table in np.flatnonzero(counts).tolist()
    ]


KNOWN_SYMBOLS = ((0, 1), (1, -3), (0, 0), (1, 2), (0, 9), (1, -70_000), (1, 3), (0, -1))
"""(table, value) pairs of the coder's self-test, over two tables of reach 3."""
KNOWN_FREQUENCIES = (
    (1, 1000, 70_000, TOTAL - 141_003, 60_000, 10_000, 1, 1),
    (TOTAL // 8,) * 8,
)
KNOWN_BYTES = bytes.fromhex("a6f3d7fff6f71256a6208ff7")
"""What the coder makes of them: computed by the slow reference in the tests, so that a change of the coder shows."""


def check_coder() -> None:
    """Raise UnsupportedError where this machine's range coder writes other bytes than files are made of."""
    tables = Tables(np.array(KNOWN_FREQUENCIES))
    indices, values = np.array(KNOWN_SYMBOLS, np.int64).T
    writer = SymbolWriter(tables)
    writer.code(indices, values)
    data = writer.finish()
    if data != KNOWN_BYTES or not np.array_equal(SymbolReader(tables, data).code(indices), values):
        raise UnsupportedError(
            "the range coder of this installation (constriction) writes a different format: install the version that "
            "vivae asks for"
        )


@lru_cache(maxsize=8)
@torch.no_grad()
def check_prior(prior: IntegerPrior, rows: int, columns: int) -> None:
    """Raise UnsupportedError where this machine computes the prior inexactly, at latents of rows x columns.

    Every layer is compared with the same sums in float64, whose 29 further bits make it exact in any order of
    summation; and all passes must agree between one and two threads.
    """
    rows, columns = min(rows, 64), min(columns, 64)
    generator = torch.Generator().manual_seed(20)
    for layer in prior.modules():
        if isinstance(layer, IntegerConv2d):
            codes = torch.randint(-255, 256, (1, layer.in_channels, rows, columns), generator=generator)
            weight, bias = layer.quantised()
            exact = F.conv2d(codes.double() / UNIT, weight.double(), bias.double(), padding=layer.padding)
            if not torch.equal(layer(codes.float() / UNIT).double(), exact):
                raise _inexact()
    symbols = torch.randint(-9, 10, (1, prior.latent_channels, rows, columns), generator=generator).float()
    context = torch.zeros(1, prior.trunk.out_channels, rows, columns)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            begun = prior.begin(symbols, context, torch.tensor([0.5]))
            found.append(
                [part for index in range(prior.passes) for part in prior.predict(begun, index, symbols)]
            )
    finally:
        torch.set_num_threads(threads)
    if not all(torch.equal(one, two) for one, two in zip(*found, strict=True)):
        raise _inexact()


def _inexact() -> UnsupportedError:
    return UnsupportedError(
        "this machine's arithmetic is not exact enough for files that decode everywhere: the self-test of the prior "
        "failed; try --threads 1, and please report it with the output of 'vivae doctor'"
    )
