"""`bench shots`: shots found in spliced clips with known transitions and look-alikes, beside PySceneDetect's detectors.

The clips are made anew from the evaluation footage, by the generator that made the training's clips from the training
footage, and are read as H.264 files by every detector.
"""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vivae.errors import InputError, UnsupportedError
from vivae.measure import bench
from vivae.measure.bench import Record
from vivae.measure.clip import Progress, no_progress
from vivae.measure.transitions import Hits, boundary_hits, cut_hits, gradual_hits
from vivae.media import ColorInfo, Frame, open_writer
from vivae.tasks.shots import shots
from vivae.train.footage import footage_of
from vivae.train.splices import Footage, Splice, make_splice

VERSION = 1
"""Of the way figures are taken: raise it, and old records are taken again."""
SOURCE_SIZE, SIZE = (480, 270), (320, 180)
FRAMES = 120
"""Of each clip of the footage, at most."""
SHOTS = 16
"""Of each spliced clip."""
CRF = 23
OURS = "vivae"
PEERS = {"Adaptive": "AdaptiveDetector", "Content": "ContentDetector", "Histogram": "HistogramDetector"}
REPEATS = 3


def bench_shots(
    data: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    files: int = 12,
    threads: int = 2,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Make `files` spliced clips of the footage in `data` (eval and segment/davis), find their shots, and compare.

    results.json, results.md and all points go to the folder `dst`; a later run with the same settings goes on.
    Raises InputError for missing footage, UnsupportedError without the `bench` extra.
    """
    folder = Path(dst)
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(data)
    paths = [*(root / "eval").glob("*.mkv"), *(root / "segment" / "davis").glob("*.mkv")]
    if not paths:
        raise InputError(f"'{data}' has no clips under eval and segment/davis: give the folder with --data")
    cv2.setNumThreads(threads)
    own = {"version": VERSION, "shots": SHOTS, "clips": sorted(path.stem for path in paths)}
    records = bench.Records(folder, own)
    footage: list[Footage] = []
    measured: list[Record] = []
    for number in range(files):
        progress(f"splice {number + 1} of {files}", number / files)
        if not footage:
            footage += [shot for clip in footage_of(paths, SOURCE_SIZE, FRAMES).values() for shot in clip]
        measured.append(records.get(f"splice-{number:03d}", None, partial(_measure, footage, number)))
    progress("done", 1.0)
    result: Record = {
        "bench": "shots",
        "environment": bench.environment(threads),
        "circumstances": own,
        "files": measured,
        "methods": {name: _summary(measured, name) for name in (OURS, *PEERS)},
    }
    bench.write_json(folder / "results.json", result)
    bench.write_text(folder / "results.md", tables(result))
    return {"output": str(folder)} | {
        f"{name}_f1": f"cuts {found['cuts']['f1']:.3f}, gradual {found['graduals']['f1']:.3f}"
        for name, found in result["methods"].items()
    }


def write_splice(splice: Splice, path: Path) -> None:
    """As H.264 at 25 frames a second."""
    height, width = splice.frames.shape[1:3]
    step, color = Fraction(1, 25), ColorInfo.guess(height)
    with open_writer(
        path, width=width, height=height, fps=1 / step, color=color, sar=Fraction(1), codec="h264", crf=CRF
    ) as writer:
        for number, picture in enumerate(splice.frames):
            y, u, v = (np.ascontiguousarray(picture[..., plane]) for plane in range(3))
            small = [
                np.asarray(cv2.resize(p, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)
                for p in (u, v)
            ]
            writer.write(Frame(y, small[0], small[1], number * step, step, color))


def _measure(footage: Sequence[Footage], number: int) -> Record:
    splice = make_splice(np.random.default_rng((2026, number)), footage, SIZE, SHOTS)
    spans = [(first, end) for first, end, _ in splice.graduals]
    kinds = {(first, end): kind for first, end, kind in splice.graduals}
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "splice.mp4"
        write_splice(splice, path)
        found, seconds = _timed(lambda: shots(path))
        begins = [row for row in found["shots"] if row["transition"] != "start"]
        cuts = [row["first_frame"] for row in begins if row["transition"] == "cut"]
        graduals = [
            (row["transition_first_frame"], row["transition_last_frame"] + 1, row["transition"])
            for row in begins
            if row["transition"] != "cut"
        ]
        named = [
            (kinds[span], kind)
            for first, end, kind in graduals
            for span in spans
            if first < span[1] and end > span[0]
        ]
        methods = {
            OURS: {
                "cuts": cut_hits(splice.cuts, cuts),
                "graduals": gradual_hits(spans, [(first, end) for first, end, _ in graduals]),
                "seconds": seconds,
            }
        }
        for name, kind in PEERS.items():
            at, seconds = _timed(partial(_peer, path, kind))
            of_cuts, of_graduals = boundary_hits(splice.cuts, spans, at)
            methods[name] = {"cuts": of_cuts, "graduals": of_graduals, "seconds": seconds}
    false = sorted(set(cuts) - set(splice.cuts))
    return {
        "frames": len(splice.frames),
        "cuts": splice.cuts,
        "graduals": splice.graduals,
        "decoys": splice.decoys,
        "found_cuts": cuts,
        "found_graduals": graduals,
        "false_cuts": false,
        "kinds": named,
        "methods": methods,
    }


def _timed(call: Any) -> tuple[Any, float]:
    """What a call returns, and the median of its seconds."""
    taken = []
    value = None
    for _ in range(REPEATS):
        begin = time.perf_counter()
        value = call()
        taken.append(time.perf_counter() - begin)
    return value, sorted(taken)[REPEATS // 2]


def _peer(path: Path, kind: str) -> list[int]:
    """The first frames of all scenes but the first, as PySceneDetect finds them with its defaults."""
    try:
        import scenedetect
    except ImportError:
        raise UnsupportedError(
            "PySceneDetect is missing: install the extra with pip install 'vivae[bench]'"
        ) from None
    scenes = scenedetect.detect(str(path), getattr(scenedetect, kind)())
    return [first.frame_num for first, _ in scenes[1:]]


def _summary(measured: Sequence[Record], name: str) -> Record:
    sums = {}
    for part in ("cuts", "graduals"):
        total = sum((Hits(**record["methods"][name][part]) for record in measured), Hits())
        sums[part] = {
            "found": total.found,
            "false": total.false,
            "missed": total.missed,
            "precision": total.precision,
            "recall": total.recall,
            "f1": total.f1,
        }
    frames = sum(record["frames"] for record in measured)
    seconds = sum(record["methods"][name]["seconds"] for record in measured)
    return {**sums, "frames": frames, "fps": frames / seconds}


def tables(result: Mapping[str, Any]) -> str:
    """The results as markdown."""
    rows = {
        name if name == OURS else f"PySceneDetect {name}": [
            *(found["cuts"][key] for key in ("precision", "recall", "f1")),
            *(found["graduals"][key] for key in ("precision", "recall", "f1")),
            found["fps"],
        ]
        for name, found in result["methods"].items()
    }
    columns = ["detector", "cuts: precision", "recall", "F1", "gradual: precision", "recall", "F1", "fps"]
    files = result["files"]
    decoys = sum(len(record["decoys"]) for record in files)
    ours = result["methods"][OURS]
    named = [pair for record in files for pair in record["kinds"]]
    right = sum(said == true for true, said in named)
    text = (
        f"{len(files)} spliced clips, {ours['frames']} frames, {ours['cuts']['found'] + ours['cuts']['missed']} cuts, "
        f"{ours['graduals']['found'] + ours['graduals']['missed']} gradual transitions, {decoys} look-alikes. "
        f"Of the gradual transitions found, {right} of {len(named)} were called by their kind (dissolve, fade, wipe). "
        "Detectors that do not tell kinds are not charged for false gradual transitions.\n"
    )
    table = bench.markdown_table(columns, rows, (3, 3, 3, 3, 3, 3, 0), rows)
    table = table.replace(" (not in the mean)", "")
    return "\n".join(["## Shots in spliced clips\n", table, text, bench.provenance(result["environment"])])
