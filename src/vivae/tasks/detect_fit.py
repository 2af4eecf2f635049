"""`detect fit`: a model of what is usual before a camera, from normal footage alone."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.media import VideoReader, open_video, probe, refuse_overwrite
from vivae.tasks.common import Progress, no_progress
from vivae.tasks.detect import smoothing_of
from vivae.tasks.normality import Normality, calibrate, trusted, weighted
from vivae.tasks.regions import (
    DIFFERENT,
    Map,
    Regions,
    RegionWatcher,
    View,
    flow_search,
    joined,
    picked,
    shrunk_luma,
)
from vivae.train.dataset import find_clips
from vivae.train.regions import BATCH, teach

logger = logging.getLogger(__name__)

STEPS = 400
MOST_PASSES = 12
"""Over the regions, at most: of little footage, more would be learned by heart..."""
FEWEST_STEPS = 40
"""...but no fewer steps than this."""
FEWEST_PIECES = 8
"""Into which footage is parted, so that some can be held back..."""
SHORTEST_PIECE = 2.0
"""...none shorter than so many seconds."""
GROUND_FRAMES = 96
"""Whose median is the background."""
MOST_FRAMES = 3000
"""Of the footage learned from, evenly spread; of that held back, in a row."""
MOST_REGIONS = 12_000
FEWEST_REGIONS = 50
LONGEST_GAP = 0.3
"""Seconds over which motion is measured..."""
FARTHEST = 8.0
"""...or less, so that what is fast moves by so many pixels looked at."""


@dataclass(frozen=True)
class Piece:
    """A clip, or a part of one, in seconds."""

    path: Path
    start: float | None = None
    end: float | None = None

    def reading(self) -> VideoReader:
        """The piece, opened."""
        return open_video(self.path, start=self.start, end=self.end)


def _count(reader: VideoReader, piece: Piece) -> int:
    """About how many frames a piece has."""
    length = float(reader.info.duration)
    share = ((piece.end or length) - (piece.start or 0.0)) / length if length > 0 else 1.0
    return max(1, round(reader.info.estimated_frames * share))


def detect_fit(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    seed: int = 0,
    steps: int = STEPS,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Learn from a folder of normal clips of one camera that stands still (or one clip) what is usual there.

    dst: the model, a .safetensors file. seed: of the network's start and batches. steps: of its training, at most.
    Every fourth clip (of few clips, piece) is held back to judge what scores mean. A few abnormal frames among the
    normal ones do little harm: regions unlike those of all other clips are not kept. Clips that cannot be read are
    passed over with a warning. Returns what was learned from, and the threshold for one false alarm an hour.
    Raises InputError, OutputError.
    """
    clips = find_clips(src)
    refuse_overwrite(dst, *clips)
    if steps < 1:
        raise InputError(f"a training needs at least 1 step, not {steps}")
    pieces = _pieces(clips)
    if not pieces:
        raise InputError(f"no clip of {src} can be read")
    total = 3 * len(pieces) + 1
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    view = _view(pieces, step)
    held = list(range(3, len(pieces), 4)) or [len(pieces) - 1]
    first = [piece for number, piece in enumerate(pieces) if number not in held] or pieces
    frames, regions, owners = _gathered(view, first, seed, step)
    steps = min(steps, max(FEWEST_STEPS, MOST_PASSES * len(owners) // BATCH))
    network = teach(
        torch.from_numpy(regions.looks), torch.from_numpy(regions.conditions), steps=steps, seed=seed
    )
    step()
    points = weighted(regions.figures, view.speed)
    normality = Normality(view, network, points[trusted(points, owners)])
    signs, kept, fps = _held_back(normality, [pieces[number] for number in held], step)
    normality.fps = fps
    calibrate(normality, signs, smoothing_of(fps))
    # What was held back belongs to what is usual, too.
    points = np.concatenate([points, weighted(np.concatenate(kept), view.speed)])
    owners = np.concatenate([owners, *(np.full(len(part), -1 - n) for n, part in enumerate(kept))])
    frames += sum(len(clip) for clip in signs)
    notes = {"clips": len(clips), "frames": frames, "seed": seed, "steps": steps}
    learned = replace(normality, bank=points[trusted(points, owners)], notes=notes)
    learned.save(Path(dst), force)
    progress(total, total)
    threshold, sure = learned.threshold(1.0)
    return {
        "output": str(dst),
        "clips": len({piece.path for piece in pieces}),
        "frames": frames,
        "regions": len(learned.bank),
        "threshold": threshold,
        "threshold_is_sure": sure,
    }


def _pieces(clips: list[Path]) -> list[Piece]:
    """The clips that can be read; where they are few, parts of them."""
    lengths = {}
    for clip in clips:
        try:
            lengths[clip] = float(probe(clip).duration)
        except InputError as error:
            logger.warning("%s is left out: %s", clip, error)
    share = -(-FEWEST_PIECES // max(1, len(lengths))) if len(lengths) < FEWEST_PIECES // 2 else 1
    pieces = []
    for clip, length in lengths.items():
        count = max(1, min(share, int(length / SHORTEST_PIECE)))
        edges = np.linspace(0, length, count + 1).tolist()
        for number in range(count):
            last = number == count - 1
            pieces.append(Piece(clip, edges[number] or None, None if last else edges[number + 1]))
    return pieces


def _view(pieces: list[Piece], step: Callable[[], None]) -> View:
    """The background is the median of frames; the gap suits the speed of what is fast."""
    quota = -(-GROUND_FRAMES // len(pieces))
    stills: list[NDArray[np.uint8]] = []
    pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8], float]] = []
    fps = 25.0
    for piece in pieces:
        with piece.reading() as reader:
            fps = float(reader.info.fps)
            count = _count(reader, piece)
            every = max(2, count // quota)
            last: tuple[NDArray[np.uint8], float] | None = None
            for number, frame in enumerate(reader):
                at = number % every
                if at > 1:
                    continue
                luma = shrunk_luma(frame)
                if stills and luma.shape != stills[0].shape:
                    raise InputError(
                        f"'{piece.path}' has another shape of picture than the others: one model is for one camera"
                    )
                if at == 0:
                    stills.append(luma)
                    last = luma, float(frame.time)
                elif last is not None:
                    pairs.append((last[0], luma, float(frame.time) - last[1]))
        step()
    ground = np.median(stills, axis=0).astype(np.uint8)
    search = flow_search()
    speeds: list[Map] = []
    for before, now, seconds in pairs[:: max(1, len(pairs) // GROUND_FRAMES)]:
        moves = cv2.absdiff(cv2.GaussianBlur(now, (3, 3), 0), ground) > DIFFERENT
        if moves.any() and seconds > 0:
            flow = search.calc(now, before, np.zeros((*now.shape, 2), np.float32))
            speeds.append((np.hypot(flow[..., 0], flow[..., 1])[moves] / seconds).astype(np.float32))
    every_speed = np.concatenate(speeds) if speeds else np.zeros(0, np.float32)
    every_speed = every_speed[every_speed > 0.1 * fps]
    if not len(every_speed):
        raise InputError("nothing moves in the normal footage: there is nothing to learn from it")
    usual, fast = np.quantile(every_speed, [0.5, 0.95]).tolist()
    return View(ground, float(np.clip(FARTHEST / fast, 1 / fps, LONGEST_GAP)), usual)


def _gathered(
    view: View, pieces: list[Piece], seed: int, step: Callable[[], None]
) -> tuple[int, Regions, NDArray[np.intp]]:
    """How many frames, their regions, and from which piece each region is."""
    found: list[Regions] = []
    owners: list[NDArray[np.intp]] = []
    frames = 0
    for number, piece in enumerate(pieces):
        with piece.reading() as reader:
            count = _count(reader, piece)
            every = max(1, count * len(pieces) // MOST_FRAMES)
            own = [regions for _, regions in RegionWatcher(view).watch(reader, every)]
        frames += len(own)
        found += own
        owners.append(np.full(sum(len(regions.figures) for regions in own), number))
        step()
    regions = joined(found)
    whose = np.concatenate(owners)
    if len(whose) < FEWEST_REGIONS:
        raise InputError(
            f"only {len(whose)} moving things were seen in the normal footage: give more of it, from a camera that "
            "stands still"
        )
    chosen = np.random.default_rng(seed).permutation(len(whose))[:MOST_REGIONS]
    return frames, picked(regions, chosen), whose[chosen]


def _held_back(
    normality: Normality, pieces: list[Piece], step: Callable[[], None]
) -> tuple[list[list[Map]], list[Map], float]:
    """Of each piece the signs of every frame, and the figures of its regions; and the frame rate."""
    signs: list[list[Map]] = []
    figures: list[Map] = []
    fps = 25.0
    for piece in pieces:
        with piece.reading() as reader:
            fps = float(reader.info.fps)
            own: list[Map] = []
            kept: list[Map] = []
            for _, regions in RegionWatcher(normality.view).watch(reader):
                own.append(normality.signs(regions))
                kept.append(regions.figures)
                if len(own) * len(pieces) >= MOST_FRAMES:
                    break
        signs.append(own)
        figures.append(np.concatenate(kept))
        step()
    return signs, figures, fps
