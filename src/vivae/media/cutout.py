"""Video with transparency: what lies outside of a mask is not there.

.webm (VP9), .mov (ProRes 4444), or a folder of RGBA PNG; whole or not at all, with the source's times.
"""

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vivae.errors import OutputError, UnsupportedError
from vivae.media.atomic import atomic_dir, atomic_path, check_target
from vivae.media.frames import Frame, Picture
from vivae.media.muxer import fine_time_base
from vivae.media.writer import Whole

Alpha = NDArray[np.uint8]
"""(H, W), 255 where the object is."""


class AlphaSink(Protocol):
    """Where frames with transparency go."""

    def write(self, frame: Frame, alpha: Alpha) -> None: ...

    def finish(self) -> None: ...


class CutoutWriter(Whole[AlphaSink]):
    """See `open_cutout`."""

    def write(self, frame: Frame, alpha: Alpha) -> None:
        """Add a frame; alpha: uint8 (H, W). Raises OutputError."""
        with self._one_more() as sink:
            sink.write(frame, alpha)


def open_cutout(
    path: str | Path, picture: Picture, *, crf: float | None = None, force: bool = False
) -> CutoutWriter:
    """A writer for a `with` block: .webm, .mov, or a name without suffix for a folder of PNG.

    Raises UnsupportedError for other names, OutputError.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    folder = suffix == "" or target.is_dir()
    check_target(path, force, folder=folder)
    if folder:
        return CutoutWriter(target, lambda stack: _PngSink(stack.enter_context(atomic_dir(target, force))))
    if suffix not in (".webm", ".mov"):
        raise UnsupportedError(
            f"'{path}' cannot hold transparency: use .webm, .mov, or a name without suffix for a folder of PNG"
        )
    return CutoutWriter(target, lambda stack: _FilmSink(stack, target, picture, crf, force))


class _PngSink:
    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def write(self, frame: Frame, alpha: Alpha) -> None:
        pixels = np.dstack([frame.to_rgb()[..., ::-1], alpha])
        coded, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
        if not coded:
            raise OutputError(f"a picture of {frame.width}x{frame.height} cannot be written as PNG")
        (self._folder / f"{self._count:05d}.png").write_bytes(data.tobytes())
        self._count += 1

    def finish(self) -> None:
        """Nothing is held back."""


class _FilmSink:
    def __init__(
        self, stack: ExitStack, target: Path, picture: Picture, crf: float | None, force: bool
    ) -> None:
        part = stack.enter_context(atomic_path(target, force))
        self._webm = part.suffix.lower() == ".webm"
        self._container = av.open(f"file:{part}", "w", format="webm" if self._webm else "mov")
        stack.callback(self._container.close)
        if self._webm:
            options = {"crf": f"{24 if crf is None else crf:g}", "b": "0", "cpu-used": "4", "row-mt": "1"}
            name, form = "libvpx-vp9", "yuva420p"
        else:
            options, name, form = {"profile": "4444", "vendor": "apl0"}, "prores_ks", "yuva444p10le"
        stream = self._container.add_stream(name, rate=picture.fps.limit_denominator(60_000), options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, form
        self._base = Fraction(1, 1000) if self._webm else fine_time_base(picture.fps)
        stream.codec_context.time_base = self._base
        self._stream, self._form, self._last = stream, form, -1

    def write(self, frame: Frame, alpha: Alpha) -> None:
        pixels = np.dstack([frame.to_rgb(), alpha])
        shown = av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format=self._form)
        self._last = max(self._last + 1, round(frame.time / self._base))
        shown.pts, shown.time_base = self._last, self._base
        self._container.mux(self._stream.encode(shown))

    def finish(self) -> None:
        """Write what the encoder holds back."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
