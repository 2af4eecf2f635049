"""Masks of an object: which pixels of each frame belong to it.

A folder or pattern of images (one a frame; 0 is background, anything else object), one image for all frames, or a video
(light is object), each scaled to the frames it belongs to.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import FormatError, InputError
from vivae.media.probe import probe
from vivae.media.reader import open_video
from vivae.media.source import find_source

Mask = NDArray[np.bool_]


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
    while True:
        for file in source.files:
            yield _sized(_image(file), width, height)
        if len(source.files) > 1:
            return


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
