"""What of a scene is watched for the unusual: how fast things move at each place, and how many bits a place costs.

Signs are maps over a fixed grid of places, so that what is usual can be learned for each of them. Motion is DIS flow;
surprise is the rate term of the negative ELBO of a video VAE: what its prior, which knows the frames before, did not
expect.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Frame, Planes
from vivae.vae.model import VideoVAE
from vivae.vae.stream import StreamEncoder, grouped

Map = NDArray[np.float32]
SHORT_SIDE = 240
"""Motion is watched at this size..."""
SURPRISE_SIDE = 128
"""...and surprise at this one: the VAE takes most of the time."""
CELL = 20
"""Pixels of a place's side, at that size."""
FINE = 4
WIDE = 7
"""Flow is averaged over so many squares of FINE pixels: a body, not a limb."""
SIGNS = ("motion", "surprise")


@dataclass(frozen=True)
class Seen:
    """The signs of one frame: maps over the grid of places, by name."""

    frame: Frame
    maps: dict[str, Map]


class Watcher:
    """Frames of one camera, in order, to their signs, one step of the VAE behind. vae: None for motion alone."""

    def __init__(self, vae: VideoVAE | None = None) -> None:
        self._vae = vae
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def watch(self, frames: Iterable[Frame]) -> Iterator[Seen]:
        """Every frame once; the first shows no motion."""
        stride = 1 if self._vae is None else self._vae.config.temporal_stride
        encoder = None if self._vae is None else StreamEncoder(self._vae)
        before: tuple[NDArray[np.uint8], Frame] | None = None
        for group in grouped(frames, stride):
            small = [_small(frame, SHORT_SIDE) for frame in group]
            grid = (-(-small[0].height // CELL), -(-small[0].width // CELL))
            costs = None
            if encoder is not None:
                tiny = [_small(frame, SURPRISE_SIDE) for frame in group]
                bits = encoder.push(tiny).bits.sum(0).numpy() / len(group)
                costs = _on_grid(np.asarray(bits, np.float32), grid)
            for frame, little in zip(group, small, strict=True):
                luma = np.ascontiguousarray(little.y)
                speed = np.zeros(grid, np.float32)
                if before is not None and before[0].shape == luma.shape:
                    speed = self._speed(before[0], luma, grid, float(frame.time - before[1].time))
                before = luma, frame
                maps = {"motion": speed} | ({} if costs is None else {"surprise": costs})
                yield Seen(frame, maps)

    def _speed(
        self, before: NDArray[np.uint8], now: NDArray[np.uint8], grid: tuple[int, int], seconds: float
    ) -> Map:
        """Pixels a second at the watched size, of the fastest body at each place."""
        flow = self._search.calc(before, now, np.zeros((*now.shape, 2), np.float32))
        size = np.hypot(flow[..., 0], flow[..., 1])
        rows, columns = now.shape
        fine = cv2.resize(size, (-(-columns // FINE), -(-rows // FINE)), interpolation=cv2.INTER_AREA)
        bodies = np.asarray(cv2.blur(fine, (WIDE, WIDE)), np.float32)
        return _on_grid(bodies, grid) / max(seconds, 1e-3)


def _on_grid(values: Map, grid: tuple[int, int]) -> Map:
    """The largest value in each place."""
    rows = np.linspace(0, values.shape[0], grid[0] + 1).astype(int)
    columns = np.linspace(0, values.shape[1], grid[1] + 1).astype(int)
    found = np.empty(grid, np.float32)
    for row in range(grid[0]):
        for column in range(grid[1]):
            part = values[
                rows[row] : max(rows[row + 1], rows[row] + 1),
                columns[column] : max(columns[column + 1], columns[column] + 1),
            ]
            found[row, column] = part.max() if part.size else 0.0
    return found


def _small(frame: Frame, side: int) -> Frame:
    """Scaled down so that the shorter side is `side`, never up; sides of a multiple of 4."""
    scale = min(1.0, side / min(frame.height, frame.width))
    height, width = (max(4, round(side * scale / 4) * 4) for side in (frame.height, frame.width))
    sizes = [(width, height), (width // 2, height // 2), (width // 2, height // 2)]
    y, u, v = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
        for plane, size in zip(frame.planes, sizes, strict=True)
    )
    planes: Planes = y, u, v
    return Frame(*planes, frame.time, frame.duration, frame.color)
