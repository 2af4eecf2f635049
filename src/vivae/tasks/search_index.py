"""The index of a folder of videos, kept in its `.vivae-index`: one small file a video, renewed where a video changed.

`index.json` names the videos with size and time of change; for each there is a safetensors file:

    starts   float32 (S,), seconds at which segments of one second begin
    vectors  float16 (S, windows, length)
    pictures uint8 (S, 2, 36, 64), luma at a quarter and three quarters of the second
    aspect   float32 (1,)
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from vivae.errors import InputError, OutputError, VivaeError
from vivae.media import Frame, atomic_path, open_video
from vivae.media.source import VIDEO_SUFFIXES
from vivae.tasks.common import Progress, no_progress
from vivae.tasks.fingerprint import Picture, picture_of, vectors_of

FOLDER = ".vivae-index"
VERSION = 1
"""Of what is stored: raise it, and indices are made anew."""
SECOND, HOP = 1.0, 0.5


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of one video."""

    path: Path
    starts: NDArray[np.float32]
    vectors: NDArray[np.float16]
    pictures: NDArray[np.uint8]
    aspect: float


def segments_of(frames: Iterable[Frame], sar: float = 1.0) -> Iterator[tuple[float, list[Picture]]]:
    """Beginnings of segments of a second, every half of one, with pictures at a quarter and three quarters of each.

    A clip shorter than that is one segment. Holds a few pictures.
    """
    quarters: list[Picture] = []
    count, end, last = 0, 0.0, None
    for frame in frames:
        end = float(frame.time + frame.duration)
        last = frame
        # Pictures lie half a second apart: a segment has two that follow each other.
        if end <= HOP * (len(quarters) + 0.5):
            continue
        picture = picture_of(frame, sar)
        while end > HOP * (len(quarters) + 0.5):
            quarters.append(picture)
        while count + 2 <= len(quarters):
            yield HOP * count, quarters[count : count + 2]
            count += 1
    if not count and last is not None:
        held = quarters[:1] or [picture_of(last, sar)]
        yield 0.0, held * 2


def videos_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Every video below a folder, hidden ones aside. Raises InputError."""
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"there is no folder '{folder}'")
    found = (path for path in root.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts))


def read_index(
    folder: str | os.PathLike[str], *, progress: Progress = no_progress
) -> tuple[list[Segments], dict[str, Any]]:
    """The index of a folder, brought up to date: only what is new or changed is read.

    Also returns how many videos are indexed, new, gone, and which cannot be read. Raises InputError, OutputError.
    """
    root = Path(folder)
    paths = videos_in(root)
    room = root / FOLDER
    try:
        room.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write the index to '{room}': {error.strerror}") from error
    known = _known(room)
    kept: dict[str, Any] = {}
    every: list[Segments] = []
    new = 0
    try:
        for number, path in enumerate(paths):
            name = path.relative_to(root).as_posix()
            stat = path.stat()
            mark = {"size": stat.st_size, "changed": stat.st_mtime_ns}
            entry = known.get(name, {})
            found = None
            if entry.get("mark") == mark:
                kept[name] = entry
                found = _load(room / entry["file"], path) if "file" in entry else None
            if found is None and not ("error" in entry and name in kept):
                new += 1
                file = room / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.safetensors"
                kept[name] = {"mark": mark}
                try:
                    found = _made(file, path)
                    kept[name] |= {"file": file.name, "segments": len(found.starts)}
                except VivaeError as error:
                    kept[name]["error"] = str(error)
            if found is not None:
                every.append(found)
            progress(number + 1, len(paths))
    finally:  # an interrupted run has not been in vain
        if new or len(known) != len(kept):
            listed = known | kept if len(kept) < len(paths) else kept
            with atomic_path(room / "index.json", force=True) as part:
                part.write_text(json.dumps({"version": VERSION, "videos": listed}, indent=1) + "\n", "utf-8")
    wanted = {entry["file"] for entry in kept.values() if "file" in entry}
    for file in room.glob("*.safetensors"):
        if file.name not in wanted:
            file.unlink(missing_ok=True)
    unreadable = {name: entry["error"] for name, entry in kept.items() if "error" in entry}
    gone = len(set(known) - set(kept))
    return every, {"videos": len(every), "new": new, "gone": gone, "unreadable": unreadable}


def _known(room: Path) -> dict[str, Any]:
    try:
        found = json.loads((room / "index.json").read_text("utf-8"))
        return dict(found["videos"]) if found["version"] == VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # absent or damaged: made anew


def _load(file: Path, path: Path) -> Segments | None:
    try:
        found = load_file(file)
        return Segments(path, found["starts"], found["vectors"], found["pictures"], float(found["aspect"][0]))
    except (OSError, SafetensorError, KeyError):
        return None


def _made(file: Path, path: Path) -> Segments:
    starts, vectors, pictures, aspect = [], [], [], 1.0
    with open_video(path) as reader:
        for start, pair in segments_of(reader, float(reader.info.sar)):
            starts.append(start)
            vectors.append(vectors_of(pair).astype(np.float16))
            pictures.append(np.stack([np.clip(p.luma + 0.5, 0, 255).astype(np.uint8) for p in pair]))
            aspect = pair[0].aspect
    made = Segments(path, np.array(starts, np.float32), np.stack(vectors), np.stack(pictures), aspect)
    tensors: dict[str, NDArray] = {
        "starts": made.starts,
        "vectors": made.vectors,
        "pictures": made.pictures,
        "aspect": np.array([aspect], np.float32),
    }
    with atomic_path(file, force=True) as part:
        part.write_bytes(save(tensors))
    return made
