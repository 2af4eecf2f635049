"""Scaling planes: Lanczos both ways unless said, each plane by itself, so that 4:2:0 stays 4:2:0."""

import cv2
import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from vivae.media.av1 import SMALLEST_SIDE
from vivae.media.color import Planes
from vivae.media.frames import Frame
from vivae.media.probe import VideoInfo


class Shrinker:
    """Planes scaled down with the filter's support widened as the scale asks (FFmpeg's swscale)."""

    def __init__(self, width: int, height: int, method: Interpolation = Interpolation.LANCZOS) -> None:
        self.width, self.height, self.method = width, height, method
        self._scalers = [VideoReformatter() for _ in range(3)]

    def __call__(self, planes: Planes) -> Planes:
        """uint8 planes of any size -> those of width x height."""
        sizes = [(self.width, self.height), *[(-(-self.width // 2), -(-self.height // 2))] * 2]
        y, u, v = (
            plane if plane.shape == size[::-1] else self._shrunk(scaler, plane, *size)
            for scaler, plane, size in zip(self._scalers, planes, sizes, strict=True)
        )
        return y, u, v

    def _shrunk(
        self, scaler: VideoReformatter, plane: NDArray[np.uint8], width: int, height: int
    ) -> NDArray[np.uint8]:
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(plane), format="gray")
        small = scaler.reformat(picture, width=width, height=height, format="gray", interpolation=self.method)
        return np.asarray(small.to_ndarray(), np.uint8)


def enlarged(planes: Planes, width: int, height: int) -> Planes:
    """uint8 planes scaled up to width x height by Lanczos over 8x8 samples."""
    sizes = [(width, height), *[(-(-width // 2), -(-height // 2))] * 2]
    y, u, v = (
        plane
        if plane.shape == size[::-1]
        else np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LANCZOS4), np.uint8)
        for plane, size in zip(planes, sizes, strict=True)
    )
    return y, u, v


def shrunk_size(picture: VideoInfo | Frame, side: int) -> tuple[int, int]:
    """Width and height, even, of a picture that is at most `side` wide."""
    width = min(side, picture.width) // 2 * 2
    return max(2, width), max(2, round(picture.height * width / picture.width / 2) * 2)


def shrunk(frame: Frame, side: int) -> Frame:
    """The frame at most `side` wide, with even sides."""
    width, height = shrunk_size(frame, side)
    y, u, v = (
        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)
        for plane, size in zip(frame.planes, ((width, height), *[(width // 2, height // 2)] * 2), strict=True)
    )
    return Frame(y, u, v, frame.time, frame.duration, frame.color)


def base_size(width: int, height: int, shrink: float) -> tuple[int, int]:
    """Width and height of a base `shrink` times smaller than the display: even, and never larger than it."""
    return _side(width, shrink), _side(height, shrink)


def _side(side: int, shrink: float) -> int:
    return side if shrink == 1 else min(side, max(SMALLEST_SIDE, round(side / shrink / 2) * 2))
