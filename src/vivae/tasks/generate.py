"""`generate`: new video from a learned prior: from nothing, going on from a clip, between two, or along the latents."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vivae.errors import InputError
from vivae.media import Frame, VideoWriter, open_video, open_writer, read_first, refuse_overwrite
from vivae.tasks.clips import Rgb, Sheet, as_clip, as_rgb, color_of, ends_of, tiled
from vivae.tasks.common import Progress, no_progress
from vivae.tasks.latents import interpolated, traversed
from vivae.vae.between import Interpolator
from vivae.vae.generator import Generator
from vivae.vae.middle import MiddleFrame
from vivae.vae.rollout import Start, draws_of, from_clip, from_ends, from_nothing, rolled_out, streamed
from vivae.vae.zoo import load_any, load_generator

Source = str | os.PathLike[str]
PRIORS = ("auto", "flow", "state-space")
DEFAULT_MODEL = "moving-mnist"
MOST_FRAMES = 1_000_000
MOST_VARIATIONS = 64
BETWEEN_FRAMES = 7
EACH = "{}"
"""In an output's name: a file for each variation."""


def generate(
    dst: Source,
    *,
    model: str | Path | None = None,
    frames: int | None = None,
    continue_: Source | None = None,
    between: tuple[Source, Source] | None = None,
    interpolate: tuple[Source, Source] | None = None,
    traverse: int | None = None,
    variations: int = 1,
    labels: Sequence[int] = (),
    prior: str = "auto",
    seed: int = 0,
    steps: int = 24,
    sheet: Source | None = None,
    codec: str | None = None,
    crf: float | None = None,
    force: bool = False,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write generated video to `dst`; with a .png, a contact sheet of it.

    model: a shipped generator's name or a trained one's folder; for `between`, an interpolator by default, which works
    on footage of any size. frames: new ones; a window of the model unless said, any number by sliding on.
    continue_: begin with the end of this clip (an image: with what it shows). between: fill between the end of one clip
    and the beginning of another. interpolate: walk from one latent to another; clips, or seeds as numbers. traverse: so
    many of the strongest latent directions, one a row. variations: so many clips, beside each other, or a file each
    where the name of `dst` holds {}; variation k of seed s is what seed s + k gives. labels: classes of what is to
    appear, where the model knows them. prior: what goes on after the known frames, or after the first window: the flow,
    window by window, or the state space, moment by moment; auto: the state space where the model has one. steps: of the
    flow's solver.
    Returns what was made. The same seed gives the same video on the same machine. Raises InputError for what does not
    go together, and what `open_writer` raises.
    """
    modes = [continue_ is not None, between is not None, interpolate is not None, traverse is not None]
    if sum(modes) > 1:
        raise InputError("give one of continue, between, interpolate and traverse")
    _check(frames, variations, steps, traverse)
    inputs = [path for path in (continue_, *(between or ())) if path is not None]
    refuse_overwrite(dst, *inputs)
    target = _Target(dst, sheet, codec, crf, force)
    if between is not None:
        filler = load_any(model or "between", device=device)
        if isinstance(filler, MiddleFrame):
            return _fill(filler, between, frames or BETWEEN_FRAMES, target, progress)
    generator = load_generator(model or DEFAULT_MODEL, device=device)
    streams = _streams(generator, prior, modes[1:])
    told = {"model": str(model or DEFAULT_MODEL), "seed": seed, "steps": steps}
    if interpolate is not None or traverse is not None:
        return told | _along(
            generator, interpolate, traverse, seed, steps, max(variations, 2), target, progress
        )
    draws = draws_of(seed, variations)
    leading, start, length = _start(generator, continue_, between, labels, frames, draws)
    roll = streamed if streams else rolled_out
    parts = roll(generator, start, length, draws, steps=steps, progress=progress)
    pictures = _pictures(generator, parts, variations, leading)
    made = target.write(pictures, variations, len(leading) + length, _fps(generator), generator)
    told["prior"] = "state-space" if streams else "flow"
    return told | {"new_frames": length, "known_frames": start.frames} | made


def _streams(generator: Generator, prior: str, others: Sequence[bool]) -> bool:
    """Whether the state space goes on. others: whether something is asked for that only the flow does."""
    if prior not in PRIORS:
        raise InputError(f"there is no prior '{prior}': choose from {', '.join(PRIORS)}")
    if generator.flow is None and (prior == "flow" or any(others)):
        raise InputError(
            f"model '{generator.config.name}' has no flow: it makes clips from nothing, or goes on from one"
        )
    if prior == "state-space":
        if any(others):
            raise InputError("the state space only goes on: give no between, interpolate or traverse with it")
        if not generator.streams:
            raise InputError(
                f"model '{generator.config.name}' has no state space: leave out --prior, or train one that has"
            )
    return prior != "flow" and generator.streams and not any(others)


def _check(frames: int | None, variations: int, steps: int, traverse: int | None) -> None:
    for name, value, most in (
        ("frames", 1 if frames is None else frames, MOST_FRAMES),
        ("variations", variations, MOST_VARIATIONS),
        ("steps", steps, 1000),
        ("traverse", 1 if traverse is None else traverse, MOST_VARIATIONS),
    ):
        if not 1 <= value <= most:
            raise InputError(f"{name} must lie between 1 and {most}, not at {value}")


def _fps(generator: Generator) -> Fraction:
    return Fraction(generator.config.fps).limit_denominator(1000)


def _start(
    generator: Generator,
    continue_: Source | None,
    between: tuple[Source, Source] | None,
    labels: Sequence[int],
    frames: int | None,
    draws: Sequence[torch.Generator],
) -> tuple[list[Rgb], Start, int]:
    """The frames that come before, what is known, and how many are to be made."""
    if labels and (continue_ is not None or between is not None):
        raise InputError("labels are for clips from nothing: what a given clip shows is known")
    if continue_ is not None:
        clip = as_clip(generator, ends_of(continue_, generator).last)
        start = from_clip(generator, clip)
        length = frames or generator.frames - start.frames
        return list(as_rgb(generator, clip[0])), start, length
    if between is not None:
        before = as_clip(generator, ends_of(between[0], generator).last)
        after = as_clip(generator, ends_of(between[1], generator).first)
        missing = frames or generator.frames - 2 * (generator.frames // 4 // generator.unit * generator.unit)
        try:
            start = from_ends(generator, before, after, missing)
        except ValueError as error:
            raise InputError(f"model '{generator.config.name}' cannot do it: {error}") from error
        return list(as_rgb(generator, before[0, -start.frames :])), start, missing
    try:
        return [], from_nothing(generator, labels, draws), frames or generator.frames
    except ValueError as error:
        raise InputError(str(error)) from error


def _pictures(
    generator: Generator, parts: Iterator[torch.Tensor], count: int, leading: list[Rgb]
) -> Iterator[list[Rgb]]:
    """Frame by frame, the pictures of all variations."""
    for picture in leading:
        yield [picture] * count
    for part in parts:
        clips = [as_rgb(generator, clip) for clip in part]
        yield from (list(row) for row in zip(*clips, strict=True))


def _along(
    generator: Generator,
    ends: tuple[Source, Source] | None,
    directions: int | None,
    seed: int,
    steps: int,
    count: int,
    target: "_Target",
    progress: Progress,
) -> dict[str, Any]:
    """Walks through the latent space: all their clips beside each other."""
    if ends is not None:
        clips = interpolated(generator, ends, max(count, 5), steps, progress)
        columns = len(clips)
    else:
        assert directions is not None
        clips, columns = traversed(generator, directions, seed, steps, progress)
    shown = [as_rgb(generator, clip) for clip in clips]
    rows = (list(row) for row in zip(*shown, strict=True))
    return {"clips": len(clips)} | target.write(
        rows, len(clips), generator.frames, _fps(generator), generator, columns
    )


def _fill(
    filler: MiddleFrame, ends: tuple[Source, Source], frames: int, target: "_Target", progress: Progress
) -> dict[str, Any]:
    """Between two natural frames, at their own size."""
    with open_video(ends[0]) as reader:
        fps = reader.info.fps if reader.info.estimated_frames > 1 else Fraction(25)
        before = None
        for before in reader:  # noqa: B007 (the last one is wanted)
            pass
    assert before is not None
    after = read_first(Path(ends[1]))
    if (before.width, before.height) != (after.width, after.height):
        raise InputError(
            f"'{ends[0]}' is {before.width}x{before.height}, '{ends[1]}' {after.width}x{after.height}: scale one of "
            "them to the other's size first"
        )
    after = Frame.from_rgb(after.to_rgb(), before.color) if after.color != before.color else after
    halvings = int(np.ceil(np.log2(frames + 1)))
    made = Interpolator(filler).filled(before.planes, after.planes, halvings)
    progress(frames, frames)
    chosen = np.linspace(0, len(made) + 1, frames + 2).round().astype(int)[1:-1] - 1
    all_planes = [before.planes, *(made[index] for index in chosen), after.planes]
    timed = [
        Frame(y, u, v, number / fps, 1 / fps, before.color) for number, (y, u, v) in enumerate(all_planes)
    ]
    return {"model": filler.config.name, "new_frames": frames} | target.write_frames(timed, fps)


class _Target:
    """Where the result goes: a video, one for each variation, or a contact sheet; and a sheet beside it on demand."""

    def __init__(
        self, dst: Source, sheet: Source | None, codec: str | None, crf: float | None, force: bool
    ) -> None:
        self.name, self.sheet, self.codec, self.crf, self.force = os.fspath(dst), sheet, codec, crf, force
        self.is_sheet = self.name.lower().endswith(".png")
        if self.is_sheet and sheet is not None:
            raise InputError(
                "the output is a contact sheet itself: leave out --sheet, or give a video's name"
            )

    def write(
        self,
        pictures: Iterator[list[Rgb]],
        count: int,
        frames: int,
        fps: Fraction,
        generator: Generator,
        columns: int | None = None,
    ) -> dict[str, Any]:
        """Frame by frame, as the pictures of all clips come."""
        apart = EACH in self.name and count > 1
        names = [self.name.replace(EACH, str(number)) for number in range(count)] if apart else [self.name]
        columns = columns or int(np.ceil(np.sqrt(count)))
        sheet, color = Sheet(frames), color_of(generator)
        with ExitStack() as stack:
            writers: list[VideoWriter] = []
            for number, row in enumerate(pictures):
                sheet.add(number, row)
                if self.is_sheet:
                    continue
                shown = row if apart else [tiled(row, columns)]
                if not writers:
                    height, width = shown[0].shape[:2]
                    writers = [
                        stack.enter_context(self._writer(name, width, height, fps, color)) for name in names
                    ]
                for writer, picture in zip(writers, shown, strict=True):
                    writer.write(Frame.from_rgb(picture, color, number / fps, 1 / fps))
        return self._finish(sheet, names)

    def write_frames(self, frames: list[Frame], fps: Fraction) -> dict[str, Any]:
        """Frames as they are."""
        sheet = Sheet(len(frames))
        for number, frame in enumerate(frames):
            sheet.add(number, [frame.to_rgb()])
        if not self.is_sheet:
            first = frames[0]
            with self._writer(self.name, first.width, first.height, fps, first.color) as writer:
                for frame in frames:
                    writer.write(frame)
        return self._finish(sheet, [self.name])

    def _writer(self, name: str, width: int, height: int, fps: Fraction, color: Any) -> VideoWriter:
        return open_writer(
            name,
            width=width,
            height=height,
            fps=fps,
            color=color,
            codec=self.codec,
            crf=self.crf,
            force=self.force,
        )

    def _finish(self, sheet: Sheet, names: list[str]) -> dict[str, Any]:
        told: dict[str, Any] = {"output": names[0] if len(names) == 1 else names}
        path = self.name if self.is_sheet else self.sheet
        if path is None:
            return told
        picture = sheet.picture()
        with open_writer(
            path,
            width=picture.width,
            height=picture.height,
            fps=Fraction(25),
            color=picture.color,
            force=self.force,
        ) as writer:
            writer.write(picture)
        return told if self.is_sheet else told | {"sheet": os.fspath(path)}
