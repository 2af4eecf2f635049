"""Other codecs on the same frames: their settings, their files, their quality.

Everything runs through the FFmpeg inside PyAV, VVenC through the one inside imageio-ffmpeg. Peers run at their own
best: default B-frames, tuned for PSNR where they can be. What is compared is the whole file as it lies on disk.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av

from vivae.errors import InputError
from vivae.measure import ffmpeg
from vivae.measure.clip import Clip
from vivae.measure.quality import ClipQuality, FrameQuality, compare_clips
from vivae.media import Frame, open_video, write_frames
from vivae.media.encoders import encoder_for, encoder_options

SIZE_TOLERANCE = 0.05
MOST_TRIALS = 8
USUAL_SLOPE = 0.09
"""By how much the logarithm of a file's size falls with one step of CRF: 0.12 with x264, 0.06 with SVT-AV1."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One encoder at one setting; its quality scale runs over `ladder` in a comparison of curves."""

    name: str
    codec: str
    """As `vivae.media.open_writer` names them, or "vvc"."""
    preset: str
    ladder: tuple[int, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    """FFmpeg's own."""
    fractional: bool = False
    """Whether the quality scale takes fractions."""

    def command(self, quality: float, threads: int) -> str:
        """The same encode as arguments of the ffmpeg program."""
        if self.codec == "vvc":
            return " ".join(ffmpeg.vvc_arguments(quality, self.preset, threads))
        encoder = encoder_for(self.codec, ".mp4", 256, 256)
        native = encoder_options(
            encoder, crf=quality, preset=self.preset, lossless=False, threads=threads, extra=self.options
        )
        return f"-c:v {encoder.name} -threads {threads} " + " ".join(f"-{k} {v}" for k, v in native.items())


_X26X = (22, 26, 30, 34, 38, 42)
_AV1 = (25, 33, 41, 49, 56, 62)
_LOW_DELAY = "bframes=0:scenecut=0:keyint="

PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("SVT-AV1 preset 6", "av1", "6", _AV1, {"svtav1-params": "tune=1"}),
        Peer("SVT-AV1 preset 4", "av1", "4", _AV1, {"svtav1-params": "tune=1"}),
        Peer("x265 medium", "hevc", "medium", _X26X, {"tune": "psnr"}, fractional=True),
        Peer("x264 medium", "h264", "medium", _X26X, {"tune": "psnr"}, fractional=True),
        Peer("VVenC faster", "vvc", "faster", (24, 28, 32, 36, 40, 45)),
        Peer(
            "x265 medium low delay",
            "hevc",
            "medium",
            _X26X,
            {"tune": "psnr", "x265-params": _LOW_DELAY + "-1"},
            fractional=True,
        ),
        Peer(
            "x264 medium low delay",
            "h264",
            "medium",
            _X26X,
            {"tune": "psnr", "x264-params": _LOW_DELAY + "infinite"},
            fractional=True,
        ),
        Peer("SVT-AV1 preset 6 all intra", "av1", "6", _AV1, {"svtav1-params": "tune=1", "g": "1"}),
    )
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A file that a peer, or vivae, wrote of a clip."""

    method: str
    setting: float
    """On the method's own scale of quality."""
    path: Path
    size_bytes: int
    encode_seconds: float
    command: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A trial with its quality: one point of a rate-quality curve."""

    trial: Trial
    bits_per_pixel: float
    kbit_per_second: float
    ratio: float
    """Uncompressed 8-bit 4:2:0 over the file."""
    encode_fps: float
    decode_fps: float
    """To the last pixel out."""
    quality: ClipQuality
    frames: list[FrameQuality]
    frame_bits: list[int]
    """Of each frame in order of display; the container's own bytes are in none. Empty where the file does not tell."""


def encode(peer: Peer, clip: Clip, quality: float, path: Path, *, threads: int = 2) -> Trial:
    """Write `clip` to `path` (.mp4) at one quality of the peer's own scale."""
    started = time.perf_counter()
    if peer.codec == "vvc":
        seconds = ffmpeg.encode_vvc(clip, path, quality, peer.preset, threads)
    else:
        write_frames(
            path, clip.frames, clip.picture, codec=peer.codec, crf=quality, preset=peer.preset,
            options=peer.options, threads=threads, time_base=clip.info.time_base, force=True,
        )  # fmt: skip
        seconds = time.perf_counter() - started
    return Trial(peer.name, quality, path, path.stat().st_size, seconds, peer.command(quality, threads))


def measured(trial: Trial, clip: Clip, *, threads: int = 2) -> Point:
    """Decode a trial's file that FFmpeg reads, timed, and compare it with the clip."""
    started = time.perf_counter()
    with open_video(trial.path, threads=threads) as reader:
        decoded = list(reader)
    return point_of(trial, clip, decoded, time.perf_counter() - started, packet_bits(trial.path))


def point_of(
    trial: Trial, clip: Clip, decoded: Sequence[Frame], decode_seconds: float, frame_bits: list[int]
) -> Point:
    """Put a point together from decoded frames. Raises ValueError if there are not as many as in the clip."""
    quality, frames = compare_clips(clip.frames, decoded)
    bits = 8 * trial.size_bytes
    return Point(
        trial,
        bits_per_pixel=bits / clip.pixels,
        kbit_per_second=bits / clip.seconds / 1000,
        ratio=clip.raw_bytes / trial.size_bytes,
        encode_fps=len(clip.frames) / trial.encode_seconds,
        decode_fps=len(clip.frames) / decode_seconds,
        quality=quality,
        frames=frames,
        frame_bits=frame_bits,
    )


def packet_bits(path: Path) -> list[int]:
    """Bits of each frame of a video file in order of display."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return [8 * packet.size for packet in sorted(packets, key=lambda packet: packet.pts or 0)]


def ladder(peer: Peer, clip: Clip, folder: Path, *, threads: int = 2) -> list[Point]:
    """The peer's whole curve on a clip; the files are left in `folder`."""
    stem = peer.name.replace(" ", "-")
    trials = (
        encode(peer, clip, quality, folder / f"{clip.name}-{stem}-{quality}.mp4", threads=threads)
        for quality in peer.ladder
    )
    return [measured(trial, clip, threads=threads) for trial in trials]


def encode_to_size(
    peer: Peer,
    clip: Clip,
    size_bytes: int,
    path: Path,
    *,
    threads: int = 2,
    known: dict[float, int] | None = None,
) -> Trial:
    """The trial whose file comes nearest to `size_bytes`, within `SIZE_TOLERANCE` where the peer's scale is that fine.

    known: sizes of this peer on this clip by quality, used and added to, so that a second target costs fewer trials.
    """
    if peer.codec == "vvc":
        raise InputError("sizes are matched for encoders inside PyAV only")
    low, _, high = encoder_for(peer.codec, ".mp4", 256, 256).crf or (0, 0, 0)
    known = {} if known is None else known
    search = _SizeSearch(known, size_bytes, (float(low), float(high)), 0.05 if peer.fractional else 1.0)
    trial = None
    for _ in range(MOST_TRIALS):
        quality = search.next()
        if quality is None:
            break
        trial = encode(peer, clip, quality, path, threads=threads)
        known[quality] = trial.size_bytes
        if abs(trial.size_bytes / size_bytes - 1) < SIZE_TOLERANCE / 5:
            return trial
    best = search.best()
    return (
        trial
        if trial is not None and trial.setting == best
        else encode(peer, clip, best, path, threads=threads)
    )


class _SizeSearch:
    """Where to look next on a quality scale on which the logarithm of the size falls nearly in a straight line."""

    def __init__(
        self, known: Mapping[float, int], target: int, span: tuple[float, float], step: float
    ) -> None:
        self._known, self._target, self._span, self._step = known, target, span, step

    def best(self) -> float:
        """Of the qualities tried."""
        return min(self._known, key=lambda quality: abs(self._excess(quality)))

    def next(self) -> float | None:
        """A quality not yet tried, or None when trying more cannot help. A larger one gives a smaller file."""
        low, high = self._span
        if not self._known:
            return self._rounded((low + high) / 2)
        left = max((q for q in self._known if self._excess(q) > 0), default=None)
        right = min((q for q in self._known if self._excess(q) <= 0), default=None)
        if left is None or right is None:
            # All tried lie on one side: go on along the usual slope and a little further, to have the target between.
            nearest = self.best()
            reach = 1.3 * self._excess(nearest) / USUAL_SLOPE
            guess = nearest + math.copysign(max(self._step, abs(reach)), reach)
        else:
            share = self._excess(left) / (self._excess(left) - self._excess(right))
            # Not at an end of the bracket: that one is known.
            inside = (left + self._step, right - self._step)
            guess = min(max(left + share * (right - left), inside[0]), inside[1])
            if inside[0] > inside[1]:
                return None
        guess = self._rounded(min(max(guess, low), high))
        return None if guess in self._known else guess

    def _excess(self, quality: float) -> float:
        return math.log(self._known[quality] / self._target)

    def _rounded(self, quality: float) -> float:
        return round(round(quality / self._step) * self._step, 6)
