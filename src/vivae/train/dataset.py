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
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import InputError, VivaeError
from vivae.media import PACKED_CHANNELS, Frame, atomic_path, open_video, pack
from vivae.train.cleaning import Cleaner
from vivae.train.recipe import DataSettings

logger = logging.getLogger(__name__)

VIDEOS = (
    ".mp4",
    ".mkv",
    ".webm",
    ".avi",
    ".mov",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".wmv",
    ".flv",
    ".ogv",
)
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
SUFFIXES = frozenset((*VIDEOS, ".y4m", ".3gp", ".gif", *IMAGES))
STILL_FRAMES = 64
"""An image trains as a still scene of so many frames."""
GAP_SECONDS = 1.0
"""Left out around the border where one clip is split by time: neighbours there look alike."""
COPY_SHARE = 0.8
"""A clip of whose looks so many were seen in others before is a copy."""


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
    looks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Passage:
    """Consecutive frames (T, 24, h, w) of one clip without a cut."""

    frames: NDArray[np.uint8]
    clip: str


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
        lines = []
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
    """Videos and images under a folder, to any depth, in order of their paths; a single file is itself."""
    root = Path(folder)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise InputError(f"there is no folder {root} with training data")
    found = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not found:
        raise InputError(f"{root} holds no videos or images to train on")
    return found


def target_size(height: int, width: int, settings: DataSettings) -> tuple[int, int]:
    """Height and width after scaling, multiples of 4: to `resize`, or down by `downscale`, never below `min_side`."""
    short = min(height, width)
    if settings.resize is not None:
        scale = settings.resize / short
    else:
        scale = 1 / min(settings.downscale, max(1.0, short / settings.min_side))
    least = -(-settings.crop // 4) * 4
    rows, columns = (max(least, int(side * scale + 0.5) // 4 * 4) for side in (height, width))
    return rows, columns


def scale_frame(frame: Frame, height: int, width: int) -> NDArray[np.uint8]:
    """Packed (24, height / 4, width / 4) of a frame scaled to height x width, averaging areas."""

    def scaled(plane: NDArray[np.uint8], divisor: int) -> NDArray[np.uint8]:
        smaller = plane.shape[0] >= height // divisor
        method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        return cv2.resize(plane, (width // divisor, height // divisor), interpolation=method).astype(np.uint8)

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
    cache.mkdir(parents=True, exist_ok=True)
    records: list[ClipRecord] = []
    keys: list[str] = []
    for index, path in enumerate(paths):
        key = _key(path, settings)
        record = _cached(cache, key) or _prepare_clip(path, settings, cache, key)
        record.path = str(path)
        if not record.problem and _is_copy(record, records):
            record = ClipRecord(str(path), problem="it is a copy of another clip")
        if record.problem:
            logger.warning("%s is left out: %s", path, record.problem)
        records.append(record)
        keys.append(key if not record.problem else "")
        if progress:
            progress(index + 1, len(paths))
    usable = [(key, record) for key, record in zip(keys, records, strict=True) if key]
    if not usable:
        reasons = Counter(record.problem for record in records).most_common(3)
        raise InputError(
            f"nothing under {folder} is fit for training: "
            + "; ".join(f"{reason} ({count} files)" for reason, count in reasons)
        )
    train, test = _split(usable, settings, cache)
    identity = hashlib.sha256("".join(sorted(key for key in keys if key)).encode()).hexdigest()
    return Dataset(records, train, test, identity)


def _key(path: Path, settings: DataSettings) -> str:
    """Identity of a file's content under the settings that shape its cached form."""
    shaping = {
        name: getattr(settings, name) for name in ("downscale", "min_side", "resize", "crop", "max_frames")
    }
    digest = hashlib.sha256(json.dumps(shaping, sort_keys=True).encode())
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
    cleaner = Cleaner(settings.max_frames)
    try:
        with atomic_path(cache / record.array, force=True) as beside, Path(beside).open("wb") as file:
            _write_frames(path, settings, cleaner, record, file)
            if not record.frames:
                raise InputError("no frame is fit: " + (_reasons(cleaner.dropped) or "it holds none"))
    except InputError as error:
        record = ClipRecord(str(path), problem=str(error))
    record.dropped = dict(cleaner.dropped)
    record.looks = [look.hex() for look in cleaner.looks]
    with atomic_path(cache / f"{key}.json", force=True) as beside:
        Path(beside).write_text(json.dumps(asdict(record)), encoding="utf-8")
    return record


def _write_frames(
    path: Path, settings: DataSettings, cleaner: Cleaner, record: ClipRecord, file: BinaryIO
) -> None:
    with open_video(path) as reader:
        record.fps = float(reader.info.fps)
        rows, columns = target_size(reader.info.height, reader.info.width, settings)
        record.height, record.width = rows // 4, columns // 4
        for frame, starts in cleaner.sort(reader):
            file.write(scale_frame(frame, rows, columns).tobytes())
            if starts:
                record.segments.append((record.frames, 0))
            first, length = record.segments[-1]
            record.segments[-1] = first, length + 1
            record.frames += 1


def _reasons(dropped: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in dropped.items())


def _is_copy(record: ClipRecord, others: list[ClipRecord]) -> bool:
    """Whether most looks of a clip were seen before; clips of a few looks must agree in all."""
    seen = {look for other in others if not other.problem for look in other.looks}
    if not record.looks:
        return False
    known = sum(look in seen for look in record.looks)
    return known >= (COPY_SHARE * len(record.looks) if len(record.looks) >= 5 else len(record.looks))


def _open(cache: Path, record: ClipRecord) -> NDArray[np.uint8]:
    shape = (record.frames, PACKED_CHANNELS, record.height, record.width)
    return np.memmap(cache / record.array, np.uint8, "r", shape=shape)


def _whole(cache: Path, record: ClipRecord) -> list[Passage]:
    array = _open(cache, record)
    if record.frames == 1:
        return [Passage(np.broadcast_to(array, (STILL_FRAMES, *array.shape[1:])), record.path)]
    return list(_passages(array, record, 0, record.frames))


def _passages(array: NDArray[np.uint8], record: ClipRecord, first: int, last: int) -> Iterator[Passage]:
    for start, length in record.segments:
        begin, end = max(start, first), min(start + length, last)
        if end > begin:
            yield Passage(array[begin:end], record.path)


def _split(
    usable: list[tuple[str, ClipRecord]], settings: DataSettings, cache: Path
) -> tuple[list[Passage], list[Passage]]:
    """By file where there are several, in an order that only contents decide; by time inside a single one."""
    train: list[Passage] = []
    test: list[Passage] = []
    if len(usable) == 1:
        record = usable[0][1]
        array = _open(cache, record)
        border = round(record.frames * (1 - settings.test_share))
        gap = min(round(GAP_SECONDS * record.fps / 2), record.frames // 8)
        train += _passages(array, record, 0, max(1, border - gap))
        test += _passages(array, record, min(border + gap, record.frames - 1), record.frames)
        return train, test
    ordered = [record for _, record in sorted(usable, key=lambda pair: pair[0])]
    tested = min(max(1, round(len(ordered) * settings.test_share)), len(ordered) - 1)
    for index, record in enumerate(ordered):
        (test if index < tested else train).extend(_whole(cache, record))
    return train, test


def check_usable(passages: list[Passage], frames: int) -> list[Passage]:
    """Those long enough for sequences of `frames`. Raises VivaeError with advice if there are none."""
    long = [passage for passage in passages if len(passage.frames) >= frames]
    if not long:
        longest = max((len(passage.frames) for passage in passages), default=0)
        raise VivaeError(
            f"the recipe wants sequences of {frames} frames, but the longest passage without a cut has {longest}: "
            "lower 'frames' in the recipe's stages, or add footage"
        )
    return long
