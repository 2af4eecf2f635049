"""Reading and writing single bits, the most significant first, as AV1's headers are written."""

from __future__ import annotations

from vivae.errors import FormatError


class BitReader:
    """Reads from the front. name: of what is read, for errors."""

    def __init__(self, data: bytes, name: str) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = self._size = 8 * len(data)
        self._name = name

    @property
    def place(self) -> int:
        """Bits taken so far."""
        return self._size - self._left

    def take(self, count: int) -> int:
        """The next bits as a number. Raises FormatError behind the end."""
        if count > self._left:
            raise FormatError(f"{self._name} is damaged: it ends too early")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def variable(self) -> int:
        """The code uvlc() (AV1 specification, section 4.10.3)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << 32) - 1 if zeros >= 32 else self.take(zeros) + (1 << zeros) - 1

    def below(self, count: int) -> int:
        """The code ns(count), a number below `count` (section 4.10.7)."""
        width = count.bit_length()
        short = (1 << width) - count
        value = self.take(width - 1)
        return value if value < short else 2 * value - short + self.take(1)


class BitWriter:
    """Collects bits behind a start of given ones."""

    def __init__(self, data: bytes = b"", size: int | None = None) -> None:
        """size: how many leading bits of the data to begin with, all unless said."""
        self._size = 8 * len(data) if size is None else size
        self._value = int.from_bytes(data, "big") >> (8 * len(data) - self._size)

    def put(self, value: int, count: int) -> None:
        """Append a number of `count` bits."""
        if not 0 <= value < 1 << count:
            raise ValueError(f"{value} does not fit into {count} bits")
        self._value = self._value << count | value
        self._size += count

    def bytes(self) -> bytes:
        """All bits, and zeros up to a whole byte."""
        missing = -self._size % 8
        return (self._value << missing).to_bytes((self._size + missing) // 8, "big")
