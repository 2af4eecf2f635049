"""Bits for the object: what lies outside a mask is calmed before it is coded, so that it asks for few.

SVT-AV1 as PyAV has it takes no map of qualities, so the background loses detail instead, as if out of focus: a low-pass
that begins softly at some distance from the object. Inside, every sample stays as it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.media import Frame
from vivae.media.masks import Mask

MARGIN = 1 / 60
"""Of the frame's height: how far around the object everything is still kept."""
FADE = 1 / 30
"""Of the height: over what distance the calm sets in."""
BLUR = 1 / 320
"""Of the height: standard deviation of the low-pass, at strength 1. Twice as much saves more, and looks smeared."""


def calmed(frames: Iterable[Frame], masks: Iterable[Mask], strength: float = 1.0) -> Iterator[Frame]:
    """The frames with their background calmed. masks: bool (H, W), True on the object.

    Raises InputError where there are fewer masks than frames.
    """
    stream = iter(masks)
    for number, frame in enumerate(frames):
        mask = next(stream, None)
        if mask is None:
            raise InputError(
                f"there are masks for {number} frames only, and the video has more: give one for each"
            )
        yield calm(frame, mask, strength)


def calm(frame: Frame, mask: Mask, strength: float) -> Frame:
    """One frame; where the mask is empty all of it is background."""
    height = frame.height
    reach = max(1, round(height * MARGIN))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    wide = cv2.dilate(mask.astype(np.uint8), kernel)
    distance = cv2.distanceTransform(1 - wide, cv2.DIST_L2, 3) if wide.any() else np.full(mask.shape, 1e6)
    share = np.clip(distance / max(1.0, height * FADE), 0, 1).astype(np.float32)
    sigma = max(0.3, height * BLUR * strength)
    y = _blended(frame.y, share, sigma)
    small = np.asarray(cv2.resize(share, frame.u.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
    u, v = (_blended(plane, small, sigma / 2) for plane in (frame.u, frame.v))
    return replace(frame, y=y, u=u, v=v)


def _blended(plane: NDArray[np.uint8], share: NDArray[np.float32], sigma: float) -> NDArray[np.uint8]:
    """The plane where `share` is 0, its low-pass where it is 1."""
    calm_plane = cv2.GaussianBlur(plane, (0, 0), sigma).astype(np.float32)
    mixed = plane + share * (calm_plane - plane)
    return np.asarray(np.rint(mixed), np.uint8)
