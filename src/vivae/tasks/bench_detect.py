"""`bench detect`: UCSD Ped2, learned from its normal clips, scored on the others against its labels.

Frame AUC over all frames together (raw) and after scaling each clip's scores to 0-1; with abnormal frames hidden among
the normal ones; and the speed of both verbs. There are no seeds to vary: nothing is drawn at random.
"""

import csv
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.measure import bench
from vivae.measure.bench import Record
from vivae.measure.clip import Progress, no_progress
from vivae.media import Frame, open_video, open_writer
from vivae.tasks.detect import detect_fit, scored_frames
from vivae.tasks.normality import load_normality
from vivae.vae.zoo import load_model

DIRTY_SHARE = 0.02
"""Of the normal footage, replaced by abnormal frames of the test clips."""
METHODS: dict[str, str | None] = {"motion and surprise": "base", "motion alone": None}
VERSION = 1


def bench_detect(
    data: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    threads: int = 2,
    progress: Progress = no_progress,
) -> Record:
    """Measure `detect` on Ped2 under `data`/anomaly/ped2; points and a table go to the folder `dst`."""
    root = Path(data) / "anomaly" / "ped2"
    if not (root / "test" / "labels.csv").is_file():
        raise InputError(f"there is no {root / 'test' / 'labels.csv'}: bench detect needs UCSD Ped2 there")
    folder = Path(dst)
    folder.mkdir(parents=True, exist_ok=True)
    found: Record = {}
    for number, (name, vae) in enumerate(METHODS.items()):
        progress(name, number / (len(METHODS) + 1))
        found[name] = _measured(root, root / "train", vae)
    progress("with abnormal frames hidden in the normal footage", len(METHODS) / (len(METHODS) + 1))
    name, vae = next(iter(METHODS.items()))
    with tempfile.TemporaryDirectory() as room:
        found[f"{name}, {DIRTY_SHARE:.0%} abnormal frames in the normal footage"] = _measured(
            root, _dirty(root, Path(room)), vae
        )
    progress("done", 1.0)
    result: Record = {"bench": "detect", "environment": bench.environment(threads), "ped2": found}
    bench.write_json(folder / "results.json", result)
    bench.write_text(folder / "results.md", tables(result))
    return {"output": str(folder)} | {key: value for key, value in found[name].items() if key != "scores"}


def _measured(root: Path, normal: Path, vae: str | None) -> Record:
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "model.safetensors"
        began = time.perf_counter()
        learned = detect_fit(normal, path, model=vae)
        fitting = time.perf_counter() - began
        normality = load_normality(path)
    network = None if vae is None else load_model(vae)
    scores: dict[str, list[float]] = {}
    began = time.perf_counter()
    for clip in sorted((root / "test").glob("*.mkv")):
        with open_video(clip) as reader:
            scores[clip.stem] = [scored.score for scored, _ in scored_frames(normality, reader, network)]
    seconds = time.perf_counter() - began
    labels = {name: labels_of(root, name, len(values)) for name, values in scores.items()}
    truth = np.concatenate([labels[name] for name in scores])
    scaled = [(np.array(v) - min(v)) / max(max(v) - min(v), 1e-9) for v in scores.values()]
    threshold, _ = normality.threshold(1.0)
    raw = np.concatenate(list(scores.values()))
    return {
        "auc": auc(raw, truth),
        "auc_per_clip": auc(np.concatenate(scaled), truth),
        "fit_seconds": fitting,
        "fit_frames": learned["frames"],
        "score_fps": len(truth) / seconds,
        "found_share": float((raw[truth > 0] > threshold).mean()),
        "false_share": float((raw[truth == 0] > threshold).mean()),
        "scores": {name: [round(value, 4) for value in values] for name, values in scores.items()},
    }


def labels_of(root: Path, clip: str, count: int) -> NDArray[np.int64]:
    """1 for each abnormal frame of a test clip."""
    labels = np.zeros(count, np.int64)
    with (root / "test" / "labels.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["clip"] == clip:
                labels[int(row["first_abnormal_frame"]) - 1 : int(row["last_abnormal_frame"])] = 1
    return labels


def auc(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Area under the ROC curve: how often an abnormal frame scores above a normal one, ties counting half."""
    order = np.sort(scores[truth == 0])
    abnormal = scores[truth > 0]
    below = np.searchsorted(order, abnormal, "left") + np.searchsorted(order, abnormal, "right")
    return float(below.mean() / (2 * len(order)))


def _dirty(root: Path, room: Path) -> Path:
    """The normal clips, and one more of abnormal frames that makes up the share."""
    total = 0
    for clip in sorted((root / "train").glob("*.mkv")):
        (room / clip.name).symlink_to(clip.resolve())
        with open_video(clip) as reader:
            total += sum(1 for _ in reader)
    wanted = round(total * DIRTY_SHARE / (1 - DIRTY_SHARE))
    frames: Sequence[Frame] = []
    clips = sorted((root / "test").glob("*.mkv"))
    for clip in clips:
        with open_video(clip) as reader:
            info, all_frames = reader.info, list(reader)
        abnormal = np.flatnonzero(labels_of(root, clip.stem, len(all_frames)))
        share = -(-wanted // len(clips))
        frames = [*frames, *(all_frames[index] for index in abnormal[:share])]
    # A folder is read in the order of its names: this one is not held back.
    with open_writer(
        room / "00.mkv", width=info.width, height=info.height, fps=info.fps, color=info.color, codec="ffv1"
    ) as writer:
        for index, frame in enumerate(frames[:wanted]):
            frame.time, frame.duration = index / info.fps, 1 / info.fps
            writer.write(frame)
    return room


def tables(result: Record) -> str:
    """The Markdown of a result."""
    rows = {
        name: [
            told["auc"],
            told["auc_per_clip"],
            100 * told["found_share"],
            100 * told["false_share"],
            told["fit_seconds"],
            told["score_fps"],
        ]
        for name, told in result["ped2"].items()
    }
    columns = ["", "frame AUC", "per clip 0-1", "found, %", "false, %", "fit, s", "score, fps"]
    lines = [
        "# Detection on UCSD Ped2, test clips 01 to 06\n",
        "Found and false: abnormal and normal test frames above the threshold of one false alarm an hour.\n",
        *(bench.markdown_table(columns, {name: cells}, (4, 4, 1, 1, 0, 1)) for name, cells in rows.items()),
    ]
    return "\n".join([*lines, bench.provenance(result["environment"])])
