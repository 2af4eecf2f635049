"""What the markers of a JPEG stream tell and FFmpeg's decoder does not: whether it is whole (what is missing is filled
in, and nobody told), and how coarsely it was quantised."""

import re

import numpy as np

_SCAN, _END, _TABLES = 0xDA, 0xD9, 0xDB
_LOWEST = slice(1, 10)
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers without a length: TEM, RST0 to RST7 and SOI."""
_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
"""What ends coded data: any marker but a restart (ITU-T T.81, B.1.1)."""


def is_cut_off(data: bytes) -> bool:
    """Whether a JPEG stream ends before its end marker. What follows that marker (a second picture, a video) is not
    looked at."""
    place = 0
    while (place := data.find(b"\xff", place)) >= 0 and place + 1 < len(data):
        marker = data[place + 1]
        if marker == _END:
            return False
        place += 1 if marker == 0xFF else 2
        if marker in _ALONE or marker == 0xFF:
            continue
        place += int.from_bytes(data[place : place + 2], "big")
        if marker == _SCAN:
            end = _AFTER_SCAN.search(data, place)
            if end is None:
                return True
            place = end.start(1) - 1
    return True


def luma_step(data: bytes) -> float | None:
    """The mean quantiser step of the lowest nine frequencies of luma, in units of the cosine transform (ITU-T T.81,
    B.2.4.1); None where no table comes before the picture."""
    place = data.find(b"\xff")
    while 0 <= place < len(data) - 3:
        marker = data[place + 1]
        place += 1 if marker == 0xFF else 2
        if marker in _ALONE or marker == 0xFF:
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        if marker == _SCAN:
            return None
        if marker == _TABLES:
            found = _first_table(data[place + 2 : place + length])
            if found is not None:
                return found
        place = data.find(b"\xff", place + length)
    return None


def _first_table(body: bytes) -> float | None:
    """Of the table with the number 0, which is luma's."""
    place = 0
    while place < len(body):
        wide = body[place] >> 4 != 0
        size = 128 if wide else 64
        values = np.frombuffer(body[place + 1 : place + 1 + size], ">u2" if wide else "u1")
        if len(values) == 64 and not body[place] & 15:
            return float(values[_LOWEST].mean())
        place += 1 + size
    return None
