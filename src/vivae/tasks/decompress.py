"""`decompress`: a compressed file as a video again. What makes one: `vivae.tasks.compress`."""

import logging
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from vivae.codec.container import VvaReader
from vivae.codec.latent import decode_frames, model_of
from vivae.codec.side import read_side
from vivae.codec.unlayered import Models, decode_layered, display_size
from vivae.errors import FormatError, InputError, ModelMismatch
from vivae.media import open_writer, probe, refuse_overwrite
from vivae.media.frames import as_seconds
from vivae.media.memory import keep_freed
from vivae.tasks.common import Progress, expected_frames, folder_of, no_progress, room_for
from vivae.vae.enhancer import Enhancer
from vivae.vae.zoo import is_named, list_models, load_enhancer

logger = logging.getLogger(__name__)


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
    """Make a video of a compressed file: .mp4, .mkv, .webm, .y4m, .png or a folder of PNG.

    model: where the model is not a shipped one, its path; it must be the one that made the file, or those of its shots
    that no shipped one did. codec, crf: of the
    written video, as for `vivae.media.open_writer`; .y4m and PNG hold exactly what was decoded. start, end: seconds;
    decoding begins at the last key frame before. best_effort: of a damaged .vva file, write the frames before the
    damage.
    Raises InputError, FormatError for a damaged file, ModelMismatch for another model's, OutputError.
    """
    refuse_overwrite(dst, src)
    begin, finish = as_seconds(start), as_seconds(end)
    if (begin or 0) < 0 or (finish is not None and finish <= (begin or 0)):
        raise InputError("the end must lie after the start, and the start not before 0")
    target: dict[str, Any] = {
        "codec": codec,
        "crf": crf,
        "start": begin,
        "end": finish,
        "inputs": [src],
        "force": force,
    }
    if Path(src).suffix.lower() != ".vva":
        return _decompress_layered(src, dst, model, device, target, progress)
    with VvaReader(src) as reader, room_for(dst, folder_of(dst)) as folder:
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
            time_base=header.time_base,
            copy_from=side if has_side else None,
            **target,
        ) as writer:
            for frame in decode_frames(reader, vae, start=begin, end=finish, best_effort=best_effort):
                writer.write(frame)
                progress(writer.count, max(writer.count, total))
    return {"output": str(dst), "frames": writer.count, "model": vae.config.name}


def _decompress_layered(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    model: str | Path | None,
    device: str,
    target: dict[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    info = probe(src)
    if info.codec != "av1":
        raise InputError(
            f"'{src}' ({info.codec}) is no compressed file of vivae: those are .vva, or AV1 in a video file"
        )
    total = expected_frames(
        info, *(None if at is None else float(at) for at in (target["start"], target["end"]))
    )
    models = enhancers(model, device)
    keep_freed()
    width, height = display_size(src, info)
    with open_writer(
        dst,
        width=width,
        height=height,
        fps=info.fps,
        color=info.color,
        sar=info.sar,
        time_base=info.time_base,
        copy_from=src,
        **target,
    ) as writer:
        for frame in decode_layered(src, info, models, start=target["start"], end=target["end"]):
            writer.write(frame)
            progress(writer.count, max(writer.count, total))
    return {"output": str(dst), "frames": writer.count}


def enhancers(model: str | Path | None, device: str = "cpu") -> Models:
    """Finds the enhancer that a shot asks for: the given one, or among those shipped. See `decode_layered`."""

    which = "none of the shipped ones" + ("" if model is None else f" and not '{model}'")

    def found(prefix: str) -> Enhancer:
        for name in [*([] if model is None else [model]), *list_models("enhancer")]:
            enhancer = load_enhancer(name, device=device)
            if is_named(enhancer, prefix):
                return enhancer
        raise ModelMismatch(
            f"the file was made with an up-scaler of hash {prefix}..., which is {which}: give its path as the model"
        )

    return found


def _frames_between(reader: VvaReader, start: Fraction | None, end: Fraction | None) -> int:
    """How many frames a trimmed decoding will probably give: for progress."""
    index = reader.index
    length = float(index.ticks * reader.header.time_base)
    if not length:
        return index.frames
    kept = min(float(end or length), length) - float(start or 0)
    return max(1, round(index.frames * kept / length))
