"""Figures of the footage a model learned from, for telling its users when theirs is unlike it.

Trainings keep them with the weights. Of weights that were fixed before: `python -m vivae.train.familiar --data DIR -o
familiar.json`.
"""

import argparse
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from vivae.media import ColorInfo, Frame, atomic_path, open_video, unpack
from vivae.train.dataset import Passage, find_clips
from vivae.vae.familiar import STEPS, Bits, bits_of_small, limits
from vivae.vae.model import VideoVAE
from vivae.vae.zoo import load_model

PLACES = 4
"""Of each clip, evenly spread."""
PASSAGES = 96
"""Of a training, evenly spread."""


def known_footage(vae: VideoVAE, passages: Sequence[Passage]) -> dict[str, float]:
    """What a model keeps of the passages it was trained on; see `vivae.vae.familiar.limits`."""
    seen: list[Bits] = []
    for passage in passages[:: max(1, len(passages) // PASSAGES)]:
        packed = np.asarray(passage.frames[: STEPS * vae.config.temporal_stride])
        height, width = packed.shape[2] * 4, packed.shape[3] * 4
        color = ColorInfo.guess(height)
        frames = [
            Frame(*unpack(np.ascontiguousarray(one), height, width), Fraction(n, 25), Fraction(1, 25), color)
            for n, one in enumerate(packed)
        ]
        seen.append(bits_of_small(vae, frames))
    return limits(seen)


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m vivae.train.familiar", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the footage of the training")
    parser.add_argument("--model", default="base")
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    vae = load_model(options.model)
    seen: list[Bits] = []
    for clip in find_clips(options.data):
        with open_video(clip) as reader:
            length = float(reader.info.duration)
        for place in range(PLACES):
            with open_video(clip, start=length * place / PLACES) as reader:
                seen.append(bits_of_small(vae, reader))
    known = json.loads(options.output.read_text("utf-8")) if options.output.exists() else {}
    with atomic_path(options.output, force=True) as part:
        part.write_text(json.dumps(known | {vae.hash: limits(seen)}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
