"""`bench detect`: UCSD Ped2, learned from its normal clips, scored on the others against its labels.

Frame AUC over all frames together (raw) and after scaling each clip's scores to 0-1, for three seeds; with abnormal
frames hidden among the normal ones; and the time of both verbs, in seconds of the processor, which a machine that is
shared does not distort. Pixel-level figures cannot be had: the labels are for frames.
"""

import csv
import os
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError
from vivae.measure import bench
from vivae.measure.bench import Record
from vivae.measure.clip import Progress, no_progress
from vivae.media import Frame, open_video, open_writer
from vivae.tasks.detect import scored_frames
from vivae.tasks.detect_fit import STEPS, detect_fit
from vivae.tasks.normality import load_normality

DIRTY_SHARE = 0.02
"""Of the normal footage, made up of abnormal frames of the test clips."""
SEEDS = (0, 1, 2)
VERSION = 2
"""Of the way figures are taken: raise it, and old records are taken again."""


def bench_detect(
    data: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    threads: int = 2,
    progress: Progress = no_progress,
) -> Record:
    """Measure `detect` on Ped2 under `data`/anomaly/ped2; points and a table go to the folder `dst`.

    A later run with the same settings goes on. Raises InputError for missing footage.
    """
    root = Path(data) / "anomaly" / "ped2"
    if not (root / "test" / "labels.csv").is_file():
        raise InputError(f"there is no {root / 'test' / 'labels.csv'}: bench detect needs UCSD Ped2 there")
    folder = Path(dst)
    folder.mkdir(parents=True, exist_ok=True)
    own = {"version": VERSION, "steps": STEPS, "threads": threads}
    records = bench.Records(folder, own)
    found: Record = {}
    for seed in SEEDS:
        progress(f"seed {seed}", seed / (len(SEEDS) + 1))
        found[f"seed {seed}"] = records.get(
            f"seed-{seed}", None, partial(_measured, root, root / "train", seed)
        )
    progress("with abnormal frames", len(SEEDS) / (len(SEEDS) + 1))
    with tempfile.TemporaryDirectory() as room:
        dirty = _dirty(root, Path(room))
        found["seed 0, with abnormal frames"] = records.get(
            "dirty-0", None, partial(_measured, root, dirty, 0)
        )
    progress("done", 1.0)
    result: Record = {
        "bench": "detect",
        "environment": bench.environment(threads),
        "circumstances": own,
        "ped2": found,
        "mean": _mean([found[f"seed {seed}"] for seed in SEEDS]),
    }
    bench.write_json(folder / "results.json", result)
    bench.write_text(folder / "results.md", tables(result))
    mean = result["mean"]
    return {
        "output": str(folder),
        "auc": mean["auc"],
        "auc_per_clip": mean["auc_per_clip"],
        "lost_by_abnormal_frames": found["seed 0"]["auc"] - found["seed 0, with abnormal frames"]["auc"],
        "fit_cpu_seconds": mean["fit_cpu_seconds"],
        "frames_a_cpu_second": mean["frames_a_cpu_second"],
    }


COLUMNS = ("auc", "auc_per_clip", "found_share", "false_share", "fit_cpu_seconds", "frames_a_cpu_second")


def _mean(chosen: Sequence[Record]) -> Record:
    return {column: float(np.mean([told[column] for told in chosen])) for column in COLUMNS}


def _measured(root: Path, normal: Path, seed: int) -> Record:
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "model.safetensors"
        began = time.process_time()
        learned = detect_fit(normal, path, seed=seed)
        fitting = time.process_time() - began
        normality = load_normality(path)
    scores: dict[str, list[float]] = {}
    began = time.process_time()
    for clip in sorted((root / "test").glob("*.mkv")):
        with open_video(clip) as reader:
            judged = scored_frames(normality, reader, float(reader.info.fps))
            scores[clip.stem] = [scored.score for scored, _ in judged]
    seconds = time.process_time() - began
    labels = {name: labels_of(root, name, len(values)) for name, values in scores.items()}
    truth = np.concatenate([labels[name] for name in scores])
    scaled = [(np.array(v) - min(v)) / max(max(v) - min(v), 1e-9) for v in scores.values()]
    threshold, _ = normality.threshold(1.0)
    raw = np.concatenate(list(scores.values()))
    return {
        "auc": auc(raw, truth),
        "auc_per_clip": auc(np.concatenate(scaled), truth),
        "fit_cpu_seconds": fitting,
        "fit_frames": learned["frames"],
        "frames_a_cpu_second": len(truth) / seconds,
        "threshold": threshold,
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

    def cells(told: Record) -> list[bench.Cell]:
        auc_raw, per_clip, found, false, fit, fps = (told[column] for column in COLUMNS)
        return [auc_raw, per_clip, 100 * found, 100 * false, fit, fps]

    columns = ["", "frame AUC", "per clip 0-1", "found, %", "false, %", "fit, CPU s", "frames a CPU s"]
    digits = (4, 4, 1, 1, 0, 1)
    rows = {name: cells(told) for name, told in result["ped2"].items()}
    dirty = [name for name in rows if "abnormal" in name]
    text = (
        f"The last row: with {DIRTY_SHARE:.0%} of abnormal frames among the normal footage. Found and false: abnormal "
        "and normal test frames above the threshold of one false alarm an hour, estimated from normal clips that were "
        "held back. CPU seconds: of all cores together.\n"
    )
    table = bench.markdown_table(columns, rows, digits, apart=dirty)
    where = bench.provenance(result["environment"])
    return "\n".join(["# Detection on UCSD Ped2, test clips 01 to 06\n", table, text, where])
