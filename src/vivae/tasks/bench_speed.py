"""How fast the layered codec is, and how much memory it takes, beside the encoder that it stands on."""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import vivae
from vivae.codec.choose import effort_of
from vivae.codec.shot import Base, decode_shot, encode_shot
from vivae.codec.spool import write_shot
from vivae.measure import bench
from vivae.measure.bench import Record, markdown_table
from vivae.measure.clip import Clip, load_clip
from vivae.measure.peers import PEERS, encode
from vivae.media import Frame, Picture
from vivae.media.av1 import Av1Settings
from vivae.media.resample import Shrinker
from vivae.tasks.bench_shots import PEER, SIZE, spliced
from vivae.tasks.coded import write_lossless
from vivae.tasks.memory import long_video, peak_of
from vivae.vae.zoo import load_enhancer

ENHANCED = ((848, 480), (1280, 720))
ENHANCED_FRAMES = 32
ENHANCED_CRF = 45.0
HD_CLIP = "hd_flower"
LARGE = (1920, 1080)
LARGE_FRAMES = 300


def speed(data: str | os.PathLike[str], model: str | Path, at: int, threads: int) -> Record:
    """Frames a second of `vivae.compress` at speed `at` and of `vivae.decompress` on spliced shots, of SVT-AV1 alone
    on the same, and of decoding where every frame is enhanced."""
    clip, _ = spliced(data)
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        source = write_lossless(clip, room / "clip.mp4")
        coded = room / "ours.mp4"
        found: Record = {
            "frames": len(clip.frames),
            "encode_fps": _fps(
                len(clip.frames),
                lambda: vivae.compress(source, coded, speed=at, model=model, threads=threads, force=True),
            ),
            "decode_fps": _fps(len(clip.frames), lambda: _read(coded)),
        }
        trial = encode(PEERS[PEER], clip, 38, room / "peer.mp4", threads=threads)
        found["peer_fps"] = len(clip.frames) / trial.encode_seconds
        (hd,) = bench.evaluation_clips(data, [HD_CLIP])
        sharp = load_clip(hd.path, frames=ENHANCED_FRAMES, even=True)
        for size in ENHANCED:
            found[f"enhanced_{size[0]}x{size[1]}_fps"] = _enhanced(sharp, size, model, at, threads, room)
    return found


def _fps(frames: int, work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return frames / (time.perf_counter() - begun)


def _read(path: Path) -> int:
    """Frame by frame, as a program takes them."""
    with vivae.open(path) as reader:
        return sum(1 for _ in reader)


def _enhanced(
    clip: Clip, size: tuple[int, int], model: str | Path, at: int, threads: int, room: Path
) -> float:
    """Decoding a shot with a base of half the size, from the packets to the pictures shown."""
    scaled = Shrinker(*size)
    picture: Picture = replace(clip.picture, width=size[0], height=size[1])
    frames = (Frame(*scaled(f.planes), f.time, f.duration, f.color) for f in clip.frames)
    shot = write_shot(frames, picture, room / "shot.yuv", 0)
    enhancer = load_enhancer(model)
    base = Base(Av1Settings(ENHANCED_CRF, effort_of(at).preset), 2.0)
    coded = encode_shot(shot, base, enhancer, threads=threads)
    return _fps(len(shot), lambda: sum(1 for _ in decode_shot(coded, enhancer, threads=threads)))


def memory(data: str | os.PathLike[str], model: str | Path, at: int, threads: int) -> Record:
    """Peak memory in MB of compressing and decompressing a long 1920x1080 video, each in a process of its own."""
    (hd,) = bench.evaluation_clips(data, [HD_CLIP])
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        long = long_video(hd.path, room / "long.mp4", LARGE_FRAMES, LARGE)
        coded = room / "coded.mp4"
        early, peak = peak_of("compress", long, coded, LARGE_FRAMES, speed=at, model=model, threads=threads)
        found: Record = {"frames": LARGE_FRAMES, "compress_early_mb": early, "compress_peak_mb": peak}
        early, peak = peak_of("decompress", coded, room / "back.mkv", LARGE_FRAMES, model=model)
    return found | {"decompress_early_mb": early, "decompress_peak_mb": peak}


def speed_table(found: Record) -> str:
    """Markdown of `speed`."""
    rows: dict[str, list[float]] = {
        f"compress, {SIZE[0]}x{SIZE[1]}": [found["encode_fps"]],
        f"{PEER} alone, the same frames": [found["peer_fps"]],
        "read the file back": [found["decode_fps"]],
    }
    rows |= {f"decode, every frame enhanced, {w}x{h}": [found[f"enhanced_{w}x{h}_fps"]] for w, h in ENHANCED}
    return "## Speed\n\n" + markdown_table(["what", "frames a second"], rows, (1,), mean=False)


def memory_table(found: Record) -> str:
    """Markdown of `memory`."""
    rows = {
        verb: [found[f"{verb}_early_mb"], found[f"{verb}_peak_mb"]] for verb in ("compress", "decompress")
    }
    title = f"## Memory: {found['frames']} frames of {LARGE[0]}x{LARGE[1]}, MB"
    return f"{title}\n\n" + markdown_table(["verb", "first tenth", "all"], rows, (0, 0), mean=False)
