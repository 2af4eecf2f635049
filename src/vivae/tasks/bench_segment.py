"""`bench segment`: J and F on DAVIS-2016 sequences, F on CDnet `highway`, and speed, beside classical peers.

Everything that a frame's motion tells is worked out once and used by all modes; speeds count it for each.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.measure import bench
from vivae.measure.bench import Record
from vivae.measure.clip import Progress, no_progress
from vivae.measure.regions import PixelCount, boundary_score, region_overlap
from vivae.media import Planes, open_video
from vivae.tasks.labelling import labels_of, picture_of
from vivae.vae.background import Background
from vivae.vae.discover import Discoverer
from vivae.vae.moving import MotionWindow, View
from vivae.vae.outline import Hints, outline, redrawn
from vivae.vae.segmenter import FlowSegmenter
from vivae.vae.tracker import Tracker
from vivae.vae.zoo import load_model, load_segmenter

VERSION = 2
CHOSEN = ("bmx-trees", "cows", "dog", "drift-chicane", "horsejump-high")
"""Sequences that settings were chosen on."""
REPORTED = ("blackswan", "breakdance", "car-shadow", "libby", "paragliding-launch")
PEERS = ("first mask warped by DIS", "GrabCut around the warped mask")
PARTS = {"auto": ("auto",), "prompted": ("mask", "box", "point"), "peers": PEERS}
"""What is measured together on a DAVIS sequence."""
STILL = "still"
"""The part that is measured on `highway`."""
Mask = NDArray[np.bool_]


def bench_segment(
    data: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: str | Path = "motion",
    frames: int | None = None,
    threads: int = 2,
    clips: Sequence[str] = (),
    parts: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Record:
    """Measure all modes on `data/segment`; raw figures and tables go to the folder `dst`.

    frames: of each DAVIS sequence, the first ones; all without. clips: names of DAVIS sequences, or "highway"; all
    without. parts: of "auto", "prompted", "peers" (on DAVIS) and "still" (on highway); all without. What an earlier run
    with the same settings has left there is kept. Raises InputError for what is missing.
    """
    root, folder = Path(data) / "segment", Path(dst)
    wanted = list(parts) or [*PARTS, STILL]
    for part in wanted:
        if part not in (*PARTS, STILL):
            raise InputError(f"there is no part '{part}': choose from {', '.join((*PARTS, STILL))}")
    names = list(clips) or [
        *((*REPORTED, *CHOSEN) if set(wanted) & set(PARTS) else ()),
        *(("highway",) if STILL in wanted else ()),
    ]
    for name in names:
        if name not in (*REPORTED, *CHOSEN, "highway"):
            raise InputError(
                f"there is no sequence '{name}': choose from {', '.join((*REPORTED, *CHOSEN))}, highway"
            )
        if not _video(root, name).is_file():
            raise InputError(f"the sequence '{_video(root, name)}' is missing: give the folder with --data")
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    network = load_segmenter(model)
    records = bench.Records(
        folder, {"version": VERSION, "frames": frames, "threads": threads, "model": network.hash}
    )
    found: dict[str, Record] = {}
    for number, name in enumerate(names):
        progress(name, number / len(names))
        if name == "highway":
            found[name] = records.get(name, _video(root, name), partial(_highway, root))
            continue
        ways: Record = {}
        for part in filter(wanted.__contains__, PARTS):
            measure = partial(_davis, root, name, network, frames, part)
            found[name] = records.get(f"{part}-{name}", _video(root, name), measure)
            ways |= found[name]["ways"]
            found[name] = found[name] | {"ways": ways}
    progress("done", 1.0)
    result: Record = {"bench": "segment", "environment": bench.environment(threads), "points": found}
    bench.write_json(folder / "results.json", result)
    bench.write_text(folder / "results.md", _tables(result))
    return {"output": str(folder)}


def _video(root: Path, name: str) -> Path:
    return root / "highway" / "input.mkv" if name == "highway" else root / "davis" / f"{name}.mkv"


@dataclass
class _Sequence:
    views: list[View]
    truth: list[Mask]
    seconds: float
    """That the views took."""


def _load(root: Path, name: str, network: FlowSegmenter, frames: int | None, odds: bool) -> _Sequence:
    with open_video(_video(root, name)) as reader:
        pictures = [picture_of(frame.planes) for frame in islice(reader, frames)]
    paths = sorted((root / "davis" / f"{name}_masks").glob("*.png"))
    truth = [_read(path) > 0 for path in paths[: len(pictures)]]
    begun = time.perf_counter()
    window = MotionWindow(network, odds=odds)
    views = list(window.run((picture, not index) for index, picture in enumerate(pictures)))
    return _Sequence(views, truth, time.perf_counter() - begun)


def _read(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise InputError(f"'{path}' cannot be read: the data are incomplete")
    return np.asarray(picture, np.uint8)


def _davis(root: Path, name: str, network: FlowSegmenter, frames: int | None, part: str) -> Record:
    sequence = _load(root, name, network, frames, odds=part == "auto")
    views = sequence.views
    height, width = sequence.truth[0].shape
    first = sequence.truth[0]
    rows, columns = np.nonzero(first)
    box = (
        float(columns.min()), float(rows.min()), float(np.ptp(columns)) + 1, float(np.ptp(rows)) + 1
    )  # fmt: skip
    depth = cv2.distanceTransform(first.astype(np.uint8), cv2.DIST_L2, 5)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    small = views[0].picture.shape
    begin = cv2.resize(first.astype(np.float32), (small[1], small[0]), interpolation=cv2.INTER_AREA)
    scale = small[1] / width, small[0] / height
    ways: dict[str, Callable[[], Iterator[Any]]] = {
        "auto": lambda: (likely for likely, _ in Discoverer().run(iter(views))),
        "mask": lambda: _followed(views, begin),
        "box": lambda: _hinted(views, Hints(box=box).scaled(*scale)),
        "point": lambda: _hinted(views, Hints([(float(x), float(y))]).scaled(*scale)),
        PEERS[0]: lambda: _warped(views, begin),
        PEERS[1]: lambda: _cut(views, begin),
    }
    figures: Record = {}
    for way in PARTS[part]:
        overlaps, edges = [], []
        taken = sequence.seconds
        results = ways[way]()
        for index, true in enumerate(sequence.truth):
            begun = time.perf_counter()
            found = labels_of({1: next(results)}, width, height) > 0
            taken += time.perf_counter() - begun
            # As DAVIS has it: where the first frame is given it and the last count for nothing.
            if way == "auto" or 0 < index < len(sequence.truth) - 1:
                overlaps.append(region_overlap(found, true))
                edges.append(boundary_score(found, true))
        figures[way] = {
            "J": 100 * float(np.mean(overlaps)),
            "F": 100 * float(np.mean(edges)),
            "fps": len(sequence.truth) / taken,
            "J_frames": [round(100 * overlap, 1) for overlap in overlaps],
        }
    return {"size": f"{width}x{height}", "frames": len(sequence.truth), "ways": figures}


def _followed(views: Sequence[View], first: Any) -> Iterator[Any]:
    tracker = Tracker(load_model())
    for index, view in enumerate(views):
        yield (tracker.follow(view) if index else tracker.say(view, {1: first}))[1]


def _hinted(views: Sequence[View], hints: Hints) -> Iterator[Any]:
    yield from _followed(views, outline(views[0].picture, hints, views[0].moving))


def _warped(views: Sequence[View], first: Any) -> Iterator[Any]:
    """The first mask moved along the flow, from frame to frame."""
    mask = first
    for view in views:
        if view.back is not None:
            height, width = view.back.shape[:2]
            places = view.back + np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(
                np.float32
            )
            mask = cv2.remap(mask, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        yield mask


def _cut(views: Sequence[View], first: Any) -> Iterator[Any]:
    """The same, and after each step GrabCut (one round) in a band of ten pixels around the edge."""
    mask = first
    for view in views:
        if view.back is not None and (mask > 0.5).any():
            moved = next(_warped([view], mask))
            mask = redrawn(view.picture, moved > 0.5, 10).astype(np.float32)
        yield mask


def _highway(root: Path) -> Record:
    folder = root / "highway"
    truth = {_number(path): path for path in (folder / "groundtruth").glob("*.png")}
    region = _read(folder / "ROI.bmp") > 0
    order = sorted(truth)
    middle = order[len(order) // 2]
    ours = Background()
    ways: dict[str, Callable[[Planes], Mask]] = {
        "vivae": ours.push,
        "KNN, median and closing": partial(_subtracted, cv2.createBackgroundSubtractorKNN()),
        "MOG2, median and closing": partial(_subtracted, cv2.createBackgroundSubtractorMOG2()),
    }
    counts = {way: (PixelCount(), PixelCount()) for way in ways}
    seconds = dict.fromkeys(ways, 0.0)
    frames = 0
    with open_video(folder / "input.mkv") as reader:
        for frames, frame in enumerate(reader, 1):
            for way, push in ways.items():
                begun = time.perf_counter()
                mask = push(frame.planes)
                seconds[way] += time.perf_counter() - begun
                if frames in truth:
                    counts[way][frames >= middle].add(mask, _read(truth[frames]), region)
    return {
        "size": f"{region.shape[1]}x{region.shape[0]}",
        "ways": {
            way: {
                "F_chosen": 100 * first.f,
                "F_reported": 100 * second.f,
                "F": 100 * (first + second).f,
                "fps": frames / seconds[way],
            }
            for way, (first, second) in counts.items()
        },
    }  # fmt: skip


def _number(path: Path) -> int:
    return int("".join(filter(str.isdigit, path.stem)))


def _subtracted(subtractor: Any, planes: Planes) -> Mask:
    y, u, v = planes
    wide = [cv2.resize(plane, y.shape[::-1], interpolation=cv2.INTER_LINEAR) for plane in (u, v)]
    raw = subtractor.apply(cv2.cvtColor(cv2.merge([y, *wide]), cv2.COLOR_YUV2BGR))
    steady = cv2.medianBlur((raw == 255).astype(np.uint8), 9)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    return np.asarray(cv2.morphologyEx(steady, cv2.MORPH_CLOSE, kernel) > 0)


def _tables(result: Record) -> str:
    points = result["points"]
    parts = []
    told = [point["ways"] for name, point in points.items() if name != "highway"]
    ways = [way for part in PARTS.values() for way in part if all(way in some for some in told)]
    for what, digits in (("J", 1), ("F", 1), ("fps", 1)):
        rows = {
            name: [points[name]["ways"][way][what] for way in ways]
            for name in (*REPORTED, *CHOSEN)
            if name in points
        }
        if not rows:
            continue
        for title, names in (
            ("the five that nothing was chosen on", REPORTED),
            ("all", (*REPORTED, *CHOSEN)),
        ):
            some = {name: rows[name] for name in names if name in rows}
            if some and (title != "all" or set(some) - set(REPORTED)):
                parts.append(
                    f"## {what}, {title}\n\n"
                    + bench.markdown_table(["sequence", *ways], some, [digits] * len(ways))
                )
    if "highway" in points:
        columns = ["CDnet highway", "F, second half", "F, first half (chosen on)", "F, all", "fps"]
        rows = {
            way: [told["F_reported"], told["F_chosen"], told["F"], told["fps"]]
            for way, told in points["highway"]["ways"].items()
        }
        tables = [bench.markdown_table(columns, {way: told}, [1, 1, 1, 0]) for way, told in rows.items()]
        head, *rest = tables
        # One line for each way: their mean says nothing.
        parts.append(
            "## A still camera\n\n" + head + "".join(table.splitlines()[-1] + "\n" for table in rest)
        )
    return "\n".join([*parts, bench.provenance(result["environment"])])
