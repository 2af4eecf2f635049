"""One run of an enhancer along a stream of frames: one frame behind, or passage by passage.

Passages are for networks that are shown more of what comes than the next frame, see `vivae.vae.coming`: it is gathered
from some frames behind the passage on, so that its last frames have enough ahead of them, too. Memory does not grow
with length.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vivae.media import Frame, Planes, pack
from vivae.media.clipping import unclipped
from vivae.media.resample import enlarged
from vivae.vae.coming import averaged
from vivae.vae.enhancer import AVERAGED, Enhancer, Known
from vivae.vae.enhancing import EnhancerRunner, Memory, Motions, Packed, Step, evened

ROOM_BYTES, COPIES = 600_000_000, 3
"""For the frames of a passage, as they are and packed, and what was made of them: only very large ones make it
shorter."""


class Passage(NamedTuple):
    """Frames that are finished together."""

    length: int
    coming: int
    """Frames behind them that are looked at, too."""

    @property
    def whole(self) -> int:
        """Frames that are held at once."""
        return self.length + self.coming

    def within(self, planes: Planes) -> "Passage":
        """This, or a shorter one, so that the room is enough for frames as large."""
        most = ROOM_BYTES // (COPIES * sum(plane.nbytes for plane in planes))
        coming = max(1, min(self.coming, most * self.coming // self.whole))
        return Passage(max(1, min(self.length, most - coming)), coming)

    def each(self, items: Iterable["Item"]) -> Iterator[tuple[int, list["Item"], list["Item"]]]:
        """The place of the first of them in the stream, the frames, and those behind. None goes across a cut."""
        held: list[Item] = []
        first, passage = 0, self

        def ready(least: int) -> Iterator[tuple[int, list[Item], list[Item]]]:
            nonlocal first
            while len(held) >= least:
                yield first, held[: passage.length], held[passage.length : passage.whole]
                first += len(held[: passage.length])
                del held[: passage.length]

        for item in items:
            if item.restart:
                yield from ready(1)
            if not held:
                passage = self.within(item.planes)
            held.append(item)
            yield from ready(passage.whole)
        yield from ready(1)


ONE_BEHIND = Passage(1, 1)
GATHERED = Passage(24, 8)
"""The last of them has as much ahead as the mean is taken of."""


class Item(NamedTuple):
    """A frame on its way through the stages."""

    planes: Planes
    source: Frame
    restart: bool
    """Whether it begins a shot."""
    memories: tuple[Memory, ...] = ()


class Chosen(NamedTuple):
    """An enhancer, and how it is run."""

    model: Enhancer
    views: int = 1
    """Looks at each frame: see `EnhancerRunner`."""
    passage: Passage = ONE_BEHIND


class Stage:
    """times: how many times wider and higher pictures are made first. memory: of another run, to go on as it.

    gains: see `Step`.
    """

    def __init__(
        self,
        chosen: Chosen,
        times: int,
        known: Known,
        gains: tuple[float, float, float],
        motions: Motions,
        memory: Memory | None = None,
    ) -> None:
        self._passage, self._times, self._known, self._gains = chosen.passage, times, known, gains
        self._runner = EnhancerRunner(chosen.model, views=chosen.views, motions=motions)
        self._runner.memory = memory
        self._motions = motions
        if chosen.passage != ONE_BEHIND:
            self._known = known._replace(ahead=AVERAGED)

    def run(self, items: Iterable[Item], skip: int) -> Iterator[Item]:
        """skip: so many first frames were restored by another run, and are only looked at."""
        larger = (item._replace(planes=self._larger(item.planes)) for item in items)
        for first, passage, coming in self._passage.each(larger):
            seen = [item.planes for item in passage + coming]
            begin = min(max(0, skip - first), len(passage))
            yield from passage[:begin]
            if begin < len(passage):
                brought = self._brought(seen, begin)
                following = [*seen[1:], None]
                for index, item in enumerate(passage[begin:], begin):
                    yield self._result(item, following[index], brought[index])

    def _brought(self, seen: list[Planes], begin: int) -> list[Packed | None]:
        """What is shown of what follows on the frames from `begin` on; None for the next frame."""
        if not self._known.ahead:
            return [None] * len(seen)
        frames = [evened(pack(planes)) for planes in seen]
        return averaged(frames, self._runner.sight(self._known), self._motions.later, begin)

    def _result(self, item: Item, following: Planes | None, brought: Packed | None) -> Item:
        step = Step(item.planes, self._known, self._gains, item.restart)
        ahead = None if following is None else Step(following, self._known)
        planes = self._runner.run(step, ahead, brought)
        assert self._runner.memory is not None
        planes = unclipped(planes, self._known.noise, item.source.color)
        return item._replace(planes=planes, memories=(*item.memories, self._runner.memory))

    def _larger(self, planes: Planes) -> Planes:
        if self._times == 1:
            return planes
        height, width = planes[0].shape
        return enlarged(planes, width * self._times, height * self._times)
