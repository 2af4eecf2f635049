"""`segment`: objects cut out of video, as masks, with transparency around them, or as colours to look at.

First the ids of each frame are found (`vivae.tasks.labelling`) and kept on disk (`vivae.tasks.labels_kept`), so that an
interrupted run goes on; then the result is written beside its place. `first_mask` is for interfaces.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from vivae import __version__
from vivae.errors import InputError
from vivae.media import Frame, Picture, VideoInfo, atomic_dir, open_writer, probe, refuse_overwrite
from vivae.media.atomic import check_target
from vivae.media.color import rgb_to_yuv
from vivae.media.cutout import open_cutout
from vivae.media.indexed import decode_indexed, palette
from vivae.media.kept import Kept, file_mark, folder_for
from vivae.media.masks import mixed
from vivae.tasks.common import expected_frames
from vivae.tasks.labelling import Labels, Networks, Span, moving_objects, pointed_objects, still_camera
from vivae.tasks.labels_kept import KeptLabels, Work
from vivae.tasks.prompts import Prompt, first_mask, parse_box, parse_mask, parse_point
from vivae.tasks.tracks import TrackWriter
from vivae.vae.zoo import load_model, load_segmenter

__all__ = ["first_mask", "segment"]

Form = Literal["masks", "cutout", "overlay"]
Report = Callable[[str, int, int | None], None]
"""Progress: what is being done, frames so far, and of how many."""
TINT = 0.5
"""Share of an object's colour over it in an overlay."""
FEATHER = 0.8
"""Deviation in pixels of a cut-out's edge."""


def _no_report(part: str, done: int, total: int | None) -> None:
    """For callers who do not ask."""


def segment(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    point: str | Sequence[str] = (),
    not_point: str | Sequence[str] = (),
    box: str | Sequence[str] = (),
    mask: str | Path | Sequence[str | Path] = (),
    static_camera: bool = False,
    auto: bool = False,
    form: Form = "masks",
    model: str | Path = "motion",
    codec: str | None = None,
    crf: float | None = None,
    device: str = "cpu",
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Report = _no_report,
) -> dict[str, Any]:
    """Find objects in `src` and write to `dst` what `form` says.

    point, not_point: "X,Y@T", pixels on an object and beside it in the frame that is shown at T (seconds or
    [H:]MM:SS, 0 unless said), from the top left. box: "X,Y,W,H@T" around it. mask: "PNG@T", its pixels are ids, or 255
    for one object. Of each one, or several in a list. With "#ID" at the end, points and boxes belong to other objects
    than the first. Objects are followed from the first prompt on, forwards and backwards; prompts at later times
    correct what follows. static_camera: what passes a camera that stands still. auto: what moves by itself; so it is,
    too, where nothing is said.

    form: "masks", a folder with one indexed PNG a frame (00000.png upward; 0 background, ids from 1), `objects.json`
    (run lengths as in COCO) and `tracks.csv` (per frame and object: box in pixels, area, centre, speed in pixels a
    second). "cutout", all but the objects transparent: .webm (VP9), .mov (ProRes 4444) or a folder of PNG; without
    sound. "overlay", a video with the objects in colours. codec, crf: of that.

    An interrupted run goes on with the frames that it has not labelled yet when it is run again.
    Returns the numbers of frames and objects. Raises InputError, FormatError, UnsupportedError, OutputError.
    """
    prompts = [
        *map(parse_point, _several(point)), *(parse_point(text, against=True) for text in _several(not_point)),
        *map(parse_box, _several(box)), *map(parse_mask, _several(mask)),
    ]  # fmt: skip
    if sum((bool(prompts), static_camera, auto)) > 1:
        raise InputError("choose one: prompts (point, box, mask), static_camera or auto")
    if form not in ("masks", "cutout", "overlay"):
        raise InputError(f"there is no form '{form}': choose masks, cutout or overlay")
    refuse_overwrite(dst, src, *(prompt.mask for prompt in prompts if prompt.mask is not None))
    if form == "masks":
        if Path(dst).suffix:
            raise InputError(f"masks go into a folder: give a name without a suffix, not '{dst}'")
        check_target(Path(dst), force, folder=True)
    info = probe(src)
    span = Span(src, start, end)
    work, method = _work(span, info, prompts, static_camera, model, device)
    shown = " ".join(file_mark(prompt.mask) for prompt in prompts if prompt.mask is not None)
    circumstances = f"{__version__} {file_mark(src)} {start} {end} {method} {prompts} {shown}"
    kept = Kept(folder_for(dst), circumstances)
    found = KeptLabels(kept)
    objects: set[int] = set()
    with ExitStack() as stack:
        write = None if form == "masks" else _opened(stack, dst, info, form, codec, crf, span, force)
        found.find(work, expected_frames(info, start, end), partial(progress, "segmenting"))
        if write is None:
            folder = stack.enter_context(atomic_dir(dst, force))
            tracks = stack.enter_context(TrackWriter(folder, info.width, info.height))
            for index, (time, coded, _) in enumerate(found):
                (folder / f"{index:05d}.png").write_bytes(coded)
                tracks.add(index, float(time), decode_indexed(coded))
                progress("writing", index + 1, len(found))
            objects = set(tracks.objects)
        else:
            for index, (frame, (_, coded, _)) in enumerate(zip(span.frames(), found, strict=True)):
                labels = decode_indexed(coded)
                objects |= set(np.unique(labels).tolist()) - {0}
                write(frame, labels)
                progress("writing", index + 1, len(found))
    kept.remove()
    return {"output": str(dst), "form": form, "frames": len(found), "objects": len(objects)}


def _several(given: str | Path | Sequence[Any]) -> Sequence[Any]:
    """A single prompt may be given without a list around it."""
    return [given] if isinstance(given, str | Path) else given


def _work(
    span: Span,
    info: VideoInfo,
    prompts: Sequence[Prompt],
    static_camera: bool,
    model: str | Path,
    device: str,
) -> tuple[Work, str]:
    """What labels the frames, and what says how it does."""
    if static_camera:
        return partial(still_camera, span), "still"
    network = load_segmenter(model, device=device)
    if prompts:
        networks = Networks(network, load_model())
        method = f"pointed {network.hash} {networks.looks.hash}"
        return partial(pointed_objects, span, info, networks, prompts), method
    return partial(moving_objects, span, info, network), f"moving {network.hash}"


def _opened(
    stack: ExitStack,
    dst: str | os.PathLike[str],
    info: VideoInfo,
    form: Form,
    codec: str | None,
    crf: float | None,
    span: Span,
    force: bool,
) -> Callable[[Frame, Labels], None]:
    """What writes a frame with its ids to the output."""
    if form == "cutout":
        if codec is not None:
            raise InputError("the name of a cut-out decides on its codec: leave the codec out")
        picture = Picture(info.width, info.height, info.fps, info.color, info.sar)
        cutout = stack.enter_context(open_cutout(Path(dst), picture, crf=crf, force=force))
        return lambda frame, labels: cutout.write(frame, _alpha(labels))
    video = stack.enter_context(
        open_writer(
            dst, width=info.width, height=info.height, fps=info.fps, color=info.color, sar=info.sar, codec=codec,
            crf=crf, time_base=info.time_base, copy_from=span.path, start=span.start, end=span.end, force=force,
        )
    )  # fmt: skip
    return lambda frame, labels: video.write(_tinted(frame, labels))


def _alpha(labels: Labels) -> Labels:
    return np.asarray(cv2.GaussianBlur((labels > 0).astype(np.uint8) * 255, (0, 0), FEATHER), np.uint8)


def _tinted(frame: Frame, labels: Labels) -> Frame:
    """Objects in their colours, with an outline; the rest as it is."""
    chosen = labels > 0
    if not chosen.any():
        return frame
    colours = palette()
    colours[1] = (255, 96, 32)  # a single object is to stand out from grass and skin alike
    edge = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    share = np.where(edge & chosen, 1.0, np.where(chosen, TINT, 0.0)).astype(np.float32)
    tint = rgb_to_yuv(colours[labels], frame.color)
    return Frame(*mixed(frame.planes, tint, share), frame.time, frame.duration, frame.color)
