"""Painting along a video: an `Enhancer` whose condition is not a damaged picture but one in a painting's colours.

The network adds strokes and texture. Its memory is the last result, moved along the motion of the input, so a stroke
stays on what it was painted on; where that was hidden before, the present takes its place. In the place of the coming
frame it is shown plain grey, and so learns of the colours themselves (it sees its inputs as differences).
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vivae.media import Planes, pack, unpack
from vivae.vae.blocks import has_bfloat16
from vivae.vae.enhancer import Enhancer
from vivae.vae.enhancing import Packed, as_picture, as_tensor, even, small_luma
from vivae.vae.motion import Motion, moved

HIDDEN = 24.0
"""Difference in code values, after motion, from which on something counts as hidden before."""
SOFTNESS = 7
"""Side of the neighbourhood that counts for a pixel's being hidden, in pixels of the small luma."""


def flattened(planes: Planes) -> Planes:
    """What a painter would leave of a picture: areas with edges, without the grain inside them (bilateral filter)."""
    y, u, v = planes
    return (
        np.asarray(cv2.bilateralFilter(y, 7, 28, 4), np.uint8),
        *(np.asarray(cv2.medianBlur(plane, 5), np.uint8) for plane in (u, v)),
    )


def grey_like(frames: torch.Tensor) -> torch.Tensor:
    """What the network is shown in the place of the coming frame."""
    return torch.full_like(frames, 0.5)


class Painter:
    """Goes along one video of one frame size."""

    def __init__(self, model: Enhancer) -> None:
        self._model = model
        self._motion = Motion()
        self._device = next(model.parameters()).device
        self._before: NDArray[np.uint8] | None = None
        self._last: Packed | None = None

    def restart(self) -> None:
        """Forget what came before, as at a cut."""
        self._before = self._last = None

    @torch.inference_mode()
    def paint(self, seen: Planes, graded: Planes, strength: float = 1.0) -> Planes:
        """The result for the next frame.

        seen: the frame as it came, which motion is sought in. graded: in the style's colours. strength: 0 to 1, how
        much of what was painted lies on top of it.
        """
        height, width = seen[0].shape
        plain = even(pack(graded))
        present = even(pack(flattened(graded)))
        here = small_luma(even(pack(seen)), 0.0)
        last = self._brought(here, present)
        inputs = [as_tensor(part, self._device) for part in (present, last)]
        attributes = torch.zeros(1, 0, device=self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=has_bfloat16(self._device)):
            residual = self._model(*inputs, grey_like(inputs[0]), attributes).float()
        result = as_picture(inputs[0] + residual)[0]
        self._before, self._last = here, result
        if strength < 1:
            result = np.rint(plain + strength * (result.astype(np.float32) - plain)).astype(np.uint8)
        return unpack(result[:, : -(-height // 4), : -(-width // 4)], height, width)

    def _brought(self, here: NDArray[np.uint8], present: Packed) -> Packed:
        """The last result moved to the present, with the present where that was hidden."""
        if self._last is None or self._before is None:
            return present
        flow = self._motion.between(here, self._before)
        rows, columns = present.shape[1:]
        brought = pack(moved(unpack(self._last, rows * 4, columns * 4), flow))
        before, *_ = moved((self._before, self._before[::2, ::2], self._before[::2, ::2]), flow)
        apart = cv2.blur(cv2.absdiff(here, before), (SOFTNESS, SOFTNESS))
        hidden = cv2.resize(apart, (columns, rows), interpolation=cv2.INTER_AREA) > HIDDEN
        return np.where(hidden, present, brought)
