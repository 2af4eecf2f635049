"""`shots`: where one shot ends and the next begins, as a table, JSON or EDL, and the shots as files of their own."""

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vivae.errors import InputError
from vivae.media import atomic_dir, atomic_path, open_video, refuse_overwrite
from vivae.tasks.common import Progress, expected_frames, no_progress
from vivae.tasks.split import split_video
from vivae.vae.shot_finder import ShotFinder, Transition

SUFFIXES = (".csv", ".json", ".edl")


@dataclass(frozen=True, slots=True)
class Shot:
    """One shot. Frames count from 0, last included; times are seconds on the clock of the file as read.

    transition: how it begins (start, cut, dissolve, fade, wipe), with the first and last frame that are mixed;
    a gradual transition is parted in its middle. confidence: of that transition, 0 to 1.
    """

    shot: int
    first_frame: int
    last_frame: int
    start_s: float
    end_s: float
    duration_s: float
    transition: str
    transition_first_frame: int | None
    transition_last_frame: int | None
    confidence: float


def shots(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str] | None = None,
    *,
    split: str | os.PathLike[str] | None = None,
    exact: bool = False,
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Find the shots of a video in one pass: cuts, dissolves, fades and wipes, but not flashes or whip pans.

    dst: a .csv, .json or .edl to write. split: a folder to write the shots to, one file each, without re-encoding:
    a piece then begins at the key frame before its shot, and the result says how many frames early; with `exact`
    pieces are encoded anew and hold their frames alone. Memory grows by a few numbers a frame.
    Returns shots (see `Shot`), frames, fps, and `pieces` where they were asked for.
    Raises InputError, FormatError, OutputError, UnsupportedError.
    """
    if dst is not None and Path(dst).suffix.lower() not in SUFFIXES:
        raise InputError(f"shots are written as {', '.join(SUFFIXES)}, not to '{dst}'")
    if exact and split is None:
        raise InputError("exact pieces need a folder to go to: give it with --split")
    for target in (dst, split):
        if target is not None:
            refuse_overwrite(target, src)
    finder, times = ShotFinder(), [0.0]
    with open_video(src, start=start, end=end) as reader:
        info, begin = reader.info, float(reader.start)
        total = expected_frames(info, start, end)
        times[0] = begin
        for frame in reader:
            finder.push(frame.planes)
            times.append(begin + float(frame.time + frame.duration))
            progress(len(times) - 1, total)
    found = shots_between(finder.finish(), times)
    result: dict[str, Any] = {
        "source": str(src),
        "frames": len(times) - 1,
        "fps": float(info.fps),
        "shots": [asdict(shot) for shot in found],
    }
    if dst is not None:
        with atomic_path(dst, force) as part:
            part.write_text(as_text(result, Path(dst).suffix.lower()), "utf-8")
        result["output"] = str(dst)
    if split is not None:
        with atomic_dir(split, force) as folder:
            result["pieces"] = [
                piece | {"file": str(Path(split) / piece["file"])}
                for piece in split_video(src, folder, [(s.start_s, s.end_s) for s in found], exact=exact)
            ]
    return result


def shots_between(transitions: Iterable[Transition], times: Sequence[float]) -> list[Shot]:
    """The shots that transitions part. times: when each frame begins, and last when the last one ends."""
    last = len(times) - 1
    begins = [Transition("cut", 0, 0, 1.0), *(t for t in transitions if 0 < t.boundary < last)]
    found = []
    for number, begin in enumerate(begins):
        first = begin.boundary
        end = begins[number + 1].boundary if number + 1 < len(begins) else last
        gradual = begin.end > begin.first
        found.append(
            Shot(
                shot=number + 1,
                first_frame=first,
                last_frame=end - 1,
                start_s=round(times[first], 6),
                end_s=round(times[end], 6),
                duration_s=round(times[end] - times[first], 6),
                transition=begin.kind if number else "start",
                transition_first_frame=begin.first if gradual else None,
                transition_last_frame=begin.end - 1 if gradual else None,
                confidence=round(begin.confidence, 4),
            )
        )
    return found


def as_text(result: dict[str, Any], suffix: str) -> str:
    """The result of `shots` as .csv, .json or .edl."""
    if suffix == ".json":
        return json.dumps(result, indent=1, allow_nan=False) + "\n"
    rows = result["shots"]
    if suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(Shot.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()
    return _edl(rows, Path(result["source"]).name, result["fps"])


def _edl(rows: Sequence[dict[str, Any]], name: str, fps: float) -> str:
    """CMX 3600: one event a shot, all cuts, because shots stand where they stood; transitions are told as comments."""
    rate = max(1, round(fps))

    def code(frame: int) -> str:
        seconds, rest = divmod(frame, rate)
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}"

    lines = [f"TITLE: {name}", "FCM: NON-DROP FRAME", ""]
    for row in rows:
        first, after = code(row["first_frame"]), code(row["last_frame"] + 1)
        lines.append(f"{row['shot']:03d}  AX       V     C        {first} {after} {first} {after}")
        lines.append(f"* FROM CLIP NAME: {name}")
        if row["transition_first_frame"] is not None:
            frames = row["transition_last_frame"] - row["transition_first_frame"] + 1
            lines.append(f"* BEGINS WITH: {row['transition'].upper()} OF {frames} FRAMES")
    return "\n".join(lines) + "\n"
