"""Decoding an AV1 file that may carry layers: base pictures scaled up and enhanced as their shot's record says.

What is not enhanced passes as it is. A layer that is damaged, or was lost on the way, costs its shot the enhancement,
with a warning; pictures of less than the display's size are then scaled up by Lanczos.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

from vivae.codec.layer import Layer, read_layer
from vivae.codec.obu import metadata_of
from vivae.codec.shot import step_of
from vivae.errors import FormatError, InputError
from vivae.media import Frame, Planes, VideoInfo
from vivae.media.av1 import eight_bit
from vivae.media.packets import CodedPacket, decode_packets, read_packets
from vivae.media.resample import enlarged
from vivae.vae.enhancer import Enhancer
from vivae.vae.enhancing import Step, enhanced

logger = logging.getLogger(__name__)

Models = Callable[[str], Enhancer]
"""Gives the enhancer whose hash begins as said. Raises ModelMismatch."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A base picture, and what becomes of it."""

    planes: Planes
    time: Fraction
    duration: Fraction
    layer: Layer | None
    restart: bool
    """Whether its shot begins with it."""


def decode_layered(
    path: str | os.PathLike[str],
    info: VideoInfo,
    models: Models,
    *,
    start: Fraction | None = None,
    end: Fraction | None = None,
    threads: int = 2,
) -> Iterator[Frame]:
    """The frames of an AV1 file, enhanced, with start <= time < end on a clock that begins at `start` (seconds).

    info: what `probe` says of the file. Pictures have the size of `display_size`.
    Raises FormatError for a damaged stream and ModelMismatch for a model that is not there.
    """
    begin = start or Fraction(0)
    packets = _from_key(read_packets(path), begin)
    size = display_size(path, info)
    empty = True
    for planes, time, duration in _shown(_bases(packets, f"'{path}'", threads), models, size):
        if time < begin or (end is not None and time >= end):
            continue
        empty = False
        left = duration if end is None else min(duration, end - time)
        yield Frame(*planes, time - begin, left, info.color)
    if empty:
        raise InputError(f"'{path}' has no frame in the chosen span: it is {float(info.duration):g} s long")


def display_size(path: str | os.PathLike[str], info: VideoInfo) -> tuple[int, int]:
    """Width and height that the pictures of a file are meant to be shown in.

    FFmpeg tells the size of the first coded picture; where that is a smaller base, its record knows better.
    """
    with closing(read_packets(path)) as packets:
        first = next(packets, None)
    layer = None if first is None else layer_of(first, f"'{path}'")
    return (info.width, info.height) if layer is None else (layer.width, layer.height)


def _from_key(packets: Iterable[CodedPacket], start: Fraction) -> Iterator[CodedPacket]:
    """What decoding from `start` needs: from the last key frame before it on."""
    held: list[CodedPacket] = []
    stream = iter(packets)
    for packet in stream:
        if packet.key:
            held = []
        held.append(packet)
        if packet.time >= start:
            break
    return itertools.chain(held, stream)


def _bases(packets: Iterable[CodedPacket], name: str, threads: int) -> Iterator[Decoded]:
    layer: Layer | None = None
    for packet, picture in decode_packets(packets, name, threads=threads):
        if packet.key:
            layer = layer_of(packet, name)
        yield Decoded(eight_bit(picture), packet.time, packet.duration, layer, packet.key)


def layer_of(packet: CodedPacket, name: str) -> Layer | None:
    """The record of the shot that a key frame begins; None for a plain one, and with a warning for a damaged one."""
    try:
        records = metadata_of(packet.data)
        return read_layer(records[0], name) if records else None
    except FormatError as error:
        logger.warning(
            "%s: the enhancement from %.2f s on is left out, the base is shown", error, float(packet.time)
        )
        return None


def _shown(
    bases: Iterator[Decoded], models: Models, size: tuple[int, int]
) -> Iterator[tuple[Planes, Fraction, Fraction]]:
    for layer, group in itertools.groupby(bases, lambda base: base.layer and base.layer.model):
        if layer is None:
            for base in group:
                yield enlarged(base.planes, *size), base.time, base.duration
        else:
            yield from _enhanced(group, models(layer), size)


def _enhanced(
    bases: Iterable[Decoded], model: Enhancer, size: tuple[int, int]
) -> Iterator[tuple[Planes, Fraction, Fraction]]:
    """The enhancer runs one frame behind: the times wait beside it."""
    times: deque[tuple[Fraction, Fraction]] = deque()

    def steps() -> Iterator[Step]:
        for base in bases:
            times.append((base.time, base.duration))
            assert base.layer is not None
            if (base.layer.width, base.layer.height) != size:
                raise FormatError("the display size of a shot is not that of its file")
            yield step_of(base.planes, base.layer, base.restart)

    for planes in enhanced(model, steps()):
        yield planes, *times.popleft()
