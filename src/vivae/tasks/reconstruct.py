"""`reconstruct`: video through the VAE and back, with what it cost and how near it came."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vivae.measure.quality import ClipMeter
from vivae.media import open_video, open_writer
from vivae.tasks.common import Progress, expected_frames, kept_channels, no_progress, unit_quality
from vivae.tasks.familiar import check_familiar
from vivae.vae.onnx_runtime import Runtime, in_runtime
from vivae.vae.stream import encode_stream
from vivae.vae.zoo import load_model, notes_of


def reconstruct(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: str | Path = "base",
    quality: float = 100.0,
    channels: int | None = None,
    codec: str | None = None,
    crf: float | None = None,
    device: str = "cpu",
    runtime: Runtime = "torch",
    start: float | None = None,
    end: float | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write to `dst` what the VAE makes of `src`: the pictures that a file of this quality would decode to.

    quality: 0 to 100. channels: keep only that many leading channels of the latent. codec, crf: of the written video,
    as for `vivae.media.open_writer`; .y4m and folders of PNG hold exactly what the VAE gave. Sound, subtitles and
    metadata are carried over. Memory does not grow with length. runtime: "torch", or "onnx" for onnxruntime, faster on
    many CPUs and equal to the last bits of a float.

    Returns PSNR (dB) of the planes, SSIM and MS-SSIM of luma and flicker, each the mean over the frames, measured
    before the video is written; and bits per pixel, as the prior counts them. A model with a Gaussian posterior is
    decoded from its latent as it is, and its bits are those of the rounded one.
    Raises InputError, FormatError, OutputError.
    """
    level = unit_quality(quality)
    vae = in_runtime(load_model(model, device=device), runtime)
    kept = kept_channels(vae.config, channels)
    check_familiar(src, vae, notes_of(model), start)
    meter, bits, frames = ClipMeter(), 0.0, 0
    with open_video(src, start=start, end=end) as reader:
        info = reader.info
        total = expected_frames(info, start, end)
        with open_writer(
            dst,
            width=info.width,
            height=info.height,
            fps=info.fps,
            color=info.color,
            sar=info.sar,
            codec=codec,
            crf=crf,
            time_base=info.time_base,
            copy_from=src,
            start=start,
            end=end,
            force=force,
        ) as writer:
            rounded = vae.config.posterior == "uniform"
            for coded in encode_stream(vae, reader, quality=level, channels=kept, rounded=rounded):
                for original, decoded in zip(coded.frames, coded.decoded, strict=True):
                    meter.push(original, decoded)
                    writer.write(decoded)
                bits += float(coded.bits.sum())
                frames += len(coded.frames)
                progress(frames, total)
    return {
        "output": str(dst),
        "model": vae.config.name,
        "bits_per_pixel": bits / (frames * info.width * info.height),
    } | asdict(meter.result())
