"""`bench cluster`: what more processes bring on one machine, of our own and by Ray."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vivae.cluster.batch import batch
from vivae.errors import VivaeError
from vivae.measure import bench
from vivae.measure.bench import BenchClip, Record
from vivae.measure.clip import file_hash
from vivae.media import open_video, open_writer

VERSION = 1
CLIPS = ("blocks", "road", "blackswan", "breakdance")
VERBS: dict[str, dict[str, Any]] = {
    "compress": {"quality": 30.0},
    "enhance": {"denoise": 20.0},
}
"""What is measured, with its options."""


def bench_cluster(
    data: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    jobs: Sequence[int] = (1, 2),
    engines: Sequence[str] = ("local", "ray"),
    frames: int = 48,
    clips: Sequence[str] = (),
    progress: Callable[[str, float], None] = lambda label, share: None,
) -> Record:
    """Compress and enhance an archive with 1, 2, ... processes of one thread each; figures and tables go to `dst`.

    jobs: numbers of processes; the first is what the others are compared with. engines: "local", "ray". frames: of each
    clip, at most. clips: names, `CLIPS` without. Every run is a whole one: processes start, load their models, and end.
    All runs must give equal files. What an earlier run with the same settings has left is kept. Raises InputError,
    UnsupportedError, VivaeError.
    """
    folder = Path(dst)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = bench.evaluation_clips(data, clips or CLIPS)
    records = bench.Records(
        folder, {"version": VERSION, "frames": frames, "clips": [clip.name for clip in chosen]}
    )
    runs = [(verb, engine, count) for verb in VERBS for engine in engines for count in jobs]
    points: dict[str, Record] = {}
    digests: dict[str, list[str]] = {}
    with TemporaryDirectory() as room:
        archive = Path(room) / "archive"
        sizes = _copied(chosen, archive, frames)
        for number, (verb, engine, count) in enumerate(runs):
            name = f"{verb}-{engine}-{count}"
            progress(name, number / len(runs))
            measure = partial(_run, archive, verb, engine, count, sizes)
            points[name] = records.get(name, None, measure)
            if digests.setdefault(verb, points[name]["digests"]) != points[name]["digests"]:
                raise VivaeError(f"{name} gave other files than the first run of {verb}: this is a fault")
    progress("done", 1.0)
    result: Record = {
        "bench": "cluster",
        "environment": bench.environment(1),
        "first_jobs": jobs[0],
        "points": points,
    }
    bench.write_json(folder / "results.json", result)
    bench.write_text(folder / "results.md", _tables(result, runs))
    return {"output": str(folder)}


def _copied(clips: Sequence[BenchClip], archive: Path, frames: int) -> Record:
    """The first frames of each clip as files without loss; how many frames they are."""
    archive.mkdir()
    count = 0
    for clip in clips:
        with open_video(clip.path) as reader:
            info = reader.info
            with open_writer(
                archive / f"{clip.name}.mkv", width=info.width, height=info.height, fps=info.fps,
                color=info.color, sar=info.sar, codec="ffv1",
            ) as writer:  # fmt: skip
                for _, frame in zip(range(frames), reader, strict=False):
                    writer.write(frame)
        count += writer.count
    return {"frames": count, "files": len(clips)}


def _run(archive: Path, verb: str, engine: str, jobs: int, sizes: Record) -> Record:
    out = archive.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    told = batch(verb, archive, out, jobs=jobs, threads=1, engine=engine, **VERBS[verb])
    seconds = time.perf_counter() - began
    if told["failed"]:
        raise VivaeError(f"{verb} failed: {told['failures'][0]['reason']}")
    digests = [file_hash(path) for path in sorted(out.glob("*.mkv"))]
    return {"seconds": round(seconds, 2), "digests": digests, **sizes}


def _tables(result: Record, runs: Sequence[tuple[str, str, int]]) -> str:
    points, rows = result["points"], {}
    for verb, engine, count in runs:
        point = points[f"{verb}-{engine}-{count}"]
        first = points[f"{verb}-{engine}-{result['first_jobs']}"]
        rows[f"{verb}, {engine}, {count} x 1 thread"] = [
            point["seconds"], point["frames"] / point["seconds"], first["seconds"] / point["seconds"],
        ]  # fmt: skip
    lines = [bench.markdown_table(["work", "seconds", "fps", "times as fast"], rows, [1, 1, 2], apart=rows)]
    lines = [line.replace("*", "").replace(" (not in the mean)", "") for line in lines]
    lines += ["\n", bench.provenance(result["environment"])]
    return "".join(lines)
