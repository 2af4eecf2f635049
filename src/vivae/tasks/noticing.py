"""Where to look without being told: masks of what moves by itself, for every frame of a video, kept on disk."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vivae import __version__
from vivae.media import VideoInfo
from vivae.media.indexed import decode_indexed
from vivae.media.kept import Kept, file_mark
from vivae.media.masks import Mask
from vivae.tasks.common import Progress, expected_frames
from vivae.tasks.labelling import Span, moving_objects
from vivae.tasks.labels_kept import KeptLabels
from vivae.vae.segmenter import FlowSegmenter


class Noticed:
    """The objects that `segment --auto` finds; in memory a few numbers a frame.

    network: what tells how things move. folder: where the masks are kept; what an interrupted run has found of them is
    there, too. progress: of finding them, which takes a fifth of a second a frame.
    """

    def __init__(
        self,
        src: str | os.PathLike[str],
        info: VideoInfo,
        network: FlowSegmenter,
        folder: Path,
        *,
        start: float | None,
        end: float | None,
        progress: Progress,
    ) -> None:
        self._size = info.height, info.width
        kept = Kept(folder, f"{__version__} {file_mark(src)} {start} {end} noticed {network.hash}")
        self._found = KeptLabels(kept)
        work = partial(moving_objects, Span(src, start, end), info, network)
        self._found.find(work, expected_frames(info, start, end), progress)
        seen, begins = [], []
        for found in self._found:
            seen.append(bool(decode_indexed(found.labels).any()))
            begins.append(found.begins)
        self.frames = sum(seen)
        """In how many frames something is found."""
        self._shown = filled(seen, begins)

    def masks(self) -> Iterator[Mask]:
        """bool (H, W) of each frame, set everywhere in shots in which nothing moves."""
        held, mask = -1, np.ones(self._size, bool)
        for shown in self._shown:
            if shown is None:
                yield np.ones(self._size, bool)
                continue
            if shown != held:
                held, mask = shown, decode_indexed(self._found[shown].labels) > 0
            yield mask


def filled(seen: Sequence[bool], begins: Sequence[bool]) -> list[int | None]:
    """For each frame the one whose mask holds: its own, else the last before it in its shot, else the first after it.

    What stands still for a while is not seen, and has not gone. seen: whether anything is found in a frame. begins:
    whether a shot does. None where nothing is found in the whole shot.
    """
    shown: list[int | None] = []
    begin, last = 0, None
    for index, (here, restart) in enumerate(zip(seen, begins, strict=True)):
        if restart:
            begin, last = index, None
        if here:
            if last is None:
                shown[begin:] = [index] * (index - begin)
            last = index
        shown.append(last)
    return shown
