"""What the verbs share: how progress is reported, how quality is scaled, how many frames to expect."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from vivae.errors import InputError
from vivae.media import VideoInfo
from vivae.vae.config import VAEConfig

Progress = Callable[[int, int | None], None]
"""progress(done, total): frames so far, and of how many; None where that is not known."""


def no_progress(done: int, total: int | None) -> None:
    """For callers who do not ask."""


def unit_quality(quality: float) -> float:
    """The 0 to 100 of the verbs as the 0 to 1 of the models. Raises InputError."""
    if not 0 <= quality <= 100:
        raise InputError(f"quality must lie between 0 and 100, not at {quality:g}")
    return quality / 100


def kept_channels(config: VAEConfig, channels: int | None) -> int:
    """How many leading latent channels to keep: all, or those of a nested representation. Raises InputError."""
    choices = (*config.nested, config.latent_channels)
    if channels is not None and channels not in choices:
        raise InputError(
            f"model '{config.name}' can keep {', '.join(map(str, choices))} channels, not {channels}"
        )
    return channels or config.latent_channels


def expected_frames(info: VideoInfo, start: float | None, end: float | None) -> int:
    """How many frames between start and end (seconds) a video will probably give: for progress."""
    if start is None and end is None:
        return info.estimated_frames
    length = min(end or float("inf"), float(info.duration)) - (start or 0.0)
    return max(1, min(info.estimated_frames, round(length * info.fps)))


@contextmanager
def unwarned() -> Iterator[None]:
    """For looks at a video ahead of the work: what is wrong with it or converted is said once, by the work itself."""
    told = logging.getLogger("vivae.media.reader")
    before, told.disabled = told.disabled, True
    try:
        yield
    finally:
        told.disabled = before


def room_for(dst: str | os.PathLike[str], folder: Path | None) -> TemporaryDirectory[str]:
    """A folder for what is needed on the way to `dst`; its name says so, for whoever finds it after a kill."""
    return TemporaryDirectory(dir=folder, prefix=f".{Path(dst).stem[:80]}.", suffix=".part")


def folder_of(dst: str | os.PathLike[str]) -> Path | None:
    """Where large temporary files may go: beside the target, if that place exists."""
    folder = Path(os.path.realpath(dst)).parent
    return folder if folder.is_dir() and os.access(folder, os.W_OK) else None
