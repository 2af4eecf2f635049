"""Masks of an object: which pixels of each frame belong to it.

A folder or pattern of images (one a frame; 0 is background, anything else object), one image for all frames, or a video
(light is object), each scaled to the frames it belongs to.
"""

import os
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import FormatError, InputError
from vivae.media.color import Planes
from vivae.media.probe import probe
from vivae.media.reader import open_video
from vivae.media.source import find_source

Mask = NDArray[np.bool_]
FEATHER = 5
"""Side, in pixels of a mask, of the blur of its edge."""


def read_masks(path: str | os.PathLike[str], width: int, height: int) -> Iterator[Mask]:
    """One bool (height, width) for each frame, in order; a single image is repeated without end.

    Raises InputError for what is missing, FormatError for what cannot be read.
    """
    source = find_source(path)
    if not source.sequence and not probe(path).is_image:
        with open_video(path) as frames:
            for frame in frames:
                yield _sized(frame.y > 127, width, height)
        return
    if len(source.files) == 1:
        yield from repeat(_sized(_image(source.files[0]), width, height))
    for file in source.files:
        yield _sized(_image(file), width, height)


def masks_for(
    path: str | os.PathLike[str], width: int, height: int, *, invert: bool = False
) -> Iterator[Mask]:
    """As `read_masks`, and an InputError for who asks for more masks than there are. invert: all but what they show."""
    count = 0
    for mask in read_masks(path, width, height):
        yield ~mask if invert else mask
        count += 1
    raise InputError(
        f"'{path}' holds {count} masks and the video has more frames: give one for each, or a single one for all"
    )


def within(mask: Mask, outside: Planes, inside: Planes) -> Planes:
    """`inside` where the mask is set, else `outside`, with a soft edge; uint8 planes, which may be larger than it."""
    soft = cv2.blur(mask.astype(np.float32), (FEATHER, FEATHER))
    return mixed(outside, inside, np.asarray(soft, np.float32))


def mixed(outside: Planes, inside: Planes, share: NDArray[np.float32]) -> Planes:
    """Planes of one size, the second where share (H, W), 0 to 1 and of any size, is 1."""
    planes = []
    for old, new in zip(outside, inside, strict=True):
        part = share
        if old.shape != share.shape:
            larger = old.shape[0] > share.shape[0]
            method = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
            part = np.asarray(cv2.resize(share, old.shape[::-1], interpolation=method), np.float32)
        planes.append(np.rint(old + part * (new.astype(np.float32) - old)).astype(np.uint8))
    y, u, v = planes
    return y, u, v


def _image(path: Path) -> Mask:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise FormatError(f"'{path}' holds no mask that can be read: replace or remove it")
    if picture.ndim == 3:
        # Of a picture with transparency only what shows counts.
        picture = picture[..., :3].max(2) if picture.shape[2] < 4 else picture[..., 3]
    return np.asarray(picture > 0)


def _sized(mask: Mask, width: int, height: int) -> Mask:
    if mask.shape == (height, width):
        return mask
    ratio = mask.shape[1] * height / (mask.shape[0] * width)
    if not 0.97 < ratio < 1.03:
        raise InputError(
            f"a mask of {mask.shape[1]}x{mask.shape[0]} does not belong to frames of {width}x{height}: "
            "its sides have other proportions"
        )
    return cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
