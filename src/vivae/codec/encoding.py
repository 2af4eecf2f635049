"""One source encoded into a file, at a quality or to a size.

A size is met by searching: on samples of a long video first, then with whole encodings, of which the last is the
result. The quality is the same over the whole file.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, Protocol

from vivae.codec.container import VvaWriter
from vivae.codec.fields import write_record
from vivae.codec.latent import LatentEncoder
from vivae.codec.rate import USUAL_SLOPE, Extent, Search, Target
from vivae.codec.records import QUALITY_UNITS, VERSION, Group, Header
from vivae.errors import UnsupportedError
from vivae.media import ColorInfo, Frame, VideoInfo, VideoReader, open_video
from vivae.media.color import recolor
from vivae.vae.model import VideoVAE

logger = logging.getLogger(__name__)

TOLERANCE = 0.03
"""How near a size, bitrate or ratio is met."""
SAMPLES, SAMPLE_FRAMES = 3, 24
"""Pieces of a long video, and frames of each, from which its size at a quality is estimated."""


class Encoded(NamedTuple):
    """One finished encoding. side_bytes: of `size`, what sound and the like take."""

    extent: Extent
    size: int
    side_bytes: int


class Job(Protocol):
    """One source, as often encoded as the search for a size needs it."""

    src: str | os.PathLike[str]
    method: str
    """For messages: "with model 'base'"."""

    sampled: int
    """Frames that an estimate codes."""

    @property
    def work(self) -> float:
        """Time that a frame of the whole takes, over that of a frame of an estimate; roughly."""

    @property
    def long(self) -> bool:
        """Whether estimates are much quicker than the whole."""

    def estimate(self, units: int) -> Encoded:
        """What `encode` would give, roughly."""

    def encode(self, part: Path, units: int) -> Encoded:
        """Write the whole file at one quality."""


class SourceEncoder:
    """The latent codec's `Job`: one source, as often encoded as the search for a size needs it.

    start, end: seconds. side: a file to carry along. info: of the source. frames: how many to expect. progress: called
    with frames done and to be done, from the beginning for every pass.
    """

    def __init__(
        self,
        src: str | os.PathLike[str],
        vae: VideoVAE,
        start: float | None,
        end: float | None,
        key_interval: int,
        side: Path | None,
        info: VideoInfo,
        frames: int,
        progress: Callable[[int, int | None], None],
    ):
        self.src, self.vae, self.start, self.end = src, vae, start, end
        self.key_interval, self.side, self.progress = key_interval, side, progress
        self.info, self.frames = info, frames
        self.sampled = SAMPLES * SAMPLE_FRAMES
        self.method = f"with model '{vae.config.name}'"

    @property
    def work(self) -> float:
        """An estimate does what the whole does."""
        return 1.0

    def encode(self, part: Path, units: int) -> Encoded:
        """Write the whole file at one quality."""
        with open_video(self.src, start=self.start, end=self.end) as reader, part.open("wb") as file:
            header, groups = self._coded(reader, units)
            writer = VvaWriter(file, header)
            side_bytes = 0
            if self.side is not None:
                with self.side.open("rb") as side:
                    side_bytes = writer.side(side)
            count, ticks = 0, 0
            for group in groups:
                writer.group(group)
                count, ticks = group.first + group.frames, group.end
                self.progress(count, max(count, self.frames))
            writer.finish()
        extent = Extent(count, header.width, header.height, float(ticks * header.time_base))
        return Encoded(extent, writer.size, side_bytes)

    def _coded(
        self, reader: VideoReader, units: int, limit: int | None = None
    ) -> tuple[Header, Iterator[Group]]:
        first = next(reader)
        header = header_of(reader.info, first, self.vae, units)
        frames = recolored(islice(chain([first], reader), limit), header.color)
        return header, LatentEncoder(self.vae, header, key_interval=self.key_interval).groups(frames)

    @property
    def long(self) -> bool:
        """Whether samples are much quicker than the whole."""
        return self.frames > 2 * SAMPLES * SAMPLE_FRAMES

    def estimate(self, units: int) -> Encoded:
        """What `encode` would give, from samples: key frames and others each at the mean of their kind."""
        begin, finish = self.start or 0.0, min(self.end or float("inf"), float(self.info.duration))
        spent, counted = [0, 0], [0, 0]
        for sample in range(SAMPLES):
            at = begin + (finish - begin) * (sample + 0.5) / SAMPLES
            with open_video(self.src, start=at) as reader:
                for group in self._coded(reader, units, SAMPLE_FRAMES)[1]:
                    spent[group.key] += len(write_record(group))
                    counted[group.key] += group.frames
            self.progress((sample + 1) * SAMPLE_FRAMES, SAMPLES * SAMPLE_FRAMES)
        keys = -(-self.frames // self.key_interval) * self.vae.config.temporal_stride
        size = keys * spent[1] / counted[1] + max(0, self.frames - keys) * spent[0] / max(1, counted[0])
        side_bytes = 0 if self.side is None else self.side.stat().st_size
        extent = Extent(self.frames, self.info.width, self.info.height, finish - begin)
        return Encoded(extent, round(size) + side_bytes, side_bytes)


def encode_to(job: Job, target: Target, part: Path) -> tuple[int, Encoded]:
    """Write the file that meets the target; its quality in the units of a file, and what it is."""
    if target.units is not None:
        return target.units, job.encode(part, target.units)
    first, slope = QUALITY_UNITS // 2, USUAL_SLOPE
    if job.long:
        search = Search(lambda units: _excess(job.estimate(units), target), TOLERANCE)
        first = search.run(first, tries=4)
        slope = search.slope_at(first)
    done: dict[int, Encoded] = {}

    def attempt(units: int) -> float:
        done[units] = job.encode(part, units)
        return _excess(done[units], target)

    units = Search(attempt, TOLERANCE / 2, slope).run(first, tries=8)
    if units != next(reversed(done)):
        attempt(units)
    found = done[units]
    wanted = target.bytes(found.extent)
    if found.size > wanted * (1 + TOLERANCE) and min(done) == 0:
        raise UnsupportedError(
            f"'{job.src}' takes at least {done[0].size} bytes {job.method}"
            f"{f', {found.side_bytes} of them for sound and the like' if found.side_bytes else ''}, and {wanted:.0f} "
            "were asked for: shorten or shrink it first"
        )
    if abs(found.size / wanted - 1) > TOLERANCE:
        logger.warning(
            "'%s': %d bytes are as near to %.0f as one comes %s",
            job.src, found.size, wanted, job.method,
        )  # fmt: skip
    return units, found


def _excess(found: Encoded, target: Target) -> float:
    """The size of the pictures over the size that is left for them."""
    left = target.bytes(found.extent) - found.side_bytes
    return (found.size - found.side_bytes) / max(left, 1.0)


def header_of(info: VideoInfo, first: Frame, vae: VideoVAE, units: int) -> Header:
    """What a file says about a video whose first frame is `first`."""
    return Header(
        version=VERSION,
        width=first.width,
        height=first.height,
        fps=info.fps,
        time_base=info.time_base,
        origin=first.time,
        sar=info.sar,
        color_range=first.color.range,
        color_matrix=first.color.matrix,
        color_primaries=first.color.primaries,
        color_transfer=first.color.transfer,
        model=vae.config.name,
        model_hash=vae.hash,
        quality=units,
    )


def recolored(frames: Iterable[Frame], color: ColorInfo) -> Iterator[Frame]:
    """The frames, those of another colour description converted."""
    for frame in frames:
        if frame.color == color:
            yield frame
        else:
            yield Frame(*recolor(frame.planes, frame.color, color), frame.time, frame.duration, color)
