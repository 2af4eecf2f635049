"""What travels beside the pictures of a .vva file: sound, subtitles, attachments, chapters and metadata.

They are kept as a small Matroska file with one stand-in picture, made and read by `vivae.media` like any other video,
packets copied unchanged where Matroska can hold them.
"""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np

from vivae.codec.container import VvaReader
from vivae.media import ColorInfo, Frame, open_writer
from vivae.media.source import find_source, open_container

_SIDE = 16
"""Pixels of the stand-in picture."""


def write_side(
    src: str | os.PathLike[str], path: Path, start: float | None = None, end: float | None = None
) -> bool:
    """Collect at `path` (.mkv) what travels with the pictures of `src` from start to end; False where nothing does."""
    if find_source(src).sequence:
        return False
    color, second = ColorInfo.guess(_SIDE), Fraction(1)
    with open_writer(
        path,
        width=_SIDE,
        height=_SIDE,
        fps=second,
        color=color,
        codec="ffv1",
        copy_from=src,
        start=start,
        end=end,
    ) as writer:
        grey, half = np.full((_SIDE, _SIDE), 128, np.uint8), np.full((_SIDE // 2, _SIDE // 2), 128, np.uint8)
        writer.write(Frame(grey, half, half, Fraction(0), second, color))
    with open_container(path) as found:
        own = {key.lower() for key in found.metadata} - {"encoder"}
        return bool(own) or len(found.streams) > 1 or bool(found.chapters())


def read_side(reader: VvaReader, path: Path) -> bool:
    """Put at `path` (.mkv) what `write_side` made; False where the file carries nothing. Raises FormatError."""
    with path.open("wb") as file:
        return sum(map(file.write, reader.side())) > 0
