"""Video that is still being made: a pipe, standard input, a camera's address, a file that grows. Read once, in order.

`open_video` looks at a file before it reads it, which such a source does not allow: it is opened once, and what is
known of it is what its first frame tells.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from vivae.errors import FormatError, InputError
from vivae.media.frames import Frame, as_seconds
from vivae.media.orientation import Orientation
from vivae.media.probe import VideoInfo, check_size, frame_color, has_alpha
from vivae.media.reader import FrameConverter
from vivae.media.source import reading, video_stream

ADDRESSES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "srt", "rtp")
_PROTOCOLS = "rtsp,rtsps,rtmp,rtmps,http,https,udp,tcp,tls,srt,rtp,srtp,crypto,httpproxy"
PATIENCE = 10.0
"""Seconds without a word after which an address is given up, and a growing file is taken to be whole."""
POLL = 0.1
"""Seconds between looks at a file that grows."""


def is_live(source: str | os.PathLike[str]) -> bool:
    """Whether a source can be read but once: `-`, a named pipe, or an address such as rtsp://..."""
    text = str(source)
    if text == "-" or _is_address(text):
        return True
    try:
        return stat.S_ISFIFO(Path(text).stat().st_mode)
    except OSError:
        return False


def open_live(
    source: str | os.PathLike[str],
    *,
    start: float | Fraction | None = None,
    end: float | Fraction | None = None,
    patience: float | None = None,
) -> LiveReader:
    """Open what `is_live` names, or a file that another program is writing (MPEG-TS, Matroska; no mp4).

    start, end: seconds of its own clock, which begins with its first frame. patience: seconds without new data after
    which it is at its end. Raises InputError, FormatError, UnsupportedError.
    """
    return LiveReader(source, as_seconds(start), as_seconds(end), PATIENCE if patience is None else patience)


class LiveReader:
    """An iterator of `Frame`, to be used in a `with` block. `info` says nothing of length and number of frames."""

    def __init__(
        self,
        source: str | os.PathLike[str],
        start: Fraction | None,
        end: Fraction | None,
        patience: float,
    ) -> None:
        self._path = Path("standard input") if str(source) == "-" else Path(source)
        self._start, self._end = start or Fraction(0), end
        self._file: _Growing | None = None
        with reading(self._path):
            self._container = self._opened(str(source), patience)
            try:
                stream = video_stream(self._container, self._path)
                self._pictures = _decoded(self._container, stream)
                first = next(self._pictures, None)
            except BaseException:
                self.close()
                raise
        if first is None:
            self.close()
            raise FormatError(f"'{self._path}' holds no frame that can be decoded")
        self.info = _told(self._path, self._container, stream, first)
        self._frames = self._read(first)

    def _opened(self, source: str, patience: float) -> InputContainer:
        if _is_address(source):
            options = {"protocol_whitelist": _PROTOCOLS, "rtsp_transport": "tcp"}
            return av.open(source, mode="r", options=options, timeout=patience, metadata_errors="replace")
        try:
            file = sys.stdin.buffer if source == "-" else Path(source).open("rb")  # noqa: SIM115 (closed in close)
        except OSError as error:
            raise InputError(f"'{source}' cannot be read: {error.strerror}") from error
        pipe = source == "-" or not Path(source).is_file()
        self._file = _Growing(file, 0.0 if pipe else patience)
        return av.open(self._file, mode="r", metadata_errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the source and the decoder."""
        if hasattr(self, "_container"):
            self._container.close()
        if self._file is not None:
            self._file.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        return next(self._frames)

    def _read(self, first: av.VideoFrame) -> Generator[Frame, None, None]:
        """Frames as they come; each lasts as long as the rate says, because the next is not there yet."""
        convert = FrameConverter(self.info).convert
        step = 1 / self.info.fps
        origin: Fraction | None = None
        before: Fraction | None = None
        picture: av.VideoFrame | None = first
        with reading(self._path):
            while picture is not None:
                stamp = None if picture.pts is None else picture.pts * self.info.time_base
                if origin is None:
                    origin = stamp or Fraction(0)
                now = None if stamp is None else stamp - origin
                if now is None or (before is not None and now <= before):
                    now = Fraction(0) if before is None else before + step
                before = now
                if self._end is not None and now >= self._end:
                    return
                if now >= self._start:
                    yield convert(picture, now - self._start, step)
                picture = next(self._pictures, None)


class _Growing:
    """A file whose end is not its end until nothing was added for a while; of a pipe, the end is the end."""

    def __init__(self, file: BinaryIO, patience: float) -> None:
        self._file, self._patience = file, patience

    def read(self, size: int) -> bytes:
        since = time.monotonic()
        while True:
            data = self._file.read(size)
            if data or time.monotonic() - since >= self._patience:
                return data
            time.sleep(POLL)

    def close(self) -> None:
        if self._file is not sys.stdin.buffer:
            self._file.close()


def _is_address(text: str) -> bool:
    found = re.match(r"([a-z]+)://", text)
    return found is not None and found[1] in ADDRESSES


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Frames; a broken packet costs its own."""
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


def _told(path: Path, container: Any, stream: VideoStream, frame: av.VideoFrame) -> VideoInfo:
    check_size(path, frame.width, frame.height)
    turn = Orientation.of(frame)
    width, height = turn.size(frame.width, frame.height)
    fps = stream.average_rate or stream.guessed_rate or Fraction(25)
    sar = stream.sample_aspect_ratio or Fraction(1)
    return VideoInfo(
        path=path,
        width=width,
        height=height,
        fps=fps,
        frames=None,
        duration=Fraction(0),
        time_base=frame.time_base or stream.time_base or 1 / fps,
        origin=Fraction(0),
        sar=1 / sar if turn.transposed else sar,
        rotation=turn.degrees,
        color=frame_color(frame, path),
        bit_depth=max(component.bits for component in frame.format.components),
        pixel_format=frame.format.name,
        codec=stream.codec_context.codec.canonical_name,
        container=container.format.name,
        has_alpha=has_alpha(frame),
        is_image=False,
        variable_rate=None,
        size_bytes=0,
    )
