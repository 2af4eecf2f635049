"""Meeting a size: which quality gives a file of so many bytes.

Size grows exponentially with quality, nearly: the search is a secant on the logarithm of the size, held inside the
narrowest bracket seen so far, whose ends are drawn in where it bends (Illinois). It only calls a function, and knows
nothing of video.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple

from vivae.codec.records import QUALITY_UNITS
from vivae.errors import InputError

USUAL_SLOPE = 6.0 / QUALITY_UNITS
"""Doublings of the size with each unit of quality, before anything is measured."""
QUALITY = 50.0
"""0 to 100, where neither a quality nor a target is given."""


class Extent(NamedTuple):
    """How much video there is."""

    frames: int
    width: int
    height: int
    seconds: float

    @property
    def raw_bytes(self) -> int:
        """As plain 8-bit 4:2:0 samples."""
        return self.frames * (self.width * self.height + 2 * (-(-self.width // 2)) * (-(-self.height // 2)))


@dataclass(frozen=True, slots=True)
class Target:
    """What the caller asked for; one of the four.

    quality: 0 to 100. ratio: bytes of the raw 8-bit 4:2:0 frames over bytes of the file. bitrate: bits of the file
    for each second of video. size: bytes of the file.
    """

    quality: float | None = None
    ratio: float | None = None
    bitrate: float | None = None
    size: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("quality", "ratio", "bitrate", "size") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} exclude each other: give one of them")
        for name in ("ratio", "bitrate", "size"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise InputError(f"{name} must be a number above 0, not {value:g}")
        if self.quality is not None and not 0 <= self.quality <= 100:
            raise InputError(f"quality must lie between 0 and 100, not at {self.quality:g}")

    @property
    def units(self) -> int | None:
        """The quality in the units of a file, None where a size is to be met."""
        if self.ratio is self.bitrate is self.size is None:
            return round((QUALITY if self.quality is None else self.quality) / 100 * QUALITY_UNITS)
        return None

    def bytes(self, extent: Extent) -> float:
        """The size to meet, for so much video."""
        if self.ratio is not None:
            return extent.raw_bytes / self.ratio
        if self.bitrate is not None:
            return extent.seconds * self.bitrate / 8
        assert self.size is not None
        return self.size


@dataclass
class Search:
    """Looks for the quality, in units of a file, at which `excess_at` comes within `tolerance` of 1.

    excess_at: the size at a quality over the size that is wanted. found: what was measured so far.
    """

    excess_at: Callable[[int], float]
    tolerance: float
    slope: float = USUAL_SLOPE
    found: dict[int, float] = field(default_factory=dict)

    def run(self, first: int, tries: int) -> int:
        """The best quality in so many measurements, from `first` on."""
        at = first
        for _ in range(tries):
            self.found[at] = self.excess_at(at)
            if abs(self._doublings(at)) <= math.log2(1 + self.tolerance):
                break
            at = self._next()
            if at in self.found:
                break
        return min(self.found, key=self._distance)

    def slope_at(self, near: int) -> float:
        """Doublings of the size for each unit of quality, around a measured one."""
        others = sorted(self.found.keys() - {near}, key=lambda unit: abs(unit - near))
        if others:
            measured = (self._doublings(others[0]) - self._doublings(near)) / (others[0] - near)
            if measured > self.slope / 10:
                return measured
        return self.slope

    def _doublings(self, unit: int) -> float:
        """By how much a measured size exceeds the wanted one, in powers of two."""
        return math.log2(self.found[unit])

    def _distance(self, unit: int) -> float:
        return abs(self._doublings(unit))

    def _stale(self, side: Collection[int]) -> int:
        """How many measurements of late were on this side, after the first of them."""
        return max(0, sum(1 for _ in takewhile(side.__contains__, reversed(self.found))) - 1)

    def _next(self) -> int:
        below = [unit for unit in self.found if self._doublings(unit) < 0]
        above = [unit for unit in self.found if self._doublings(unit) >= 0]
        if below and above and max(below) < min(above):
            low, high = max(below), min(above)
            under, over = -self._doublings(low), self._doublings(high)
            # The Illinois rule: an end that stays while the other one comes nearer and nearer is drawn in.
            under, over = under / 2 ** self._stale(above), over / 2 ** self._stale(below)
            share = under / (over + under)
            return max(low, min(max(low + round(share * (high - low)), low + 1), high - 1))
        near = min(self.found, key=self._distance)
        return min(max(near - round(self._doublings(near) / self.slope_at(near)), 0), QUALITY_UNITS)
