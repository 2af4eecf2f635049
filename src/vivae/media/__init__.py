"""Real video in and out, as upright 8-bit YUV 4:2:0 frames with exact times and one colour description.



Reading:  `probe`, `open_video` -> `VideoReader` of `Frame`; a file, an image, a folder or pattern of images.
Frames:   `Frame`, `ColorInfo`, `pack`, `unpack`.
Outputs:  `atomic_path`, `atomic_dir`: whole or absent.

This room knows nothing of models. Everything streams: memory does not grow with length. Problems are raised as
`vivae.errors`; what is converted or left out is told once, through `logging`.
"""

from vivae.media.atomic import atomic_dir, atomic_path
from vivae.media.color import ColorInfo, Planes
from vivae.media.frames import PACKED_CHANNELS, Frame, pack, unpack
from vivae.media.probe import StreamInfo, VideoInfo, probe
from vivae.media.reader import VideoReader, open_video, read_first

__all__ = [
    "PACKED_CHANNELS",
    "ColorInfo",
    "Frame",
    "Planes",
    "StreamInfo",
    "VideoInfo",
    "VideoReader",
    "atomic_dir",
    "atomic_path",
    "open_video",
    "pack",
    "probe",
    "read_first",
    "unpack",
]
