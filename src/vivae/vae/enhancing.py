"""Running an `Enhancer` along a video: what it is shown of each frame, and the stream of its results.

Exact streaming: frame by frame in any plan the results are the same, in memory that does not grow. The memory is the
last result; `restart` forgets it, as at a cut.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivae.errors import UnsupportedError
from vivae.media import Planes, pack, packed_order, unpack
from vivae.vae.blocks import has_bfloat16
from vivae.vae.enhancer import Enhancer, Known
from vivae.vae.motion import Effort, Motion, moved, settled

Packed = NDArray[np.uint8]
FLOW_SHARE = 2
"""Flow is sought on luma so many times smaller: enough for the place of a 4x4 block, at a quarter of the time."""
UNSEEN_NOISE = 4.0
SMOOTHING = 1 / 20
"""Deviation of the blur, in pixels of the small luma, for each code value of noise."""
LESS_SMOOTHING = 1 / 50
"""Where flow is settled: what noise has led astray is found out, and details lead it right."""
LEAST_SMOOTHING = 1 / 80
"""The same among heavy noise, where little detail is left to lead it."""
HEAVY_NOISE = 35.0
"""Of what deviation noise is heavy: see the lab notes."""


class Aligned(NamedTuple):
    """Packed frames (24, h, w) uint8: the present one, and the others moved to where it has things."""

    present: Packed
    last: Packed
    following: Packed
    truth: Packed | None = None
    """Where it was given: what `last` should have been, moved as it is."""

    @property
    def pictures(self) -> tuple[Packed, Packed, Packed]:
        """What the network sees."""
        return self.present, self.last, self.following


class Motions:
    """The searches for where things were and where they will be: each has buffers of its own. See `Motion`."""

    def __init__(self, effort: Effort = "fast", finest: int | None = None) -> None:
        self.earlier, self.later = Motion(effort, finest), Motion(effort, finest)


class Step(NamedTuple):
    """One frame to enhance. gains: what share of the residual of each plane is added."""

    planes: Planes
    known: Known
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    restart: bool = False
    """Whether nothing before is to be seen: the first frame after a cut."""


class Sight(NamedTuple):
    """How motion is sought, and things are fetched along it: see `EnhancerConfig`.

    noise: see `Known`; the search is kept from following it.
    """

    noise: float = 0.0
    sharp: bool = False
    settle: bool = False

    def flow(self, motion: Motion, here: Packed, there: Packed) -> NDArray[np.float32]:
        """From `here` to `there`, at half the size of their luma: see `Motion.between`."""
        smoothing = SMOOTHING
        if self.settle:
            smoothing = LESS_SMOOTHING if self.noise < HEAVY_NOISE else LEAST_SMOOTHING
        one, other = small_luma(here, self.noise, smoothing), small_luma(there, self.noise, smoothing)
        flow = motion.between(one, other)
        return settled(one, other, flow) if self.settle else flow

    def brought(
        self, motion: Motion, present: Packed, seen: Packed | None, *wanted: Packed | None
    ) -> list[Packed]:
        """What is wanted, moved as `seen` lies to the present one. What is None is replaced by the present."""
        if seen is None:
            return [present for _ in wanted]
        flow = self.flow(motion, present, seen)
        return [present if what is None else along(what, flow, self.sharp) for what in wanted]


def along(packed: Packed, flow: NDArray[np.float32], sharp: bool) -> Packed:
    """A packed frame moved along flow, see `moved`."""
    return pack(moved(unpack(packed, packed.shape[1] * 4, packed.shape[2] * 4), flow, sharp))


def aligned(
    motions: Motions,
    sight: Sight,
    present: Packed,
    last: Packed | None,
    before: Packed | None,
    following: Packed | None,
    *,
    brought: Packed | None = None,
    truth: Packed | None = None,
    at_once: bool = False,
) -> Aligned:
    """Move the last result and the following condition to the present one, along flow between conditions.

    before: the condition of the last result. What is None is replaced by the present. brought: what follows where it
    has been moved already. truth: what the last result should have been, moved as it is. at_once: whether both are
    moved at the same time.
    """
    wanted = (last,) if truth is None else (last, truth)
    # The last result shows what its condition did, and less of what disturbed it.
    earlier = None if last is None else last if sight.settle else before
    if at_once and brought is None:
        later = _helper().submit(sight.brought, motions.later, present, following, following)
        was, *true = sight.brought(motions.earlier, present, earlier, *wanted)
        return Aligned(present, was, *later.result(), *true)
    was, *true = sight.brought(motions.earlier, present, earlier, *wanted)
    if brought is None:
        (brought,) = sight.brought(motions.later, present, following, following)
    return Aligned(present, was, brought, *true)


@cache
def _helper() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="motion")


def small_luma(packed: Packed, noise: float = 0.0, smoothing: float = SMOOTHING) -> NDArray[np.uint8]:
    """Luma (2h, 2w): the mean of each 2x2 samples, smoothed as the noise asks."""
    rows, columns = packed.shape[1:]
    blocks = packed[:16].reshape(2, 2, 2, 2, rows, columns).astype(np.uint16)
    means = (blocks.sum((1, 3)) + 2) >> 2
    small = np.ascontiguousarray(means.transpose(2, 0, 3, 1).reshape(2 * rows, 2 * columns).astype(np.uint8))
    if noise < UNSEEN_NOISE:
        return small
    return np.asarray(cv2.GaussianBlur(small, (0, 0), noise * smoothing), np.uint8)


def as_tensor(packed: Packed, device: torch.device | str = "cpu") -> Tensor:
    """uint8 (24, h, w) -> float (1, 24, h, w) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(packed))[None].to(device).float() / 255


def as_picture(frames: Tensor) -> Packed:
    """float (B, 24, h, w) -> uint8, rounded."""
    return (frames.detach().clamp(0, 1) * 255).round().byte().cpu().numpy()


def enhanced(model: Enhancer, steps: Iterable[Step]) -> Iterator[Planes]:
    """The results for a stream of frames of one size, in order, one frame behind.

    Raises UnsupportedError where the model is of a camera with frames of another size.
    """
    runner = EnhancerRunner(model)
    held: Step | None = None
    for step in steps:
        if held is not None:
            yield runner.run(held, None if step.restart else step)
        held = step
    if held is not None:
        yield runner.run(held, None)


class Memory(NamedTuple):
    """What goes from one frame to the next: a condition and its result, packed (24, h, w) uint8."""

    before: Packed
    last: Packed


VIEWS = ((False, False), (True, True), (True, False), (False, True))
"""Whether mirrored left to right, and top to bottom. Both at once first: what differs most errs most differently."""


def _turned(packed: Tensor, across: bool, down: bool) -> Tensor:
    """Packed frames (B, 24, h, w) of the mirrored picture."""
    if not (across or down):
        return packed
    sides = [side for side, turned in ((3, across), (2, down)) if turned]
    order = packed_order(lambda cell: cell[:: -1 if down else 1, :: -1 if across else 1])
    return packed[:, order].flip(sides)


class EnhancerRunner:
    """An enhancer along a video, step by step. memory: set it to that of another run, and this one goes on as it.

    views: the mean of so many looks at each frame, plain, turned half round and mirrored (self-ensemble, Timofte et
    al., CVPR 2016): 1, 2 or 4, at as many times the cost. motions: what searches, where the usual is not close enough.
    """

    def __init__(self, model: Enhancer, *, views: int = 1, motions: Motions | None = None) -> None:
        self._model = model
        self._views = VIEWS[:views]
        self._motions = motions or Motions(finest=model.config.finest)
        self._device = next(model.parameters()).device
        self.memory: Memory | None = None
        self._whole_scene: Tensor | None = None

    def sight(self, known: Known) -> Sight:
        """How motion is sought where this is known."""
        return Sight(known.noise, self._model.config.sharp, self._model.config.settled)

    def _scene(self, rows: int, columns: int) -> Tensor | None:
        if self._whole_scene is None:
            self._whole_scene = self._model.scene(0, 0, rows, columns)
        return self._whole_scene

    @torch.inference_mode()
    def run(self, step: Step, following: Step | None, brought: Packed | None = None) -> Planes:
        """The result for a step. following: the step after it, None at the end of a shot. brought: what is shown in
        place of that, moved to this one already: see `vivae.vae.coming`."""
        if step.restart:
            self.memory = None
        before, last = self.memory or (None, None)
        height, width = step.planes[0].shape
        check_scene(self._model, width, height)
        present = evened(pack(step.planes))
        ahead = None if following is None or brought is not None else evened(pack(following.planes))
        seen = aligned(
            self._motions, self.sight(step.known), present, last, before, ahead,
            brought=brought, at_once=torch.get_num_threads() > 1,
        )  # fmt: skip
        attributes = torch.tensor([step.known.attributes(self._model.config.attributes)], device=self._device)
        inputs = [as_tensor(part, self._device) for part in seen.pictures]
        rows, columns = present.shape[1:]
        # A residual is small: bfloat16 rounds it by nothing that shows, and where it is native takes half the time.
        with torch.autocast(self._device.type, torch.bfloat16, enabled=has_bfloat16(self._device)):
            looks = [
                _turned(
                    self._model(
                        *[_turned(part, *view) for part in inputs], attributes, self._scene(rows, columns)
                    ),
                    *view,
                ).float()
                for view in self._views
            ]
            residual = looks[0] if len(looks) == 1 else torch.stack(looks).mean(0)
        full = inputs[0] + residual
        result = as_picture(full)[0]
        self.memory = Memory(present, result)
        if step.gains != (1.0, 1.0, 1.0):
            share = residual.new_tensor(step.gains).repeat_interleave(residual.new_tensor((16, 4, 4)).long())
            result = as_picture(inputs[0] + residual * share[:, None, None])[0]
        return unpack(result[:, : -(-height // 4), : -(-width // 4)], height, width)


def check_scene(model: Enhancer, width: int, height: int) -> None:
    """Raises UnsupportedError where a camera's model is given frames of another size."""
    scene = model.config.scene_size
    if scene is not None and scene != (-(-height // 4), -(-width // 4)):
        raise UnsupportedError(
            f"model '{model.config.name}' knows a camera of about {4 * scene[1]}x{4 * scene[0]} pixels, and the video "
            f"is {width}x{height}: use a model of its own camera, or a general one"
        )


def evened(packed: Packed) -> Packed:
    """Sides of a whole number of 8x8 blocks, the edges repeated."""
    rows, columns = (side % 2 for side in packed.shape[1:])
    return np.pad(packed, ((0, 0), (0, rows), (0, columns)), mode="edge") if rows or columns else packed
