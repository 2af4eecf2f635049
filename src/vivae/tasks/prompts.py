"""What a person points at: prompts as words and numbers, and the first mask that they give."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.vae.motion import Motion
from vivae.vae.moving import REACH, what_moves
from vivae.vae.outline import LINES, Hints, outline
from vivae.vae.segmenter import FINEST
from vivae.vae.zoo import load_segmenter

Mask = NDArray[np.bool_]
Point = tuple[float, float]
Box = tuple[float, float, float, float]

MOST_OBJECTS = 20
"""Objects that can be followed at a time."""
_NUMBER = r"-?\d+(?:\.\d+)?"
_TIME = r"(?:@(?P<time>[\d:.]+))?(?:#(?P<id>\d+))?"
_POINT = re.compile(rf"({_NUMBER}),({_NUMBER}){_TIME}")
_BOX = re.compile(rf"({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER}){_TIME}")
_MASK = re.compile(r"(?P<path>.+?)(?:@(?P<time>[\d:.]+))?")


@dataclass(frozen=True)
class Prompt:
    """What is said of one object in the frame that is shown at `time`, in seconds."""

    time: float
    object: int = 1
    point: Point | None = None
    not_point: Point | None = None
    box: Box | None = None
    mask: Path | None = None


def first_mask(
    frame: NDArray[np.uint8],
    *,
    points: Sequence[Point] = (),
    not_points: Sequence[Point] = (),
    box: Box | None = None,
    mask: Mask | None = None,
    before: Sequence[NDArray[np.uint8]] = (),
    after: Sequence[NDArray[np.uint8]] = (),
) -> Mask:
    """The object that is pointed at in one frame, in a fraction of a second: for interfaces.

    frame: uint8 RGB (H, W, 3). points, not_points: (x, y) in pixels, on the object and beside it. box: (x, y, width,
    height) around it. mask: bool (H, W), a mask so far, which points correct. before, after: frames around it, in order
    of time, three of each at most; how things move in them tells much better than colours what belongs to a point.
    Returns bool (H, W). Raises InputError where nothing is pointed at, or outside of the frame.
    """
    for picture in (frame, *before, *after):
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise InputError(f"a frame must be uint8 of shape (H, W, 3), not {picture.dtype} {picture.shape}")
        if picture.shape != frame.shape:
            raise InputError(f"the frames around one of {frame.shape[1]}x{frame.shape[0]} must have its size")
    hints = Hints(points, not_points, box, mask)
    check_hints(hints, frame.shape[1], frame.shape[0])
    full = _in_yuv(frame)
    small = shrunk(full)
    moving = None
    if before or after:
        around = [shrunk(_in_yuv(picture)) for picture in (*before[-REACH:], frame, *after[:REACH])]
        moving = what_moves(load_segmenter(), around, len(before[-REACH:]), Motion(finest=FINEST))
    x, y = small.shape[1] / full.shape[1], small.shape[0] / full.shape[0]
    likely = outline(small, hints.scaled(x, y), moving)
    return np.asarray(cv2.resize(likely, full.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5)


def _in_yuv(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV), np.uint8)


def check_hints(hints: Hints, width: int, height: int) -> None:
    """Raises InputError where nothing is pointed at, or outside of a frame of this size."""
    if not hints.points and hints.box is None and hints.mask is None:
        raise InputError("nothing is pointed at: give a point, a box or a mask")
    for x, y in (*hints.points, *hints.not_points):
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(f"the point {x:g},{y:g} lies outside of the frame, which is {width}x{height}")
    if hints.box is not None:
        x, y, across, down = hints.box
        if across < 2 or down < 2 or x >= width or y >= height or x + across <= 0 or y + down <= 0:
            raise InputError(
                f"the box {x:g},{y:g},{across:g},{down:g} does not lie in the frame, which is {width}x{height}"
            )
    if hints.mask is not None and hints.mask.shape != (height, width):
        raise InputError(
            f"a mask of {hints.mask.shape[1]}x{hints.mask.shape[0]} does not belong to a frame of {width}x{height}"
        )


def shrunk(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture (H, W, 3) with `LINES` pixels on its shorter side, or as it is where it has fewer."""
    height, width = picture.shape[:2]
    scale = min(1.0, LINES / min(height, width))
    if scale == 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def parse_point(text: str, *, against: bool = False) -> Prompt:
    """`X,Y@T#ID`: T in seconds or [H:]MM:SS, 0 unless said; ID of the object, 1 unless said. Raises InputError."""
    match = _POINT.fullmatch(text.strip())
    if match is None:
        raise InputError(f"'{text}' is no point: write X,Y@T, such as 320,180@1.5")
    place = float(match[1]), float(match[2])
    time, object_ = _time(match["time"]), _object(match["id"])
    return Prompt(time, object_, not_point=place) if against else Prompt(time, object_, point=place)


def parse_box(text: str) -> Prompt:
    """`X,Y,W,H@T#ID`. Raises InputError."""
    match = _BOX.fullmatch(text.strip())
    if match is None:
        raise InputError(f"'{text}' is no box: write X,Y,W,H@T, such as 100,80,220,160@0")
    x, y, width, height = (float(match[index]) for index in range(1, 5))
    return Prompt(_time(match["time"]), _object(match["id"]), box=(x, y, width, height))


def parse_mask(text: str | Path) -> Prompt:
    """`PNG@T`; its pixels are object ids. Raises InputError."""
    match = _MASK.fullmatch(str(text))
    path, time = Path(text), 0.0
    if not path.is_file() and match is not None and match["time"]:
        path, time = Path(match["path"]), _time(match["time"])
    if not path.is_file():
        raise InputError(f"the mask '{path}' does not exist: give an image, as PNG@T")
    return Prompt(time, mask=path)


def _time(text: str | None) -> float:
    try:
        return sum(float(part) * 60**index for index, part in enumerate(reversed((text or "0").split(":"))))
    except ValueError:
        raise InputError(f"'{text}' is no time: write seconds (12.5) or [H:]MM:SS (1:05)") from None


def _object(text: str | None) -> int:
    object_ = int(text or 1)
    if not 1 <= object_ <= MOST_OBJECTS:
        raise InputError(f"object ids lie between 1 and {MOST_OBJECTS}, not at {object_}")
    return object_
