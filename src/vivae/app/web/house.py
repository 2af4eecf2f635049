"""The house: rooms and jobs together. What a visitor can do, whether by the tabs or by the routes.

Every problem is a VivaeError with a sentence for the visitor.
"""

import logging
import os
import secrets
import shutil
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vivae.app.web.jobs import ALIVE, SHOWN, Job, Jobs
from vivae.app.web.offers import OFFERS, PREVIEW_SECONDS, WORDS, Asked, hints_of
from vivae.app.web.rooms import Clip, Limits, Room, Rooms
from vivae.app.web.worker import Done, Facts, Intake, Message, Pointed
from vivae.errors import InputError, OutputError

logger = logging.getLogger(__name__)

SWEEP = 30.0
"""Seconds from one look for visitors who have left to the next."""
POINT_PATIENCE = 30.0
"""Seconds that a first mask may take."""
SPARE = 200_000_000
"""Bytes of disk that are left free."""


class House:
    """root: an empty folder for everything. slots: jobs at a time; threads: of each."""

    def __init__(self, root: Path, limits: Limits, slots: int = 1, threads: int | None = None) -> None:
        self.limits = limits
        self.rooms = Rooms(root, limits)
        self.jobs = Jobs(slots)
        self.threads = threads or max(1, (os.cpu_count() or 1) // slots)
        self._closed = threading.Event()
        self._paces: dict[tuple[str, str], float] = {}

    def open(self) -> None:
        """Begin to look after it, in a thread."""
        threading.Thread(target=self._sweep, daemon=True).start()

    def close(self) -> None:
        """End all jobs."""
        self._closed.set()
        self.jobs.close()

    def received(self, room: Room, clip: Clip) -> None:
        """An upload is complete: it is looked at next."""
        order = Intake(clip.path, self.limits, 1)
        self.jobs.add(
            Job("look", room.key, "look", clip.title, room.folder, order, clip=clip.key, frames=1,
                names={str(clip.path): clip.title}, notify=lambda job, message: _looked_at(clip, job, message))
        )  # fmt: skip

    def ask(
        self,
        room: Room,
        verb: str,
        settings: Mapping[str, Any],
        clip_key: str | None,
        *,
        preview: float | None = None,
        points: Sequence[Mapping[str, Any]] = (),
    ) -> Job:
        """Put a job into the queue. preview: the time to show three seconds from. Raises InputError."""
        self._make_room(room)
        clip = room.ready(clip_key) if clip_key else None
        folder = room.new_folder()
        asked = Asked(settings, clip, room, folder, self.threads, preview, points)
        try:
            plan = OFFERS[verb](asked)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        names = {str(each.path): each.title for each in room.clips.values()} | {f"{folder}{os.sep}": ""}
        whole = clip.facts["frames"] if clip else int(settings.get("frames") or 1)
        frames = min(whole, round(PREVIEW_SECONDS * clip.facts["fps"])) if clip and asked.span else whole
        return self.jobs.add(
            Job("whole" if preview is None else "preview", room.key, verb, plan.title, folder, plan.work,
                plan.commands, (clip_key or "") if plan.of_clip else "", plan.view, frames, whole, names)
        )  # fmt: skip

    def point(self, room: Room, clip_key: str, time: float, points: Sequence[Mapping[str, Any]]) -> bytes:
        """The first mask of what is pointed at in the frame of that time: a PNG to lay over it. Raises InputError."""
        clip = room.ready(clip_key)
        target = room.folder / f"mask-{secrets.token_hex(12)}.png"
        order = Pointed(clip.path, time, hints_of(points), target, self.threads)
        ended = threading.Event()
        job = Job("point", room.key, "point", clip.title, room.folder, order, clip=clip.key, frames=1,
                  names={str(clip.path): clip.title}, notify=lambda job, message: ended.set())  # fmt: skip
        for other in self.jobs.of(room.key):
            if other.kind == "point":
                self.jobs.cancel(other)
        self.jobs.add(job)
        try:
            if not ended.wait(POINT_PATIENCE) or job.state == "cancelled":
                raise InputError("that took too long: try it again")
            if job.error:
                raise InputError(job.error)
            return target.read_bytes()
        finally:
            self.jobs.drop(job)
            target.unlink(missing_ok=True)

    def remove_clip(self, room: Room, key: str) -> None:
        """Take a clip away, with the jobs on it."""
        room.clip(key)
        for job in self.jobs.of(room.key):
            if job.clip == key:
                self.jobs.drop(job)
        room.drop(key)

    def job(self, room: Room, key: str) -> Job:
        """A visitor's own job. Raises InputError."""
        job = self.jobs.find(room.key, key)
        if job is None or job.kind not in SHOWN:
            raise InputError("that job is no longer here")
        return job

    def state(self, room: Room) -> dict[str, Any]:
        """All that the browser shows of a room."""
        jobs = self.jobs.of(room.key)
        looks = {job.clip: job for job in jobs if job.kind == "look"}
        clips = []
        for clip in list(room.clips.values()):
            look = looks.get(clip.key)
            busy = look is not None and look.state == "running"
            clips.append(
                clip.public() | {"busy": {"done": look.done, "total": look.total} if look and busy else None}
            )
        told = [self._told(job, room) for job in jobs if job.kind in SHOWN]
        left = [job["left"] for job in told if job["state"] in ALIVE]
        known = [seconds for seconds in left if seconds is not None]
        return {
            "clips": clips,
            "jobs": told,
            "left": sum(known) if known and len(known) == len(left) else None,
        }

    def files(self, job: Job, room: Room) -> list[tuple[str, Path]]:
        """Names for download, and where the files are."""
        if job.state != "done":
            return []
        stem = Path(room.clips[job.clip].title).stem if job.clip in room.clips else "vivae"
        found = []
        shown = {*job.views.values()} - {getattr(job.order, "result", None)}
        for path in sorted(job.folder.iterdir()):
            if path.name.startswith("result") and path not in shown:
                file = _zipped(path) if path.is_dir() else path
                found.append((f"{stem}-{WORDS[job.verb]}{file.name.removeprefix('result')}", file))
        return list(dict(found).items())

    def everything(self, job: Job, room: Room) -> Path:
        """A .zip of all files of a job and the commands that make them."""
        target = job.folder / "all.zip"
        if not target.exists():
            part = job.folder / "all.part"
            with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
                for name, path in self.files(job, room):
                    archive.write(path, name)
                archive.writestr("command.txt", "\n".join(job.commands) + "\n")
            part.rename(target)
        return target

    def _told(self, job: Job, room: Room) -> dict[str, Any]:
        speed, left = job.speed(), job.left()
        pace = self._paces.get((job.verb, _circumstances(job)))
        if left is None and pace is not None and job.state in ("waiting", "paused"):
            left = pace * job.frames
        told = {
            "key": job.key, "kind": job.kind, "verb": job.verb, "title": job.title, "clip": job.clip,
            "state": job.state, "label": job.label, "unit": job.unit, "done": job.done, "total": job.total,
            "fps": speed, "left": left, "seconds": job.seconds, "memory": job.memory or memory_of(job),
            "words": job.words[-4:], "error": job.error, "commands": job.commands, "view": job.view,
            "before": self.jobs.waiting_before(job) if job.state == "waiting" else 0,
        }  # fmt: skip
        if job.state == "done":
            if job.seconds and job.frames > 1:
                self._paces[(job.verb, _circumstances(job))] = job.seconds / job.frames
            files = self.files(job, room)
            told["files"] = [{"name": name, "size": path.stat().st_size} for name, path in files]
            told["figures"] = figures(job, room)
            if job.kind == "preview":
                told["estimate"] = estimate(job)
        return told

    def _make_room(self, room: Room) -> None:
        jobs = [job for job in self.jobs.of(room.key) if job.kind in SHOWN]
        if sum(job.state in ALIVE for job in jobs) >= self.limits.jobs:
            raise InputError(f"{self.limits.jobs} jobs are waiting already: let some of them end first")
        over = [job for job in jobs if job.state not in ALIVE]
        for job in over[: max(0, len(jobs) - self.limits.jobs + 1)]:
            self.jobs.drop(job)
        check_disk(room.folder, 0)

    def _sweep(self) -> None:
        while not self._closed.wait(SWEEP):
            for room in self.rooms.left():
                jobs = self.jobs.of(room.key)
                if any(job.state in ("waiting", "running") for job in jobs):
                    continue
                for job in jobs:
                    self.jobs.drop(job)
                self.rooms.close(room)


def check_disk(folder: Path, wanted: int) -> None:
    """Raise OutputError where so many bytes would fill the disk."""
    free = os.statvfs(folder)
    if free.f_bavail * free.f_frsize - wanted < SPARE:
        raise OutputError("the server's disk is nearly full: remove clips or results first")


def estimate(job: Job) -> dict[str, Any]:
    """What the whole clip will take, by what its previewed part took; memory does not grow with length."""
    share = max(1.0, job.whole_frames / max(1, job.frames))
    result = getattr(job.order, "result", None)
    size = result.stat().st_size * share if result is not None and result.is_file() else None
    return {"seconds": job.seconds * share, "bytes": size, "memory": job.memory}


def figures(job: Job, room: Room) -> list[tuple[str, str]]:
    """What came of it, in a few words."""
    told = job.results[-1] if job.results else {}
    clip = room.clips.get(job.clip)
    found: list[tuple[str, str]] = []
    if job.verb == "compress":
        if clip is not None and job.kind == "whole":
            found.append(("Smaller than the upload", f"{clip.size / told['size_bytes']:.1f} times"))
        found.append(("Smaller than raw video", f"{told['ratio']:.0f} times"))
        found.append(("Rate", f"{told['bits_per_second'] / 1e3:,.0f} kbit/s"))
        if "vmaf" in told:
            found.append(("VMAF", f"{told['vmaf']:.1f}"))
        if told.get("enhanced_frames"):
            found.append(("Shown here", "as vivae decodes it; players show the base"))
    elif job.verb == "enhance":
        found.append(("Noise found", f"{told['measured']['noise']:.1f} of 255"))
        found.append(("Done", ", ".join(told["done"]) or "nothing was needed"))
        found.append(("Size", f"{told['width']}×{told['height']}"))
    elif job.verb == "stylize":
        found.append(("Shots", str(told["shots"])))
    elif job.verb == "segment":
        found.append(("Objects", str(told["objects"])))
    elif job.verb == "generate":
        found.append(("New frames", str(told["new_frames"])))
    elif job.verb == "detect":
        found.append(("Unusual events", str(told["events"])))
    elif job.verb == "report":
        found.append(("Shots", str(told["shots"])))
        found.append(("Stands out", str(len(told["moments"]))))
    return found


def memory_of(job: Job) -> int:
    """Bytes that a running job has held at most, 0 where the system does not tell."""
    if job.process is None or job.process.pid is None:
        return 0
    try:
        status = Path(f"/proc/{job.process.pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _circumstances(job: Job) -> str:
    steps = getattr(job.order, "steps", ())
    names = ("start", "end", "bitrate", "size")
    return repr([sorted((k, v) for k, v in step.options.items() if k not in names) for step in steps])


def _looked_at(clip: Clip, job: Job, message: Message) -> None:
    if isinstance(message, Facts):
        clip.facts, clip.thumbnail = message.facts, message.thumbnail
        clip.state = "ready"
    elif isinstance(message, Done):
        clip.view = message.views["view"]
    else:
        clip.told = job.error
        if clip.state == "checking":
            clip.state = "refused"
            clip.path.unlink(missing_ok=True)


def _zipped(folder: Path) -> Path:
    target = folder.with_name(f"{folder.name}.zip")
    if not target.exists():
        part = folder.with_name(f".{folder.name}.part")
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, path.name)
        part.rename(target)
    return target
