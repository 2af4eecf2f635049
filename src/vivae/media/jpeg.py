"""Whether a JPEG file is whole: FFmpeg's decoder fills in what is missing of one, and says so to nobody."""

import re

_SCAN, _END = 0xDA, 0xD9
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
