"""`compress` and `decompress`: a video as a small .vva file, and back."""

import logging
import os
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vivae.codec.container import QUALITY_UNITS, VvaReader
from vivae.codec.encoding import SourceEncoder, encode_to
from vivae.codec.latent import decode_frames, model_of
from vivae.codec.rate import Target
from vivae.codec.side import read_side, write_side
from vivae.errors import FormatError, InputError, UnsupportedError
from vivae.media import atomic_path, open_writer, probe, refuse_overwrite
from vivae.media.frames import as_seconds
from vivae.tasks.common import Progress, expected_frames, no_progress
from vivae.vae.zoo import load_model

logger = logging.getLogger(__name__)

KEY_INTERVAL = 64
"""Frames from one key frame to the next, where nothing else is asked for."""


def compress(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    quality: float | None = None,
    ratio: float | None = None,
    bitrate: float | None = None,
    size: float | None = None,
    codec: str = "latent",
    model: str | Path = "base",
    key_interval: int = KEY_INTERVAL,
    device: str = "cpu",
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Compress a video or image into a .vva file, in memory that does not grow with its length.

    One of: quality, 0 to 100 (50 without any of them); ratio, the bytes of the raw 8-bit 4:2:0 frames over those of
    the file; bitrate, bits of the file for each second; size, its bytes. The last three hold for the whole file,
    sound included, are met within 5 per cent, and take several encodings, for each of which `progress` starts anew.
    key_interval: frames from one key frame, where decoding can start, to the next. start, end: seconds.

    Sound, subtitles, chapters and metadata travel along unchanged. Returns what was written: size, quality, frames,
    bits per pixel and second, ratio, and the bytes of sound and the like (side_bytes).
    Raises InputError, FormatError, UnsupportedError (also for a size that the model cannot reach), OutputError.
    """
    target = Target(quality, ratio, bitrate, size)
    if codec != "latent":
        raise UnsupportedError(f"there is no codec '{codec}': this version has 'latent'")
    if Path(dst).suffix.lower() != ".vva":
        raise InputError(f"compressed files are named .vva, not '{Path(dst).name}'")
    if key_interval < 1:
        raise InputError(f"the key interval must be at least 1 frame, not {key_interval}")
    refuse_overwrite(dst, src)
    vae = load_model(model, device=device)
    with atomic_path(dst, force) as part, TemporaryDirectory(dir=part.parent, prefix=".vva") as folder:
        side = Path(folder) / "side.mkv"
        carried = side if write_side(src, side, start, end) else None
        info = probe(src)
        frames = expected_frames(info, start, end)
        job = SourceEncoder(src, vae, start, end, key_interval, carried, info, frames, progress)
        units, done = encode_to(job, target, part)
    extent = done.extent
    return {
        "output": str(dst),
        "model": vae.config.name,
        "quality": round(100 * units / QUALITY_UNITS, 2),
        "frames": extent.frames,
        "size_bytes": done.size,
        "side_bytes": done.side_bytes,
        "bits_per_pixel": 8 * done.size / (extent.frames * extent.width * extent.height),
        "bits_per_second": round(8 * done.size / extent.seconds),
        "ratio": extent.raw_bytes / done.size,
    }


def decompress(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: str | Path | None = None,
    codec: str | None = None,
    crf: float | None = None,
    device: str = "cpu",
    start: float | None = None,
    end: float | None = None,
    best_effort: bool = False,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Make a video of a .vva file: .mp4, .mkv, .webm, .y4m, .png or a folder of PNG.

    model: where the model is not a shipped one, its path; it must be the one that made the file. codec, crf: of the
    written video, as for `vivae.media.open_writer`; .y4m and PNG hold exactly what was decoded. start, end: seconds;
    decoding begins at the last key frame before. best_effort: of a damaged file, write the frames before the damage.
    Raises InputError, FormatError for a damaged file, ModelMismatch for another model's, OutputError.
    """
    refuse_overwrite(dst, src)
    begin, finish = as_seconds(start), as_seconds(end)
    if (begin or 0) < 0 or (finish is not None and finish <= (begin or 0)):
        raise InputError("the end must lie after the start, and the start not before 0")
    with VvaReader(src) as reader, TemporaryDirectory(dir=_folder_of(dst), prefix=".vva") as folder:
        vae = model_of(reader, model, device)
        header = reader.header
        side = Path(folder) / "side.mkv"
        try:
            has_side = read_side(reader, side)
        except FormatError as error:
            if not best_effort:
                raise
            has_side = False
            logger.warning("%s; sound and the like are left out", error)
        total = _frames_between(reader, begin, finish)
        with open_writer(
            dst,
            width=header.width,
            height=header.height,
            fps=header.fps,
            color=header.color,
            sar=header.sar,
            codec=codec,
            crf=crf,
            time_base=header.time_base,
            copy_from=side if has_side else None,
            start=begin,
            end=finish,
            inputs=[src],
            force=force,
        ) as writer:
            for frame in decode_frames(reader, vae, start=begin, end=finish, best_effort=best_effort):
                writer.write(frame)
                progress(writer.count, max(writer.count, total))
    return {"output": str(dst), "frames": writer.count, "model": vae.config.name}


def _folder_of(dst: str | os.PathLike[str]) -> Path | None:
    """Where large temporary files may go: beside the target, if that place exists."""
    folder = Path(os.path.realpath(dst)).parent
    return folder if folder.is_dir() and os.access(folder, os.W_OK) else None


def _frames_between(reader: VvaReader, start: Fraction | None, end: Fraction | None) -> int:
    """How many frames a trimmed decoding will probably give: for progress."""
    index = reader.index
    length = float(index.ticks * reader.header.time_base)
    if not length:
        return index.frames
    kept = min(float(end or length), length) - float(start or 0)
    return max(1, round(index.frames * kept / length))
