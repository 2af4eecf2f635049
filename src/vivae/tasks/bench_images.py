"""Single frames as images: the latent codec against JPEG, WebP and AVIF, bits at equal PSNR-YUV.

JPEG and WebP are written by OpenCV (libjpeg-turbo with 4:2:0, libwebp) from the frame in RGB and come back through RGB;
AVIF is a still AV1 picture of the frame's own planes by SVT-AV1, its file counted as the AV1 stream alone.
"""

import tempfile
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

import vivae
from vivae.measure.bdrate import bjontegaard
from vivae.measure.bench import Record
from vivae.measure.clip import Clip
from vivae.measure.quality import compare
from vivae.media import Frame, Picture, encode_png, open_video
from vivae.media.av1 import Av1Settings, decode_av1, encode_av1

QUALITIES = {
    "JPEG": (10, 20, 35, 50, 70, 85),
    "WebP": (5, 15, 30, 50, 70, 85),
    "AVIF": (62, 56, 49, 41, 33, 25),
}
OWN = (0, 20, 40, 60, 80, 100)
AVIF_PRESET = 4


def images(clip: Clip) -> Record:
    """Points of every method on the first frame and the middle one, and the latent codec's rate against each peer."""
    chosen = [clip.frames[0], clip.frames[len(clip.frames) // 2]]
    points: dict[str, list[list[tuple[int, float]]]] = {
        "JPEG": [_opencv(frame, ".jpg", cv2.IMWRITE_JPEG_QUALITY, QUALITIES["JPEG"]) for frame in chosen],
        "WebP": [_opencv(frame, ".webp", cv2.IMWRITE_WEBP_QUALITY, QUALITIES["WebP"]) for frame in chosen],
        "AVIF": [_avif(frame) for frame in chosen],
        "vivae latent": [_latent(frame) for frame in chosen],
    }
    against: Record = {}
    for name in QUALITIES:
        found = [bjontegaard(a, b) for a, b in zip(points[name], points["vivae latent"], strict=True)]
        rates = [delta.rate_percent for delta in found if delta is not None]
        against[name] = float(np.mean(rates)) if rates else None
    return {"points": points, "against": against}


def _opencv(frame: Frame, suffix: str, option: int, qualities: tuple[int, ...]) -> list[tuple[int, float]]:
    picture = cv2.cvtColor(frame.to_rgb(), cv2.COLOR_RGB2BGR)
    points = []
    for quality in qualities:
        _, data = cv2.imencode(suffix, picture, [option, quality])
        back = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert back is not None
        seen = Frame.from_rgb(np.asarray(cv2.cvtColor(back, cv2.COLOR_BGR2RGB), np.uint8), frame.color)
        points.append((len(data), compare(frame, seen).psnr_yuv))
    return points


def _avif(frame: Frame) -> list[tuple[int, float]]:
    picture = Picture(frame.width, frame.height, Fraction(25), frame.color)
    points = []
    for crf in QUALITIES["AVIF"]:
        data = [
            unit.data
            for unit in encode_av1([frame.planes], picture, Av1Settings(crf, AVIF_PRESET, plain=True))
        ]
        (planes,) = decode_av1(data)
        points.append((sum(map(len, data)), compare(frame, planes).psnr_yuv))
    return points


def _latent(frame: Frame) -> list[tuple[int, float]]:
    points = []
    with tempfile.TemporaryDirectory() as folder:
        source, packed, back = (Path(folder) / name for name in ("in.png", "a.vva", "out.y4m"))
        source.write_bytes(encode_png(frame))
        for quality in OWN:
            told = vivae.compress(source, packed, quality=quality, force=True)
            vivae.decompress(packed, back, force=True)
            with open_video(back) as reader:
                points.append((told["size_bytes"], compare(frame, next(reader)).psnr_yuv))
    return points
