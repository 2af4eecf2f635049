"""`open`: any video, compressed by vivae or not, frame by frame as it is meant to be seen."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vivae.codec.container import VvaReader
from vivae.codec.latent import decode_frames, model_of
from vivae.codec.unlayered import decode_layered
from vivae.media import Frame, open_video, probe
from vivae.media.frames import as_seconds
from vivae.tasks.decompress import enhancers


@contextmanager
def open(  # noqa: A001 (used as vivae.open)
    path: str | os.PathLike[str],
    *,
    model: str | Path | None = None,
    device: str = "cpu",
    start: float | None = None,
    end: float | None = None,
) -> Iterator[Iterator[Frame]]:
    """The frames of a video for a `with` block: `with vivae.open("a.mp4") as frames: for frame in frames: ...`.

    Files of the layered codec come enhanced, .vva files decoded, and whatever else FFmpeg reads as it is; memory does
    not grow with length. Each `vivae.media.Frame` has 8-bit planes y, u, v, a time and a duration in seconds, and
    `to_rgb()`. model: one of your own that the file was made with. start, end: seconds.
    Raises InputError, FormatError for a damaged file, ModelMismatch for another model's.
    """
    begin, finish = as_seconds(start), as_seconds(end)
    if Path(path).suffix.lower() == ".vva":
        with VvaReader(path) as reader:
            yield decode_frames(reader, model_of(reader, model, device), start=begin, end=finish)
        return
    info = probe(path)
    if info.codec == "av1" and not info.is_image:
        yield decode_layered(path, info, enhancers(model, device), start=begin, end=finish)
        return
    with open_video(path, start=start, end=end) as frames:
        yield frames
