"""The shots of one source, coded by many helpers ahead of the encoder that joins them.

Who helps is for others to say (`helped_by`); what they do is here. A helper reads its shot from the source itself and
puts the coded shot into the store in which an interrupted run finds its own: the encoder then goes over the source as
ever and finds every shot done. So the file is the same to the bit, sound and times included, whoever coded its shots.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vivae.codec.choose import Effort, Setting, best_coding
from vivae.codec.encoding import recolored
from vivae.codec.plan import ShotProbes, meter
from vivae.codec.shot import Coded
from vivae.codec.spool import Shot, ends_before, with_cuts, write_shot
from vivae.codec.store import ShotStore
from vivae.errors import InputError
from vivae.media import ColorInfo, Frame, Picture, open_video
from vivae.media.av1 import Depth
from vivae.vae.enhancer import Enhancer

Helpers = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""helpers(function, arguments): the results in order; both travel to other processes."""

_helpers: ContextVar[Helpers | None] = ContextVar("helpers", default=None)


@contextmanager
def helped_by(helpers: Helpers) -> Iterator[None]:
    """Within the block, long sources are coded with this help."""
    token = _helpers.set(helpers)
    try:
        yield
    finally:
        _helpers.reset(token)


def helpers() -> Helpers | None:
    """Who helps here, if anyone does."""
    return _helpers.get()


@dataclass(frozen=True, slots=True)
class Piece:
    """A shot of a source, by where it lies: what another process needs to find and code it."""

    src: str
    start: Fraction
    """Where the coded part of the source begins, seconds."""
    first: int
    count: int
    time: Fraction
    """Of its first frame, in seconds after `start`."""
    check: int
    """CRC-32 of its first frame, to see that seeking has found it."""
    picture: Picture
    color: ColorInfo
    last: bool
    model: Enhancer
    effort: Effort
    threads: int
    store: ShotStore
    crf: float
    setting: Setting | None = None
    depth: Depth | None = None

    def wanted(self) -> str:
        """The shot's name in the store."""
        return wanted(self.first, self.count, self.setting, self.depth)


def wanted(first: int, count: int, setting: Setting | None, depth: Depth | None) -> str:
    """The name in the store of a shot of `count` frames from frame `first` on."""
    return f"{first} {count} {setting} {depth}"


def pieces_of(frames: Iterable[Frame], longest: int, like: Piece) -> list[Piece]:
    """The shots of a stream as `vivae.codec.spool.shots_of` cuts it, without keeping a frame."""
    found: list[Piece] = []
    count = 0
    for index, (frame, starts) in enumerate(with_cuts(frames)):
        if not found or ends_before(count, starts, longest):
            if found:
                found[-1] = replace(found[-1], count=count)
            found.append(replace(like, first=index, time=frame.time, check=_check(frame)))
            count = 0
        count += 1
    found[-1] = replace(found[-1], count=count, last=True)
    return found


def probe_piece(piece: Piece) -> ShotProbes:
    """What the shot costs and gives over a range of quantisers."""
    with _shot(piece) as shot:
        return ShotProbes(shot, piece.crf, piece.effort, piece.model, meter(), threads=piece.threads)


def code_piece(piece: Piece) -> Depth:
    """Code the shot into the store, unless it is there; the bit depth that was chosen."""
    coded: Coded | None = piece.store.get(piece.wanted())
    if coded is None:
        assert piece.setting is not None
        with _shot(piece) as shot:
            coded = best_coding(
                shot,
                piece.setting,
                piece.effort,
                piece.model,
                depth=piece.depth,
                threads=piece.threads,
            )
        piece.store.put(piece.wanted(), coded)
    return coded.base.settings.depth


@contextmanager
def _shot(piece: Piece) -> Iterator[Shot]:
    with TemporaryDirectory() as room:
        path = Path(room) / "shot.yuv"
        try:
            shot = _read(piece, path, piece.start + piece.time, 0)
        except InputError:
            shot = None
        if shot is None:
            # Seeking has found another frame, as in files with damaged times: count from the beginning.
            shot = _read(piece, path, piece.start, piece.first)
        if shot is None:
            raise InputError(f"'{piece.src}' gives other frames when it is read again: copy it first")
        yield shot


def _read(piece: Piece, path: Path, at: Fraction, skip: int) -> Shot | None:
    """The shot from `skip` frames after a time on, or nothing where another frame is found there."""
    with open_video(piece.src, start=at or None, threads=piece.threads) as reader:
        frames = recolored(itertools.islice(reader, skip, skip + piece.count), piece.color)
        first = next(frames, None)
        if first is None or _check(first) != piece.check:
            return None
        shot = write_shot(itertools.chain([first], frames), piece.picture, path, piece.first)
        shot.last = piece.last
        return shot if len(shot) == piece.count else None


def _check(frame: Frame) -> int:
    found = 0
    for plane in frame.planes:
        found = zlib.crc32(plane.tobytes(), found)
    return found
