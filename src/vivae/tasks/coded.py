"""vivae's own files as points beside those of its peers: written, decoded, timed and compared like any other."""

import time
from pathlib import Path
from typing import Any

import vivae
from vivae.measure.clip import Clip
from vivae.measure.peers import Point, Trial, point_of
from vivae.media import Frame, open_video, open_writer, write_frames
from vivae.media.resample import Shrinker, base_size, enlarged


def write_lossless(clip: Clip, path: Path) -> Path:
    """The clip as an .mp4 (H.264) that decodes to exactly its frames at exactly its times; sides must be even."""
    return write_frames(
        path,
        clip.frames,
        clip.picture,
        codec="h264",
        lossless=True,
        time_base=clip.info.time_base,
        force=True,
    )


def scaled_file(
    clip: Clip, shrink: float, crf: float, path: Path, *, threads: int, preset: str = "6"
) -> list[Frame]:
    """Write a clip by SVT-AV1 at a smaller size, Lanczos down and up: the decoded frames at the clip's own size."""
    picture = clip.picture
    width, height = base_size(picture.width, picture.height, shrink)
    shrinker = Shrinker(width, height)
    with open_writer(
        path, width=width, height=height, fps=picture.fps, color=picture.color, sar=picture.sar, codec="av1",
        crf=crf, preset=preset, options={"svtav1-params": "tune=1"}, threads=threads,
        time_base=clip.info.time_base, force=True,
    ) as writer:  # fmt: skip
        for frame in clip.frames:
            writer.write(Frame(*shrinker(frame.planes), frame.time, frame.duration, frame.color))
    with open_video(path) as reader:
        return [
            Frame(
                *enlarged(frame.planes, picture.width, picture.height),
                frame.time,
                frame.duration,
                frame.color,
            )
            for frame in reader
        ]


def measured_layered(source: Path, clip: Clip, path: Path, *, speed: int = 6, **options: Any) -> Point:
    """Compress `source`, a lossless file of `clip`, to `path` (.mp4) with the layered codec; decode and compare."""
    return _measured("vivae layered", source, clip, path, codec="layered", speed=speed, **options)


def measured_file(source: Path, clip: Clip, path: Path, *, model: str | Path, **target: Any) -> Point:
    """Compress `source`, a lossless file of `clip`, to `path` (.vva) with the latent codec; decode and compare.

    target: of `vivae.compress`: quality, ratio, size or bitrate. The decoded frames stay beside it as .y4m.
    """
    return _measured("vivae", source, clip, path, codec="latent", model=model, **target)


def _measured(
    method: str, source: Path, clip: Clip, path: Path, *, model: str | Path | None = None, **options: Any
) -> Point:
    started = time.perf_counter()
    told = vivae.compress(source, path, model=model, force=True, **options)
    encoded = time.perf_counter()
    decoded_path = path.with_suffix(".y4m")
    vivae.decompress(path, decoded_path, model=model, force=True)
    decoded = time.perf_counter()
    trial = Trial(method, float(told["quality"]), path, path.stat().st_size, encoded - started)
    with open_video(decoded_path) as reader:
        return point_of(trial, clip, list(reader), decoded - encoded, [])
