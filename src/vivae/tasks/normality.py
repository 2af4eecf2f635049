"""What is usual at each place of a camera's view, learned from normal footage, and how strange a frame is beside it.

A sign is judged against what its neighbourhood shows on all but the rarest normal frames; a frame by its strangest
place; and both signs on one scale, by what normal footage that was held back reaches.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vivae.errors import FormatError, InputError
from vivae.media import atomic_path
from vivae.tasks.signs import Map

FORMAT = "vivae normality 1"
USUAL = 0.95
"""Share of normal frames whose largest value in a neighbourhood counts as usual there."""
REACH = (1, 6)
"""Rows and columns of the neighbourhood, to either side: distance from the camera changes with the row."""
FLOOR: dict[str, float] = {"motion": 3.0, "surprise": 2.0}
"""Added to what is usual, in the sign's units: where nothing ever happens, a flicker is no event."""
AT = 0.995
"""Share of held-back normal frames that score below 1."""
TAIL = 0.1
"""Share of the held-back scores, the highest, whose fall tells how often a higher one is to be expected."""


@dataclass
class Normality:
    """What was learned of one camera. usual: by sign, (rows, columns)."""

    usual: dict[str, NDArray[np.float32]]
    scale: dict[str, float]
    """By sign, the score of a frame that counts as 1."""
    scores: NDArray[np.float32]
    """Of held-back normal frames, sorted."""
    fps: float
    notes: dict[str, Any]

    def strangeness(self, maps: Mapping[str, Map]) -> dict[str, Map]:
        """By sign, how strange each place is: about 1 where a normal frame is at its strangest.

        Raises InputError where the view has another shape than the one that was learned.
        """
        found = {}
        for name, usual in self.usual.items():
            if maps[name].shape != usual.shape:
                raise InputError(
                    f"the model knows a view of {usual.shape[1]}x{usual.shape[0]} places and this video has "
                    f"{maps[name].shape[1]}x{maps[name].shape[0]}: it is of another camera"
                )
            found[name] = np.asarray(maps[name] / (usual + FLOOR[name]) / self.scale[name], np.float32)
        return found

    def threshold(self, per_hour: float) -> tuple[float, bool]:
        """The score that normal footage exceeds so often, and whether enough of it was seen to know.

        Beyond what was seen, the highest scores are taken to fall off exponentially.
        """
        hours = len(self.scores) / self.fps / 3600
        wanted = per_hour / (3600 * self.fps) * EVENT_FRAMES
        tail = self.scores[-max(8, round(TAIL * len(self.scores))) :]
        slope = max(float(np.mean(tail - tail[0])), 1e-3)
        share = len(tail) / len(self.scores)
        score = float(tail[0]) + slope * float(np.log(max(share / wanted, 1.0)))
        return score, hours * per_hour >= 1

    def save(self, path: Path, force: bool) -> None:
        """Write it as safetensors."""
        tensors = {f"usual.{name}": values for name, values in self.usual.items()} | {"scores": self.scores}
        header = {"format": FORMAT, "scale": self.scale, "fps": self.fps, "notes": self.notes}
        with atomic_path(path, force) as beside:
            Path(beside).write_bytes(save(tensors, metadata={"vivae": json.dumps(header)}))


EVENT_FRAMES = 12.0
"""Frames that a false alarm lasts, about: neighbouring frames are alike."""


def load_normality(path: Path) -> Normality:
    """Raises InputError where there is none, FormatError where it is not one."""
    if not path.is_file():
        raise InputError(f"there is no model {path}: make one with vivae detect fit")
    try:
        with safe_open(path, framework="np") as file:
            header = json.loads((file.metadata() or {}).get("vivae", "{}"))
            if header.get("format") != FORMAT:
                raise FormatError(f"'{path}' is no model of vivae detect fit")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        usual = {name.removeprefix("usual."): tensors[name] for name in tensors if name.startswith("usual.")}
        return Normality(usual, header["scale"], tensors["scores"], header["fps"], header["notes"])
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise FormatError(f"'{path}' is no whole model of vivae detect fit") from error


def learned(clips: Sequence[Mapping[str, Sequence[Map]]], fps: float, notes: dict[str, Any]) -> Normality:
    """From the maps of each normal clip, by sign. Every fourth clip is held back to judge what scores mean.

    Of a single clip, it is the last quarter.
    """
    if len(clips) == 1:
        border = max(1, len(next(iter(clips[0].values()))) * 3 // 4)
        clips = [
            {name: maps[:border] for name, maps in clips[0].items()},
            {name: maps[border:] for name, maps in clips[0].items()},
        ]
        held = [1]
    else:
        held = list(range(3, len(clips), 4)) or [len(clips) - 1]
    usual, scale, heights = {}, {}, []
    for name in clips[0]:
        first = [
            np.stack(clip[name]) for index, clip in enumerate(clips) if index not in held and len(clip[name])
        ]
        kept = [np.stack(clips[index][name]) for index in held if len(clips[index][name])]
        if not first or not kept:
            raise InputError("the normal footage is too short: give several clips, or some minutes of one")
        usual[name] = _usual(np.concatenate(first))
        peaks = np.concatenate([(maps / (usual[name] + FLOOR[name])).max((1, 2)) for maps in kept])
        scale[name] = max(float(np.quantile(peaks, AT)), 1e-6)
        heights.append(peaks / scale[name])
        # What was held back belongs to what is usual, too.
        usual[name] = _usual(np.concatenate([*first, *kept]))
    scores = np.sort(np.max(heights, 0)).astype(np.float32)
    return Normality(usual, scale, scores, fps, notes)


def _usual(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of frames (T, rows, columns): what all but the rarest show in each neighbourhood."""
    window = np.ones((2 * REACH[0] + 1, 2 * REACH[1] + 1), np.uint8)
    around = np.stack([cv2.dilate(frame, window) for frame in maps])
    return np.quantile(around, USUAL, axis=0).astype(np.float32)
