"""`compress`: a video as a small file, an ordinary AV1 one or one of latents. Back: `vivae.tasks.decompress`."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from vivae import __version__
from vivae.codec.container import QUALITY_UNITS
from vivae.codec.encoding import Job, SourceEncoder, encode_to
from vivae.codec.layered import LayeredJob, Prepare
from vivae.codec.rate import Target
from vivae.codec.repair import REPAIRED_UP_TO, Repair
from vivae.codec.roi import calmed
from vivae.codec.side import write_side
from vivae.codec.store import ShotStore
from vivae.codec.texture import Texture
from vivae.errors import InputError, UnsupportedError, VivaeError
from vivae.media import Frame, VideoInfo, atomic_path, probe, refuse_overwrite
from vivae.media.kept import Kept, file_mark, folder_for
from vivae.media.masks import Mask, read_masks
from vivae.tasks.common import Progress, expected_frames, no_progress, room_for
from vivae.tasks.decompress import enhancers
from vivae.tasks.familiar import check_familiar
from vivae.tasks.graining import Grained, find_grain
from vivae.tasks.noticing import Noticed
from vivae.tasks.perceived import encode_to_vmaf
from vivae.tasks.restore import Family
from vivae.vae.enhancer import Enhancer
from vivae.vae.zoo import load_enhancer, load_model, load_segmenter, notes_of

logger = logging.getLogger(__name__)

KEY_INTERVAL = 64
"""Frames from one key frame of the latent codec to the next, where nothing else is asked for."""
USUAL_SPEED = 6
AUTO = "auto"
TUNES = ("psnr", "perceptual")
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
    One of: quality, 0 to 100 (50 without any of them; layered: CRF 63 to 13); ratio, the bytes of the raw 8-bit 4:2:0
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
    pixel and second, ratio, and the bytes of all that is not pictures (side_bytes).
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
    refuse_overwrite(dst, src)
    with (
        atomic_path(dst, force) as part,
        room_for(dst, part.parent) as room,
    ):
        info = probe(src)
        frames = expected_frames(info, start, end)
        reached: dict[str, float] = {}
        job: Job
        kept: Kept | None = None
        if codec == "latent":
            layered = (
                ("speed", speed),
                ("roi", roi),
                ("target_vmaf", target_vmaf),
                ("grain", grain or None),
                ("tune", tune),
            )
            for name, value in layered:
                if value is not None:
                    raise InputError(
                        f"the latent codec knows no {name}: leave it out, or choose the layered codec"
                    )
            interval = KEY_INTERVAL if key_interval is None else key_interval
            if interval < 1:
                raise InputError(f"the key interval must be at least 1 frame, not {interval}")
            wanted = model or ("images" if info.is_image else "video")
            vae = load_model(wanted, device=device)
            check_familiar(src, vae, notes_of(wanted), start)
            side = Path(room) / "side.mkv"
            carried = side if write_side(src, side, start, end) else None
            job = SourceEncoder(src, vae, start, end, interval, carried, info, frames, progress)
            name = vae.config.name
        else:
            if key_interval is not None:
                raise InputError("the layered codec places its key frames itself: leave key_interval out")
            speed = USUAL_SPEED if speed is None else speed
            if not 0 <= speed <= 10:
                raise InputError(f"speed must lie between 0 and 10, not at {speed}")
            texture = _texture(tune, grain, model, device)
            enhancer = load_enhancer(model or "upscale", device=device)
            grained: Grained | None = None
            if grain:
                grained = _grained(src, info, enhancer, start, end, target_vmaf, device, tell)
            folder = folder_for(dst)
            where: str | None = None
            masks: Callable[[], Iterator[Mask]] | None = None
            if roi == AUTO:
                network = load_segmenter(device=device)
                tell("First what moves by itself is found.")
                noticed = Noticed(src, info, network, folder, start=start, end=end, progress=progress)
                reached["roi_frames"] = noticed.frames
                tell(_told(noticed.frames))
                if noticed.frames:
                    where, masks = f"auto {network.hash}", noticed.masks
            elif roi is not None:
                where, masks = file_mark(roi), partial(read_masks, roi, info.width, info.height)
            # What an interrupted run has finished is found under the same circumstances.
            kept = Kept(
                folder,
                f"{__version__} {file_mark(src)} {start} {end} {enhancer.hash} {speed} "
                f"{where} {None if grained is None else grained.noise}",
            )
            job = LayeredJob(
                src, enhancer, info, frames, speed, threads or os.cpu_count() or 1, Path(room), ShotStore(kept),
                start=start, end=end, prepare=_prepared(masks, grained), progress=progress,
                grain=None if grained is None else grained.grain, texture=texture,
                repair=_repair(tune, speed, grain or texture is not None, device),
            )  # fmt: skip
            name = (enhancer if texture is None else texture.model).config.name
            if grained is not None:
                reached["noise"] = round(grained.noise, 2)
        try:
            if target_vmaf is not None:
                assert isinstance(job, LayeredJob)
                units, done, reached["vmaf"] = encode_to_vmaf(
                    job, target_vmaf, part, enhancers(model, device)
                )
            else:
                tell(_expected(job, target, frames))
                units, done = encode_to(job, target, part)
        except VivaeError:
            # Unlike one that was interrupted, a run that cannot end well is not gone on with.
            if kept is not None:
                kept.remove()
            raise
    if kept is not None:
        kept.remove()
    if isinstance(job, LayeredJob) and job.texture is not None:
        reached["psnr_yuv_plain"], reached["psnr_yuv"] = (round(mean, 2) for mean in job.texture.means)
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
    } | reached


def _expected(job: Job, target: Target, frames: int) -> str:
    """Size and time, from coding samples of a long source."""
    if not job.long:
        return f"{frames} frames: it is done soon."
    began = time.monotonic()
    units = QUALITY_UNITS // 2 if target.units is None else target.units
    found = job.estimate(units)
    seconds = (
        (time.monotonic() - began) * frames / job.sampled * job.work * (1 if target.units is not None else 3)
    )
    size = found.size if target.units is not None else target.bytes(found.extent)
    length = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    return f"{frames} frames: about {size / 1e6:.2g} MB of pictures, in about {length}."


def _grained(
    src: str | os.PathLike[str],
    info: VideoInfo,
    model: Enhancer,
    start: float | None,
    end: float | None,
    target_vmaf: float | None,
    device: str,
    tell: Callable[[str], None],
) -> Grained | None:
    if target_vmaf is not None:
        raise InputError("grain that players make anew has no VMAF: give another target with grain")
    if model.config.scene_size is not None:
        raise InputError("a camera's own model and grain exclude each other: leave one of them out")
    found = find_grain(src, info, Family(device=device), start, end)
    tell(
        "There is hardly any noise: it is coded as it is."
        if found is None
        else f"Noise {found.noise:.1f} of 255 is taken out, and grain like it is left to players to put back."
    )
    return found


def _texture(tune: str | None, grain: bool, model: str | Path | None, device: str) -> Texture | None:
    if tune not in (None, *TUNES):
        raise InputError(f"files cannot be tuned for '{tune}': choose {' or '.join(TUNES)}")
    if tune is not None and grain:
        raise InputError(
            "grain that players put back and a tuned decoder exclude each other: leave one of them out"
        )
    if tune != "perceptual":
        return None
    found = load_enhancer(model or "texture", device=device)
    if found.config.attributes != ("quantiser", "shrink") or found.config.scene_size is not None:
        raise InputError(
            f"model '{found.config.name}' was not taught to give texture: train one by recipes/texture.yaml"
        )
    return Texture(found)


def _repair(tune: str | None, speed: int, otherwise: bool, device: str) -> Repair | None:
    """What repairs shots of full size, if anything. otherwise: whether their pictures are made in another way."""
    if otherwise or not (tune == "psnr" or speed <= REPAIRED_UP_TO):
        return None
    return Repair(load_enhancer("deblock-av1", device=device))


def _told(frames: int) -> str:
    if not frames:
        return "Nothing moves by itself: it is coded as usual."
    return f"Something moves by itself in {frames} frames: the bits go there."


def _prepared(masks: Callable[[], Iterator[Mask]] | None, grained: Grained | None) -> Prepare:
    if masks is None and grained is None:
        return iter

    def prepared(frames: Iterable[Frame]) -> Iterator[Frame]:
        clean = iter(frames) if grained is None else grained.denoised(frames)
        return clean if masks is None else calmed(clean, masks())

    return prepared
