"""Training data from a folder: found, cleaned, scaled, split in half, and cached as packed frames on disk.

A clip becomes one array (T, 24, h, w) uint8 that is memory-mapped, so that training reads crops without decoding and
memory does not grow with the footage. A cache is keyed by file contents and settings; an interrupted one goes on.
"""

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError, VivaeError
from vivae.media import PACKED_CHANNELS, Frame, VideoInfo, atomic_path, open_video, pack, probe
from vivae.media.source import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from vivae.train.cleaning import LOOK, Cleaner, is_copy
from vivae.train.data_settings import DataSettings

logger = logging.getLogger(__name__)

SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES
STILL_FRAMES = 64
"""An image trains as a still scene of so many frames."""
GAP_SECONDS = 1.0
"""Left out around the border where one clip is split by time: neighbours there look alike."""
SPAN_FRAMES = 100
"""Longer clips than are wanted give spans of about so many frames, spread over their whole length."""
OPEN_FILES = 128
"""Arrays kept open at a time: each costs a file handle, of which systems allow some 1,000."""
CACHE_VERSION = 2
"""Raised whenever clips are cleaned or scaled in another way, so that older caches are not taken."""


@dataclass
class ClipRecord:
    """What became of one file."""

    path: str
    array: str = ""
    """File name in the cache; empty for a clip that was dropped."""
    frames: int = 0
    height: int = 0
    width: int = 0
    """Packed size."""
    fps: float = 0.0
    segments: list[tuple[int, int]] = field(default_factory=list)
    """First frame and length of each passage without a cut."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Frames left out, by reason."""
    problem: str = ""
    """Why the whole clip was dropped."""
    cuts: int = 0
    looks: str = ""
    """Small pictures of all frames in hexadecimal, for finding copies."""


@dataclass(frozen=True)
class Passage:
    """Consecutive frames of one clip without a cut, on disk; a still image counts as many equal frames."""

    array: Path
    shape: tuple[int, int, int, int]
    """Of the whole clip's array."""
    first: int
    length: int
    clip: str

    def __len__(self) -> int:
        return self.length

    @property
    def frames(self) -> NDArray[np.uint8]:
        """(T, 24, h, w), read where it is indexed."""
        whole = _mapped(self.array, self.shape)
        if self.shape[0] == 1:
            return np.broadcast_to(whole, (self.length, *self.shape[1:]))
        return whole[self.first : self.first + self.length]


@dataclass(frozen=True)
class Dataset:
    """A cleaned folder: passages for training and for testing, which share no moment."""

    records: list[ClipRecord]
    train: list[Passage]
    test: list[Passage]
    identity: str
    """Hash of contents and settings."""

    def report(self) -> str:
        """What was kept and dropped, a line a file, for people."""
        used = [record for record in self.records if not record.problem]
        frames, cuts = sum(record.frames for record in used), sum(record.cuts for record in used)
        lines = [f"{len(used)} of {len(self.records)} files are used: {frames} frames, {cuts} cuts"]
        for record in self.records:
            name = Path(record.path).name
            if record.problem:
                lines.append(f"{name}: left out, {record.problem}")
                continue
            text = f"{name}: {record.frames} frames in {len(record.segments)} passages"
            if record.dropped:
                text += "; dropped " + ", ".join(f"{n} {reason}" for reason, n in record.dropped.items())
            lines.append(text)
        return "\n".join(lines)


def find_clips(folder: str | os.PathLike[str]) -> list[Path]:
    """Videos and images under a folder, to any depth, in order of their paths; a single file is itself.

    Hidden files are passed over, such as the `._NAME` that some systems leave beside every file.
    """
    root = Path(folder)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise InputError(f"there is no folder {root} with training data")
    found = [
        path
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not found:
        raise InputError(f"{root} holds no videos or images to train on")
    return found


def target_size(height: int, width: int, settings: DataSettings) -> tuple[int, int]:
    """Height and width after scaling, multiples of 4: to `resize`, or down by `downscale`, never below `min_side`.

    settings: with one factor, see `DataSettings.sizes`.
    """
    short = min(height, width)
    if settings.resize is not None:
        scale = settings.resize / short
    else:
        assert isinstance(settings.downscale, float)
        scale = 1 / min(settings.downscale, max(1.0, short / settings.min_side))
    least = -(-settings.crop // 4) * 4
    rows, columns = (max(least, int(side * scale + 0.5) // 4 * 4) for side in (height, width))
    return rows, columns


def scale_frame(frame: Frame, height: int, width: int) -> NDArray[np.uint8]:
    """Packed (24, height / 4, width / 4) of a frame scaled to height x width, averaging areas.

    What the two shapes do not share is cut off at the edges: pictures are neither distorted nor resampled for a few
    pixels.
    """
    factor = min(frame.height / height, frame.width / width)
    # Even, so that chroma is cut at the same place.
    rows, columns = (int(side * factor / 2 + 1e-6) * 2 for side in (height, width))
    top, left = (frame.height - rows) // 4 * 2, (frame.width - columns) // 4 * 2

    def scaled(plane: NDArray[np.uint8], divisor: int) -> NDArray[np.uint8]:
        part = plane[top // divisor :, left // divisor :][: rows // divisor, : columns // divisor]
        method = cv2.INTER_AREA if factor >= 1 else cv2.INTER_CUBIC
        return cv2.resize(part, (width // divisor, height // divisor), interpolation=method).astype(np.uint8)

    return pack((scaled(frame.y, 1), scaled(frame.u, 2), scaled(frame.v, 2)))


def prepare(
    folder: str | os.PathLike[str],
    settings: DataSettings,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Clean and cache every clip under `folder` and split the rest. Raises InputError if nothing is fit.

    A clip that cannot be read is named in the records and in one logged warning; the others go on.
    """
    paths = find_clips(folder)
    _mapped.cache_clear()  # an array that is made again is another file
    cache.mkdir(parents=True, exist_ok=True)
    records: list[ClipRecord] = []
    usable: list[_Usable] = []
    known = np.empty((0, *LOOK[::-1]), np.uint8)
    for index, path in enumerate(paths):
        versions = []
        for size in settings.sizes:
            key = _key(path, size)
            version = _cached(cache, key) or _prepare_clip(path, size, cache, key)
            version.path = str(path)
            versions.append((key, version))
        record = versions[0][1]
        looks = np.frombuffer(bytes.fromhex(record.looks), np.uint8).reshape(-1, *LOOK[::-1])
        if not record.problem and is_copy(looks, known):
            record = ClipRecord(str(path), problem="it is a copy of another clip")
        elif not record.problem:
            known = np.concatenate([known, looks])
        if record.problem:
            logger.warning("%s is left out: %s", path, record.problem)
        else:
            usable.append(_Usable(tuple(key for key, _ in versions), [version for _, version in versions]))
        records.append(record)
        if progress:
            progress(index + 1, len(paths))
    if not usable:
        reasons = Counter(record.problem for record in records).most_common(3)
        raise InputError(
            f"nothing under {folder} is fit for training: "
            + "; ".join(f"{reason} ({count} files)" for reason, count in reasons)
        )
    train, test = _split(usable, settings, cache)
    identity = hashlib.sha256(
        "".join(sorted(key for clip in usable for key in clip.keys)).encode()
    ).hexdigest()
    return Dataset(records, train, test, identity)


def _key(path: Path, settings: DataSettings) -> str:
    """Identity of a file's content under the settings that shape its cached form."""
    shaping = {
        name: getattr(settings, name) for name in ("downscale", "min_side", "resize", "crop", "max_frames")
    }
    digest = hashlib.sha256(json.dumps([CACHE_VERSION, shaping], sort_keys=True).encode())
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        digest.update(str(error).encode())
    return digest.hexdigest()[:32]


def _cached(cache: Path, key: str) -> ClipRecord | None:
    try:
        record = ClipRecord(**json.loads((cache / f"{key}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    whole = record.frames * PACKED_CHANNELS * record.height * record.width
    array = cache / record.array if record.array else None
    return record if array is None or (array.is_file() and array.stat().st_size == whole) else None


def _prepare_clip(path: Path, settings: DataSettings, cache: Path, key: str) -> ClipRecord:
    record = ClipRecord(str(path), array=f"{key}.packed")
    cleaner = Cleaner()
    try:
        with atomic_path(cache / record.array, force=True) as beside, Path(beside).open("wb") as file:
            _write_frames(path, settings, cleaner, record, file)
            if not record.frames:
                raise InputError("no frame is fit: " + (_reasons(cleaner.dropped) or "it holds none"))
    except InputError as error:
        record = ClipRecord(str(path), problem=str(error))
    record.dropped, record.cuts = dict(cleaner.dropped), cleaner.cuts
    record.looks = b"".join(look.tobytes() for look in cleaner.looks).hex()
    with atomic_path(cache / f"{key}.json", force=True) as beside:
        Path(beside).write_text(json.dumps(asdict(record)), encoding="utf-8")
    return record


def _write_frames(
    path: Path, settings: DataSettings, cleaner: Cleaner, record: ClipRecord, file: BinaryIO
) -> None:
    info = probe(path)
    record.fps = float(info.fps)
    rows, columns = target_size(info.height, info.width, settings)
    record.height, record.width = rows // 4, columns // 4
    spans = _spans(info, settings.max_frames)
    for start, end in spans:
        try:
            with open_video(path, start=start, end=end) as reader:
                for frame, starts in cleaner.sort(islice(reader, -(-settings.max_frames // len(spans)))):
                    file.write(scale_frame(frame, rows, columns).tobytes())
                    if starts:
                        record.segments.append((record.frames, 0))
                    first, length = record.segments[-1]
                    record.segments[-1] = first, length + 1
                    record.frames += 1
        except InputError:
            # A file may end before it says so: then the spans before are what it has.
            if not record.frames:
                raise


def _spans(info: VideoInfo, most: int) -> list[tuple[Fraction | None, Fraction | None]]:
    """Start and end in seconds of what is read of a clip: all of it, or spans spread evenly over it."""
    if info.estimated_frames <= most:
        return [(None, None)]
    number = max(1, round(most / SPAN_FRAMES))
    length = Fraction(most, number) / info.fps
    step = (info.duration - length) / max(1, number - 1)
    return [(index * step, index * step + length) for index in range(number)]


def _reasons(dropped: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in dropped.items())


@lru_cache(maxsize=OPEN_FILES)
def _mapped(array: Path, shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    return np.memmap(array, np.uint8, "r", shape=shape)


def _whole(cache: Path, record: ClipRecord) -> list[Passage]:
    if record.frames == 1:
        return [Passage(cache / record.array, _shape(record), 0, STILL_FRAMES, record.path)]
    return list(_passages(cache, record, 0, record.frames))


def _passages(cache: Path, record: ClipRecord, first: int, last: int) -> Iterator[Passage]:
    for start, length in record.segments:
        begin, end = max(start, first), min(start + length, last)
        if end > begin:
            yield Passage(cache / record.array, _shape(record), begin, end - begin, record.path)


def _shape(record: ClipRecord) -> tuple[int, int, int, int]:
    return record.frames, PACKED_CHANNELS, record.height, record.width


class _Usable(NamedTuple):
    """A clip at every size that is wanted."""

    keys: tuple[str, ...]
    versions: list[ClipRecord]


def _split(usable: list[_Usable], settings: DataSettings, cache: Path) -> tuple[list[Passage], list[Passage]]:
    """By file where there are several, in an order that only contents decide; by time inside a single one."""
    train: list[Passage] = []
    test: list[Passage] = []
    if len(usable) == 1:
        for record in usable[0].versions:
            border = round(record.frames * (1 - settings.test_share))
            gap = min(round(GAP_SECONDS * record.fps / 2), record.frames // 8)
            train += _passages(cache, record, 0, max(1, border - gap))
            test += _passages(cache, record, min(border + gap, record.frames - 1), record.frames)
        return train, test
    ordered = sorted(usable, key=lambda clip: clip.keys)
    tested = min(max(1, round(len(ordered) * settings.test_share)), len(ordered) - 1)
    for index, clip in enumerate(ordered):
        for record in clip.versions:
            (test if index < tested else train).extend(_whole(cache, record))
    return train, test


def check_usable(passages: list[Passage], frames: int) -> list[Passage]:
    """Those long enough for sequences of `frames`. Raises VivaeError with advice if there are none."""
    long = [passage for passage in passages if len(passage) >= frames]
    if not long:
        longest = max((len(passage) for passage in passages), default=0)
        raise VivaeError(
            f"the recipe wants sequences of {frames} frames, but the longest passage without a cut has {longest}: "
            "lower 'frames' in the recipe's stages, or add footage"
        )
    return long
