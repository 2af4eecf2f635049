"""What PyAV's FFmpeg lacks and the one inside imageio-ffmpeg has: the VVenC encoder, and VMAF.

Needs the `bench` extra. Everything else goes through `vivae.media`.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vivae.errors import UnsupportedError, VivaeError
from vivae.measure.clip import Clip
from vivae.media import ColorInfo, Frame, Picture, write_frames

Variant = Literal["vmaf", "neg"]
MODELS: dict[Variant, str] = {"vmaf": "vmaf_v0.6.1", "neg": "vmaf_v0.6.1neg"}
"""Of libvmaf; both are built in."""


@dataclass(frozen=True, slots=True)
class Vmaf:
    """Means over a clip, 0 to 100. neg: the variant that sharpening cannot raise."""

    vmaf: float
    neg: float


def ffmpeg_program() -> str:
    """Path of the ffmpeg program. Raises UnsupportedError where the extra is missing."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise UnsupportedError("VVenC and VMAF need imageio-ffmpeg: pip install 'vivae[bench]'") from error
    path: str = imageio_ffmpeg.get_ffmpeg_exe()
    return path


def vvc_arguments(qp: float, preset: str, threads: int) -> list[str]:
    """VVenC with its perceptual adaptation off, as PSNR is what is compared."""
    return ["-c:v", "libvvenc", "-preset", preset, "-qp", f"{qp:g}", "-qpa", "0", "-threads", str(threads)]


def encode_vvc(clip: Clip, path: Path, qp: float, preset: str, threads: int) -> float:
    """Write a clip as VVC to `path` (.mp4); returns the seconds that ffmpeg took, its start included."""
    with tempfile.TemporaryDirectory() as folder:
        source = _write_y4m(clip.frames, clip.picture, Path(folder) / "clip.y4m")
        started = time.perf_counter()
        _run(
            [
                "-y",
                "-i",
                str(source),
                *vvc_arguments(qp, preset, threads),
                "-pix_fmt",
                "yuv420p10le",
                str(path),
            ]
        )
        return time.perf_counter() - started


def vmaf(reference: Clip, decoded: Sequence[Frame], *, threads: int = 2) -> Vmaf:
    """VMAF and VMAF-NEG of decoded frames against a clip."""
    return Vmaf(*vmaf_of(reference.picture, reference.frames, decoded, "vmaf", "neg", threads=threads))


def vmaf_of(
    picture: Picture,
    reference: Iterable[Frame],
    decoded: Iterable[Frame],
    *variants: Variant,
    threads: int = 2,
) -> tuple[float, ...]:
    """The mean of each variant asked for, of two streams of frames of the picture's size.

    Of their samples, whatever colours they stand for. Each variant takes as long as the other.
    """
    # What .y4m says without words: nothing is converted on the way, and nothing needs to be warned of.
    picture = replace(picture, color=ColorInfo.guess(picture.height))
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        pair = [
            _write_y4m((replace(f, color=picture.color) for f in frames), picture, room / name)
            for frames, name in ((decoded, "decoded.y4m"), (reference, "reference.y4m"))
        ]
        models = "|".join(f"version={MODELS[name]}\\:name={name}" for name in variants)
        graph = f"libvmaf=model='{models}':log_fmt=json:log_path=vmaf.json:n_threads={threads}"
        inputs = [part for path in pair for part in ("-i", path.name)]
        _run([*inputs, "-lavfi", graph, "-f", "null", "-"], folder=room)
        pooled = json.loads((room / "vmaf.json").read_text())["pooled_metrics"]
    return tuple(float(pooled[name]["mean"]) for name in variants)


def _write_y4m(frames: Iterable[Frame], picture: Picture, path: Path) -> Path:
    return write_frames(path, frames, picture)


def _run(arguments: Sequence[str], folder: Path | None = None) -> None:
    command = [ffmpeg_program(), "-hide_banner", "-nostdin", "-loglevel", "error", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VivaeError(f"ffmpeg failed: {done.stderr.strip().splitlines()[-1:]} ({' '.join(command)})")
