"""Visitors of the web app and their files, each in a folder of its own under random names, gone when they are.

What a visitor calls a file is kept as text to show and to name downloads with; it is never part of a path here.
"""

import secrets
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vivae.errors import InputError
from vivae.train.dataset import SUFFIXES

MOST_ROOMS = 500
"""From which on an empty one is closed for each that is opened."""
SHOWN = 120
"""Characters of a file's name that are kept."""


@dataclass(frozen=True)
class Limits:
    """What a visitor may ask of the machine."""

    upload: int = 1_000_000_000
    """Bytes of one file."""
    seconds: float = 1800.0
    """Of video."""
    pixels: int = 4096 * 2304
    """Of a frame."""
    clips: int = 24
    """Files of one visitor at a time."""
    jobs: int = 60
    """Of one visitor, finished ones included."""
    idle: float = 3600.0
    """Seconds without a sign of life after which a visitor's files are removed."""

    def check(self, facts: dict[str, Any]) -> None:
        """Raise InputError if a video is more than is served here."""
        if facts["duration"] > self.seconds:
            raise InputError(
                f"it lasts {facts['duration'] / 60:.1f} minutes, and at most {self.seconds / 60:g} are taken here: "
                "cut it, or use the command line"
            )
        if facts["width"] * facts["height"] > self.pixels:
            raise InputError(
                f"its frames are {facts['width']}x{facts['height']}, more than the {self.pixels / 1e6:.3g} "
                "million pixels that are taken here: use the command line"
            )


@dataclass
class Clip:
    """An upload. path: under a random name; view: what a browser can play, the file itself or a copy."""

    key: str
    title: str
    path: Path
    size: int = 0
    state: Literal["checking", "ready", "refused"] = "checking"
    told: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    view: Path | None = None
    thumbnail: Path | None = None

    def public(self) -> dict[str, Any]:
        """What the browser is told: no paths."""
        return {
            "key": self.key,
            "title": self.title,
            "size": self.size,
            "state": self.state,
            "told": self.told,
            "facts": self.facts,
            "viewable": self.view is not None,
            "thumbnail": self.thumbnail is not None,
        }


@dataclass
class Room:
    """One visitor's folder and clips, in order of arrival."""

    key: str
    folder: Path
    clips: dict[str, Clip] = field(default_factory=dict)
    seen: float = field(default_factory=time.monotonic)

    def admit(self, name: str, limits: Limits) -> Clip:
        """A place for an upload of that name. Raises InputError."""
        if len(self.clips) >= limits.clips:
            raise InputError(f"there are {limits.clips} files here already: remove one first")
        title = shown_name(name)
        suffix = Path(title).suffix.lower()
        if suffix not in SUFFIXES:
            raise InputError(
                f"'{title}' is of no kind that is known here: give a video (.mp4, .mkv, .mov, ...) or an image"
            )
        key = secrets.token_urlsafe(12)
        clip = Clip(key, title, self.folder / f"clip-{secrets.token_hex(12)}{suffix}")
        self.clips[key] = clip
        return clip

    def clip(self, key: str) -> Clip:
        """Raises InputError where there is none, such as after an hour of absence."""
        if key not in self.clips:
            raise InputError("that clip is no longer here: put it in again")
        return self.clips[key]

    def ready(self, key: str) -> Clip:
        """As `clip`, for work on it."""
        found = self.clip(key)
        if found.state != "ready":
            raise InputError(f"'{found.title}' is not ready: {found.told or 'it is still being looked at'}")
        return found

    def new_folder(self) -> Path:
        """An empty folder of a random name."""
        folder = self.folder / f"job-{secrets.token_hex(12)}"
        folder.mkdir(mode=0o700)
        return folder

    def drop(self, key: str) -> None:
        """Remove a clip and what was made for showing it."""
        clip = self.clips.pop(key)
        for path in {clip.path, clip.view, clip.thumbnail} - {None}:
            assert path is not None
            path.unlink(missing_ok=True)


class Rooms:
    """All visitors. root: a folder of our own, removed with everything in it by its owner."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self.root, self.limits = root, limits
        self._rooms: dict[str, Room] = {}
        self._lock = threading.Lock()

    def find(self, key: str | None) -> Room | None:
        """The room that a visitor's secret opens."""
        with self._lock:
            room = self._rooms.get(key or "")
            if room is not None:
                room.seen = time.monotonic()
            return room

    def new(self) -> Room:
        """A room for somebody who has none."""
        with self._lock:
            empty = [room for room in self._rooms.values() if not room.clips]
            many = len(self._rooms) >= MOST_ROOMS
        if many and empty:
            self.close(min(empty, key=lambda room: room.seen))
        folder = self.root / f"room-{secrets.token_hex(12)}"
        folder.mkdir(mode=0o700)
        room = Room(secrets.token_urlsafe(24), folder)
        with self._lock:
            self._rooms[room.key] = room
        return room

    def left(self) -> list[Room]:
        """Rooms whose visitors gave no sign of life for long."""
        late = time.monotonic() - self.limits.idle
        with self._lock:
            return [room for room in self._rooms.values() if room.seen < late]

    def close(self, room: Room) -> None:
        """Forget a room and remove its files."""
        with self._lock:
            self._rooms.pop(room.key, None)
        shutil.rmtree(room.folder, ignore_errors=True)


def shown_name(name: str) -> str:
    """The last part of a name, of printable characters only, not too long."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(letter for letter in last if letter.isprintable()).strip(" .") or "unnamed"
    if len(plain) <= SHOWN:
        return plain
    suffix = Path(plain).suffix[:10]
    return plain[: SHOWN - len(suffix)] + suffix
