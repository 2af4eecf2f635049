"""Coded shots kept on disk until their file is whole, so that an interrupted encoding goes on where it was."""

from collections.abc import Iterable
from dataclasses import asdict
from itertools import accumulate, pairwise

from vivae.codec.layer import Layer
from vivae.codec.shot import Base, Coded
from vivae.media.av1 import Av1Settings, Unit
from vivae.media.kept import Kept


class ShotStore:
    """Coded shots by what was asked for."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept

    def get(self, wanted: str) -> Coded | None:
        """What was kept for this request, if it is whole."""
        found = self.kept.get(wanted)
        if found is None:
            return None
        told, body = found
        settings = Av1Settings(**told["base"]["settings"])
        layer = None if told["layer"] is None else Layer(**told["layer"])
        return Coded(Base(settings, told["base"]["shrink"]), units_of(told["units"], body), layer)

    def put(self, wanted: str, coded: Coded) -> None:
        """Keep a coded shot."""
        told = {
            "base": asdict(coded.base),
            "layer": None if coded.layer is None else asdict(coded.layer),
            "units": described(coded.units),
        }
        self.kept.put(wanted, told, b"".join(unit.data for unit in coded.units))


Described = list[tuple[int, int, bool]]
"""Size, position and whether it is a key, of each unit."""


def described(units: Iterable[Unit]) -> Described:
    """What is to be known of units whose bytes are kept joined."""
    return [(len(unit.data), unit.position, unit.key) for unit in units]


def units_of(told: Described, body: bytes) -> tuple[Unit, ...]:
    """The units again."""
    borders = pairwise(accumulate((size for size, _, _ in told), initial=0))
    return tuple(
        Unit(body[begin:end], position, key)
        for (begin, end), (_, position, key) in zip(borders, told, strict=True)
    )
