"""Painting along a video: strokes that follow the picture, in a painting's colours.

The last result, moved along the motion of the input, is part of the present one, so a stroke stays on what it was
painted on; where that was hidden before, the present takes its place.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.media import Planes, pack, unpack
from vivae.vae.brush import INERTIA, Bristles, brushed, fresh, structure, worn
from vivae.vae.enhancing import evened, small_luma
from vivae.vae.motion import Motion, absolute_places, moved

HIDDEN = 24.0
"""Difference in code values, after motion, from which on something counts as hidden before."""
KEPT = 0.5
"""Share of the last result in the present one."""
SOFTNESS = 7
"""Side of the neighbourhood that counts for a pixel's being hidden, in pixels of the small luma."""


class Painter:
    """Goes along one video of one frame size."""

    def __init__(self) -> None:
        self._motion = Motion()
        self._before: NDArray[np.uint8] | None = None
        self._last: Planes | None = None
        self._bristles: Bristles | None = None

    def restart(self) -> None:
        """Forget what came before, as at a cut."""
        self._before = self._last = self._bristles = None

    def paint(self, seen: Planes, graded: Planes, strength: float = 1.0) -> Planes:
        """The result for the next frame.

        seen: the frame as it came, which motion is sought in. graded: in the style's colours. strength: 0 to 1, how
        much of what was painted lies on top of it.
        """
        height, width = seen[0].shape
        plain = evened(pack(graded))
        rows, columns = (4 * side for side in plain.shape[1:])
        whole = unpack(plain, rows, columns)
        here = small_luma(evened(pack(seen)), 0.0)
        noise, tensor, last = fresh(rows, columns), structure(small_luma(plain, 0.0)), None
        if self._before is not None and self._last is not None and self._bristles is not None:
            flow = self._motion.between(here, self._before)
            hidden = _hidden(here, self._before, flow)
            old = _carried(self._bristles.noise, flow)
            noise = np.where(_sized(hidden, noise) | worn(old, noise), noise, old)
            tensor += INERTIA * (_carried(self._bristles.tensor, flow) - tensor)
            last = moved(self._last, flow)
        self._bristles = Bristles(noise, tensor)
        present = brushed(whole, self._bristles)
        result = present
        if last is not None:
            result = _mixed(result, _chosen(hidden, result, last), KEPT)
        self._before, self._last = here, result
        if strength < 1:
            result = _mixed(whole, result, strength)
        y, u, v = result
        return (
            y[:height, :width],
            u[: -(-height // 2), : -(-width // 2)],
            v[: -(-height // 2), : -(-width // 2)],
        )


def _hidden(
    here: NDArray[np.uint8], before: NDArray[np.uint8], flow: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """What of `here` was not to be seen `before`: it came from outside, or the two differ after motion."""
    height, width = here.shape
    apart = cv2.blur(cv2.absdiff(here, _carried(before, flow, cv2.INTER_LINEAR)), (SOFTNESS, SOFTNESS))
    columns, rows = cv2.split(absolute_places(flow, width, height))
    outside = (columns < 0) | (rows < 0) | (columns > width - 1) | (rows > height - 1)
    return np.asarray((apart > HIDDEN) | outside)


def _carried(what: NDArray[Any], flow: NDArray[np.float32], method: int = cv2.INTER_NEAREST) -> NDArray[Any]:
    """An array (H, W) or (H, W, C) moved along a flow of any size; samples are kept as they are, not mixed."""
    places = absolute_places(flow, what.shape[1], what.shape[0])
    return cv2.remap(what, places[..., 0], places[..., 1], method, borderMode=cv2.BORDER_REFLECT)


def _sized(mask: NDArray[np.bool_], like: NDArray[Any]) -> NDArray[np.bool_]:
    size = (like.shape[1], like.shape[0])
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def _chosen(mask: NDArray[np.bool_], inside: Planes, outside: Planes) -> Planes:
    y, u, v = (np.where(_sized(mask, a), a, b) for a, b in zip(inside, outside, strict=True))
    return y, u, v


def _mixed(first: Planes, second: Planes, share: float) -> Planes:
    """`share` of the second."""
    y, u, v = (
        np.asarray(cv2.addWeighted(a, 1 - share, b, share, 0), np.uint8)
        for a, b in zip(first, second, strict=True)
    )
    return y, u, v
