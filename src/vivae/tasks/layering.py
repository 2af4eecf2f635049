"""The layered codec's job, set up as a user of `vivae.tasks.compress` has asked for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from vivae import __version__
from vivae.codec.layered import LayeredJob, Prepare
from vivae.codec.repair import REPAIRED_UP_TO, Repair
from vivae.codec.roi import calmed
from vivae.codec.store import ShotStore
from vivae.codec.texture import Texture
from vivae.errors import InputError
from vivae.media import Frame, VideoInfo
from vivae.media.kept import Kept, file_mark, folder_for
from vivae.media.masks import Mask, read_masks
from vivae.tasks.common import Progress
from vivae.tasks.graining import Grained, find_grain
from vivae.tasks.noticing import Noticed
from vivae.tasks.restore import Family
from vivae.vae.enhancer import Enhancer
from vivae.vae.zoo import load_enhancer, load_segmenter

USUAL_SPEED = 6
AUTO = "auto"
TUNES = ("psnr", "perceptual")


@dataclass(frozen=True, slots=True)
class LayeredOptions:
    """What only the layered codec knows, as `vivae.tasks.compress.compress` explains it."""

    speed: int | None = None
    roi: str | os.PathLike[str] | None = None
    target_vmaf: float | None = None
    grain: bool = False
    tune: str | None = None

    def check(self) -> None:
        """Raises InputError for what cannot be."""
        if self.speed is not None and not 0 <= self.speed <= 10:
            raise InputError(f"speed must lie between 0 and 10, not at {self.speed}")
        if self.tune not in (None, *TUNES):
            raise InputError(f"files cannot be tuned for '{self.tune}': choose {' or '.join(TUNES)}")
        if self.tune is not None and self.grain:
            raise InputError(
                "grain that players put back and a tuned decoder exclude each other: leave one of them out"
            )
        if self.target_vmaf is not None and self.grain:
            raise InputError("grain that players make anew has no VMAF: give another target with grain")

    def refuse(self) -> None:
        """Raises InputError where any was given to another codec."""
        for one in fields(self):
            if getattr(self, one.name) != one.default:
                raise InputError(
                    f"the latent codec knows no {one.name}: leave it out, or choose the layered codec"
                )


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be coded. start, end: seconds. frames: how many to expect."""

    path: str | os.PathLike[str]
    info: VideoInfo
    start: float | None
    end: float | None
    frames: int


@dataclass(frozen=True, slots=True)
class Layered:
    """A job; where an interrupted one is gone on with; what was found on the way, to be told in the end."""

    job: LayeredJob
    kept: Kept
    name: str
    """Of the network whose work vivae shows."""
    found: dict[str, float]


def layered_job(
    source: Source,
    dst: str | os.PathLike[str],
    options: LayeredOptions,
    model: str | Path | None,
    *,
    threads: int | None,
    device: str,
    room: Path,
    progress: Progress,
    tell: Callable[[str], None],
) -> Layered:
    """Load what is needed, and find what has to be known of the source first: its noise, what moves by itself.

    room: for temporary files. Raises InputError, UnsupportedError.
    """
    options.check()
    speed = USUAL_SPEED if options.speed is None else options.speed
    texture = _texture(model, device) if options.tune == "perceptual" else None
    enhancer = load_enhancer(model or "upscale", device=device)
    grained = _grained(source, enhancer, device, tell) if options.grain else None
    repair: Repair | None = None
    if options.tune == "psnr" or (speed <= REPAIRED_UP_TO and options.tune is None and not options.grain):
        repair = Repair(load_enhancer("repair", device=device))
    folder = folder_for(dst)
    where, masks, found = _matters(source, options.roi, folder, device, progress, tell)
    if grained is not None:
        found["noise"] = round(grained.noise, 2)
    # What an interrupted run has finished is found under the same circumstances.
    kept = Kept(
        folder,
        f"{__version__} {file_mark(source.path)} {source.start} {source.end} {enhancer.hash} {speed} "
        f"{where} {None if grained is None else grained.noise} {None if repair is None else repair.model.hash}",
    )
    job = LayeredJob(
        source.path, enhancer, source.info, source.frames, speed, threads or os.cpu_count() or 1, room,
        ShotStore(kept), start=source.start, end=source.end, prepare=_prepared(masks, grained), progress=progress,
        grain=None if grained is None else grained.grain, texture=texture, repair=repair,
    )  # fmt: skip
    return Layered(job, kept, (enhancer if texture is None else texture.model).config.name, found)


def _matters(
    source: Source,
    roi: str | os.PathLike[str] | None,
    folder: Path,
    device: str,
    progress: Progress,
    tell: Callable[[str], None],
) -> tuple[str | None, Callable[[], Iterator[Mask]] | None, dict[str, float]]:
    """Masks of what matters, if any are wanted: which, themselves, and what is to be told of them."""
    if roi is None:
        return None, None, {}
    if roi != AUTO:
        return file_mark(roi), partial(read_masks, roi, source.info.width, source.info.height), {}
    network = load_segmenter(device=device)
    tell("First what moves by itself is found.")
    noticed = Noticed(
        source.path, source.info, network, folder, start=source.start, end=source.end, progress=progress
    )
    told: dict[str, float] = {"roi_frames": noticed.frames}
    if not noticed.frames:
        tell("Nothing moves by itself: it is coded as usual.")
        return None, None, told
    tell(f"Something moves by itself in {noticed.frames} frames: the bits go there.")
    return f"auto {network.hash}", noticed.masks, told


def _grained(source: Source, model: Enhancer, device: str, tell: Callable[[str], None]) -> Grained | None:
    if model.config.scene_size is not None:
        raise InputError("a camera's own model and grain exclude each other: leave one of them out")
    found = find_grain(source.path, source.info, Family(device=device), source.start, source.end)
    tell(
        "There is hardly any noise: it is coded as it is."
        if found is None
        else f"Noise {found.noise:.1f} of 255 is taken out, and grain like it is left to players to put back."
    )
    return found


def _texture(model: str | Path | None, device: str) -> Texture:
    found = load_enhancer(model or "texture", device=device)
    if found.config.attributes != ("quantiser", "shrink") or found.config.scene_size is not None:
        raise InputError(
            f"model '{found.config.name}' was not taught to give texture: train one by recipes/texture.yaml"
        )
    return Texture(found)


def _prepared(masks: Callable[[], Iterator[Mask]] | None, grained: Grained | None) -> Prepare:
    if masks is None and grained is None:
        return iter

    def prepared(frames: Iterable[Frame]) -> Iterator[Frame]:
        clean = iter(frames) if grained is None else grained.denoised(frames)
        return clean if masks is None else calmed(clean, masks())

    return prepared
