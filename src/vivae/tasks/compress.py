"""`compress`: a video as a small file, an ordinary AV1 one or one of latents. Back: `vivae.tasks.decompress`."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vivae.codec.encoding import Job, SourceEncoder, encode_to
from vivae.codec.rate import Target
from vivae.codec.records import QUALITY_UNITS
from vivae.codec.side import write_side
from vivae.errors import InputError, UnsupportedError, VivaeError
from vivae.media import atomic_path, probe, refuse_overwrite
from vivae.tasks.common import Progress, expected_frames, no_progress, room_for
from vivae.tasks.decompress import enhancers
from vivae.tasks.familiar import check_familiar
from vivae.tasks.layering import LayeredOptions, Source, layered_job
from vivae.tasks.perceived import encode_to_vmaf
from vivae.vae.zoo import load_model, notes_of

logger = logging.getLogger(__name__)

KEY_INTERVAL = 64
"""Frames from one key frame of the latent codec to the next, where nothing else is asked for."""
SUFFIXES = {"layered": (".mp4", ".mkv", ".webm"), "latent": (".vva",)}


def compress(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    quality: float | None = None,
    ratio: float | None = None,
    bitrate: float | None = None,
    size: float | None = None,
    target_vmaf: float | None = None,
    codec: str | None = None,
    speed: int | None = None,
    roi: str | os.PathLike[str] | None = None,
    grain: bool = False,
    tune: str | None = None,
    model: str | Path | None = None,
    key_interval: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
    tell: Callable[[str], None] = logger.info,
) -> dict[str, Any]:
    """Compress a video or image.

    codec: "layered" writes an AV1 file that every player shows (.mp4, .mkv, .webm) and vivae shows better; "latent",
    the pure VAE codec, a .vva file. Without it the suffix decides.
    One of: quality, 0 to 100 (50 without any of them; layered: CRF 67 to 13); ratio, the bytes of the raw 8-bit 4:2:0
    frames over those of the file; bitrate, bits of the file for each second; size, its bytes. The last three hold for
    the whole file, sound included, are met within 3 per cent, and take several encodings, for each of which `progress`
    starts anew.
    target_vmaf: instead, the mean VMAF to come within half a point of, by several encodings with the layered codec;
    needs the `bench` extra.
    speed: of the layered codec, 0 (small) to 10 (quick), 6 unless said; as the presets of SVT-AV1.
    roi: of the layered codec, masks of what matters (see `vivae.media.masks`), the first of them for the first frame
    that is coded; around it the background is calmed before coding, so that its bits go to the object. "auto": what
    moves by itself, found first as `vivae.segment` does; shots in which nothing does are coded as usual.
    grain: of the layered codec: noise is taken out before coding, measured, and described to players, which put grain
    like it back (AV1 film grain synthesis); it is no longer the same noise. Nothing is done where there is hardly any.
    tune: of the layered codec, for what vivae makes of the file, slowly; what players show is the same. "psnr": shots
    are repaired where they gain by it (see `vivae.codec.repair`), which is done up to speed 4 without being asked for.
    "perceptual": pictures have texture like that which was lost (see `vivae.codec.texture`); the PSNR with and without
    it is told.
    key_interval: of the latent codec, frames from one key frame, where decoding can start, to the next.
    model: a VAE for the latent codec (`video`; for a single picture `images`), an up-scaler for the layered one,
    which with tune "perceptual" gives texture, too.
    start, end: seconds.
    tell: called with a sentence about the size and time to expect, before the work starts.

    Sound, subtitles, chapters and metadata travel along. Returns what was written: size, quality, frames, bits per
    pixel and second, ratio, and the bytes of all that is not pictures (side_bytes); of the layered codec also in how
    many frames vivae shows more than players do (enhanced_frames).
    Raises InputError, FormatError, UnsupportedError (also for a size that cannot be reached), OutputError.
    """
    target = Target(quality, ratio, bitrate, size)
    if target_vmaf is not None and (target.units is None or quality is not None):
        raise InputError("a VMAF and another target exclude each other: give one of them")
    suffix = Path(dst).suffix.lower()
    codec = codec or ("latent" if suffix in SUFFIXES["latent"] else "layered")
    if codec not in SUFFIXES:
        raise UnsupportedError(f"there is no codec '{codec}': choose {' or '.join(SUFFIXES)}")
    if suffix not in SUFFIXES[codec]:
        raise InputError(
            f"the {codec} codec writes {', '.join(SUFFIXES[codec])}, not '{Path(dst).name}': change name or codec"
        )
    options = LayeredOptions(speed, roi, target_vmaf, grain, tune)
    refuse_overwrite(dst, src)
    with (
        atomic_path(dst, force) as part,
        room_for(dst, part.parent) as room,
    ):
        info = probe(src)
        source = Source(src, info, start, end, expected_frames(info, start, end))
        job: Job
        if codec == "latent":
            options.refuse()
            layered = None
            job = _latent_job(source, model, key_interval, device, Path(room), progress)
            name, found = job.vae.config.name, {}
        else:
            if key_interval is not None:
                raise InputError("the layered codec places its key frames itself: leave key_interval out")
            layered = layered_job(
                source, dst, options, model,
                threads=threads, device=device, room=Path(room), progress=progress, tell=tell,
            )  # fmt: skip
            job, name, found = layered.job, layered.name, layered.found
        try:
            if layered is not None and target_vmaf is not None:
                units, done, found["vmaf"] = encode_to_vmaf(
                    layered.job, target_vmaf, part, enhancers(model, device)
                )
            else:
                tell(_expected(job, target, source.frames))
                units, done = encode_to(job, target, part)
        except VivaeError:
            # Unlike one that was interrupted, a run that cannot end well is not gone on with.
            if layered is not None:
                layered.kept.remove()
            raise
    if layered is not None:
        layered.kept.remove()
        found |= layered.job.account
    extent = done.extent
    return {
        "output": str(dst),
        "codec": codec,
        "model": name,
        "quality": round(100 * units / QUALITY_UNITS, 2),
        "frames": extent.frames,
        "size_bytes": done.size,
        "side_bytes": done.side_bytes,
        "bits_per_pixel": 8 * done.size / (extent.frames * extent.width * extent.height),
        "bits_per_second": round(8 * done.size / extent.seconds),
        "ratio": extent.raw_bytes / done.size,
    } | found


def _latent_job(
    source: Source,
    model: str | Path | None,
    key_interval: int | None,
    device: str,
    room: Path,
    progress: Progress,
) -> SourceEncoder:
    interval = KEY_INTERVAL if key_interval is None else key_interval
    if interval < 1:
        raise InputError(f"the key interval must be at least 1 frame, not {interval}")
    wanted = model or ("images" if source.info.is_image else "video")
    vae = load_model(wanted, device=device)
    check_familiar(source.path, vae, notes_of(wanted), source.start)
    side = room / "side.mkv"
    carried = side if write_side(source.path, side, source.start, source.end) else None
    return SourceEncoder(
        source.path, vae, source.start, source.end, interval, carried, source.info, source.frames, progress
    )


def _expected(job: Job, target: Target, frames: int) -> str:
    """Size and time, from coding samples of a long source."""
    if not job.long:
        return f"{frames} frame{'s' * (frames != 1)}: it is done soon."
    began = time.monotonic()
    units = QUALITY_UNITS // 2 if target.units is None else target.units
    found = job.estimate(units)
    seconds = (
        (time.monotonic() - began) * frames / job.sampled * job.work * (1 if target.units is not None else 3)
    )
    size = found.size if target.units is not None else target.bytes(found.extent)
    length = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    return f"{frames} frames: about {size / 1e6:.2g} MB of pictures, in about {length}."
