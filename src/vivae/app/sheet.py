"""The sheet of a training: test pictures beside what the model makes of them, their figures, and the loss curves."""

import base64
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.app.report import Axis, Report, Row, Series, Tile, chart, facts, table, tiles
from vivae.measure.quality import ClipMeter, ClipQuality
from vivae.media import ColorInfo, Frame, encode_png, unpack
from vivae.train.sampler import Window
from vivae.vae.model import VideoVAE
from vivae.vae.stream import encode_stream

SHOWN = 8
"""Windows that appear as pictures."""
SMOOTH = 60
"""Points that a loss curve is averaged down to."""


@dataclass(frozen=True)
class Score:
    """How one test window came through at one number of kept channels."""

    clip: str
    channels: int
    quality: ClipQuality
    bits_per_pixel: float
    pictures: tuple[Frame, Frame]
    """Last original and its reconstruction."""


def frames_of(window: NDArray[np.uint8]) -> list[Frame]:
    """Frames of a packed window (T, 24, h, w) uint8."""
    height, width = 4 * window.shape[-2], 4 * window.shape[-1]
    step = Fraction(1, 25)
    return [
        Frame(
            *unpack(np.ascontiguousarray(packed), height, width), index * step, step, ColorInfo.guess(height)
        )
        for index, packed in enumerate(window)
    ]


def score(model: VideoVAE, window: Window, channels: int) -> Score:
    """Code a window at full quality with that many leading channels, and compare."""
    meter, bits, pixels = ClipMeter(), 0.0, 0
    last: tuple[Frame, Frame] | None = None
    for coded in encode_stream(model, frames_of(window.frames), channels=channels, rounded=True):
        for original, decoded in zip(coded.frames, coded.decoded, strict=True):
            meter.push(original, decoded)
            pixels += original.height * original.width
            last = original, decoded
        bits += float(coded.bits.sum())
    assert last is not None
    return Score(window.clip, channels, meter.result(), bits / pixels, last)


def means(scores: Iterable[Score]) -> dict[str, float]:
    """Mean figures of a test half."""
    listed = list(scores)
    return {
        "psnr_yuv": statistics.fmean(item.quality.psnr_yuv for item in listed),
        "ssim": statistics.fmean(item.quality.ssim for item in listed),
        "ms_ssim": statistics.fmean(item.quality.ms_ssim for item in listed),
        "bits_per_pixel": statistics.fmean(item.bits_per_pixel for item in listed),
    }


def write_sheet(dst: Path, name: str, scores: Sequence[Score], log: Path, settings: dict[str, str]) -> None:
    """A page at `dst`. scores: of the test half, at one or more numbers of channels; log: the JSON lines of the run."""
    groups: dict[int, list[Score]] = {}
    for item in scores:
        groups.setdefault(item.channels, []).append(item)
    most = max(groups)
    best = means(groups[most])
    report = Report(
        f"Training of {name}", "training", "The test half: footage that the model never learned from."
    )
    report.add(
        tiles(
            [
                Tile(f"{best['psnr_yuv']:.2f}", "dB", "PSNR-YUV, all channels"),
                Tile(f"{best['ssim']:.4f}", "", "SSIM"),
                Tile(f"{best['ms_ssim']:.4f}", "", "MS-SSIM"),
                Tile(f"{best['bits_per_pixel']:.3f}", "bits", "per pixel"),
            ]
        )
    )
    chosen = groups[most][:: max(1, len(groups[most]) // SHOWN)][:SHOWN]
    data = base64.b64encode(_pairs([item.pictures for item in chosen])).decode()
    report.section(
        "Originals and reconstructions",
        "Above: the last frame of a test window. Below: what the model made of it.",
        f'<img alt="originals above reconstructions" style="width:100%" src="data:image/png;base64,{data}">',
    )
    curves = read_log(log)
    pieces = [
        chart(title, Axis("step"), Axis(label, unit), series)
        for title, label, unit, series in curves
        if series
    ]
    report.section("Curves", "Means of neighbouring steps.", *pieces)
    columns = [("clip", ""), ("PSNR-YUV", "dB"), ("SSIM", ""), ("MS-SSIM", ""), ("rate", "bits/pixel")]
    rows = {
        f"{channels} latent channels": [
            *(_row(Path(item.clip).name, item.quality, item.bits_per_pixel) for item in items),
            _mean_row(means(items)),
        ]
        for channels, items in sorted(groups.items(), reverse=True)
    }
    report.section("Test half", "", table(columns, rows))
    report.section("Settings", "", facts("recipe", settings))
    report.footer = escape(f"Made by vivae train; the figures are of {len(groups[most])} test windows.")
    report.write(dst, force=True)


def _row(name: str, quality: ClipQuality, rate: float) -> Row:
    return Row(
        name, [f"{quality.psnr_yuv:.2f}", f"{quality.ssim:.4f}", f"{quality.ms_ssim:.4f}", f"{rate:.3f}"]
    )


def _mean_row(figures: dict[str, float]) -> Row:
    cells = [f"{figures['psnr_yuv']:.2f}", f"{figures['ssim']:.4f}", f"{figures['ms_ssim']:.4f}"]
    return Row("mean", [*cells, f"{figures['bits_per_pixel']:.3f}"], color=2)


def _pairs(pictures: Sequence[tuple[Frame, Frame]]) -> bytes:
    """PNG of originals in a row above their reconstructions."""
    height = max(pair[0].height for pair in pictures)

    def padded(frame: Frame) -> NDArray[np.uint8]:
        rgb = frame.to_rgb()
        below = height - rgb.shape[0]
        return cv2.copyMakeBorder(rgb, 0, below, 0, 6, cv2.BORDER_CONSTANT, value=(255, 255, 255)).astype(
            np.uint8
        )

    rows = [np.concatenate([padded(pair[side]) for pair in pictures], 1) for side in (0, 1)]
    gap = np.full((6, rows[0].shape[1], 3), 255, np.uint8)
    picture = np.concatenate([rows[0], gap, rows[1]])
    # Chroma is halved on the way, so sides must be even.
    even = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
    return encode_png(Frame.from_rgb(np.ascontiguousarray(even)))


def read_log(path: Path) -> list[tuple[str, str, str, list[Series]]]:
    """Title, label, unit and curves of each chart that a run's log gives."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def curve(key: str, name: str, color: int) -> list[Series]:
        points = [(line["step"], line[key]) for line in lines if key in line]
        if len(points) < 2:
            return []
        parts = np.array_split(np.array(points, float), min(SMOOTH, len(points)))
        middle = np.array([part.mean(0) for part in parts])
        return [Series(name, color, middle[:, 0].tolist(), middle[:, 1].tolist())]

    return [
        ("Negative ELBO", "loss", "", curve("loss", "training", 1) + curve("test_loss", "test", 2)),
        (
            "Rate",
            "bits per pixel",
            "",
            curve("bpp", "training", 1) + curve("test_bpp", "test, quality 100", 2),
        ),
        (
            "Distortion",
            "PSNR",
            "dB",
            curve("distortion_db", "training", 1) + curve("test_db", "test, quality 100", 2),
        ),
    ]
