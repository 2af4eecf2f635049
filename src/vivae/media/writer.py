"""Writing: mp4, mkv, webm, .y4m, a folder of PNG or one PNG; whole or not at all, with exact times.

The target's name chooses the kind. Sound, subtitles, chapters and metadata come from another file (`copy_from`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import av

from vivae.errors import InputError, OutputError, UnsupportedError
from vivae.media.atomic import atomic_dir, atomic_path, check_target, output_error, refuse_overwrite
from vivae.media.color import ColorInfo, recolor
from vivae.media.encoders import encoder_for, encoder_options
from vivae.media.frames import Frame, Picture, as_seconds
from vivae.media.muxer import Encoding, Muxer, MuxerSink
from vivae.media.probe import check_size
from vivae.media.sequence import PngSink, Y4mSink
from vivae.media.source import Source, find_source, open_container
from vivae.media.tracks import name_lost_tracks

CONTAINERS = (".mp4", ".mkv", ".webm")


class Finishing(Protocol):
    """What may hold something back until `finish` writes it."""

    def finish(self) -> None: ...


class Sink(Finishing, Protocol):
    """Where frames go."""

    def write(self, frame: Frame) -> None: ...


S = TypeVar("S", bound=Finishing)
M = TypeVar("M", bound=Muxer)
Tracks = tuple[str | os.PathLike[str], Fraction | None, Fraction | None]
"""The file whose other tracks come along, and the span of it, in seconds."""


def check_output(path: str | os.PathLike[str], force: bool) -> bool:
    """Whether an output is a folder of images. Raises OutputError or UnsupportedError where it cannot be written.

    For work that takes long before `open_writer` would say so.
    """
    suffix = Path(path).suffix.lower()
    folder = suffix == "" or str(path).endswith(("/", os.sep)) or Path(path).is_dir()
    check_target(path, force, folder=folder)
    if folder or suffix in (*CONTAINERS, ".y4m", ".png"):
        return folder
    raise UnsupportedError(
        f"cannot write '{path}': use {', '.join(CONTAINERS)}, .y4m, .png, or a name without suffix for a folder"
    )


def open_writer(
    path: str | os.PathLike[str],
    *,
    width: int,
    height: int,
    fps: Fraction,
    color: ColorInfo,
    sar: Fraction = Fraction(1),
    codec: str | None = None,
    crf: float | None = None,
    preset: str | int | None = None,
    lossless: bool = False,
    options: Mapping[str, str] | None = None,
    threads: int | None = None,
    time_base: Fraction | None = None,
    copy_from: str | os.PathLike[str] | None = None,
    start: float | Fraction | None = None,
    end: float | Fraction | None = None,
    inputs: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
) -> VideoWriter:
    """A writer for a `with` block; its target appears when the block ends well, and nothing is left when it does not.

    path: .mp4, .mkv, .webm, .y4m, .png (one frame), or a folder (no suffix, or a slash at the end) for 00000.png up.
    codec: "av1" (usual), "h264", "hevc", "vp9", "ffv1". crf: its quality, on its own scale. preset: its speed.
        lossless: exactly the 4:2:0 samples given. options: FFmpeg's own, as `{"g": "50"}`. threads: for the encoder.
    time_base: the unit of time stamps in seconds; with `VideoInfo.time_base` any variable rate stays exact. .mkv and
        .webm round to the millisecond; .y4m and images keep only the rate.
    copy_from: the file whose sound, subtitles, chapters and metadata come along, cut to `start` and `end` (seconds) as
        `open_video` cuts the pictures.
    inputs: what must not be overwritten even with `force`; `copy_from` always belongs to it.
    Raises InputError, UnsupportedError or OutputError, here or at the start of the block rather than after the work.
    """
    if width < 1 or height < 1 or fps <= 0:
        raise InputError(f"a video of {width}x{height} at {float(fps):g} frames a second cannot be written")
    target = Path(path)
    check_size(target, width, height)
    refuse_overwrite(path, *inputs, *([] if copy_from is None else [copy_from]))
    folder = check_output(path, force)
    suffix = target.suffix.lower()
    picture = Picture(width, height, fps, color, sar)
    if not folder and suffix in CONTAINERS:
        encoder = encoder_for(codec, suffix, width, height)
        native = encoder_options(
            encoder, crf=crf, preset=preset, lossless=lossless, threads=threads, extra=options or {}
        )
        encoding = Encoding(encoder, native, threads, time_base)
        tracks = None if copy_from is None else (copy_from, as_seconds(start), as_seconds(end))

        def muxer(stack: ExitStack) -> Sink:
            return open_muxer(stack, target, force, lambda part: MuxerSink(part, picture, encoding), tracks)

        return VideoWriter(target, picture, muxer)
    if codec is not None or crf is not None:
        raise InputError(
            f"'{path}' is written without a codec: leave out codec and crf, or name a video file"
        )
    if copy_from is not None:
        _name_lost(find_source(copy_from), "a folder of images" if folder else suffix)
    return VideoWriter(target, picture, lambda stack: _plain(stack, target, force, picture, folder))


def write_frames(
    path: str | os.PathLike[str], frames: Iterable[Frame], picture: Picture, **options: Any
) -> Path:
    """All of a video at once. picture: its size, rate, colour and sample aspect ratio; options: as of `open_writer`."""
    with open_writer(
        path,
        width=picture.width,
        height=picture.height,
        fps=picture.fps,
        color=picture.color,
        sar=picture.sar,
        **options,
    ) as writer:
        for frame in frames:
            writer.write(frame)
    return Path(path)


class Whole(Generic[S]):
    """The `with` block of a writer: its target appears when the block ends well, and nothing is left when it does not.

    path: the target. opener: gives what is written to; files and the like it enters into the stack.
    """

    def __init__(self, path: Path, opener: Callable[[ExitStack], S]) -> None:
        self.path = path
        self.count = 0
        self._opener = opener
        self._stack = ExitStack()
        self._sink: S | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack, _writing(self.path):
            self._sink = self._opener(stack)
            self._stack = stack.pop_all()
        return self

    @contextmanager
    def _one_more(self) -> Iterator[S]:
        """Where to write the next frame to."""
        if self._sink is None:
            raise RuntimeError("write() needs the writer's with block")
        with _writing(self.path):
            yield self._sink
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stack, sink, self._sink = self._stack.pop_all(), self._sink, None
        if kind is not None or sink is None:
            stack.__exit__(kind, error, trace)
            return
        with stack, _writing(self.path):
            if self.count == 0:
                raise OutputError(f"'{self.path}' is not written: there was no frame to write")
            sink.finish()


class VideoWriter(Whole[Sink]):
    """See `open_writer`. Frames must be of the announced size, in the order of their times."""

    def __init__(self, path: Path, picture: Picture, opener: Callable[[ExitStack], Sink]) -> None:
        super().__init__(path, opener)
        self.picture = picture

    def write(self, frame: Frame) -> None:
        """Add a frame; one of another colour description is converted. Raises OutputError."""
        if (frame.width, frame.height) != (self.picture.width, self.picture.height):
            raise ValueError(
                f"a frame of {frame.width}x{frame.height} for a video of {self.picture.width}x{self.picture.height}"
            )
        if frame.color != self.picture.color:
            planes = recolor(frame.planes, frame.color, self.picture.color)
            frame = Frame(*planes, frame.time, frame.duration, self.picture.color)
        with self._one_more() as sink:
            sink.write(frame)


def _plain(stack: ExitStack, target: Path, force: bool, picture: Picture, folder: bool) -> Sink:
    if folder:
        return PngSink(stack.enter_context(atomic_dir(target, force)), single=False)
    part = stack.enter_context(atomic_path(target, force))
    if part.suffix.lower() == ".png":
        return PngSink(part, single=True)
    return Y4mSink(stack.enter_context(part.open("wb")), target, picture)


def open_muxer(
    stack: ExitStack, target: Path, force: bool, make: Callable[[Path], M], tracks: Tracks | None
) -> M:
    """A container beside `target` that becomes it when the stack ends well; its header is written."""
    sink = make(stack.enter_context(atomic_path(target, force)))
    stack.callback(sink.close)
    if tracks is not None:
        sink.carry_tracks(stack, *tracks)
    sink.begin()
    return sink


def _name_lost(source: Source, where: str) -> None:
    if not source.sequence:
        with open_container(source.files[0]) as container:
            name_lost_tracks(source.files[0], container, where)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what FFmpeg and the system raise while writing into OutputError."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path) from error
    except av.error.FFmpegError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror}") from error
