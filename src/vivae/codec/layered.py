"""The layered codec: an ordinary AV1 file, each of whose shots is coded as suits it, and better decoded by vivae.

Encoding reads the source twice where it has several shots: first to learn what each costs and gives (`plan`), then to
code it (`choose`). Decoding follows the records that key frames carry (`layer`); a file without any is plain AV1.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from vivae.codec.ahead import Piece, code_piece, helpers, pieces_of, probe_piece, wanted
from vivae.codec.choose import BOTH_TOOLS_UP_TO, Effort, Setting, best_coding, effort_of
from vivae.codec.encoding import Encoded, recolored
from vivae.codec.grain import Grain, with_grain
from vivae.codec.layer import write_layer
from vivae.codec.obu import configuration_of, with_metadata
from vivae.codec.plan import ShotProbes, allocated, meter
from vivae.codec.rate import Extent
from vivae.codec.records import QUALITY_UNITS
from vivae.codec.repair import Repair
from vivae.codec.shot import Coded
from vivae.codec.spool import Shot, shots_of
from vivae.codec.store import ShotStore
from vivae.codec.texture import Texture
from vivae.media import Frame, Picture, VideoInfo, open_video
from vivae.media.av1 import Av1Settings, Depth, encode_av1
from vivae.media.packets import CodedPacket, PacketWriter, open_packet_writer
from vivae.vae.enhancer import Enhancer

logger = logging.getLogger(__name__)

SAMPLES, SAMPLE_FRAMES = 3, 32
"""Pieces of a long video, and frames of each, from which its size at a quality is estimated."""
PLANNED_UP_TO = 8
"""Speed up to which bits are shared out over shots by what each costs and gives."""
LONGEST_SHOT = 240
"""Frames from one key frame to the next at most, so that players can seek."""


COARSEST_CRF, FINEST_CRF = 67, 13
"""SVT-AV1's CRF at quality 0 and at quality 100."""


def crf_of(units: int) -> float:
    """SVT-AV1's CRF, in quarters, for a quality in the units of a file."""
    return round(4 * (COARSEST_CRF - (COARSEST_CRF - FINEST_CRF) * units / QUALITY_UNITS)) / 4


def quality_at(crf: float) -> float:
    """The quality, 0 to 100, whose shots are coded at an SVT-AV1 CRF unless bits are shared out among them."""
    return 100 * (COARSEST_CRF - crf) / (COARSEST_CRF - FINEST_CRF)


Prepare = Callable[[Iterable[Frame]], Iterator[Frame]]
"""What is done to the frames before they are coded."""


@dataclass
class LayeredJob:
    """The layered codec's `vivae.codec.encoding.Job`.

    folder: for temporary files, as large as the largest shot. store: where finished shots wait for the rest.
    start, end: seconds. prepare: applied to the frames first. progress: called with frames done and to be done, anew
    for every pass.
    """

    src: str | os.PathLike[str]
    model: Enhancer
    info: VideoInfo
    frames: int
    speed: int
    threads: int
    folder: Path
    store: ShotStore
    start: float | None = None
    end: float | None = None
    prepare: Prepare = iter
    grain: Grain | None = None
    """What players are to put back; bases are of full size then, for grain is made at the size that is coded."""
    repair: Repair | None = None
    """What gives shots of full size a layer where that pays."""
    texture: Texture | None = None
    """Where decoded pictures are to have it; its account is of the file that `encode` wrote last."""
    progress: Callable[[int, int | None], None] = lambda done, total: None
    method: str = "with the layered codec"
    sampled: int = SAMPLES * SAMPLE_FRAMES
    enhanced_frames: int = 0
    """Of the file that `encode` wrote last: in how many vivae shows more than players do."""
    _probed: dict[int, ShotProbes] = field(default_factory=dict)
    """Of each shot, by its first frame: what the first pass has learned serves every attempt at a size."""
    _pieces: list[Piece] | None = None

    @property
    def work(self) -> float:
        """Estimates take one encoding at a quicker preset; the whole takes several, of which some are judged."""
        if self.speed <= BOTH_TOOLS_UP_TO:
            return 12.0
        # Two to three for long shots, eight for shots of a second.
        return 5.0 if self.speed <= PLANNED_UP_TO else 4.0

    @property
    def long(self) -> bool:
        """Whether samples are much quicker than the whole."""
        return self.frames > 3 * SAMPLES * SAMPLE_FRAMES

    def estimate(self, units: int) -> Encoded:
        """What `encode` would give, from plain encodes of samples: first frames and others each at their mean."""
        begin, finish = self.start or 0.0, min(self.end or float("inf"), float(self.info.duration))
        settings = Av1Settings(crf_of(units), min(self.speed + 2, 10))
        first = others = 0
        for sample in range(SAMPLES):
            at = begin + (finish - begin) * (sample + 0.5) / SAMPLES
            with open_video(self.src, start=at) as reader:
                frames = list(itertools.islice(reader, SAMPLE_FRAMES))
            picture = _picture(frames[0], self.info)
            sizes = [
                len(u.data)
                for u in encode_av1((f.planes for f in frames), picture, settings, threads=self.threads)
            ]
            first += sizes[0]
            others += round(sum(sizes[1:]) / max(1, len(sizes) - 1))
        keys = -(-self.frames // LONGEST_SHOT)
        size = (keys * first + (self.frames - keys) * others) // SAMPLES
        return Encoded(Extent(self.frames, self.info.width, self.info.height, finish - begin), size, 0)

    def encode(self, part: Path, units: int) -> Encoded:
        crf = crf_of(units)
        settings = self._planned(crf)
        self._code_ahead(crf, settings)
        spent = self.enhanced_frames = 0
        if self.texture is not None:
            self.texture.begin()
        with ExitStack() as stack:
            writer: PacketWriter | None = None
            depth: Depth | None = None
            for number, shot in enumerate(self._shots()):
                setting = settings[number] if settings else Setting(crf, planned=False)
                coded = self._coded(shot, setting, depth)
                # One depth for all: decoders in hardware are set up once for a file.
                depth = coded.base.settings.depth
                spent += coded.bits // 8
                if self.texture is not None:
                    coded = self.texture.given(shot, coded, self.model, self.threads)
                if coded.layer is not None:
                    self.enhanced_frames += len(shot)
                if writer is None:
                    writer = stack.enter_context(self._writer(part, shot.picture, coded))
                for packet in packets_of(shot, coded, self.grain):
                    writer.write(packet)
                done = shot.first + len(shot)
                end = sum(shot.times[-1])
                self.progress(done, max(done, self.frames))
        extent = Extent(done, shot.picture.width, shot.picture.height, float(end))
        size = part.stat().st_size
        return Encoded(extent, size, size - spent)

    @property
    def account(self) -> dict[str, float]:
        """What there is to tell of the file that `encode` wrote last."""
        told: dict[str, float] = {"enhanced_frames": self.enhanced_frames}
        if self.texture is not None:
            plain, textured = self.texture.means
            told |= {"psnr_yuv_plain": round(plain, 2), "psnr_yuv": round(textured, 2)}
        return told

    def _coded(self, shot: Shot, setting: Setting, depth: Depth | None) -> Coded:
        name = wanted(shot.first, len(shot), setting, depth)
        coded = self.store.get(name)
        if coded is None:
            effort = self._effort()
            coded = best_coding(shot, setting, effort, self.model, depth=depth, threads=self.threads)
            self.store.put(name, coded)
        return coded

    def _planned(self, crf: float) -> list[Setting]:
        """Each shot's setting, or none where there is a single shot: that needs no sharing."""
        if self.speed > PLANNED_UP_TO:
            return []
        if pieces := self._pieces_for_helpers(crf):
            return self._planned_with_helpers(crf, pieces)
        effort, quality = self._effort(), meter()
        menus = []
        for shot in self._shots():
            if shot.last and not shot.first:
                return []
            if shot.first not in self._probed:
                self._probed[shot.first] = ShotProbes(
                    shot, crf, effort, self.model, quality, threads=self.threads
                )
            menus.append(self._probed[shot.first].menu(crf))
            done = shot.first + len(shot)
            self.progress(done, max(done, self.frames))
        return allocated(menus)

    def _effort(self) -> Effort:
        effort = replace(effort_of(self.speed), repair=self.repair)
        return effort if self.grain is None else replace(effort, shrinks=())

    def _planned_with_helpers(self, crf: float, pieces: list[Piece]) -> list[Setting]:
        help_with = helpers()
        if help_with is None or len(pieces) == 1:
            return []
        new = [piece for piece in pieces if piece.first not in self._probed]
        for piece, probes in zip(new, help_with(probe_piece, new), strict=True):
            self._probed[piece.first] = probes
            self.progress(piece.first + piece.count, max(piece.first + piece.count, self.frames))
        return allocated(self._probed[piece.first].menu(crf) for piece in pieces)

    def _code_ahead(self, crf: float, settings: list[Setting]) -> None:
        """Have helpers, if there are any, put all shots into the store."""
        help_with, pieces = helpers(), self._pieces_for_helpers(crf)
        if help_with is None or not pieces:
            return
        usual = Setting(crf, planned=False)
        first, *others = (
            replace(piece, setting=settings[number] if settings else usual)
            for number, piece in enumerate(pieces)
        )
        # The first shot decides for all; see `encode`.
        (depth,) = help_with(code_piece, [first])
        for number, _ in enumerate(help_with(code_piece, [replace(piece, depth=depth) for piece in others])):
            done = others[number].first + others[number].count
            self.progress(done, max(done, self.frames))

    def _pieces_for_helpers(self, crf: float) -> list[Piece]:
        """The shots, where there are helpers and more than one shot; else nothing."""
        if helpers() is None or self.prepare is not iter or self.frames <= LONGEST_SHOT:
            return []
        if self._pieces is None:
            with open_video(self.src, start=self.start, end=self.end) as reader:
                first = next(reader)
                frames = recolored(itertools.chain([first], reader), first.color)
                source, picture = str(Path(self.src).absolute()), _picture(first, reader.info)
                like = Piece(
                    source, reader.start, 0, 0, first.time, 0, picture, first.color, False, self.model,
                    self._effort(), self.threads, self.store, crf,
                )  # fmt: skip
                self._pieces = pieces_of(frames, LONGEST_SHOT, like)
        return [replace(piece, crf=crf) for piece in self._pieces]

    def _shots(self) -> Iterator[Shot]:
        with open_video(self.src, start=self.start, end=self.end) as reader:
            first = next(reader)
            frames = recolored(itertools.chain([first], reader), first.color)
            picture = _picture(first, reader.info)
            yield from shots_of(self.prepare(frames), picture, self.folder, LONGEST_SHOT)

    def _writer(self, part: Path, picture: Picture, coded: Coded) -> PacketWriter:
        return open_packet_writer(
            part,
            picture=picture,
            extradata=configuration_of(coded.units[0].data),
            time_base=self.info.time_base,
            copy_from=self.src,
            start=self.start,
            end=self.end,
            force=True,
        )


def _picture(frame: Frame, info: VideoInfo) -> Picture:
    return Picture(frame.width, frame.height, info.fps, frame.color, info.sar)


def packets_of(shot: Shot, coded: Coded, grain: Grain | None = None) -> Iterator[CodedPacket]:
    """A coded shot as packets at its times; the first carries the layer. grain: for players to put back."""
    units = coded.units if grain is None else with_grain(coded.units, grain, seed=shot.first)
    for unit in units:
        time, duration = shot.times[unit.position]
        data = unit.data
        if unit.key and coded.layer is not None:
            data = with_metadata(data, write_layer(coded.layer))
        yield CodedPacket(data, time, duration, unit.key)
