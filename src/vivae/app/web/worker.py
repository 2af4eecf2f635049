"""One job in a process of its own: it may be stopped, ended or crash without harm to the server or to other jobs.

A process runs one order and reports through a pipe: `Progress`, `Word`, and at last `Done` or `Failed`.
"""

import inspect
import logging
import resource
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vivae.app.web.rooms import Limits
from vivae.errors import FormatError, VivaeError

if TYPE_CHECKING:
    from vivae.media import VideoInfo

PRELOAD = [
    "vivae.app.web.worker",
    "vivae.tasks.compress",
    "vivae.tasks.enhance",
    "vivae.tasks.stylize",
    "vivae.tasks.segment",
]
"""What the process that all workers are forked from has imported, so that a job begins at once."""
THUMBNAIL = 320
"""Columns of the small picture of a clip."""
OFTEN = 0.1
"""Seconds between two reports of progress."""
PLAYED = {
    "mov,mp4,m4a,3gp,3g2,mj2": ("h264", "av1", "vp9"),
    "matroska,webm": ("vp8", "vp9", "av1"),
}
"""What browsers play: codecs by container, in FFmpeg's names, of 8 bits and 4:2:0."""


@dataclass(frozen=True)
class Progress:
    label: str
    done: int
    total: int | None
    unit: str = "frames"


@dataclass(frozen=True)
class Word:
    """A sentence for the user, before or during the work."""

    text: str


@dataclass(frozen=True)
class Done:
    """results: what the calls returned, or the facts about a clip; seconds: of the calls; memory: bytes at most."""

    results: list[dict[str, Any]]
    seconds: float
    memory: int
    views: dict[str, Path] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    """About the result that is shown."""


@dataclass(frozen=True)
class Failed:
    """text: for the user; details: for the log, where it is a fault of ours."""

    text: str
    details: str = ""


@dataclass(frozen=True)
class Facts:
    """A clip was looked at."""

    facts: dict[str, Any]
    thumbnail: Path


Message = Progress | Word | Done | Failed | Facts
Send = Callable[[Message], None]


class Order(Protocol):
    """What a process is to do."""

    @property
    def threads(self) -> int: ...

    def run(self, send: Send) -> Done: ...


@dataclass(frozen=True)
class Step:
    """A call of one of vivae's functions: verb(*inputs, output, **options). unit: what it counts."""

    verb: str
    label: str
    inputs: tuple[Path | str, ...]
    output: Path
    options: Mapping[str, Any]
    unit: str = "frames"


@dataclass(frozen=True)
class Work:
    """Steps, and then what a browser needs to show their result.

    result: what is shown, if it is to be. before: the source of a comparison, with the span of it that was worked on;
    a source without a span has been made viewable when it came.
    """

    steps: tuple[Step, ...]
    threads: int
    result: Path | None = None
    before: tuple[Path, float, float] | None = None
    fps: float | None = None
    """Of the source, for results that are images."""

    def run(self, send: Send) -> Done:
        """Make the calls and the views."""
        import vivae
        from vivae.media import probe

        began = time.monotonic()
        results = []
        for step in self.steps:
            call = getattr(vivae, step.verb)
            options = dict(step.options)
            known = inspect.signature(call).parameters
            if "tell" in known:
                options["tell"] = lambda text: send(Word(text))
            if "threads" in known:
                options["threads"] = self.threads
            options["progress"] = _progress(send, step.label, step.unit)
            results.append(call(*step.inputs, step.output, **options))
        seconds = time.monotonic() - began
        views: dict[str, Path] = {}
        facts: dict[str, Any] = {}
        if self.result is not None:
            more = bool(results[-1].get("enhanced_frames"))
            views["after"] = viewable(self.result, "after", send, self.fps, decode=more)
            facts = facts_of(probe(views["after"]))
        if self.before is not None:
            source, start, end = self.before
            views["before"] = copied(source, _beside(self.steps[-1].output, "before"), send, start, end)
        return Done(results, seconds, peak_memory(), views, facts)


@dataclass(frozen=True)
class Intake:
    """Look at an upload: what it is, whether it is within limits; make a picture of it, and a copy if browsers cannot
    play it."""

    path: Path
    limits: Limits
    threads: int

    def run(self, send: Send) -> Done:
        """Facts first, so that work on the clip can begin before its copy is made."""
        import cv2
        import numpy as np

        from vivae.media import probe, read_first
        from vivae.media.resample import shrunk

        began = time.monotonic()
        info = probe(self.path)
        if any(word in info.container for word in ("hls", "concat", "dash", "imf", "ffmetadata", "image2")):
            # These name other files, and whose they are is not the visitor's to decide.
            raise FormatError(f"'{self.path}' is a list of other files: give the video itself")
        facts = facts_of(info)
        self.limits.check(facts)
        small = shrunk(read_first(self.path), THUMBNAIL).to_rgb()
        thumbnail = self.path.with_suffix(".thumb.jpg")
        _, coded = cv2.imencode(
            ".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 82]
        )
        thumbnail.write_bytes(coded.tobytes())
        send(Facts(facts, thumbnail))
        view = viewable(self.path, "view", send)
        return Done([], time.monotonic() - began, peak_memory(), {"view": view})


@dataclass(frozen=True)
class Pointed:
    """The object that is pointed at in one frame, as a picture to lay over it. hints: for `first_mask`."""

    path: Path
    time: float
    hints: Mapping[str, Any]
    target: Path
    threads: int

    def run(self, send: Send) -> Done:
        """Write a PNG, transparent but for the object."""
        import cv2
        import numpy as np

        from vivae.media import open_video
        from vivae.tasks.segment import first_mask

        began = time.monotonic()
        with open_video(self.path, start=max(0.0, self.time), threads=self.threads) as reader:
            picture = next(reader).to_rgb()
        mask = first_mask(picture, **self.hints).astype(np.uint8)
        edge = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        layer = np.zeros((*mask.shape, 4), np.uint8)
        layer[mask > 0] = (32, 96, 255, 120)  # blue, green, red, opacity
        layer[edge] = (32, 96, 255, 255)
        _, coded = cv2.imencode(".png", layer)
        self.target.write_bytes(coded.tobytes())
        return Done([{"share": float(mask.mean())}], time.monotonic() - began, peak_memory())


def entry(order: Order, pipe: Connection) -> None:
    """Where a process begins."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = logging.getLogger("vivae")
    log.addHandler(_Words(pipe.send))
    log.setLevel(logging.WARNING)
    try:
        import cv2
        import torch

        torch.set_num_threads(order.threads)
        cv2.setNumThreads(order.threads)
        message: Message = order.run(pipe.send)
    except VivaeError as error:
        message = Failed(str(error))
    except (KeyboardInterrupt, BrokenPipeError):
        return
    except MemoryError:
        message = Failed("The machine has not enough memory for this: try a smaller video or scale.")
    except Exception as error:
        message = Failed(
            f"A fault of vivae, not of your file: {type(error).__name__}.", traceback.format_exc()
        )
    pipe.send(message)


def facts_of(info: "VideoInfo") -> dict[str, Any]:
    """What the browser is told of a video."""
    return {
        "width": info.width,
        "height": info.height,
        "sar": float(info.sar),
        "fps": float(info.fps),
        "frames": info.estimated_frames,
        "duration": float(info.duration),
        "codec": info.codec,
        "image": info.is_image,
        "sound": bool(info.audio),
    }


def playable(path: Path) -> bool:
    """Whether browsers show a file as it is."""
    from vivae.media import probe

    if path.suffix == ".vva":
        return False
    info = probe(path)
    usual = info.pixel_format in ("yuv420p", "yuvj420p", "yuva420p") and not info.is_image
    return usual and info.codec in PLAYED.get(info.container, ())


def viewable(path: Path, name: str, send: Send, fps: float | None = None, *, decode: bool = False) -> Path:
    """The file itself if a browser plays it, or else a copy beside it that it plays.

    decode: whether vivae shows more of it than players do, and that is to be seen.
    """
    if decode or path.suffix == ".vva":
        import vivae

        plain = _beside(path, f"{name}-decoded").with_suffix(".y4m")
        vivae.decompress(path, plain, progress=_progress(send, "decoding it to show"))
        try:
            return copied(plain, _beside(path, name), send)
        finally:
            plain.unlink()
    if path.is_dir():
        return copied(path, _beside(path, name), send, fps=fps)
    return path if playable(path) else copied(path, _beside(path, name), send)


def copied(
    path: Path,
    target: Path,
    send: Send,
    start: float | None = None,
    end: float | None = None,
    fps: float | None = None,
) -> Path:
    """A copy for the eye, of nearly the same quality: H.264, or AV1 where a side is odd."""
    from vivae.media import open_video, open_writer
    from vivae.tasks.common import expected_frames

    tell = _progress(send, "making it viewable")
    rate = None if fps is None else Fraction(fps).limit_denominator(1001)
    with open_video(path, start=start, end=end, fps=rate) as reader:
        info = reader.info
        even = not (info.width % 2 or info.height % 2)
        coding: dict[str, Any] = (
            {"codec": "h264", "crf": 14, "preset": "veryfast"}
            if even
            else {"codec": "av1", "preset": 10, "crf": 18}
        )
        total = expected_frames(info, start, end)
        with open_writer(
            target,
            width=info.width,
            height=info.height,
            fps=info.fps,
            color=info.color,
            sar=info.sar,
            time_base=info.time_base,
            force=True,
            **coding,
        ) as writer:
            for frame in reader:
                writer.write(frame)
                tell(writer.count, max(total, writer.count))
    return target


def peak_memory() -> int:
    """Bytes that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}.{name}.mp4")


def _progress(send: Send, label: str, unit: str = "frames") -> Callable[..., None]:
    """For verbs that report (done, total), and for those that say what they are doing before it."""
    last, part = 0.0, ""

    def report(*told: Any) -> None:
        nonlocal last, part
        *words, done, total = told
        now = time.monotonic()
        doing = words[0] if words else label
        if now - last >= OFTEN or done == total or doing != part:
            last, part = now, doing
            send(Progress(doing, done, total, unit))

    return report


class _Words(logging.Handler):
    """Warnings of the library, for the user."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send(Word(record.getMessage()))
