"""Pairs to learn enhancing from: clean passages, and what a real encoder at a small base size leaves of them.

Each passage is scaled down, coded and scaled up again, several times over with other sizes and quantisers,
and kept on disk as packed frames like the clean ones. What is made depends on contents and settings alone.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count as counter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from vivae.media import ColorInfo, Picture, Planes, atomic_path, pack, unpack
from vivae.media.av1 import Av1Settings, decode_av1, encode_av1
from vivae.media.color import planes_of, video_frame
from vivae.media.quantisers import ASKED, told_by
from vivae.media.resample import Shrinker, base_size, enlarged
from vivae.train.coarseness import coarseness_asked
from vivae.train.data_settings import CodedBy, DataSettings, DegradeSettings
from vivae.train.dataset import Passage
from vivae.train.recipe import Stage
from vivae.train.sampler import check_batch, draw_place, turns
from vivae.train.side_by_side import side_by_side
from vivae.vae.enhancer import Known

GOLDEN = 0.6180339887
"""Steps of this share spread any number of draws evenly over a range."""
PLACES = 6
"""Numbers that say which crop of a pair is taken, and how."""
FILTERED = ("av1", "hevc", "vp9", "libdav1d")
"""Codecs whose own filters leave few blocks and little ringing."""
ENCODERS = {"h264": "libx264", "hevc": "libx265"}
RANGES: dict[CodedBy, tuple[float, float]] = {
    "h264": (26, 44),
    "hevc": (26, 44),
    "mpeg2video": (4, 24),
    "mpeg4": (4, 24),
    "mjpeg": (4, 24),
}
"""Of x264's and x265's CRF, and of the quantiser of the others: from hardly seen to ugly."""
FINEST: dict[CodedBy, float] = {"h264": 20, "hevc": 22, "mpeg2video": 3, "mpeg4": 3, "mjpeg": 3}
"""Where they begin for `DegradeSettings.fine`."""


@dataclass(frozen=True)
class Pair:
    """A clean passage and one degraded version of it, frame by frame; and how it was degraded."""

    clean: Passage
    degraded: Passage
    known: Known

    def __len__(self) -> int:
        return len(self.degraded)


class PairBatch(NamedTuple):
    """Crops: degraded (B, T + 1, 24, h, w) with one frame to come, clean (B, T, 24, h, w), both uint8."""

    degraded: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    known: NDArray[np.float32]
    """(B, 7): a `Known` for each."""
    place: NDArray[np.int64]
    """(B, 2) packed row and column of the crop."""


def make_pairs(
    passages: Sequence[Passage],
    settings: DegradeSettings,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[Pair]:
    """All versions of all passages; those that an earlier run has made are taken from the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    pieces = [piece for passage in passages for piece in _pieces(passage, settings.frames)]
    wanted = [piece for piece in pieces for _ in range(settings.variants)]
    made = counter(1)

    def pair(numbered: tuple[int, Passage]) -> Pair:
        index, passage = numbered
        codec = settings.codecs[index % len(settings.codecs)]
        low, high = RANGES.get(codec, (settings.crf_low, settings.crf_high))
        if settings.fine:
            low = FINEST.get(codec, low)
        quality = round(low + index * GOLDEN % 1 * (high - low), 2)
        shrink = settings.shrinks[index % len(settings.shrinks)]
        done = _pair(passage, shrink, codec, quality, settings, cache)
        if progress:
            progress(next(made), len(wanted))
        return done

    return side_by_side(pair, enumerate(wanted))


def _pieces(passage: Passage, longest: int) -> Iterator[Passage]:
    """A passage in parts of nearly equal length."""
    parts = -(-len(passage) // longest)
    borders = np.linspace(0, len(passage), parts + 1).astype(int)
    for first, last in pairwise(borders.tolist()):
        yield Passage(passage.array, passage.shape, passage.first + first, last - first, passage.clip)


def _pair(
    clean: Passage, shrink: float, codec: CodedBy, quality: float, settings: DegradeSettings, cache: Path
) -> Pair:
    what: tuple[object, ...] = (
        clean.array.name, clean.first, len(clean), shrink, codec, quality, settings.preset
    )  # fmt: skip
    if settings.restoration and codec == "av1":
        what += ("restoration",)
    path = cache / (hashlib.sha256(repr(what).encode()).hexdigest()[:32] + ".packed")
    told_path = path.with_suffix(".quantisers")
    shape = (len(clean), *clean.shape[1:])
    if not told_path.is_file() or not path.is_file() or path.stat().st_size != int(np.prod(shape)):
        told: list[float] = []
        with atomic_path(path, force=True) as beside, Path(beside).open("wb") as file:
            for planes in _degraded(clean.frames, shrink, codec, quality, settings, told):
                file.write(pack(planes).tobytes())
        told_path.write_text(json.dumps(told))
    known = Known(shrink=shrink, coded=coded_by(codec))
    if codec == "av1":
        known = known._replace(crf=quality)
    else:
        known = known._replace(coarse=coarseness_asked(codec, quality, json.loads(told_path.read_text())))
    return Pair(clean, Passage(path, shape, 0, len(clean), clean.clip), known)


def _degraded(
    frames: NDArray[np.uint8],
    shrink: float,
    codec: CodedBy,
    quality: float,
    settings: DegradeSettings,
    told: list[float],
) -> Iterator[Planes]:
    """told: where to write the quantisers that the decoder tells of."""
    height, width = frames.shape[2] * 4, frames.shape[3] * 4
    columns, rows = base_size(width, height, shrink)
    shrinker = Shrinker(columns, rows)
    small = (shrinker(unpack(frame, height, width)) for frame in frames)
    if codec == "av1":
        picture = Picture(columns, rows, Fraction(25), ColorInfo.guess(height))
        decoded = through_av1(small, picture, quality, settings)
    else:
        decoded = through_codec(small, columns, rows, codec, quality, told)
    for planes in decoded:
        yield enlarged(planes, width, height)


def coded_by(codec: str) -> float:
    """What is told of pictures that a codec has coded, see `Known`: by its name in FFmpeg."""
    return 0.5 if codec in FILTERED else 1.0


def through_av1(
    frames: Iterable[Planes], picture: Picture, crf: float, settings: DegradeSettings
) -> Iterator[Planes]:
    """Coded by SVT-AV1 as one group and decoded again."""
    how = Av1Settings(crf, settings.preset, plain=True, restoration=settings.restoration)
    coded = encode_av1(frames, picture, how, threads=1)
    return decode_av1((unit.data for unit in coded), threads=1)


def through_codec(
    frames: Iterable[Planes],
    width: int,
    height: int,
    codec: CodedBy,
    quality: float,
    told: list[float] | None = None,
) -> Iterator[Planes]:
    """Coded and decoded again by one of FFmpeg's codecs.

    quality: CRF of x264 and x265, the quantiser of the others. told: gets the quantiser of each picture, where FFmpeg's
    decoder tells it.
    """
    color = ColorInfo.guess(height)
    encoder = av.CodecContext.create(ENCODERS.get(codec, codec), "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = width, height
    encoder.pix_fmt = "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    if codec in ENCODERS:
        encoder.options = {"crf": f"{quality:g}", "preset": "faster", "x265-params": "log-level=none:pools=1"}
        if codec == "h264":
            encoder.options = {"crf": f"{quality:g}", "preset": "medium"}
    else:
        level = f"{quality:.0f}"
        encoder.options = {"qmin": level, "qmax": level, "strict": "unofficial"}
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.options = ASKED

    def pictures(packets: Iterable[av.Packet | None]) -> Iterator[Planes]:
        for packet in packets:
            for frame in decoder.decode(packet):
                if told is not None:
                    told.extend(told_by(frame))
                yield planes_of(frame)

    for index, planes in enumerate(frames):
        frame = video_frame(planes, color)
        frame.pts = index
        yield from pictures(encoder.encode(frame))
    yield from pictures([*encoder.encode(None), None])


class PairSampler:
    """sampler(step) -> `PairBatch`, this process's share; a pure function of seed, step and process."""

    def __init__(
        self, pairs: Sequence[Pair], settings: DataSettings, stage: Stage, *, seed: int, rank: int, world: int
    ):
        check_batch(stage, world)
        self.pairs = [pair for pair in pairs if len(pair) > stage.frames]
        lengths = np.sqrt([len(pair) for pair in self.pairs])
        self.chances = lengths / lengths.sum()
        self.settings, self.stage = settings, stage
        self.seed, self.rank, self.world = seed, rank, world

    def __call__(self, step: int) -> PairBatch:
        rng = np.random.default_rng((self.seed, step))
        share = self.stage.batch // self.world
        drawn = [
            (self.pairs[rng.choice(len(self.pairs), p=self.chances)], rng.random(PLACES))
            for _ in range(self.stage.batch)
        ]
        return joined(
            [
                pair_crop(pair, places, self.stage.frames, self.settings)
                for pair, places in drawn[self.rank * share : (self.rank + 1) * share]
            ]
        )


def pair_crop(pair: Pair, places: NDArray[np.float64], count: int, settings: DataSettings) -> PairBatch:
    """A crop at drawn places (`PLACES` numbers in [0, 1): first frame, top, left, and whether it is mirrored, upside
    down and turned)."""
    side = settings.crop // 4
    first, top, left = draw_place(places[:3], pair.degraded.frames.shape, (count + 1, side, side))
    crop = cropped(pair, first, count, top, left, side)
    for turn in turns(settings, places[3:].tolist()):
        crop = crop._replace(degraded=turn(crop.degraded), clean=turn(crop.clean))
    return crop


def cropped(pair: Pair, first: int, count: int, top: int, left: int, side: int) -> PairBatch:
    """One crop of a pair as a batch of one; places and side in packed positions."""
    area = (slice(top, top + side), slice(left, left + side))
    return PairBatch(
        np.asarray(pair.degraded.frames[first : first + count + 1, :, *area])[None],
        np.asarray(pair.clean.frames[first : first + count, :, *area])[None],
        np.array([pair.known], np.float32),
        np.array([[top, left]]),
    )


def joined(batches: Sequence[PairBatch]) -> PairBatch:
    """Several batches of one shape as one."""
    return PairBatch(*(np.concatenate(parts) for parts in zip(*batches, strict=True)))


def pair_windows(pairs: Sequence[Pair], crop: int, frames: int, limit: int) -> list[PairBatch]:
    """Up to `limit` fixed crops from the middle of pairs spread over the half."""
    long = [pair for pair in pairs if len(pair) > frames]
    chosen = [
        long[index]
        for index in np.unique(np.linspace(0, len(long) - 1, min(limit, len(long))).round().astype(int))
    ]
    side = crop // 4
    windows = []
    for pair in chosen:
        _, _, rows, columns = pair.degraded.shape
        middle = ((len(pair) - frames) // 2, (rows - side) // 2, (columns - side) // 2)
        windows.append(cropped(pair, middle[0], frames, *middle[1:], side))
    return windows
