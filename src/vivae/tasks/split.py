"""A video in pieces: its packets copied as they are, or its frames encoded anew.

A copied piece can only begin at a key frame: it starts with the one at or before the wanted time, and ends with what
the last wanted frame needs. How many frames too many that shows is told.
"""

import os
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.packet import Packet

from vivae.errors import InputError
from vivae.media import open_video, open_writer
from vivae.media.probe import clock_origin
from vivae.media.source import find_source, open_container, reading, video_stream

SLACK = Fraction(1, 1000)
"""Seconds; times that were rounded on the way still mean their frame."""


def split_video(
    src: str | os.PathLike[str], folder: Path, spans: Sequence[tuple[float, float]], *, exact: bool = False
) -> list[dict[str, Any]]:
    """Write the pieces of `src` between the times (seconds) to `folder`, as 001.mp4 and so on (.mkv from other
    containers than mp4 and mov).

    exact: decode and encode (AV1) instead of copying. Returns for each piece its file, span, whether it begins at a
    key frame, and how many frames it shows before and after its span. Raises InputError for folders of images.
    """
    source = find_source(src)
    if source.sequence:
        raise InputError(f"'{src}' is a folder of images: there are no packets to part")
    if exact:
        return [_encoded(src, folder, number, span) for number, span in enumerate(spans, 1)]
    keys, base, origin, suffix = _index(source.files[0])
    return [
        _copied(source.files[0], folder / f"{number:03d}{suffix}", span, keys, base, origin)
        for number, span in enumerate(spans, 1)
    ]


def _encoded(
    src: str | os.PathLike[str], folder: Path, number: int, span: tuple[float, float]
) -> dict[str, Any]:
    name = f"{number:03d}.mp4"
    with open_video(src, start=span[0], end=span[1]) as reader:
        info = reader.info
        with open_writer(
            folder / name,
            width=info.width,
            height=info.height,
            fps=info.fps,
            color=info.color,
            sar=info.sar,
            time_base=info.time_base,
            copy_from=src,
            start=span[0],
            end=span[1],
        ) as writer:
            for frame in reader:
                writer.write(frame)
    return {"file": name, "start_s": span[0], "end_s": span[1], "at_key_frame": True} | {
        "frames_before": 0,
        "frames_after": 0,
    }


def _index(path: Path) -> tuple[list[Fraction], Fraction, Fraction, str]:
    """Times of the key frames (seconds, ours), the stream's unit, the clock's origin, a suffix."""
    with open_container(path) as container, reading(path):
        stream = video_stream(container, path)
        base = stream.time_base or Fraction(1, 90_000)
        origin = clock_origin(container, stream)
        keys = [
            packet.pts * base - origin
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None and packet.is_keyframe
        ]
        suffix = ".mp4" if "mp4" in container.format.name else ".mkv"
    if not keys:
        raise InputError(f"'{path}' tells no key frames: give --exact to encode its shots anew")
    return sorted(keys), base, origin, suffix


def _copied(
    path: Path,
    target: Path,
    span: tuple[float, float],
    keys: Sequence[Fraction],
    base: Fraction,
    origin: Fraction,
) -> dict[str, Any]:
    start, end = (Fraction(time).limit_denominator(1_000_000) for time in span)
    begin = keys[max(0, bisect_right(keys, start + SLACK) - 1)]
    before = after = 0
    with open_container(path) as container, reading(path), av.open(f"file:{target}", "w") as output:
        video = video_stream(container, path)
        tracks: dict[int, Any] = {video.index: output.add_stream_from_template(video, opaque=True)}
        for sound in container.streams.audio:
            try:
                tracks[sound.index] = output.add_stream_from_template(sound)
            except ValueError:
                continue
        container.seek(round((begin + origin) / base), stream=video)
        done: set[int] = set()
        for packet in container.demux([s for s in container.streams if s.index in tracks]):
            index = packet.stream.index
            if not packet.size or packet.pts is None or packet.time_base is None or index in done:
                continue
            time = packet.pts * packet.time_base - origin
            decoded = (packet.dts if packet.dts is not None else packet.pts) * packet.time_base - origin
            if index == video.index:
                if decoded >= end - SLACK or (packet.is_keyframe and time >= end - SLACK):
                    done.add(index)
                    continue
                if time < begin:
                    continue
                before += time < start - SLACK
                after += time >= end - SLACK
            elif time < begin:
                continue
            elif time >= end:
                done.add(index)
                continue
            if len(done) == len(tracks):
                break
            output.mux(_moved(packet, tracks[index], begin + origin))
    return {
        "file": target.name,
        "start_s": span[0],
        "end_s": span[1],
        "at_key_frame": not before,
        "frames_before": before,
        "frames_after": after,
    }


def _moved(packet: Packet, stream: Any, by: Fraction) -> Packet:
    """The packet for its new track, its times counted from `by` (seconds of the old file)."""
    assert packet.time_base is not None
    ticks = round(by / packet.time_base)
    assert packet.pts is not None
    packet.pts -= ticks
    if packet.dts is not None:
        packet.dts -= ticks
    packet.stream = stream
    return packet
