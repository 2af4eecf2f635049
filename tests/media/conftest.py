"""Clips made with FFmpeg directly, so that our reader and writer are never checked against each other alone."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray


def picture(width: int, height: int, number: int = 0) -> NDArray[np.uint8]:
    """A smooth RGB picture with an edge, different for each number; its corners can be told apart."""
    y, x = np.mgrid[:height, :width]
    rgb = np.stack(
        [40 + x * 150 // width, 60 + y * 120 // height, 90 + 30 * np.sin((x + y + 5 * number) / 9)], -1
    )
    rgb[: height // 4, : width // 4] = 200
    return rgb.astype(np.uint8)


MakeClip = Callable[..., Path]


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """make_clip(name, ...) -> path of a small clip in the test's own folder, every frame another picture."""

    def make(
        name: str,
        *,
        codec: str = "ffv1",
        pix_fmt: str = "yuv420p",
        size: tuple[int, int] = (64, 48),
        stamps: Sequence[int] = tuple(range(8)),
        time_base: Fraction = Fraction(1, 25),
        rotation: float | None = None,
        flip: bool = False,
        options: dict[str, str] | None = None,
        audio: int = 0,
        **context: object,
    ) -> Path:
        path = tmp_path / name
        with av.open(path, "w") as container:
            stream = container.add_stream(codec, rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            stream.time_base = stream.codec_context.time_base = time_base
            for key, value in context.items():
                setattr(stream.codec_context, key, value)
            if rotation is not None:
                stream.set_display_rotation(rotation, hflip=flip)
            sounds = [container.add_stream("aac", rate=48000, layout="mono") for _ in range(audio)]
            for number, stamp in enumerate(stamps):
                frame = av.VideoFrame.from_ndarray(picture(*size, number), "rgb24").reformat(format=pix_fmt)
                frame.pts, frame.time_base = stamp, time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            for track, sound in enumerate(sounds):
                tone = np.sin(np.arange(1024) * (0.05 + 0.05 * track)).astype(np.float32)[None]
                for number in range(16):
                    frame = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
                    frame.sample_rate, frame.pts, frame.time_base = 48000, number * 1024, Fraction(1, 48000)
                    container.mux(sound.encode(frame))
                container.mux(sound.encode(None))
        return path

    return make
