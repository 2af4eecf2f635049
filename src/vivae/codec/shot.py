"""One shot through AV1: encoded at a base size, decoded, enhanced, and measured against what it was."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vivae.codec.layer import CRF_UNIT, GAIN_UNIT, Layer, whole_layer
from vivae.codec.spool import Shot
from vivae.measure.quality import PEAK, psnr_yuv
from vivae.media import Picture, Planes
from vivae.media.av1 import Av1Settings, Unit, decode_av1, encode_av1
from vivae.media.resample import Shrinker, base_size, enlarged
from vivae.vae.enhancer import Enhancer, Known
from vivae.vae.enhancing import Step, enhanced

FIT_FRAMES = 8
"""Frames over which the gains of a shot are solved, from its middle."""
BESIDE_UP_TO = 1_000_000
"""Pixels of a picture up to which two encoders run at once: of larger ones each takes much memory."""
FLOOR = 1e-4
"""Of mean squared errors: identical planes are good enough."""


@dataclass(frozen=True, slots=True)
class Base:
    """How a shot is coded. shrink: display width over base width."""

    settings: Av1Settings
    shrink: float = 1.0
    enhance: bool = False
    """Whether a base of full size is enhanced; smaller ones always are."""

    @property
    def enhanced(self) -> bool:
        return self.enhance or self.shrink != 1

    def picture(self, display: Picture) -> Picture:
        """What the encoder is given."""
        width, height = base_size(display.width, display.height, self.shrink)
        return replace(display, width=width, height=height)


@dataclass(frozen=True, slots=True)
class Coded:
    """A shot as coded: its temporal units, and the layer that makes its pictures of them, if any does."""

    base: Base
    units: tuple[Unit, ...]
    layer: Layer | None = None

    @property
    def bits(self) -> int:
        return 8 * sum(len(unit.data) for unit in self.units)


def encode_shot(shot: Shot, base: Base, model: Enhancer | None, *, threads: int) -> Coded:
    """Encode a shot; where the base is to be enhanced, with the layer that says how.

    Without a model the layer adds nothing to the base, which is only scaled up.
    """
    coded = _encoded(shot, shot.picture, base, threads)
    if model is None or not base.enhanced:
        return coded
    return with_layer(shot, coded, model, "upscale", threads=threads)[0]


def encode_shots(shot: Shot, bases: Sequence[Base], *, threads: int) -> list[Coded]:
    """As `encode_shot` does without a model, with several bases.

    Two at a time where that is possible: one encoder alone leaves threads idle at both ends of a shot.
    """
    pixels = shot.picture.width * shot.picture.height
    if threads < 2 or len(bases) < 2 or pixels > BESIDE_UP_TO:
        return [_encoded(shot, shot.picture, base, threads) for base in bases]
    stopped = threading.Event()

    def one(base: Base) -> Coded:
        return _encoded(_until(stopped, shot), shot.picture, base, threads)

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(one, base) for base in bases]
        try:
            for run in as_completed(runs):
                run.result()
        except BaseException:
            # Leaving the pool waits for its threads.
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [run.result() for run in runs]


def _encoded(frames: Iterable[Planes], display: Picture, base: Base, threads: int) -> Coded:
    picture = base.picture(display)
    units = tuple(encode_av1(_shrunk(frames, picture), picture, base.settings, threads=threads))
    return Coded(
        base, units, whole_layer(display, base.settings.crf, None, "upscale") if base.enhanced else None
    )


def _until(stopped: threading.Event, frames: Iterable[Planes]) -> Iterator[Planes]:
    for frame in frames:
        if stopped.is_set():
            raise InterruptedError
        yield frame


def with_layer(shot: Shot, coded: Coded, model: Enhancer, kind: str, *, threads: int) -> tuple[Coded, float]:
    """The same stream, with the layer that says how much of the model's work suits it; what it brings, in dB of
    PSNR-YUV, on the frames that were looked at."""
    layer = whole_layer(shot.picture, coded.base.settings.crf, model.hash, kind)
    products = products_of(shot, coded.units, layer, model, threads)
    layer = fitted(layer, products)
    energy, agreement, before = products.transpose(2, 0, 1)
    gains = np.array(layer.gains)
    after = before - 2 * gains * agreement + gains**2 * energy
    return replace(coded, layer=layer), float(np.mean(_quality(after, layer) - _quality(before, layer)))


def _quality(errors: NDArray[np.float64], layer: Layer) -> NDArray[np.float64]:
    """PSNR-YUV (frames,) in dB, from summed squared errors (frames, 3 planes)."""
    chroma = -(-layer.width // 2) * -(-layer.height // 2)
    means = errors / (layer.width * layer.height, chroma, chroma)
    y, u, v = 10 * np.log10(PEAK**2 / np.maximum(means, FLOOR)).T
    return np.asarray(psnr_yuv(y, u, v))


def _shrunk(frames: Iterable[Planes], picture: Picture) -> Iterator[Planes]:
    return map(Shrinker(picture.width, picture.height), frames)


def products_of(
    shot: Shot, units: tuple[Unit, ...], layer: Layer, model: Enhancer, threads: int
) -> NDArray[np.float64]:
    """What the whole residual of an enhancer (a `whole_layer`) would do to frames from the middle of a shot.

    (frames, 3 planes, 3): sums over the plane of the squared residual, of residual times what is missing, and of what
    is missing squared.
    """
    first = max(0, (len(shot) - FIT_FRAMES) // 2)
    last = min(len(shot), first + FIT_FRAMES)
    bases = list(itertools.islice(_bases(units, threads), first, last))
    plain = (enlarged(planes, layer.width, layer.height) for planes in bases)
    full = enhanced(model, _steps(bases, layer))
    products = np.zeros((last - first, 3, 3))
    for index, (clean, before, after) in enumerate(zip(shot.part(first, last), plain, full, strict=True)):
        for plane in range(3):
            residual = after[plane].astype(np.float64) - before[plane]
            wanted = clean[plane].astype(np.float64) - before[plane]
            products[index, plane] = (residual**2).sum(), (residual * wanted).sum(), (wanted**2).sum()
    return products


def fitted(layer: Layer, products: NDArray[np.float64]) -> Layer:
    """The layer with the gains of least squares: the plane's share of the residual that leaves the least error."""
    energy, agreement, _ = products.sum(0).T
    gains = (
        np.rint(GAIN_UNIT * agreement / np.maximum(energy, 1e-9)).clip(0, 2 * GAIN_UNIT).astype(int).tolist()
    )
    return replace(layer, gain_y=gains[0], gain_u=gains[1], gain_v=gains[2])


def _bases(units: Iterable[Unit], threads: int) -> Iterator[Planes]:
    return decode_av1((unit.data for unit in units), threads=threads)


def _steps(bases: Iterable[Planes], layer: Layer) -> Iterator[Step]:
    restart = True
    for planes in bases:
        yield step_of(planes, layer, restart)
        restart = False


def step_of(planes: Planes, layer: Layer, restart: bool) -> Step:
    """A decoded base as the enhancer is to take it."""
    shrink = layer.width / planes[0].shape[1]
    return Step(
        enlarged(planes, layer.width, layer.height), Known(layer.crf / CRF_UNIT, shrink), layer.gains, restart
    )


def decode_shot(
    coded: Coded, model: Enhancer | None, *, threads: int, first: int = 0, last: int | None = None
) -> Iterator[Planes]:
    """The pictures from `first` up to `last` as a receiver sees them; enhancing begins with `first`.

    Without a model a smaller base is only scaled up.
    """
    bases = itertools.islice(_bases(coded.units, threads), first, last)
    if coded.layer is None:
        yield from bases
    elif model is None:
        for planes in bases:
            yield enlarged(planes, coded.layer.width, coded.layer.height)
    else:
        yield from enhanced(model, _steps(bases, coded.layer))
