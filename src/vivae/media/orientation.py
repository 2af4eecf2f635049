"""How a camera was held: reading a display matrix, and turning planes upright.

Turning moves whole samples and changes none. With odd sizes the chroma grid then lies half a sample off, as it does
after FFmpeg's own hflip and transpose.
"""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from numpy.typing import NDArray

from vivae.media.color import Planes

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Orientation:
    """What makes a stored picture upright: first transpose (if), then mirror left-right, then top-bottom."""

    transposed: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @staticmethod
    def of(frame: av.VideoFrame) -> Orientation:
        """From the frame's display matrix: quarter turns and mirrors; anything else is ignored with a warning."""
        try:
            # `frame.side_data` would be kept in the frame, and keep the frame: memory that only a collection of garbage
            # frees, and Python, which counts objects and not bytes, seldom sees a reason for one.
            side_data: Any = SideDataContainer(frame)  # type: ignore[call-arg]  # as the stub has it
        except ValueError:
            # PyAV fails over kinds that it does not know, such as EXIF; then mirrors are not seen.
            return _QUARTER_TURNS.get(round(frame.rotation) % 360, Orientation())
        found = [bytes(data) for data in side_data if data.type == Type.DISPLAYMATRIX]
        if not found:
            return Orientation()
        # Row vectors in 16.16 fixed point: (x', y') = (x, y) [[a, b], [c, d]]; y points down.
        a, b, _, c, d, *_ = struct.unpack("=9i", found[0])
        if b == c == 0 and a and d:
            return Orientation(False, a < 0, d < 0)
        if a == d == 0 and b and c:
            return Orientation(True, c < 0, b < 0)
        logger.warning("the display rotation is not a multiple of 90 degrees: it is ignored")
        return Orientation()

    @property
    def degrees(self) -> int:
        """Clockwise turn: 0, 90, 180 or 270. A mirrored picture counts as the turn before mirroring left-right."""
        if self.transposed:
            return 90 if not self.mirror_y else 270
        return 180 if self.mirror_y else 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after turning."""
        return (height, width) if self.transposed else (width, height)

    def apply(self, planes: Planes) -> Planes:
        """Planes turned upright, contiguous."""
        if self == Orientation():
            return planes
        y, u, v = (self._turn(plane) for plane in planes)
        return y, u, v

    def _turn(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.transposed:
            plane = plane.T
        return np.ascontiguousarray(plane[:: -1 if self.mirror_y else 1, :: -1 if self.mirror_x else 1])


_QUARTER_TURNS = {  # counter-clockwise degrees
    90: Orientation(True, mirror_y=True),
    180: Orientation(False, True, True),
    270: Orientation(True, mirror_x=True),
}
