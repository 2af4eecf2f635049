"""Teaching an `Enhancer` to paint: still pictures moved by known motion, each result the next one's memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vivae.errors import InputError
from vivae.media import Frame, pack, unpack
from vivae.train.lesson import on_device
from vivae.train.recipe import StyleSettings
from vivae.train.style_loss import TextureLoss, content_loss
from vivae.vae.brush import Bristles, brushed, fresh, structure
from vivae.vae.enhancer import Enhancer
from vivae.vae.enhancing import Packed, as_picture, as_tensor, small_luma
from vivae.vae.look import Grade, LookMeter, look_of
from vivae.vae.model import VideoVAE
from vivae.vae.motion import moved
from vivae.vae.styling import grey_like
from vivae.vae.zoo import STYLE_COLOR

MOST_MOTION = 6.0
"""Pixels that a crop moves from frame to frame at most."""
FLOW_ERROR = 0.4
"""Deviation of the error, in pixels, of the flow that the last result is moved along: in use it is estimated."""


class Painting(nn.Module):
    """The loss of a batch of clips."""

    def __init__(
        self, model: Enhancer, texture: TextureLoss, weights: StyleSettings, precision: torch.dtype | None
    ):
        super().__init__()
        self.model, self.texture, self.weights, self.precision = model, [texture], weights, precision

    def forward(
        self, conditions: NDArray[np.uint8], flows: NDArray[np.float32], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """conditions: (B, T, 24, h, w) graded and flattened. flows: (B, T, 4h, 4w, 2) from each frame to the last."""
        device = on_device(self.model)
        height, width = flows.shape[2:4]
        attributes = torch.zeros(len(conditions), 0, device=device)
        last: Packed | None = None
        losses, told = [], dict[str, Tensor]()
        for index in range(conditions.shape[1]):
            present = as_tensor(conditions[:, index], device)[0]
            past = present
            if last is not None:
                brought = [
                    pack(moved(unpack(picture, height, width), flow))
                    for picture, flow in zip(last, flows[:, index], strict=True)
                ]
                past = as_tensor(np.stack(brought), device)[0]
            with torch.autocast(
                device.type, dtype=self.precision or torch.bfloat16, enabled=self.precision is not None
            ):
                residual = self.model(present, past, grey_like(present), attributes)
            picture = present + residual.float()
            parts = self.texture[0](picture, generator)
            parts["content"] = content_loss(picture, present)
            parts["range"] = (picture - picture.clamp(0.02, 0.98)).abs().mean()
            if last is not None:
                parts["steady"] = (picture - past).abs().mean()
            losses.append(sum(getattr(self.weights, name) * part for name, part in parts.items()))
            told |= {name: part.detach() for name, part in parts.items()}
            last = as_picture(picture)
        loss: Tensor = torch.stack(losses).mean()
        return loss, told


class StyleLesson:
    """See `vivae.train.lesson.Lesson`."""

    model: nn.Module

    def __init__(self, model: Enhancer, style: NDArray[np.uint8], encoder: VideoVAE, settings: StyleSettings):
        """style: RGB (H, W, 3)."""
        self.model = self.painter = model
        self.windows: Sequence[Any] = ()
        self.settings = settings
        self.style_look = look_of(style, STYLE_COLOR)
        rows, columns = (side // 8 * 8 for side in style.shape[:2])
        packed = pack(Frame.from_rgb(style[:rows, :columns], STYLE_COLOR))
        self.texture = TextureLoss(as_tensor(packed), encoder)

    def module(self, precision: torch.dtype | None) -> nn.Module:
        return Painting(self.painter, self.texture, self.settings, precision)

    def batch(self, drawn: NDArray[np.uint8], step: int, generator: torch.Generator) -> tuple[Any, ...]:
        """drawn: (B, T, 24, h, w); only the first frame of each clip is used, moved T - 1 times."""
        rng = np.random.default_rng(int(torch.randint(1 << 31, (1,), generator=generator)))
        clips = [self._clip(clip[0], drawn.shape[1], rng) for clip in drawn]
        conditions, flows = (np.stack(part) for part in zip(*clips, strict=True))
        return conditions, flows, generator

    def _clip(
        self, packed: NDArray[np.uint8], count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        height, width = packed.shape[1] * 4, packed.shape[2] * 4
        planes = unpack(packed, height, width)
        meter = LookMeter()
        meter.push(planes, STYLE_COLOR)
        planes = Grade.between(meter.look(), [(self.style_look, 1.0)], STYLE_COLOR).apply(planes)
        step = _gentle_motion(height, width, rng)
        noise = fresh(height, width)
        conditions, flows = [], []
        for index in range(count):
            # The same steady motion goes on, so from any frame to the one before it is the same flow.
            shown = moved(planes, step * index) if index else planes
            y, u, v = (
                np.clip(plane + rng.normal(0, 1.5, plane.shape), 0, 255).astype(np.uint8) for plane in shown
            )
            noisy = y, u, v
            grain = moved((noise, *planes[1:]), step * index)[0]
            bristles = Bristles(grain, structure(small_luma(pack(noisy), 0.0)))
            conditions.append(pack(brushed(noisy, bristles)))
            error = cv2.resize(
                rng.normal(0, FLOW_ERROR, (5, 5, 2)).astype(np.float32),
                (width, height),
                interpolation=cv2.INTER_CUBIC,
            )
            flows.append((step + error) if index else np.zeros_like(step))
        return np.stack(conditions), np.stack(flows)

    def settle(self, model: nn.Module) -> None:
        """Nothing is derived."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Nothing is judged: people do."""
        return {}


def _gentle_motion(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W, 2): panning, with a little zoom and turning."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    y, x = rows - height / 2, columns - width / 2
    pan = rng.uniform(-MOST_MOTION, MOST_MOTION, 2) * (rng.random() < 0.75)
    zoom, turn = rng.normal(0, 0.012, 2)
    flow = np.stack([pan[0] + zoom * x - turn * y, pan[1] + zoom * y + turn * x], -1)
    return np.asarray(flow, np.float32)


def read_style(path: Path, side: int) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of a painting, its shorter side scaled to `side`. Raises InputError where there is none."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise InputError(f"'{path}' is no picture that can be read: give a .jpg or .png of the style")
    scale = side / min(picture.shape[:2])
    sides = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, sides, interpolation=method)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2RGB), np.uint8)
