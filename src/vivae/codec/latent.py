"""The pure VAE codec: frames to groups of range-coded symbols, and back.

Every key frame starts from nothing. The prior of each later step is conditioned on the symbols before it, and the
pictures on the decoder's own last picture and memory, moved along a coded motion field where the model asks for it;
pictures, which are floating point, never touch the symbols.
One `SymbolStream` serves both directions, so they cannot drift apart.

Memory does not grow with length: a group is written when it is large enough, and one step is decoded at a time.
"""

import hashlib
import itertools
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivae.codec.container import VvaReader
from vivae.codec.entropy import SymbolReader, SymbolWriter
from vivae.codec.records import MAX_GROUP, QUALITY_UNITS, Group, Header, Span
from vivae.codec.refining import Sought, refined
from vivae.codec.symbols import Preface, SymbolStream
from vivae.errors import FormatError, InputError, ModelMismatch, UnsupportedError
from vivae.media import Frame
from vivae.vae.compensation import MotionSearch, finer, luma_of, moved_to
from vivae.vae.model import VideoVAE
from vivae.vae.stream import Layout, StreamDecoder, grouped
from vivae.vae.zoo import check_made_with, load_model

logger = logging.getLogger(__name__)

GROUP_BYTES = 8192
"""A group is closed once it has as many: its frame of 20 bytes then costs little, and damage costs little video."""


class LatentEncoder:
    """Frames in, `Group`s out. `bits` is what the coded symbols should cost by their probabilities.

    key_interval: frames from key to key. Frames must have the size and colour that the header says.
    """

    def __init__(self, model: VideoVAE, header: Header, *, key_interval: int):
        _check_codable(model)
        self._model, self._header = model, header
        self._layout = Layout(model.config, header.height, header.width)
        self._stream = SymbolStream(model, self._layout, header.quality)
        self._steps = max(1, key_interval // model.config.temporal_stride)
        self._search = MotionSearch(model.config.stride) if model.config.motion else None
        self.bits = 0.0

    def groups(self, frames: Iterable[Frame]) -> Iterator[Group]:
        """Code all frames, as they come."""
        pending: _Pending | None = None
        number = 0
        for index, step in enumerate(grouped(frames, self._model.config.temporal_stride)):
            key = index % self._steps == 0
            if pending is not None and (key or pending.full or pending.end != self._ticks(step[0].time)):
                yield self._closed(pending)
                pending = None
            if key:
                self._restart()
            if pending is None:
                writer = SymbolWriter(self._stream.tables)
                pending = _Pending(int(key), number, self._ticks(step[0].time), writer)
            self._push(step, pending.writer)
            pending.ticks += [
                max(1, self._ticks(frame.time + frame.duration) - self._ticks(frame.time)) for frame in step
            ]
            number += len(step)
        if pending is not None:
            yield self._closed(pending)

    def _restart(self) -> None:
        self._state = self._model.initial_state(1, *self._layout.packed_size)
        self._field: NDArray[np.int32] | None = None
        self._since_key = 0
        self._stream.restart()

    @torch.no_grad()
    def _push(self, frames: list[Frame], writer: SymbolWriter) -> None:
        model = self._model
        device = self._state.picture.device
        x = self._layout.pack(frames).to(device)
        if self._search is not None:
            self._compensate(self._search, x, writer)
        quality = torch.tensor([self._stream.units / QUALITY_UNITS], device=device)
        latent = model.find_latent(x, self._state, quality)
        if not torch.isfinite(latent).all():
            raise UnsupportedError(f"model '{model.config.name}' finds no latent for this video: train it on")
        if model.config.still:
            latent = refined(Sought(model, x, self._state, quality), latent, self._stream)
        symbols = self._stream.step(writer, latent)
        _, self._state = model.decode(symbols.to(device), self._state, quality)

    def _compensate(self, search: MotionSearch, x: Tensor, writer: SymbolWriter) -> None:
        """Find and code how a picture moved, and move what is known."""
        self._since_key = 0 if self._stream.key else self._since_key + 1
        better = round(255 * finer(self._since_key))
        if self._stream.key:
            self._stream.preface(writer, Preface(better, None))
            return
        here, last = (luma_of(picture, self._model.config)[0] for picture in (x, self._state.picture))
        asked = self._header.quality / QUALITY_UNITS
        self._field = search.field(here, last, asked, self._field)
        quality = torch.tensor([asked])
        self._state, fields = moved_to(self._field[None], x, self._state, quality, self._model.config)
        self._stream.preface(writer, Preface(better, fields[0]))

    def _closed(self, pending: "_Pending") -> Group:
        self.bits += pending.writer.bits
        runs = tuple(Span(len(list(run)), ticks) for ticks, run in itertools.groupby(pending.ticks))
        return Group(pending.key, pending.first, pending.start, runs, pending.writer.finish())

    def _ticks(self, time: Fraction) -> int:
        return round((time - self._header.origin) / self._header.time_base)


class _Pending:
    """A group that is being filled."""

    def __init__(self, key: int, first: int, start: int, writer: SymbolWriter):
        self.key, self.first, self.start, self.writer = key, first, start, writer
        self.ticks: list[int] = []

    @property
    def end(self) -> int:
        return self.start + sum(self.ticks)

    @property
    def full(self) -> bool:
        """Keys stay alone, so that files tell what they cost."""
        return bool(self.key) or self.writer.size >= GROUP_BYTES or len(self.ticks) + 8 > MAX_GROUP


class Step(NamedTuple):
    """The decoded symbols of one step, and the frames that they stand for."""

    symbols: Tensor
    """Whole numbers (1, L, rows, columns)."""
    units: int
    """The step's quality, in the units of a file."""
    field: NDArray[np.int32] | None
    """How the picture moved, where the model compensates motion and this is no key."""
    key: bool
    first: int
    """Number of the first frame."""
    start: int
    """Its tick."""
    ticks: tuple[int, ...]
    """Durations of the frames."""


class LatentDecoder:
    """Groups in, symbols or frames out; mirrors `LatentEncoder`. Raises FormatError for damaged groups of `name`."""

    def __init__(self, model: VideoVAE, header: Header, name: str = "a file"):
        _check_codable(model)
        self._model, self._header, self._name = model, header, name
        self._stream = SymbolStream(model, Layout(model.config, header.height, header.width), header.quality)

    def steps(self, groups: Iterable[Group]) -> Iterator[Step]:
        """The symbols alone: the same on every machine, and several times cheaper than frames."""
        size = self._model.config.temporal_stride
        for group in groups:
            if group.key:
                self._stream.restart()
            reader = SymbolReader(self._stream.tables, group.payload, self._name)
            ticks = [span.ticks for span in group.spans for _ in range(span.count)]
            tick = group.start
            for at in range(0, len(ticks), size):
                part = tuple(ticks[at : at + size])
                key = bool(group.key) and at == 0
                field = self._stream.preface(reader).field
                symbols = self._stream.step(reader)
                yield Step(symbols, self._stream.units, field, key, group.first + at, tick, part)
                tick += sum(part)
            reader.finish()

    def frames(self, groups: Iterable[Group]) -> Iterator[Frame]:
        """The frames; groups must begin with a key."""
        header = self._header
        decoder: StreamDecoder | None = None
        for step in self.steps(groups):
            if decoder is None or step.key:
                decoder = StreamDecoder(self._model, header.height, header.width)
            tick = step.start
            shown = decoder.push(
                step.symbols[0], len(step.ticks), quality=step.units / QUALITY_UNITS, field=step.field
            )
            for planes, ticks in zip(shown, step.ticks, strict=True):
                time = header.origin + tick * header.time_base
                yield Frame(*planes, time, ticks * header.time_base, header.color)
                tick += ticks


def decode_frames(
    reader: VvaReader,
    model: VideoVAE,
    *,
    start: Fraction | None = None,
    end: Fraction | None = None,
    best_effort: bool = False,
) -> Iterator[Frame]:
    """The frames of an open file; start, end (seconds) trim as `vivae.media.open_video` does, and times begin at start.

    Decoding begins at the last key frame before `start`. best_effort: give the frames before the first damage and
    a warning, where FormatError would be raised; without any such frame it is raised all the same.
    """
    start = start or Fraction(0)
    count = 0
    try:
        index, header = reader.index, reader.header
        if not index.complete and not best_effort:
            raise reader.truncated()
        begin = [key for key in index.keys if header.origin + key.start * header.time_base <= start]
        groups = reader.groups(begin[-1] if begin else None)
        for frame in LatentDecoder(model, header, reader.name).frames(groups):
            if frame.time < start:
                continue
            if end is not None and frame.time >= end:
                break
            length = frame.duration if end is None else min(frame.duration, end - frame.time)
            count += 1
            yield replace(frame, time=frame.time - start, duration=length)
    except FormatError as error:
        if not best_effort or not count:
            raise
        logger.warning("%s; kept are the frames before that: %d", error, count)
    if not count:
        raise InputError(f"'{reader.path}' has no frame in the chosen span")


def model_of(reader: VvaReader, model: str | Path | None = None, device: str = "cpu") -> VideoVAE:
    """The model that a file was made with, from the shipped ones or as given. Raises ModelMismatch."""
    header = reader.header
    try:
        found = load_model(model or header.model, device=device)
    except InputError as error:
        if model is not None:
            raise
        raise ModelMismatch(
            f"'{reader.path}' was made with model '{header.model}', which is not here: give its path with --model"
        ) from error
    check_made_with(found, reader.path, header.model, header.model_hash)
    return found


def symbols_digest(path: str | os.PathLike[str], *, model: str | Path | None = None) -> str:
    """SHA-256 over all symbols of a file as little-endian int32: equal on every machine that decodes it rightly."""
    digest = hashlib.sha256()
    with VvaReader(path) as reader:
        decoder = LatentDecoder(model_of(reader, model), reader.header, reader.name)
        for step in decoder.steps(reader.groups()):
            digest.update(step.symbols.numpy().astype("<i4").tobytes())
    return digest.hexdigest()


def _check_codable(model: VideoVAE) -> None:
    if not model.hash:
        raise InputError("a model must be saved before it codes files: they name the hash of its weights")
    if model.config.condition_channels:
        raise UnsupportedError(
            f"model '{model.config.name}' needs a condition, and the latent codec has none to give: choose another"
        )
