"""Label maps of a video, frame by frame: which object, if any, each pixel belongs to.

Three ways: a still camera's background, what moves by itself, and objects that a person pointed at. All work in small
(`vivae.vae.outline.LINES`) and give ids at full size. Memory does not grow with the length of the video. Each frame
comes with what another run needs to go on after it and give the same.
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.codec.spool import with_cuts
from vivae.errors import InputError
from vivae.media import Frame, Planes, VideoInfo, open_video
from vivae.media.frames import as_seconds
from vivae.media.indexed import read_indexed
from vivae.media.kept import Arrays
from vivae.tasks.prompts import MOST_OBJECTS, Prompt, check_hints
from vivae.vae.background import Background
from vivae.vae.discover import Discoverer
from vivae.vae.identity import Identities
from vivae.vae.model import VideoVAE
from vivae.vae.moving import REACH, MotionWindow, View
from vivae.vae.outline import LINES, Hints, outline
from vivae.vae.segmenter import FlowSegmenter
from vivae.vae.tracker import Tracker

Labels = NDArray[np.uint8]
Picture = NDArray[np.uint8]
CHUNK = 48
"""Frames that are held while going backwards."""


class Labelled(NamedTuple):
    """A frame's place, time in seconds and ids."""

    number: int
    time: Fraction
    labels: Labels
    state: Callable[[], Arrays] | None
    """What to go on from after this frame, to be asked for before the next one; None where no run can begin."""
    begins: bool = False
    """Whether a shot begins with it, as far as that matters to who found them."""


class Done(NamedTuple):
    """What another run has done: so many results, and the state after the last of them."""

    frames: int = 0
    state: Mapping[str, NDArray[Any]] = {}


NOTHING_DONE = Done()


@dataclass(frozen=True)
class Span:
    """What part of which video is looked at."""

    path: str | os.PathLike[str]
    start: float | Fraction | None = None
    end: float | None = None

    def frames(self) -> Iterator[Frame]:
        with open_video(self.path, start=self.start, end=self.end) as reader:
            yield from reader


def picture_of(planes: Planes) -> Picture:
    """uint8 Y, U, V (h, w, 3), with `LINES` pixels on the shorter side at most."""
    height, width = planes[0].shape
    scale = min(1.0, LINES / min(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(
        np.dstack([cv2.resize(plane, size, interpolation=_method(plane, size)) for plane in planes]), np.uint8
    )


def _method(plane: NDArray[Any], size: tuple[int, int]) -> int:
    return cv2.INTER_AREA if plane.shape[1] >= size[0] else cv2.INTER_LINEAR


def labels_of(masks: dict[int, Any], width: int, height: int) -> Labels:
    """Likelihoods (h, w) by id -> ids (height, width): each pixel the likeliest, if it is likelier than not."""
    labels = np.zeros((height, width), np.uint8)
    best = np.full((height, width), 0.5, np.float32)
    for object_, mask in masks.items():
        if mask.max() <= 0.5:
            continue
        large = cv2.resize(np.asarray(mask, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        labels[large > best] = object_
        np.maximum(best, large, out=best)
    return labels


def still_camera(span: Span, done: Done = NOTHING_DONE) -> Iterator[Labelled]:
    """The frames of a camera that does not move."""
    background, identities = Background(), Identities()
    if done.frames:
        background.state, identities.state = _parts(done.state, "background", "identities")

    def state() -> Arrays:
        return _joined(background=background.state, identities=identities.state)

    for index, frame in enumerate(itertools.islice(span.frames(), done.frames, None), done.frames):
        small = picture_of(frame.planes)
        mask = background.push((small[..., 0], small[..., 1], small[..., 2]))
        labels = identities.label(mask)
        if labels.shape != frame.y.shape:
            labels = np.asarray(
                cv2.resize(labels, frame.y.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8
            )
        yield Labelled(index, frame.time, labels, state)


def moving_objects(
    span: Span, info: VideoInfo, network: FlowSegmenter, done: Done = NOTHING_DONE
) -> Iterator[Labelled]:
    """The frames with what moves by itself. A run can begin where a window or a shot does."""
    times: list[Fraction] = []
    ended = False

    def views() -> Iterator[View]:
        nonlocal ended
        for view, time in _views(with_cuts(span.frames()), network, done.frames, odds=True):
            times.append(time)
            yield view
        ended = True

    discoverer, identities = Discoverer(), Identities()
    if done.frames:
        discoverer.state, identities.state = _parts(done.state, "discoverer", "identities")

    def state() -> Arrays:
        return _joined(discoverer=discoverer.state, identities=identities.state)

    for index, (likely, begins) in enumerate(discoverer.run(views()), done.frames):
        if begins:
            identities.restart()
        mask = labels_of({1: likely}, info.width, info.height) > 0
        time = times.pop(0)
        # A window ends when all that was seen has been told, but for the view that showed its end.
        finished = len(times) == (0 if ended else 1)
        yield Labelled(index, time, identities.label(mask), state if finished else None, begins)


class Networks(NamedTuple):
    """What tells how things move, and whose features tell what looks alike."""

    motion: FlowSegmenter
    looks: VideoVAE


def pointed_objects(
    span: Span, info: VideoInfo, networks: Networks, prompts: Sequence[Prompt], done: Done = NOTHING_DONE
) -> Iterator[Labelled]:
    """The frames forwards from the first prompt, then those before it, backwards.

    Raises InputError for prompts outside of the video.
    """
    said = _placed(span, prompts)
    first = min(said.places)
    last = int(done.state["index"]) if done.frames else None
    if last is None or last >= first:
        tracker = Tracker(networks.looks)
        if last is not None:
            (tracker.state,) = _parts(done.state, "tracker")
        begin = first if last is None else last + 1
        for index, (view, time) in enumerate(_views(with_cuts(span.frames()), networks.motion, begin), begin):
            if index in said.places:
                masks = _said(tracker, view, said.places[index], info)
            else:
                masks = tracker.follow(view)
            labels = labels_of(masks, info.width, info.height)
            yield Labelled(index, time, labels, partial(_tracked, tracker, index))
        last = None
    if first and last != 0:
        yield from _backwards(span, info, networks, said, last, done.state)


def _tracked(tracker: Tracker, index: int) -> Arrays:
    return {"index": np.array(index), **_joined(tracker=tracker.state)}


def _backwards(
    span: Span,
    info: VideoInfo,
    networks: Networks,
    said: "Placed",
    last: int | None,
    state: Mapping[str, NDArray[Any]],
) -> Iterator[Labelled]:
    """As `pointed_objects`, for the frames before the first prompt, nearest first; reads the video in chunks.

    last: the frame that another run has come to, and `state` what it left.
    """
    first = min(said.places)
    tracker, motion = Tracker(networks.looks), MotionWindow(networks.motion)
    if last is not None:
        (tracker.state,) = _parts(state, "tracker")
    come = first + 1 if last is None else last
    # What lies beyond is looked at for its motion.
    top = min(first, come - 1 + REACH)
    waiting: deque[tuple[int, Fraction]] = deque()

    def told(views: Iterable[View]) -> Iterator[Labelled]:
        for view in views:
            index, time = waiting.popleft()
            if index >= come:
                continue
            if index == first:
                _said(tracker, view, said.places[first], info)
            else:
                labels = labels_of(tracker.follow(view), info.width, info.height)
                yield Labelled(index, time, labels, partial(_tracked, tracker, index))

    for chunk in reversed(range(top // CHUNK + 1)):
        begin, end = chunk * CHUNK, min((chunk + 1) * CHUNK, top + 1)
        part = Span(span.path, said.starts[chunk], span.end)
        shift = said.starts[chunk] - said.starts[0]
        held = [(picture_of(f.planes), f.time + shift) for f in itertools.islice(part.frames(), end - begin)]
        for index in range(begin + len(held) - 1, begin - 1, -1):
            picture, time = held[index - begin]
            waiting.append((index, time))
            yield from told(motion.push(picture))
            if index in said.cuts:
                # A shot begins here, so backwards it ends.
                yield from told(motion.finish())
    yield from told(motion.finish())


def _views(
    frames: Iterable[tuple[Frame, bool]], network: FlowSegmenter, begin: int = 0, *, odds: bool = False
) -> Iterator[tuple[View, Fraction]]:
    """Views, with log odds or without, and their times, from frame `begin` on."""
    times: list[Fraction] = []
    # What lies before is looked at for its motion.
    earliest = max(0, begin - REACH)

    def pictures() -> Iterator[tuple[Picture, bool]]:
        for frame, begins in itertools.islice(frames, earliest, None):
            times.append(frame.time)
            yield picture_of(frame.planes), begins

    for index, view in enumerate(MotionWindow(network, odds=odds).run(pictures()), earliest):
        time = times.pop(0)
        if index >= begin:
            yield view, time


def _joined(**states: Mapping[str, NDArray[Any]]) -> Arrays:
    """Several states as one."""
    return {f"{whose} {name}": array for whose, state in states.items() for name, array in state.items()}


def _parts(state: Mapping[str, NDArray[Any]], *whose: str) -> list[Arrays]:
    """The states that were joined, in this order."""
    return [
        {name.removeprefix(f"{each} "): array for name, array in state.items() if name.startswith(f"{each} ")}
        for each in whose
    ]


def _said(tracker: Tracker, view: View, prompts: Sequence[Prompt], info: VideoInfo) -> dict[int, Any]:
    """Tell the tracker what was said of this frame."""
    before = tracker.masks
    said: dict[int, Any] = {}
    height, width = view.picture.shape[:2]
    for prompt in prompts:
        if prompt.mask is not None:
            said |= _read(prompt, info, (width, height))
    for object_ in sorted({prompt.object for prompt in prompts if prompt.mask is None}):
        mine = [prompt for prompt in prompts if prompt.object == object_ and prompt.mask is None]
        so_far = said.get(object_, before.get(object_))
        hints = Hints(
            [p.point for p in mine if p.point], [p.not_point for p in mine if p.not_point],
            next((p.box for p in mine if p.box), None), None,
        )  # fmt: skip
        if so_far is None or not (so_far > 0.5).any():
            check_hints(hints, info.width, info.height)
        small = hints.scaled(width / info.width, height / info.height)
        if so_far is not None and (so_far > 0.5).any():
            small = Hints(small.points, small.not_points, small.box, so_far > 0.5)
        said[object_] = outline(view.picture, small, view.moving)
    return tracker.say(view, said)


def _read(prompt: Prompt, info: VideoInfo, size: tuple[int, int]) -> dict[int, Any]:
    """Masks by id from a file, in small."""
    assert prompt.mask is not None
    labels = read_indexed(prompt.mask)
    height, width = labels.shape
    if abs(width * info.height - height * info.width) > 0.03 * height * info.width:
        raise InputError(
            f"the mask '{prompt.mask}' is {width}x{height}, the video is {info.width}x{info.height}: "
            "its sides have other proportions"
        )
    ids = [int(object_) for object_ in np.unique(labels) if object_]
    if not ids:
        raise InputError(f"the mask '{prompt.mask}' is empty: nothing in it is set")
    if len(ids) > MOST_OBJECTS:
        raise InputError(f"the mask '{prompt.mask}' holds {len(ids)} objects: {MOST_OBJECTS} can be followed")
    return {
        object_: cv2.resize((labels == object_).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for object_ in ids
    }


@dataclass(frozen=True)
class Placed:
    """Prompts by the index of their frame, and what is needed to come back to the frames before."""

    places: dict[int, list[Prompt]]
    cuts: set[int]
    """Frames that a shot begins with."""
    starts: list[Fraction]
    """Seconds of the source from which each `CHUNK` of frames is read."""


def _placed(span: Span, prompts: Sequence[Prompt]) -> Placed:
    """Where the frames are that are shown at the prompts' times, which count from the start of the source."""
    shift = as_seconds(span.start) or Fraction(0)
    wanted = sorted(
        ((as_seconds(prompt.time) or Fraction(0), prompt) for prompt in prompts), key=itemgetter(0)
    )
    found = Placed({}, set(), [])
    if wanted[0][0] < shift:
        raise InputError(f"a prompt at {float(wanted[0][0]):g} s lies before the start, {float(shift):g} s")
    length, before = Fraction(0), Fraction(0)
    for index, (frame, begins) in enumerate(with_cuts(span.frames())):
        if begins:
            found.cuts.add(index)
        if index % CHUNK == 0:
            # Between two frames, so that no rounding loses one.
            found.starts.append(shift + (before + frame.time) / 2 if index else shift)
        before, length = frame.time, frame.time + frame.duration
        while wanted and wanted[0][0] - shift < length:
            found.places.setdefault(index, []).append(wanted.pop(0)[1])
        if not wanted:
            return found
    raise InputError(
        f"a prompt at {float(wanted[0][0]):g} s lies behind the last frame, which ends at {float(length + shift):.2f} s"
    )
