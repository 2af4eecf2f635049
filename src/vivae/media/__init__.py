"""Real video in and out, as upright 8-bit YUV 4:2:0 frames with exact times and one colour description.

    with open_video("in.mov") as reader:
        info = reader.info
        with open_writer("out.mp4", width=info.width, height=info.height, fps=info.fps, color=info.color,
                         sar=info.sar, time_base=info.time_base, copy_from="in.mov") as writer:
            for frame in reader:
                writer.write(frame)

Reading:  `probe`, `open_video` -> `VideoReader` of `Frame`; a file, an image, a folder or pattern of images.
          `open_live`, where that is still being made: a pipe, an address, a file that grows.
Frames:   `Frame`, `ColorInfo`, `pack`, `unpack`.
Writing:  `open_writer` -> `VideoWriter`; mp4, mkv, webm (AV1, H.264, HEVC, VP9, FFV1), .y4m, PNG; other tracks copied.
Outputs:  `atomic_path`, `atomic_dir`: whole or absent; `refuse_overwrite`: never an input.

This room knows nothing of models. Everything streams: memory does not grow with length. Problems are raised as
`vivae.errors`; what is converted or left out is told once, through `logging`.
"""

from vivae.media.atomic import atomic_dir, atomic_path, refuse_overwrite
from vivae.media.color import ColorInfo, Planes
from vivae.media.frames import PACKED_CHANNELS, Frame, Picture, pack, packed_order, unpack
from vivae.media.live import is_live, open_live
from vivae.media.probe import StreamInfo, VideoInfo, probe
from vivae.media.reader import VideoReader, open_video, read_first
from vivae.media.sequence import encode_png
from vivae.media.writer import VideoWriter, open_writer, write_frames

__all__ = [
    "PACKED_CHANNELS",
    "ColorInfo",
    "Frame",
    "Picture",
    "Planes",
    "StreamInfo",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "atomic_dir",
    "atomic_path",
    "encode_png",
    "is_live",
    "open_live",
    "open_video",
    "open_writer",
    "pack",
    "packed_order",
    "probe",
    "read_first",
    "refuse_overwrite",
    "unpack",
    "write_frames",
]
