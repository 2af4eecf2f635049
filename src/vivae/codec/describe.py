"""What a compressed file says about itself, and how its bytes are spent; no model is needed."""

import os
from collections import Counter
from dataclasses import asdict
from typing import Any

from vivae.codec.container import VvaReader
from vivae.codec.fields import Cursor, read_record
from vivae.codec.layer import CRF_UNIT
from vivae.codec.obu import sequence_header_of
from vivae.codec.records import QUALITY_UNITS, Group
from vivae.codec.unlayered import layer_of
from vivae.errors import FormatError
from vivae.media.packets import read_packets


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Size, model, quality, frames, times, and the bytes of each kind of content; reads and checks the whole file.

    `intact` is False, and `damage` says why, for a file whose checksums do not hold or whose end is missing.
    Raises InputError, FormatError for a file without a readable header.
    """
    with VvaReader(path) as reader:
        header, index = reader.header, reader.index
        spent: Counter[str] = Counter()
        damage = None
        keys = 0
        try:
            for chunk in reader.chunks():
                kind = {b"SIDE": "sound_and_more", b"GRUP": "other_frames"}.get(chunk.kind, "overhead")
                if chunk.kind == b"PICT" or (
                    chunk.kind == b"GRUP" and read_record(Group, Cursor(chunk.content, reader.name)).key
                ):
                    kind, keys = "key_frames", keys + 1
                spent[kind] += chunk.end - chunk.offset
        except FormatError as error:
            damage = str(error)
        size = reader.size
        spent["overhead"] += size - sum(spent.values())
        seconds = float(index.ticks * header.time_base)
        return {
            "kind": "compressed",
            "path": str(path),
            "size_bytes": size,
            "codec": "latent",
            "format_version": header.version,
            "model": header.model,
            "model_hash": header.model_hash,
            "quality": round(100 * header.quality / QUALITY_UNITS, 2),
            "width": header.width,
            "height": header.height,
            "fps": float(header.fps),
            "frames": index.frames,
            "duration_s": seconds,
            "key_frames": keys,
            "bits_per_second": round(8 * size / seconds) if seconds else None,
            "bits_per_pixel": 8 * size / (index.frames * header.width * header.height)
            if index.frames
            else None,
            "bytes": dict(spent),
            "color": asdict(header.color),
            "sample_aspect_ratio": str(header.sar),
            "intact": damage is None,
            "damage": damage,
        }


def describe_shots(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The groups of an AV1 file, each from a key frame on: when, how coded, in how many bytes, and how enhanced.

    Raises InputError for other files, FormatError for a damaged one.
    """
    shots: list[dict[str, Any]] = []
    for packet in read_packets(path):
        if packet.key:
            header = sequence_header_of(packet.data)
            layer = layer_of(packet, f"'{path}'")
            shots.append(
                {
                    "time_s": float(packet.time),
                    "frames": 0,
                    "size_bytes": 0,
                    "coded_width": header and header.width,
                    "coded_height": header and header.height,
                    "bits_per_sample": header and header.depth,
                    "enhancement": layer
                    and {
                        "kind": layer.kind,
                        "display_width": layer.width,
                        "display_height": layer.height,
                        "crf": layer.crf / CRF_UNIT,
                        "model_hash": layer.model,
                        "gains": layer.gains,
                    },
                }
            )
        shots[-1]["frames"] += 1
        shots[-1]["size_bytes"] += len(packet.data)
    return shots
