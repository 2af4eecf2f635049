"""What the camera's motion leaves unexplained of a picture: the second witness, beside flow, of what moves by itself.

Flow is a guess where nothing can be told apart, as in the sky or on sand, and it spills over the edges of what moves.
The pictures themselves are not fooled: where the frames around, moved as the camera moved, look like this one, nothing
speaks for an object; where they do not, something does (the residual of registration: Irani, Rousso and Peleg, IJCV
1994). What an object covers in one direction of time it has not yet reached in the other, so the better fit counts.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.vae.segmenter import GAPS

Picture = NDArray[np.uint8]
Field = NDArray[Any]
"""float32 (h, w)."""

CHANNELS = np.array([1, 1.5, 1.5], np.float32)
"""How much Y, U and V count."""
BLUR = 2.0
"""Deviation, in pixels, of the neighbourhood that a difference is a mean of."""
MOTION = 0.75
"""Weight of q's log odds, ..."""
LEAST = 0.01
"""... which is taken to be no surer than this, ..."""
DIFFERENCE = 1.0
"""... and that of the logarithm of each distance's difference, in levels of 255; ..."""
MOST = 10.0
"""Levels that half of a frame may differ by: what is more comes of noise, and all differences shrink with it."""
NOTHING = -4.5
"""... the log odds where q is even and the camera explains all. Chosen on five DAVIS sequences, see the lab notes."""


def unexplained(pictures: Sequence[Picture], place: int, camera: dict[int, Field]) -> list[Field]:
    """Differences (h, w), in levels, between `pictures[place]` and those around it, moved as the camera moved.

    pictures: uint8 Y, U, V (h, w, 3). camera: by gap, (h, w, 2), pixels: where the camera's motion puts what is here.
    One field for each distance in `GAPS` that a frame lies at.
    """
    here = pictures[place].astype(np.float32) * CHANNELS
    found: list[Field] = []
    for distance in sorted({abs(gap) for gap in GAPS}):
        sides = [
            _difference(here, pictures[place + gap], camera[gap])
            for gap in (-distance, distance)
            if 0 <= place + gap < len(pictures) and gap in camera
        ]
        if sides:
            found.append(np.minimum.reduce(sides))
    return found


def moving_odds(q: Field, differences: Sequence[Field]) -> Field:
    """Log odds (h, w) of moving by itself, by the network's q(z|flow) and by what is left unexplained.

    Where frames at some distance are missing, the others speak for them; without any, q alone speaks.
    """
    likely = np.clip(q, LEAST, 1 - LEAST)
    odds = MOTION * np.log(likely / (1 - likely))
    if differences:
        share = DIFFERENCE * len({abs(gap) for gap in GAPS}) / len(differences)
        odds = odds + NOTHING
        for difference in differences:
            usual = max(MOST, float(np.median(difference)))
            odds = odds + share * np.log1p(difference * (MOST / usual))
    return np.asarray(odds, np.float32)


def _difference(here: Field, there: Picture, moved: Field) -> Field:
    height, width = here.shape[:2]
    columns = moved[..., 0] + np.arange(width, dtype=np.float32)
    rows = moved[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    seen = cv2.remap(there, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    apart = here - seen.astype(np.float32) * CHANNELS
    return cv2.GaussianBlur(np.sqrt(np.einsum("ijc,ijc->ij", apart, apart)), (0, 0), BLUR)
