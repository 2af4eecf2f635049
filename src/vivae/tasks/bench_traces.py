"""Part of `bench enhance`: what is gained where codecs have left traces, by files as anybody writes and reads them."""

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from av.video.stream import VideoStream

from vivae.codec.quantiser import quantiser_of
from vivae.measure.bench import BenchClip, Record
from vivae.measure.clip import Clip
from vivae.measure.condition import measure_condition
from vivae.measure.quality import compare_clips
from vivae.media import Frame, open_video, write_frames
from vivae.media.color import video_frame
from vivae.media.encoders import ENCODERS
from vivae.tasks.bench_restoring import even, frame_like, restored
from vivae.tasks.restore import Family, Plan
from vivae.tasks.traces import Traces, left_by

CODECS: dict[str, tuple[str, float]] = {
    "x264 CRF 23": ("h264", 23),
    "x264 CRF 32": ("h264", 32),
    "x264 CRF 37": ("h264", 37),
    "x264 CRF 42": ("h264", 42),
    "x265 CRF 28": ("hevc", 28),
    "AV1 CRF 35": ("av1", 35),
    "AV1 CRF 45": ("av1", 45),
    "AV1 CRF 55": ("av1", 55),
    "MPEG-2 q 8": ("mpeg2video", 8),
    "MPEG-4 q 8": ("mpeg4", 8),
    "Motion JPEG q 8": ("mjpeg", 8),
}
"""Codecs by FFmpeg's names, with the CRF, or the quantiser of those that have none."""
RATE = Fraction(25)
"""Pictures a second that the older codecs are told: they know few rates, and code each picture alike at any."""


def coded(wanted: BenchClip, frames: int, family: Family) -> Record:
    """PSNR-YUV in dB of a clip coded in each way, as it is decoded and as it is restored."""
    clip = even(wanted.load(frames))
    result: Record = {}
    for name, (codec, quality) in CODECS.items():
        poor, left = through_file(clip, codec, quality)
        better, _ = restored(poor, Plan().treating(left), family)
        before, after = (compare_clips(clip.frames, seen)[0] for seen in (poor, better))
        result[name] = {"before": before, "after": after}
    return result


def through_file(clip: Clip, codec: str, quality: float) -> tuple[list[Frame], Traces]:
    """Written to a file and read back; and what `enhance` finds that its codec has left. quality: see `CODECS`."""
    with TemporaryDirectory() as room:
        path = Path(room) / "coded.mkv"
        if codec in ENCODERS:
            write_frames(path, clip.frames, clip.picture, codec=codec, crf=quality)
        else:
            _write_older(path, clip, codec, quality)
        with open_video(path) as reader:
            poor = list(reader)
        condition = measure_condition([[frame] for frame in poor], reader.info)
        left = left_by(reader.info.codec, quantiser_of(path, reader.info.codec), condition.blockiness)
    return [frame_like(frame, seen.planes) for frame, seen in zip(clip.frames, poor, strict=True)], left


def _write_older(path: Path, clip: Clip, codec: str, quantiser: float) -> None:
    """By encoders that `open_writer` does not offer, at one quantiser throughout."""
    picture, level = clip.picture, f"{quantiser:g}"
    with av.open(str(path), "w") as container:
        options = {"qmin": level, "qmax": level, "strict": "unofficial"}
        stream = container.add_stream(codec, rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        for index, frame in enumerate(clip.frames):
            shown = video_frame(frame.planes, picture.color)
            shown.pts, shown.time_base = index, 1 / RATE
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
