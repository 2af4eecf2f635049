"""The range coder written down slowly in whole numbers: what the bytes of a file mean, whatever library wrote them."""

from vivae.codec.entropy import ESCAPE_LENGTHS
from vivae.vae.prior import TOTAL


def range_coded(intervals: list[tuple[int, int]]) -> bytes:
    """Little-endian 32-bit words for (start, width) intervals of [0, TOTAL), one a symbol.

    The first 64 bits of the interval are kept; whenever its width falls below 2^32, a word is final. At the end
    the shortest word is written that lies within, whatever follows it.
    """
    if not intervals:
        return b""
    low, width, words = 0, 2**64 - 1, 1
    for start, share in intervals:
        unit = width // TOTAL
        low, width = low + unit * start, unit * share
        if width < 2**32:
            low, width, words = low << 32, width << 32, words + 1
    number = (low + 2**32 - 1) >> 32
    if (low + width) >> 32 == number:
        number, words = number << 32, words + 1
    return b"".join((number >> 32 * i & 0xFFFFFFFF).to_bytes(4, "little") for i in reversed(range(words)))


def intervals_of(frequencies: list[list[int]], tables: list[int], values: list[int]) -> list[tuple[int, int]]:
    """What `SymbolWriter.code` codes: all entries in the order of their tables, then the parts of the escapes."""
    reach = len(frequencies[0]) // 2 - 1
    pairs = sorted(zip(tables, values, strict=True), key=lambda pair: pair[0])
    intervals = []
    for table, value in pairs:
        entry = value + reach if abs(value) <= reach else 2 * reach + 1
        intervals.append((sum(frequencies[table][:entry]), frequencies[table][entry]))
    beyond = [value for value in values if abs(value) > reach]
    excess = [abs(value) - reach for value in beyond]
    lengths = [number.bit_length() - 1 for number in excess]
    intervals += [_uniform(2, int(value < 0)) for value in beyond]
    intervals += [_uniform(ESCAPE_LENGTHS, length) for length in lengths]
    for size in sorted(set(lengths) - {0}):
        chosen = [number for number, length in zip(excess, lengths, strict=True) if length == size]
        intervals += [_uniform(1 << size, number - (1 << size)) for number in chosen]
    return intervals


def _uniform(choices: int, value: int) -> tuple[int, int]:
    width = TOTAL // choices
    return value * width, width if value < choices - 1 else TOTAL - width * (choices - 1)
