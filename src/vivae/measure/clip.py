"""A short clip held in memory, for measuring: every method reads the same frames, and none is timed on reading them.

Not for streams of any length: those go frame by frame through `vivae.media`.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vivae.media import Frame, Picture, VideoInfo, open_video

Progress = Callable[[str, float], None]
"""progress(what is being done, share of the whole that is done, 0 to 1)."""


def no_progress(label: str, share: float) -> None:
    """For callers who do not ask."""


@dataclass(frozen=True, slots=True)
class Clip:
    """The frames, and what they share. info: of the whole file they were read from."""

    name: str
    info: VideoInfo
    picture: Picture
    frames: tuple[Frame, ...]

    @property
    def pixels(self) -> int:
        """Luma samples of all frames together."""
        return self.picture.width * self.picture.height * len(self.frames)

    @property
    def seconds(self) -> float:
        return float(self.frames[-1].time + self.frames[-1].duration - self.frames[0].time)

    @property
    def raw_bytes(self) -> int:
        """Size of the frames as uncompressed 8-bit 4:2:0: what ratios are counted against."""
        return sum(plane.nbytes for frame in self.frames for plane in frame.planes)


def load_clip(
    path: str | os.PathLike[str],
    *,
    frames: int | None = None,
    pixels: int | None = None,
    even: bool = False,
    start: float | None = None,
    end: float | None = None,
) -> Clip:
    """Read the first frames of a file: at most `frames`, at most `pixels` of luma (but one), from start to end seconds.

    even: leave out an odd last line or column, which not every codec takes.
    """
    with open_video(path, start=start, end=end) as reader:
        info = reader.info
        width, height = (side - side % 2 if even and side > 1 else side for side in (info.width, info.height))
        limits = [
            limit for limit in (frames, None if pixels is None else pixels // (width * height)) if limit
        ]
        # A limit of zero pixels was dropped with the absent ones: one frame is then the least there can be.
        most = min(limits) if limits else (1 if pixels is not None else None)
        read = tuple(cropped(frame, width, height) for frame in islice(reader, most))
    picture = Picture(width, height, info.fps, info.color, info.sar)
    return Clip(Path(path).stem, info, picture, read)


def file_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cropped(frame: Frame, width: int, height: int) -> Frame:
    """The upper left corner of a frame; even sides keep luma and chroma together."""
    if (frame.width, frame.height) == (width, height):
        return frame
    half = slice(-(-height // 2)), slice(-(-width // 2))
    planes = frame.y[:height, :width], frame.u[half], frame.v[half]
    return Frame(*planes, frame.time, frame.duration, frame.color)
