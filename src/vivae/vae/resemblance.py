"""Which pixels of a frame look like the object's in frames where its mask is known: attention over our own features.

Each cell of the frame looks at the cells of a few other frames, near its own place in recent ones and farther away in
what a person said, and takes the masks of those that it resembles most (label propagation: Jabri, Owens and Efros,
NeurIPS 2020; Wang, Jabri and Efros, CVPR 2019). What is compared are inner features of the shipped VAE's encoder, which
learned to code video and was taught no label. Memory holds a fixed number of frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vivae.vae.blocks import has_bfloat16
from vivae.vae.model import VideoVAE

Field = NDArray[Any]
"""float32 (h, w)."""

LEVEL = 1
"""Of the encoder, whose features are compared: a cell is eight pixels wide."""
CELL = 8
MULTIPLE = 16
"""Pixels that the encoder's input is a multiple of."""
RECENT = 6
"""Frames, beside those that a person spoke of."""
SAID = 2
"""Frames that a person spoke of, the last ones."""
NEAR, FAR = 6.0, 18.0
"""Cells from a place to those that are looked at: in recent frames, and in what was said."""
MOST = 10
"""Cells that a cell takes its mask from..."""
SHARPNESS = 0.07
"""...weighed by the softmax of their cosine, divided by this."""
SURE = 0.98
"""The most that a resemblance is sure of."""


@dataclass(frozen=True)
class _Seen:
    """A frame with the masks of the objects that were known in it: features (C, N), masks (N,) by id."""

    features: Tensor
    masks: dict[int, Tensor]


class Resemblance:
    """`say` and `follow` with masks (h, w) that are known, `tell` of those that are not; all frames have one size."""

    def __init__(self, model: VideoVAE) -> None:
        self._model = model
        # What resembles what stays the same in bfloat16, and where it is native takes a sixth of the time.
        self._kind = torch.bfloat16 if has_bfloat16(torch.device("cpu")) else torch.float32
        self._said: list[_Seen] = []
        self._recent: list[_Seen] = []
        self._scale: tuple[Tensor, Tensor] | None = None
        """Mean and deviation of the features in the first frame that was spoken of, (C, 1)."""
        self._places: tuple[_Places, _Places] | None = None
        self._grid = (0, 0)

    @property
    def state(self) -> dict[str, Field]:
        """What is remembered, by name: for another one to go on as this one would."""
        if self._scale is None:
            return {}
        state = {"mean": self._scale[0].numpy(), "deviation": self._scale[1].numpy()}
        for kind, frames in (("said", self._said), ("recent", self._recent)):
            for index, seen in enumerate(frames):
                state[f"{kind} {index} features"] = seen.features.float().numpy()
                state |= {f"{kind} {index} {object_}": mask.numpy() for object_, mask in seen.masks.items()}
        return state

    @state.setter
    def state(self, state: Mapping[str, Field]) -> None:
        tensors = {name: torch.from_numpy(array) for name, array in state.items()}
        self._scale = (tensors["mean"], tensors["deviation"]) if tensors else None
        tensors = {name: t.to(self._kind) if name.endswith("features") else t for name, t in tensors.items()}
        self._said, self._recent = _frames(tensors, "said"), _frames(tensors, "recent")

    def features(self, picture: NDArray[np.uint8]) -> Tensor:
        """What is compared, of a picture Y, U, V (h, w, 3): (C, cells)."""
        height, width = picture.shape[:2]
        bottom, right = -height % MULTIPLE, -width % MULTIPLE
        padded = cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        y, u, v = (torch.from_numpy(padded[..., plane]).float()[None, None] / 255 for plane in range(3))
        half = [F.pixel_unshuffle(F.avg_pool2d(plane, 2), 2) for plane in (u, v)]
        x = torch.cat([F.pixel_unshuffle(y, 4), *half], 1)
        with torch.inference_mode():
            state = self._model.initial_state(1, *x.shape[2:])
            found = self._model.encoder.features(torch.cat([x, state.picture], 1), state.memory, LEVEL + 1)[0]
        if self._grid != found.shape[1:]:
            self._grid = found.shape[1], found.shape[2]
            self._places = _Places(*self._grid, NEAR), _Places(*self._grid, FAR)
        return found.flatten(1)

    def say(self, features: Tensor, masks: Mapping[int, Field]) -> None:
        """What a person says of a frame counts, the last `SAID` times; what was found before may be wrong and goes."""
        if self._scale is None:
            self._scale = features.mean(1, keepdim=True), features.std(1, keepdim=True) + 1e-6
        self._said = [*self._said, self._seen(features, masks)][-SAID:]
        self._recent = []

    def follow(self, features: Tensor, masks: Mapping[int, Field]) -> None:
        """Masks that were found."""
        self._recent = [*self._recent, self._seen(features, masks)][-RECENT:]

    def restart(self) -> None:
        """A shot begins."""
        self._recent = []

    def tell(self, features: Tensor, objects: Mapping[int, Field]) -> dict[int, Field]:
        """Half the log odds (h, w) that a frame with these features shows each object. objects: by id, of its size."""
        assert self._places is not None
        near, far = self._places
        here = self._normal(features).T.contiguous()
        frames = [(seen, far) for seen in self._said] + [(seen, near) for seen in self._recent]
        likeness = torch.cat([places.around(here @ seen.features) for seen, places in frames], 1)
        best, which = likeness.topk(min(MOST, likeness.shape[1]), 1)
        weights = (best / SHARPNESS).softmax(1)
        return {
            object_: self._odds(
                weights, which, [(seen.masks.get(object_), places) for seen, places in frames], mask
            )
            for object_, mask in objects.items()
        }

    def _odds(
        self, weights: Tensor, which: Tensor, known: list[tuple[Tensor | None, "_Places"]], like: Field
    ) -> Field:
        """Weighed masks of the cells that were chosen; of frames in which the object was not known nothing is taken."""
        unknown = torch.full((len(weights),), -1.0)
        masks = torch.cat([places.of(unknown if mask is None else mask) for mask, places in known], 1)
        chosen = masks.gather(1, which)
        counted = weights * (chosen >= 0)
        total = counted.sum(1)
        share = torch.where(total > 0, (counted * chosen).sum(1) / total.clamp(min=1e-9), 0.5)
        odds = share.clamp(1 - SURE, SURE).logit() / 2
        height, width = like.shape
        size = self._grid[1] * CELL, self._grid[0] * CELL
        large = cv2.resize(odds.reshape(self._grid).numpy(), size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(large[:height, :width], np.float32)

    def _normal(self, features: Tensor) -> Tensor:
        assert self._scale is not None
        mean, deviation = self._scale
        return F.normalize((features - mean) / deviation, dim=0).to(self._kind)

    def _seen(self, features: Tensor, masks: Mapping[int, Field]) -> _Seen:
        return _Seen(self._normal(features), {object_: self._cells(mask) for object_, mask in masks.items()})

    def _cells(self, mask: Field) -> Tensor:
        rows, columns = self._grid
        height, width = mask.shape
        border = rows * CELL - height, columns * CELL - width
        padded = cv2.copyMakeBorder(mask.astype(np.float32), 0, border[0], 0, border[1], cv2.BORDER_REPLICATE)
        small = cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA)
        return torch.from_numpy(small).flatten()


def _frames(tensors: Mapping[str, Tensor], kind: str) -> list[_Seen]:
    """The frames of a kind, in order, from their names in a state."""
    frames: list[_Seen] = []
    while (features := tensors.get(f"{kind} {len(frames)} features")) is not None:
        start = f"{kind} {len(frames)} "
        masks = {
            int(name.removeprefix(start)): tensor
            for name, tensor in tensors.items()
            if name.startswith(start) and not name.endswith("features")
        }
        frames.append(_Seen(features, masks))
    return frames


class _Places:
    """The cells of a grid within a radius of each cell, in rows of equal length."""

    def __init__(self, rows: int, columns: int, radius: float) -> None:
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        cells = torch.stack([y.flatten(), x.flatten()], 1).float()
        close = torch.cdist(cells, cells) <= radius
        count = int(close.sum(1).max())
        self._which = close.float().topk(count, 1).indices
        self._inside = close.gather(1, self._which)

    def around(self, likeness: Tensor) -> Tensor:
        """(N, N) -> (N, count); -2, below any cosine, where there are fewer."""
        return likeness.gather(1, self._which).float().masked_fill(~self._inside, -2.0)

    def of(self, cells: Tensor) -> Tensor:
        """(N,) -> (N, count)."""
        return cells[self._which]
