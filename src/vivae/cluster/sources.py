"""Which videos a folder, a pattern or a list of them names, in a fixed order, each with the name of its result.

A folder of images is one video, as everywhere in vivae; a folder of videos is an archive, searched to any depth, in
which a folder of numbered images is one of the videos.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vivae.errors import InputError
from vivae.media.source import IMAGE_SUFFIXES, VIDEO_SUFFIXES

logger = logging.getLogger(__name__)

FILES = VIDEO_SUFFIXES | {".vva"}
"""What a folder is searched for."""
_NUMBERED = re.compile(r"\d$")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """One video of an archive: where it is, and where below the output folder its result belongs (without suffix)."""

    path: Path
    name: Path

    def files(self) -> list[Path]:
        """The video file, or the images of a folder."""
        return sorted(_images(self.path)) if self.path.is_dir() else [self.path]

    def mark(self) -> tuple[int, str]:
        """Bytes, and what tells cheaply whether it is still the same: sizes and times of change. Raises InputError."""
        try:
            states = [file.stat() for file in self.files()]
        except OSError as error:
            raise InputError(f"'{self.path}' cannot be read: {error.strerror}") from error
        told = " ".join(f"{state.st_size}:{state.st_mtime_ns}" for state in states)
        return sum(state.st_size for state in states), hashlib.sha256(told.encode()).hexdigest()[:32]

    def digest(self) -> str:
        """SHA-256 of the content, names of files left out. Raises InputError."""
        found = hashlib.sha256()
        try:
            for file in self.files():
                found.update(f"{file.stat().st_size};".encode())
                with file.open("rb") as stream:
                    while block := stream.read(_BLOCK):
                        found.update(block)
        except OSError as error:
            raise InputError(f"'{self.path}' cannot be read: {error.strerror}") from error
        return found.hexdigest()


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Whether a path means several videos: a folder that holds more videos than images, or a pattern of videos."""
    given = Path(path)
    if given.is_dir():
        return _is_archive_folder(given)
    return not given.exists() and len(_matched(str(path))) > 1


def find_items(
    given: Sequence[str | os.PathLike[str]], leave_out: str | os.PathLike[str] | None = None
) -> list[Item]:
    """The videos that paths name: files, folders of images, archives of them, patterns (`**` for any depth).

    leave_out: a folder whose content does not count, such as that of the results. Hidden files and folders do not count
    either. Names are unique: where two would be equal, both keep their suffix. Raises InputError where a path is
    missing, or where nothing is found.
    """
    apart = None if leave_out is None else Path(leave_out).resolve()
    several = len(given) > 1
    found: dict[Path, Item] = {}
    for path in given:
        for item in _items_of(path, several):
            real = item.path.resolve()
            if apart is None or apart not in (real, *real.parents):
                found.setdefault(real, item)
    if not found:
        named = ", ".join(f"'{path}'" for path in given)
        raise InputError(f"there is no video in {named}: give videos, or a folder that holds some")
    # Two clips that differ in their suffix alone would fight over one result.
    short = Counter(item.name.with_suffix("") for item in found.values())
    items = [
        Item(item.path, item.name if short[item.name.with_suffix("")] > 1 else item.name.with_suffix(""))
        for item in found.values()
    ]
    twice = [name for name, count in Counter(item.name for item in items).items() if count > 1]
    if twice:
        raise InputError(
            f"two videos are named '{twice[0]}': give the folder that holds both instead of the files"
        )
    return sorted(items, key=lambda item: item.name.parts)


def _items_of(path: str | os.PathLike[str], several: bool) -> Iterator[Item]:
    given = Path(path)
    if given.is_dir():
        if _is_archive_folder(given):
            yield from _in_folder(given, Path(given.resolve().name) if several else Path())
        elif _images(given):
            yield Item(given, _named(given))
    elif given.exists():
        yield Item(given, Path(given.name))
    else:
        matched = _matched(str(path))
        if not matched:
            raise InputError(f"'{path}' does not exist: check the name")
        above = Path(os.path.commonpath([match.parent for match in matched]))
        for match in matched:
            for item in _items_of(match, several=True):
                yield Item(item.path, match.parent.relative_to(above) / item.name)


def _matched(pattern: str) -> list[Path]:
    """What a pattern names: folders, and files that are videos; images only where they are all there is: one video."""
    if not glob.has_magic(pattern):
        return []
    found = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207 (absolute patterns)
    files = [path for path in found if path.is_file()]
    if files:
        return [path for path in files if path.suffix.lower() in FILES]
    return [path for path in found if path.is_dir()]


def _is_archive_folder(folder: Path) -> bool:
    videos, images = len(_videos(folder)), len(_images(folder))
    if videos or images:
        return videos >= images
    return next(_in_folder(folder, Path()), None) is not None


def _in_folder(folder: Path, above: Path) -> Iterator[Item]:
    for path in _videos(folder):
        yield Item(path, above / path.name)
    for path in sorted(_listed(folder)):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            if _is_numbered(path):
                yield Item(path, above / _named(path))
                continue
            try:
                yield from _in_folder(path, above / path.name)
            except InputError as error:  # the rest of the archive need not wait for it
                logger.warning("%s: it is left out", error)


def _named(folder: Path) -> Path:
    # A folder's name has no suffix to lose: "take.2" must not become "take".
    return Path(f"{folder.resolve().name}.images")


def _is_numbered(folder: Path) -> bool:
    """Whether a folder within an archive is a video: two or more images, each with a number, and no video file."""
    images = _images(folder)
    return len(images) > 1 and not _videos(folder) and all(_NUMBERED.search(path.stem) for path in images)


def _videos(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in _listed(folder)
        if path.suffix.lower() in FILES and not path.name.startswith(".") and path.is_file()
    )


def _images(folder: Path) -> list[Path]:
    return [
        path
        for path in _listed(folder)
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"the folder '{folder}' cannot be read: {error.strerror}") from error
