"""The demo's page: what `vivae.app.demo` measured, laid out with the pieces of `vivae.app.report`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vivae.app.demo_more import Shown
from vivae.app.report import (
    Axis,
    Choice,
    Report,
    Row,
    Series,
    Tile,
    chart,
    commands,
    facts,
    heat_map,
    row,
    slider,
    table,
    tiles,
    video,
)
from vivae.measure.bench import cpu_name
from vivae.measure.clip import Clip
from vivae.measure.peers import Point
from vivae.measure.quality import ClipQuality
from vivae.media import Frame, open_video, write_frames
from vivae.vae.cost import cost_of
from vivae.vae.model import VideoVAE

OURS = "vivae"
PAGE_CRF = 14
"""Of H.264 copies for the page: near enough to what was decoded for eyes, small enough for a page."""


@dataclass(frozen=True)
class Passed:
    """The clip through the VAE, without a file."""

    quality: ClipQuality
    bits_per_pixel: float
    decoded: Sequence[Frame]


@dataclass(frozen=True)
class Tour:
    """All that the demo found."""

    vae: VideoVAE
    clip: Clip
    passed: Passed
    """From all latent channels."""
    nested: Mapping[int, Passed]
    """From fewer, by their number."""
    groups: Mapping[int, Sequence[Point]]
    """By ratio: our file first, then those of its peers, in the same order for every ratio."""
    cells: NDArray[np.float32]
    """Bits of each region at the middle ratio, (T, rows, columns)."""
    more: Sequence[Shown] = ()
    """What the other verbs made."""
    coder: str = "video"
    """The name of the model that coded our files."""

    @property
    def middle(self) -> int:
        """The ratio shown first."""
        return sorted(self.groups)[len(self.groups) // 2]

    @property
    def colors(self) -> dict[str, int]:
        """One colour a method, on the whole page."""
        return {point.trial.method: index for index, point in enumerate(self.groups[self.middle], 1)}

    def points(self) -> Iterator[tuple[str, int, Point]]:
        """Every point with its group's label and its colour."""
        for ratio, points in self.groups.items():
            for point in points:
                yield f"{ratio}:1", self.colors[point.trial.method], point


def demo_page(tour: Tour, folder: Path) -> Report:
    """The whole page. The copies of decoded video that browsers play are left in `folder`."""
    clip, stride = tour.clip, tour.vae.config.stride
    shown = f"{tour.middle}:1"
    report = Report(
        f"{clip.name}: a clip through vivae",
        "demo",
        _lead(clip, tour.groups[tour.middle]) + _for_players(tour.more),
        escape(f"Made by vivae demo on {cpu_name()}, {torch.get_num_threads()} threads."),
    )
    original = report.add_media(_for_page(clip, clip.frames, folder / "original.mp4"))
    through = report.add_media(_for_page(clip, tour.passed.decoded, folder / "reconstructed.mp4"))
    media: dict[Path, str] = {}
    choices: dict[str, list[Choice]] = {}
    for label, color, point in tour.points():
        trial = point.trial
        key = media[trial.path] = report.add_media(_playable(clip, trial.path, folder))
        caption = f"{trial.size_bytes / 1000:.1f} kB, {point.quality.psnr_yuv:.2f} dB"
        choices.setdefault(label, []).append(Choice(trial.method, key, caption, color))
    alone = f"no file, all latent channels, {tour.passed.quality.psnr_yuv:.2f} dB"
    choices["VAE alone"] = [Choice(OURS, through, alone, tour.colors[OURS])]

    for other in tour.more:
        if other.group != "generated":
            key = report.add_media(other.path)
            choices.setdefault(other.group, []).append(Choice(other.name, key, other.caption, 1))
    first = next((other.group for other in tour.more), shown)
    start = list(choices).index(first)

    report.add(_tiles(tour))
    report.section(
        "Before and after",
        "<b>Drag the handle</b>: left of it the original, right of it what came back. At each ratio, every "
        "method had to write a file of the same size; the other choices are what vivae's other verbs make of the clip.",
        slider(clip, original, choices, (start, 0)),
    )
    time = Axis("time", "s")
    report.section(
        "Frame by frame",
        "At the ratio that the slider shows, or showed last. A click takes the video there.",
        chart("Quality", time, Axis("PSNR-YUV", "dB"), _quality_curves(tour), start=shown),
        chart("Rate", time, Axis("bits per pixel"), _rate_curves(tour), start=shown, from_zero=True),
    )
    report.section(
        "What the VAE found hard",
        f"Bits that each region of {stride}x{stride} pixels cost at {shown}: what could not be foretold from what "
        "was there before.",
        heat_map(clip, original, tour.cells, stride, "bits"),
    )
    report.section(
        "Same size, side by side",
        "A row shows its video above. Rates count whole files; ratios are to uncompressed 4:2:0. Encoding with "
        "vivae is timed with its search for the size, the others without.",
        _table(tour, media),
        chart(
            "Quality against size",
            Axis("rate", "bits per pixel"),
            Axis("PSNR-YUV", "dB"),
            _rate_quality_curves(tour),
            marks=True,
            logx=True,
            height=320,
        ),
    )
    made = [video(item.path, item.caption) for item in tour.more if item.group == "generated"]
    if made:
        report.section(
            "Never filmed", "Drawn from what models have learned; nothing was given to them.", row(*made)
        )
    lines = _commands(clip, tour.middle) + list(
        dict.fromkeys((s.command, _WORDS[s.group]) for s in tour.more)
    )
    report.section("The clip and the model", "", _facts(tour), commands(lines))
    return report


def _lead(clip: Clip, points: Sequence[Point]) -> str:
    """What happened, and how it came out."""
    ours, *others = points
    unbroken = str.maketrans({"-": "\N{NON-BREAKING HYPHEN}", " ": "\N{NO-BREAK SPACE}"})
    theirs = " and ".join(
        f"{escape(point.trial.method.translate(unbroken))} <b>{point.quality.psnr_yuv:.1f} dB</b>"
        for point in others
    )
    return (
        f"{len(clip.frames)} frames of {clip.picture.width}x{clip.picture.height} went through a variational "
        f"autoencoder, into real files and back. In {ours.trial.size_bytes / 1000:.0f} kB, 1/{ours.ratio:.0f} of the "
        f"raw video, the pure VAE codec kept <b>{ours.quality.psnr_yuv:.1f} dB</b>; in as many bytes, {theirs}."
    )


def _for_players(more: Sequence[Shown]) -> str:
    """What to take for footage that people watch."""
    files = [shown for shown in more if shown.group == "for any player"]
    return "".join(f" As a file for any player vivae wrote {escape(shown.caption)}." for shown in files)


def _tiles(tour: Tour) -> str:
    ratio, (best, *_) = next(iter(tour.groups.items()))
    size = f"{best.trial.size_bytes / 1000:.0f}"
    return tiles(
        [
            Tile(f"{tour.passed.quality.psnr_yuv:.1f}", "dB", "PSNR-YUV through the VAE, without a file"),
            Tile(size, "kB", f"the file at {ratio}:1, {best.quality.psnr_yuv:.1f} dB"),
            Tile(f"{best.encode_fps:.1f}", "fps", "written, with the search for the size"),
            Tile(f"{best.decode_fps:.1f}", "fps", "read back"),
        ]
    )


def _quality_curves(tour: Tour) -> list[Series]:
    times = [float(frame.time) for frame in tour.clip.frames]
    return [
        Series(point.trial.method, color, times, [frame.psnr_yuv for frame in point.frames], label)
        for label, color, point in tour.points()
    ]


def _rate_curves(tour: Tour) -> list[Series]:
    times = [float(frame.time) for frame in tour.clip.frames]
    pixels = tour.clip.picture.width * tour.clip.picture.height
    return [
        Series(point.trial.method, color, times, [bits / pixels for bits in point.frame_bits], label)
        for label, color, point in tour.points()
        if len(point.frame_bits) == len(times)
    ]


def _rate_quality_curves(tour: Tour) -> list[Series]:
    curves: list[Series] = []
    for name, color in tour.colors.items():
        points = [point for _, _, point in tour.points() if point.trial.method == name]
        rates = [point.bits_per_pixel for point in points]
        curves.append(Series(name, color, rates, [point.quality.psnr_yuv for point in points]))
    return curves


def _table(tour: Tour, media: Mapping[Path, str]) -> str:
    columns = [
        ("method", ""),
        ("size", "kB"),
        ("PSNR-YUV", "dB"),
        ("SSIM", ""),
        ("ratio", ":1"),
        ("rate", "bits/pixel"),
        ("encode", "fps"),
        ("decode", "fps"),
    ]
    best = {
        (label, place): max(figure(point.quality) for point in points)
        for label, points in ((f"{ratio}:1", points) for ratio, points in tour.groups.items())
        for place, figure in _JUDGED.items()
    }
    rows: dict[str, list[Row]] = {}
    for label, color, point in tour.points():
        cells = [
            f"{point.trial.size_bytes / 1000:.1f}",
            f"{point.quality.psnr_yuv:.2f}",
            f"{point.quality.ssim:.4f}",
            f"{point.ratio:.1f}",
            f"{point.bits_per_pixel:.4f}",
            f"{point.encode_fps:.1f}",
            f"{point.decode_fps:.1f}",
        ]
        leading = frozenset(k for k, figure in _JUDGED.items() if figure(point.quality) == best[label, k])
        rows.setdefault(label, []).append(
            Row(point.trial.method, cells, color, media[point.trial.path], leading)
        )
    return table(columns, rows)


_JUDGED = {1: lambda quality: quality.psnr_yuv, 2: lambda quality: quality.ssim}
"""Cells of the table of which the best of a ratio stands out."""


def _facts(tour: Tour) -> str:
    info, config, cost = tour.clip.info, tour.vae.config, cost_of(tour.vae.config)
    ours = {
        "name": config.name,
        "weights": f"SHA-256 {tour.vae.hash[:16]}",
        "parameters": f"{cost.parameters / 1e6:.2f} M",
        "cost": f"{cost.total:.1f} kMAC a pixel, there and back",
        "one latent position": f"{config.stride}x{config.stride} pixels, {config.latent_channels} channels",
    }
    for name, passed in [
        *((f"{channels} channels alone", passed) for channels, passed in tour.nested.items()),
        ("all channels", tour.passed),
    ]:
        ours[name] = f"{passed.quality.psnr_yuv:.2f} dB, {passed.bits_per_pixel:.3f} bits a pixel"
    ours["files"] = f"coded by {tour.coder}"
    theirs = {
        "file": Path(info.path).name,
        "picture": f"{info.width}x{info.height}, {float(info.fps):.2f} fps",
        "codec": f"{info.codec}, {info.pixel_format}, {info.bit_depth} bit",
        "colour": f"{info.color.matrix}, {info.color.range} range",
        "length": f"{float(info.duration):.2f} s, of which {tour.clip.seconds:.2f} s are used here",
        "sound": ", ".join(stream.codec for stream in info.audio) or "none",
    }
    return row(facts("The clip", theirs), facts("The model", ours))


_WORDS = {
    "for any player": "a small file for any player",
    "cleaned": "noise taken out",
    "styled": "like a picture",
    "objects": "what moves, marked",
    "generated": "video from nothing",
}


def _commands(clip: Clip, ratio: int) -> list[tuple[str, str]]:
    name = Path(clip.info.path).name
    return [
        (f"vivae reconstruct {name} -o through.mp4", "through the VAE and back"),
        (f"vivae compress {name} -o clip.vva --ratio {ratio}", "a file of a chosen size"),
        ("vivae decompress clip.vva -o clip.mp4", "and back"),
        (f"vivae encode {name} -o z.safetensors", "the latent, as features"),
    ]


def _playable(clip: Clip, path: Path, folder: Path) -> Path:
    """A peer's own file, which browsers play, or a copy of what ours decoded to."""
    if path.suffix == ".mp4":
        return path
    with open_video(path.with_suffix(".y4m")) as reader:
        return _for_page(clip, list(reader), folder / f"{path.stem}.mp4")


def _for_page(clip: Clip, frames: Sequence[Frame], path: Path) -> Path:
    """Frames as an H.264 file that every browser plays, at the clip's times."""
    timed = (
        Frame(*frame.planes, like.time, like.duration, frame.color)
        for frame, like in zip(frames, clip.frames, strict=True)
    )
    return write_frames(
        path, timed, clip.picture, codec="h264", crf=PAGE_CRF, time_base=clip.info.time_base, force=True
    )
