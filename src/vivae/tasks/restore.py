"""What is to be done to footage, and doing it to a stream: the stages of `enhance`, with a memory that can be kept.

A stage is one run of the enhancer: over the source where it is noisy, coded or blurred; over what was scaled up, where
more pixels are wanted. Light comes last. Cuts restart all of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vivae.measure.condition import Condition
from vivae.media import Frame, Planes
from vivae.media.light import Light
from vivae.media.masks import Mask, within
from vivae.media.memory import keep_freed
from vivae.media.resample import enlarged
from vivae.tasks.stage import GATHERED, ONE_BEHIND, Chosen, Item, Passage, Stage
from vivae.tasks.traces import DEEP, NO_TRACES, QUICK, UNKNOWN, Traces, believed
from vivae.vae.between import Interpolator
from vivae.vae.cost import enhancer_cost
from vivae.vae.enhancer import Known
from vivae.vae.enhancing import HEAVY_NOISE, Memory, Motions
from vivae.vae.middle import MiddleFrame
from vivae.vae.zoo import load_enhancer

LIGHT_NOISE = 5.0
"""Up to this noise one run scales up and denoises together; above, the source is denoised first."""
QUIET = 8.0
"""Noise of footage below which it is its codec that is worth treating."""
LEAST_NOISE, LEAST_BLUR, DARK, FLAT = 2.5, 0.9, 0.25, 0.45
"""From where on a condition is worth treating: see `Condition`."""

DEEPER = {"deblock": "deblock-best", "deblock-av1": "deblock-av1-best"}
"""The networks of more than twice as many multiplications that the best preset has in place of quick ones."""
MOST_KMAC, VIEWS = 160.0, (4, 2)
"""kMAC a pixel of the best preset at most, and the looks at each frame, see `EnhancerRunner`, of which it takes as many
as that allows."""
NOISES, NOISE_SHARES = (0.8, 1.4, 2.2, 3.2, 5.2, 8.2), (0.0, 0.25, 0.6, 0.85, 0.97, 1.0)
"""Deviations of noise, and what share of what `denoise` would change leaves the least error: it takes fine texture for
noise, and where there is little noise that is most of what it takes. By least squares on five DAVIS sequences."""
WHOLE = (1.0, 1.0)
"""The shares of all that a network would change."""


@dataclass(frozen=True)
class Plan:
    """What is done to a video."""

    noise: float = 0.0
    """Deviation in RGB code values to remove; 0 for none."""
    deblock: float = 0.0
    """How much a codec has left, as `Known.coded`; 0 for nothing to remove."""
    crf: float = 0.0
    """Of the AV1 that has left it, as `Known.crf`; 0 where it is another codec."""
    coarse: float = UNKNOWN
    """How coarsely that other codec quantised, as `Known.coarse`."""
    scale: int = 1
    blur: float = 0.0
    """Deviation in pixels to undo; 0 for none."""
    light: bool = False
    rate: int = 1
    """Times as many frames a second: 1, 2 or 4."""

    def treating(self, left: Traces) -> "Plan":
        """This, and what a codec has left removed."""
        return replace(self, deblock=left.deblock, crf=left.crf, coarse=left.coarse)

    def stages(self) -> list[tuple[int, Known]]:
        """The runs of the enhancer: how many times larger each makes the picture first, and what it is told."""
        if self.scale > 1 and self.noise <= LIGHT_NOISE and not (self.deblock or self.blur):
            return [(self.scale, Known(shrink=float(self.scale), noise=self.noise))]
        noisy, coded = Known(noise=self.noise), Known()
        if self.deblock:
            coded = Known(crf=self.crf, coded=self.deblock, coarse=0.0 if self.crf else self.coarse)
        if self.blur:
            # One network knows blur, and it knows the others along with it.
            told = [noisy._replace(crf=self.crf, coded=self.deblock, blur=self.blur)]
        else:
            told = [known for known in (noisy, coded) if known != Known()]
        if self.scale > 1:
            told.append(Known(shrink=float(self.scale)))
        return [(round(known.shrink), known) for known in told]

    def words(self) -> list[str]:
        """What is done, for people."""
        told = []
        if self.noise:
            told.append(f"remove noise of about {self.noise:.0f} code values")
        if self.deblock:
            told.append("remove traces of compression")
        if self.blur:
            told.append(f"sharpen a blur of about {self.blur:.1f} pixels")
        if self.scale > 1:
            told.append(f"make it {self.scale} times wider and higher")
        if self.light:
            told.append("brighten it")
        if self.rate > 1:
            told.append(f"show {self.rate} times as many frames a second")
        return told


def advised(condition: Condition, left: Traces = NO_TRACES) -> Plan:
    """What footage in this condition needs. left: see `vivae.tasks.traces.left_by`."""
    if not (condition.coded or left.visible) or condition.noise >= QUIET:
        left = NO_TRACES
    plan = Plan(
        noise=condition.noise if condition.noise >= LEAST_NOISE else 0.0,
        blur=min(condition.blur, 2.2) if condition.blur >= LEAST_BLUR else 0.0,
        light=condition.brightness < DARK or condition.spread < FLAT,
    )
    return plan.treating(left)


def share_of_noise(noise: float) -> float:
    """How much of what `denoise` would change is taken, by the deviation of the noise in RGB code values."""
    return float(np.interp(noise, NOISES, NOISE_SHARES))


@dataclass(frozen=True)
class Family:
    """The enhancers, and which of them does what. Those that know one thing know it best; `enhance` knows all."""

    model: str | Path | None = None
    """One for everything, by name or path, instead of the family."""
    device: str = "cpu"
    best: bool = False
    """Whether quality counts more than time: in a deeper network, in several looks, or in both; see `MOST_KMAC`."""
    passage: Passage = GATHERED
    """Of networks that are shown the mean of what comes."""

    def of(self, known: Known) -> Chosen:
        """For a stage that is told this. Raises InputError and FormatError as `load_enhancer`."""
        model = load_enhancer(self.model or _specialist(known, self.best), device=self.device)
        passage = self.passage if "ahead" in model.config.attributes else ONE_BEHIND
        affordable = (
            views for views in VIEWS if self.best and views * enhancer_cost(model.config) <= MOST_KMAC
        )
        return Chosen(model, next(affordable, 1), passage)

    def shares(self, known: Known) -> tuple[float, float]:
        """Of what is added in a stage that is told this. Other models, and those that undo blur or scale up, were not
        asked how much of theirs is right."""
        if self.model is not None or known.blur or known.shrink > 1:
            return WHOLE
        if known.coded:
            return believed(known, DEEP if self.best else QUICK)
        share = share_of_noise(known.noise)
        return share, share

    def gains(self, known: Known) -> tuple[float, float, float]:
        """The same for each plane."""
        luma, chroma = self.shares(known)
        return luma, chroma, chroma

    def motions(self, known: Known) -> Motions:
        """Searches for motion as close as the preset has time for; among heavy noise a closer one follows the noise."""
        return Motions("medium", 0) if self.best and known.noise < HEAVY_NOISE else Motions(finest=1)

    def hashes(self, plan: Plan) -> list[str]:
        """Of the models that a plan needs; and of the one for everything, so that a wrong name is never passed over."""
        needed = [known for _, known in plan.stages()] or ([] if self.model is None else [Known()])
        return [self.of(known).model.hash for known in needed]


def _specialist(known: Known, best: bool) -> str:
    if known.shrink > 1:
        return "superres"
    if known.blur:
        return "enhance"
    if not known.coded:
        return "denoise"
    name = "deblock-av1" if known.crf else "deblock"
    return DEEPER[name] if best else name


class State(NamedTuple):
    """What the stages remember after a frame."""

    memories: tuple[Memory, ...] = ()
    light: tuple[float, ...] = ()
    shown: Planes | None = None
    """The restored frame itself, where frames are made between others: how things go on depends on how they came."""


BEGINNING = State()


class Restored(NamedTuple):
    """A restored frame, and the state after it."""

    frame: Frame
    state: State


class Restorer:
    """A plan carried out along a video. state: of another run, for this one to go on as it.

    family: whose models do it. middle: the model of frames between others, where the plan wants more of them.
    """

    def __init__(
        self, plan: Plan, family: Family, state: State = BEGINNING, middle: MiddleFrame | None = None
    ) -> None:
        self._rate = plan.rate
        self._shown = state.shown
        self._interpolator = None if middle is None else Interpolator(middle)
        kept = state.memories
        self._light = Light(state.light) if plan.light else None
        self._stages = [
            Stage(
                family.of(known),
                times,
                known,
                family.gains(known),
                family.motions(known),
                kept[index] if kept else None,
            )
            for index, (times, known) in enumerate(plan.stages())
        ]

    def run(
        self, frames: Iterable[tuple[Frame, bool]], skip: int = 0, masks: Iterable[Mask] | None = None
    ) -> Iterator[Restored]:
        """Frames in order, and whether each begins a shot, to restored ones.

        skip: so many first frames were restored by another run, and are only looked at. masks: bool (H, W) of each
        frame, also of those that are skipped; elsewhere the frame stays as it is, but for its size.
        """
        if self._rate == 1:
            yield from (item for item, _ in self._restored(frames, skip, masks))
            return
        earlier, waiting = self._shown, list[Restored]()
        for item, restart in self._restored(frames, skip, masks):
            if restart:
                yield from self._ended(earlier, waiting)
                earlier, waiting = None, []
            waiting.append(item)
            if len(waiting) == 3:
                yield from self._spread(earlier, *waiting)
                earlier = waiting.pop(0).frame.planes
        yield from self._ended(earlier, waiting)

    def _ended(self, earlier: Planes | None, waiting: list[Restored]) -> Iterator[Restored]:
        """The last two frames of a shot at most, and those between."""
        while waiting:
            yield from self._spread(earlier, *waiting)
            earlier = waiting.pop(0).frame.planes

    def _spread(
        self,
        earlier: Planes | None,
        item: Restored,
        following: Restored | None = None,
        later: Restored | None = None,
    ) -> Iterator[Restored]:
        """A frame and those between it and the next; at the end of a shot it is repeated."""
        length = item.frame.duration / self._rate
        pictures = [item.frame.planes] * self._rate
        if following is not None and self._interpolator is not None:
            halvings = self._rate.bit_length() - 1
            pictures[1:] = self._interpolator.filled(
                item.frame.planes,
                following.frame.planes,
                halvings,
                earlier,
                None if later is None else later.frame.planes,
            )
        state = item.state._replace(shown=item.frame.planes)
        for index, planes in enumerate(pictures):
            frame = Frame(*planes, item.frame.time + index * length, length, item.frame.color)
            yield Restored(frame, state)

    def _restored(
        self, frames: Iterable[tuple[Frame, bool]], skip: int, masks: Iterable[Mask] | None
    ) -> Iterator[tuple[Restored, bool]]:
        chosen = repeat(None) if masks is None else iter(masks)
        if self._stages:
            keep_freed()
        stream: Iterator[Item] = (Item(frame.planes, frame, restart) for frame, restart in frames)
        for stage in self._stages:
            stream = stage.run(stream, skip)
        for index, item in enumerate(stream):
            mask = next(chosen)
            if index < skip:
                continue
            planes, source = item.planes, item.source
            light: tuple[float, ...] = ()
            if self._light is not None:
                planes = self._light(planes, source.color, restart=item.restart)
                light = self._light.curve
            if mask is not None:
                height, width = planes[0].shape
                planes = within(mask, enlarged(source.planes, width, height), planes)
            frame = Frame(*planes, source.time, source.duration, source.color)
            yield Restored(frame, State(item.memories, light)), item.restart
