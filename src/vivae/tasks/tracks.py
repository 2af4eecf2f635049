"""Masks as data: run lengths as COCO has them, and for each object where it is, how large and how fast."""

import csv
import json
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
COLUMNS = ("frame", "time_s", "object", "x", "y", "width", "height", "area", "centre_x", "centre_y", "speed")


def run_lengths(mask: Mask) -> list[int]:
    """Lengths of the runs of 0 and 1, in turn, down the columns, beginning with 0."""
    flat = mask.ravel(order="F")
    if not flat.size:
        return []
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *counts] if flat[0] else counts


def coco_string(counts: list[int]) -> str:
    """COCO's compressed form: 6 bits a character, lowest first; from the fourth on, counts minus those two before."""
    text = []
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            text.append(chr((bits | (32 if more else 0)) + 48))
    return "".join(text)


class TrackWriter:
    """Writes `objects.json` and `tracks.csv` as masks come; for a `with` block. Holds one position an object."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self._size = [height, width]
        self._csv = (folder / "tracks.csv").open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._csv)
        self._rows.writerow(COLUMNS)
        self._json = (folder / "objects.json").open("w", encoding="utf-8")
        self._frames = 0
        self._annotations = 0
        self._json.write('{"annotations": [')
        self._last: dict[int, tuple[float, float, float]] = {}
        self.objects: dict[int, int] = {}
        """Frames that each object is seen in, by id."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            named = [{"id": object_, "name": f"object {object_}"} for object_ in sorted(self.objects)]
            self._json.write(f'],\n"categories": {json.dumps(named)},\n"images": [')
            height, width = self._size
            for number in range(self._frames):
                image = {"id": number, "file_name": f"{number:05d}.png", "height": height, "width": width}
                self._json.write((",\n" if number else "\n") + json.dumps(image))
            self._json.write("]}\n")
        self._json.close()
        self._csv.close()

    def add(self, frame: int, time: float, labels: NDArray[np.uint8]) -> None:
        """The ids (H, W) of the next frame."""
        self._frames += 1
        for object_ in np.flatnonzero(np.bincount(labels.ravel(), minlength=2)[1:]) + 1:
            self._add_object(frame, time, int(object_), labels == object_)

    def _add_object(self, frame: int, time: float, object_: int, mask: Mask) -> None:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]
        area = int(mask.sum())
        x = float((mask.sum(0) * np.arange(mask.shape[1])).sum()) / area
        y = float((mask.sum(1) * np.arange(mask.shape[0])).sum()) / area
        before = self._last.get(object_)
        speed = None
        if before is not None and time > before[0]:
            speed = round(float(np.hypot(x - before[1], y - before[2])) / (time - before[0]), 2)
        self._last[object_] = time, x, y
        self.objects[object_] = self.objects.get(object_, 0) + 1
        self._rows.writerow([frame, round(time, 6), object_, *box, area, round(x, 2), round(y, 2), speed])
        self._annotations += 1
        annotation = {
            "id": self._annotations, "image_id": frame, "category_id": object_, "bbox": box, "area": area, "iscrowd": 0,
            "segmentation": {"size": self._size, "counts": coco_string(run_lengths(mask))},
        }  # fmt: skip
        self._json.write((",\n" if self._annotations > 1 else "\n") + json.dumps(annotation))
