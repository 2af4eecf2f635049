"""`bench search`: seconds of video, re-encoded, cropped and mirrored, looked for among a thousand others and more.

The library is every clip of the data folder. A query is right if the first answer names its clip and shares time with
its second. Absent queries are seconds whose clip, and all others of the same scene, are left out of the search.
"""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vivae.errors import InputError
from vivae.measure import bench
from vivae.measure.bench import Record
from vivae.measure.clip import Progress, no_progress
from vivae.media import Frame, open_video, open_writer, probe
from vivae.tasks.search import FOUND, Index, near, query_segments
from vivae.tasks.search_index import SECOND, Segments, read_index

VERSION = 5
"""Of the way figures are taken: raise it, and old records are taken again."""
FOLDERS = ("train", "eval", "segment/davis", "segment/highway", "anomaly/ped2/train")
ONE_SCENE = ("ped2", "highway")
"""Words in names of clips that show the same place."""
KINDS = ("re-encoded", "cropped", "mirrored", "all three")
CRF = {"re-encoded": 36.0, "cropped": 28.0, "mirrored": 28.0, "all three": 33.0}
WIDEST = 480


def bench_search(
    data: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    queries: int = 60,
    threads: int = 2,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Look `queries` seconds up in each kind of copy, and as many that are absent.

    The library of links, results.json, results.md and all points go to the folder `dst`; a later run goes on.
    Raises InputError for missing footage.
    """
    folder = Path(dst)
    library = folder / "library"
    library.mkdir(parents=True, exist_ok=True)
    for room in FOLDERS:
        for path in sorted((Path(data) / room).glob("*")):
            if path.is_file() and path.suffix in (".mkv", ".mp4", ".avi"):
                link = library / f"{room.replace('/', '-')}--{path.name}"
                if not link.exists():
                    link.symlink_to(path.resolve())
    progress("indexing", 0.0)
    begin = time.perf_counter()
    every, told = read_index(library)
    indexing = time.perf_counter() - begin
    if not every:
        raise InputError(f"'{data}' has no clips under {', '.join(FOLDERS)}: give the folder with --data")
    index = Index(every)
    own = {"version": VERSION, "segments": len(index), "threshold": FOUND}
    records = bench.Records(folder, own)
    rng = np.random.default_rng(2026)
    # FFmpeg decodes H.264 of full chroma wrongly after a seek (it misses what the first packet said of its encoder):
    # such clips stay in the library, and no second is taken from them.
    whole = [part.path for part in every if "444" not in probe(part.path).pixel_format]
    weights = np.array([float(part.starts[-1]) + SECOND if part.path in whole else 0.0 for part in every])
    measured = []
    for number in range(queries):
        progress(f"query {number + 1} of {queries}", number / queries)
        which = int(rng.choice(len(every), p=weights / weights.sum()))
        start = round(float(rng.uniform(0, max(float(every[which].starts[-1]), 0.0))), 3)
        take = partial(_measure, every, index, which, start, number)
        measured.append(records.get(f"query-{number:03d}", None, take))
    progress("done", 1.0)
    result: Record = {
        "bench": "search",
        "environment": bench.environment(threads),
        "circumstances": own,
        "index": told | {"seconds": indexing},
        "queries": measured,
        "recall": {kind: _recall(measured, kind) for kind in KINDS},
        "absent_not_found": float(np.mean([q["absent"]["score"] < FOUND for q in measured])),
        "seconds_a_query": float(np.median([q["seconds"] for q in measured])),
    }
    bench.write_json(folder / "results.json", result)
    bench.write_text(folder / "results.md", tables(result))
    return {"output": str(folder)} | result["recall"] | {"absent_not_found": result["absent_not_found"]}


def write_copy(src: Path, dst: Path, start: float, kind: str, seed: int) -> None:
    """One second of `src` as an altered copy: at most `WIDEST` wide, H.264."""
    rng = np.random.default_rng((7, seed))
    keep, x, y = rng.uniform(0.72, 0.92), rng.uniform(), rng.uniform()
    cropped, flipped = kind in ("cropped", "all three"), kind in ("mirrored", "all three")
    with open_video(src, start=start, end=start + SECOND) as reader:
        info = reader.info
        share = keep if cropped else 1.0
        side = min(1.0, WIDEST / (info.width * share))
        width, height = (max(16, round(n * share * side / 2) * 2) for n in (info.width, info.height))
        with open_writer(
            dst,
            width=width,
            height=height,
            fps=info.fps,
            color=info.color,
            sar=info.sar,
            codec="h264",
            crf=CRF[kind],
        ) as writer:
            for frame in reader:
                planes = []
                for plane, size in zip(
                    frame.planes, ((width, height), *[(width // 2, height // 2)] * 2), strict=True
                ):
                    h, w = round(plane.shape[0] * share), round(plane.shape[1] * share)
                    top, left = round((plane.shape[0] - h) * y), round((plane.shape[1] - w) * x)
                    part = plane[top : top + h, left : left + w]
                    part = part[:, ::-1] if flipped else part
                    small = cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA)
                    planes.append(np.asarray(small, np.uint8))
                y_plane, u_plane, v_plane = planes
                writer.write(Frame(y_plane, u_plane, v_plane, frame.time, frame.duration, frame.color))


def _measure(every: Sequence[Segments], index: Index, which: int, start: float, seed: int) -> Record:
    path = every[which].path
    found: Record = {"video": path.name, "start_s": start, "kinds": {}}
    taken = []
    scene = next((word for word in ONE_SCENE if word in path.name), None)
    without = frozenset(
        k for k, part in enumerate(every) if k == which or (scene is not None and scene in part.path.name)
    )
    with tempfile.TemporaryDirectory() as room:
        for kind in KINDS:
            copy = Path(room) / f"{KINDS.index(kind)}.mp4"
            write_copy(path, copy, start, kind, seed)
            begin = time.perf_counter()
            asked = query_segments(copy)
            best = index.matches(asked)[0]
            taken.append(time.perf_counter() - begin)
            found["kinds"][kind] = {
                "right": near(best, str(path), start) and best.score >= FOUND,
                "video": Path(best.video).name,
                "start_s": best.start_s,
                "score": best.score,
                "mirrored": best.mirrored,
            }
            if kind == KINDS[0]:
                absent = index.matches(asked, without)[0]
                found["absent"] = {"video": Path(absent.video).name, "score": absent.score}
    return found | {"seconds": float(np.median(taken))}


def _recall(measured: Sequence[Record], kind: str) -> float:
    return float(np.mean([query["kinds"][kind]["right"] for query in measured]))


def tables(result: Mapping[str, Any]) -> str:
    """The results as markdown."""
    rows = {kind: [100 * share] for kind, share in result["recall"].items()}
    rows["absent, answered with 'not found'"] = [100 * result["absent_not_found"]]
    table = bench.markdown_table(["copies", "right, per cent"], rows, (1,), rows).replace(
        " (not in the mean)", ""
    )
    text = (
        f"{len(result['queries'])} seconds, each in every kind of copy, among {result['circumstances']['segments']} "
        f"segments of one second of {result['index']['videos']} clips.\n"
    )
    return "\n".join(["## Search: recall at 1\n", table, text, bench.provenance(result["environment"])])
