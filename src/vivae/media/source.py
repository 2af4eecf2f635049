"""Finding and opening what a user names: one file, a folder of images, or a pattern; errors become typed here.

Only local files are opened, also where a file refers to others (playlists): FFmpeg's other protocols are shut off.
"""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vivae.errors import FormatError, InputError

_IMAGES = "png jpg jpeg bmp tif tiff webp ppm pgm pnm pbm tga jp2 exr dpx qoi jxl avif heic"
IMAGE_SUFFIXES = frozenset(f".{kind}" for kind in _IMAGES.split())
_VIDEOS = (
    "mp4 m4v mov mkv webm avi ts mts m2ts mpg mpeg vob wmv flv f4v ogv ogm 3gp 3g2 mxf asf divx y4m ivf gif"
)
VIDEO_SUFFIXES = frozenset(f".{kind}" for kind in _VIDEOS.split())
"""What is looked for in folders; a file that is named takes its chance whatever its suffix."""
DEFAULT_IMAGE_FPS = Fraction(25)
MAX_SIDE = 16384

# Decoders for which FFmpeg renders text as a picture: a .txt given by mistake must not become a video.
_TEXT_CODECS = frozenset({"ansi", "bintext", "xbin", "idf"})
_OPTIONS = {"protocol_whitelist": "file", "max_pixels": str(MAX_SIDE * MAX_SIDE)}


@dataclass(frozen=True, slots=True)
class Source:
    """What a path stands for: `files` in order; `sequence` if each file is one frame of a clip."""

    path: Path
    files: tuple[Path, ...]
    sequence: bool


def find_source(path: str | os.PathLike[str]) -> Source:
    """Resolve a file, a folder of images, a glob (`shots/*.png`) or a numbered pattern (`shots/%05d.png`).

    Images are ordered by the numbers in their names, 2 before 10. Raises InputError where nothing is found.
    """
    given = Path(path)
    if given.is_dir():
        files = [p for p in given.iterdir() if _is_image(p)]
        if not files:
            raise InputError(f"'{path}' holds no images: give a video file or a folder of numbered images")
        return Source(given, _numbered(files), sequence=True)
    if given.exists():
        if given.stat().st_size == 0 and given.is_file():
            raise FormatError(f"'{path}' is empty (0 bytes)")
        return Source(given, (given,), sequence=False)
    pattern = re.sub(r"%0?\d*d", "*", str(path))
    if glob.has_magic(pattern):
        files = [p for p in map(Path, glob.glob(pattern)) if p.is_file()]  # noqa: PTH207 (absolute patterns)
        if len(files) == 1:
            return Source(given, (files[0],), sequence=False)
        if files and all(map(_is_image, files)):
            return Source(given, _numbered(files), sequence=True)
        what = "matches several files that are not all images" if files else "matches no file"
        raise InputError(f"'{path}' {what}: give one video, or images of one clip")
    raise InputError(f"'{path}' does not exist: {_hint(given)}")


def _hint(missing: Path) -> str:
    """What may have been meant by the name of a file that is not there."""
    try:
        names = {other.name.lower(): other for other in missing.parent.iterdir()}
    except OSError:
        return f"there is no folder '{missing.parent}'"
    near = difflib.get_close_matches(missing.name.lower(), names, n=1, cutoff=0.75)
    return f"did you mean '{names[near[0]]}'?" if near else "check the name"


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open one file for demuxing. Raises InputError or FormatError; closes at the end of the block."""
    with reading(path), av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace") as container:
        yield container


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what FFmpeg and the system raise while reading `path` into typed errors."""
    try:
        yield
    except PermissionError as error:
        raise InputError(f"'{path}' may not be read: check its permissions") from error
    except (av.error.InvalidDataError, av.error.EOFError) as error:
        raise FormatError(f"'{path}' is not a video or image that FFmpeg can read, or is damaged") from error
    except (av.error.DecoderNotFoundError, av.error.PatchWelcomeError) as error:
        raise FormatError(
            f"'{path}' uses a format that this FFmpeg build cannot decode: convert it first"
        ) from error
    except av.error.FFmpegError as error:
        raise FormatError(f"'{path}' cannot be read: {error.strerror}") from error


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream to read: the first video that is not a cover picture. Raises InputError where there is none."""
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        kind = "only sound" if container.streams.audio else "no pictures"
        raise InputError(f"'{path}' has {kind}, and a video or an image is needed")
    stream = videos[0]
    if stream.codec_context is None:
        raise FormatError(
            f"'{path}' uses a video format that this FFmpeg build cannot decode: convert it first"
        )
    if stream.codec_context.name in _TEXT_CODECS:
        raise FormatError(f"'{path}' is a text file, and a video or an image is needed")
    return stream


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _numbered(files: list[Path]) -> tuple[Path, ...]:
    def key(path: Path) -> list[tuple[int, str]]:
        return [
            (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", path.name)
        ]

    return tuple(sorted(files, key=key))
