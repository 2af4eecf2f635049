"""From one window to any length: a generator goes on from the end of what it has made, window by window.

Memory does not grow with the length. What is known at the start, and the end of every window, are shown to the prior as
known tokens; or a state space (`vivae.vae.states`) goes on from there moment by moment.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vivae.vae.flow import Known, Tokens
from vivae.vae.generator import LABEL, Generator
from vivae.vae.states import noise_for

Progress = Callable[[int, int], None]
SEEN_MOVING = 2
"""Known moments at least, from which a state space can see motion: with less, the first window is drawn."""


def nobody(done: int, total: int) -> None:
    """For callers who do not ask."""


@dataclass(frozen=True)
class Start:
    """What is known of the first window. frames: how many of its first frames; given, known: tokens."""

    frames: int
    given: Tokens
    known: Known


def draws_of(seed: int, count: int) -> list[torch.Generator]:
    """A source of noise for each of `count` clips: clip k of seed s is clip 0 of seed s + k."""
    return [torch.Generator().manual_seed(seed + index) for index in range(count)]


def from_nothing(
    generator: Generator, labels: Sequence[int] = (), draws: Sequence[torch.Generator] = ()
) -> Start:
    """Nothing known, or the classes of the first things.

    Without `labels`, a model of classes draws one for each thing of each clip, from the clip's own one of `draws`.
    Raises ValueError for a class or thing that is not there.
    """
    kind = generator.kinds[0]
    given, known = generator.nothing(max(1, len(draws)))
    if labels:
        if kind.name != LABEL or len(labels) > kind.count or not all(0 <= x < kind.width for x in labels):
            raise ValueError(f"labels {list(labels)} do not suit the model '{generator.config.name}'")
        for place, label in enumerate(labels):
            given[0][:, place, label] = 1.0
            known[0][:, place] = True
    elif kind.name == LABEL:
        for clip, draw in enumerate(draws):
            for place in range(kind.count):
                given[0][clip, place, int(torch.randint(kind.width, (), generator=draw))] = 1.0
                known[0][clip, place] = True
    return Start(0, given, known)


def from_clip(generator: Generator, clip: Tensor) -> Start:
    """The last frames of a clip (1, T, ...) known, at most half a window of them and a whole number of its units."""
    most = generator.frames // 2 // generator.unit * generator.unit
    count = min(most, clip.shape[1]) // generator.unit * generator.unit
    seen = clip[:, -max(count, 1) :]
    times = torch.arange(generator.frames) < count
    return Start(count, generator.encode(seen), generator.known_times(1, times))


def from_ends(generator: Generator, before: Tensor, after: Tensor, missing: int) -> Start:
    """The end of one clip and the beginning of another known, so that `missing` frames of a window lie between.

    Raises ValueError where they do not fit into a window.
    """
    unit, frames = generator.unit, generator.frames
    side = min((frames - missing) // 2, before.shape[1], after.shape[1]) // unit * unit
    if side < unit or missing < 1:
        raise ValueError(f"{missing} frames between two ends do not fit into a window of {frames}")
    # What follows the second end, where the window is longer than all three, is drawn and not shown.
    ends = torch.zeros(frames, dtype=torch.bool)
    ends[:side] = True
    ends[side + missing : 2 * side + missing] = True
    middle = before[:, -1:].expand(-1, missing, *before.shape[2:])
    clip = torch.cat([before[:, -side:], middle, after[:, :side]], 1)
    return Start(side, generator.encode_ends(clip, side, missing), generator.known_times(1, ends))


@torch.inference_mode()
def rolled_out(
    generator: Generator,
    start: Start,
    frames: int,
    draws: Sequence[torch.Generator],
    *,
    steps: int,
    progress: Progress = nobody,
) -> Iterator[Tensor]:
    """`frames` new frames of a clip for each of `draws`, in parts (B, t, ...) in the form of the generator's clips."""
    batch = len(draws)
    given = [part.expand(batch, *part.shape[1:]) for part in start.given]
    known = [mark.expand(batch, *mark.shape[1:]) for mark in start.known]
    kept = generator.frames // 2 // generator.unit * generator.unit
    skip, made = start.frames, 0
    windows = 1 + -(-max(0, frames - (generator.frames - skip)) // (generator.frames - kept))
    for window in range(windows):

        def told(done: int, total: int, before: int = window) -> None:
            progress(before * total + done, windows * total)

        tokens = generator.sample(generator.noise(draws), given, known, steps=steps, progress=told)
        clip = generator.decode(tokens, known)
        part = clip[:, skip : skip + frames - made]
        made += part.shape[1]
        yield part
        if made < frames:
            given = generator.moved_on(tokens, generator.frames - kept)
            times = torch.arange(generator.frames) < kept
            known = generator.known_times(batch, times)
            skip = kept


@torch.inference_mode()
def streamed(
    generator: Generator,
    start: Start,
    frames: int,
    draws: Sequence[torch.Generator],
    *,
    steps: int,
    progress: Progress = nobody,
) -> Iterator[Tensor]:
    """As `rolled_out`, by the state space.

    Where too little is known to see motion, the first window is the flow's, or the state space's own without a flow.

    Raises ValueError for a generator without a state space.
    """
    if generator.states is None or not generator.streams:
        raise ValueError(f"the model '{generator.config.name}' has no state space")
    batch, made = len(draws), 0
    tokens = [part.expand(batch, *part.shape[1:]) for part in start.given]
    known = [mark.expand(batch, *mark.shape[1:]) for mark in start.known]
    seen = start.frames // generator.moment
    together, before, shown = generator.seen_at_once
    if seen < SEEN_MOVING and generator.flow is None:
        state, held = generator.states.settled(draws), []
        for _ in range(before):
            state = generator.states.go_on(state, noise_for(state, draws))
            held.append(generator.states.latent(state))
    else:
        tracks = generator.tracks(tokens, known)[:, :, :seen]
        if seen < SEEN_MOVING:
            tokens = generator.sample(generator.noise(draws), tokens, known, steps=steps)
            tracks = generator.tracks(tokens, known)
            part = generator.decode(tokens, known)[:, start.frames : start.frames + frames]
            made = part.shape[1]
            yield part
        state = generator.states.begin(tracks)
        moments = list(tracks.unbind(2))
        held = ([moments[0]] * before + moments)[len(moments) :]
    first = before * generator.moment
    while made < frames:
        while len(held) < together:
            state = generator.states.go_on(state, noise_for(state, draws))
            held.append(generator.states.latent(state))
        clip = generator.shown(tokens, torch.stack(held, 2))
        part = clip[:, first : first + min(shown * generator.moment, frames - made)]
        held = held[shown:]
        made += part.shape[1]
        yield part
        progress(made, frames)
