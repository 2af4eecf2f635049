"""`--tune perceptual`: the shots of a file as they are, with a layer that gives them back the texture they have lost.

What players show stays the same. What vivae shows was made by a network that was taught for looks before PSNR: detail
that a coarse quantiser has removed is made up, as the pictures around it say. See `recipes/texture.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vivae.codec.choose import qualities_of
from vivae.codec.layer import whole_layer
from vivae.codec.shot import Coded
from vivae.codec.spool import Shot
from vivae.vae.enhancer import Enhancer

TEXTURE_FROM = 36.0
"""CRF below which so little is lost that texture takes as much as it gives."""
LARGEST_LOSS = 0.2
"""dB of PSNR-YUV that texture may take from a shot; where it takes more, it is not like what was there."""
JUDGED_FRAMES = 16
"""Frames, from the middle of a shot, on which an enhancer is judged; what players show is judged on all."""


def textured(shot: Shot, coded: Coded, model: Enhancer) -> Coded:
    """The same stream, to be decoded with texture. Fine shots of full size stay as they are."""
    crf = coded.base.settings.crf
    if not coded.base.enhanced and crf < TEXTURE_FROM:
        return coded
    return replace(coded, layer=whole_layer(shot.picture, crf, model.hash, "texture"))


@dataclass
class Texture:
    """What gives the shots of a file texture, where they can bear it, and an account of what becomes of PSNR."""

    model: Enhancer
    frames: int = 0
    sums: tuple[float, float] = (0.0, 0.0)

    def begin(self) -> None:
        """A file is written anew."""
        self.frames, self.sums = 0, (0.0, 0.0)

    def given(self, shot: Shot, coded: Coded, usual: Enhancer, threads: int) -> Coded:
        """`textured`, or the shot as it is. usual: the model that enhances it as it is, if its base is smaller."""
        before = after = _seen(shot, coded, usual, threads)
        seen = textured(shot, coded, self.model)
        if seen is not coded:
            after = _seen(shot, seen, self.model, threads)
            if after < before - LARGEST_LOSS:
                seen, after = coded, before
        self.frames += len(shot)
        self.sums = (self.sums[0] + len(shot) * before, self.sums[1] + len(shot) * after)
        return seen

    @property
    def means(self) -> tuple[float, float]:
        """PSNR-YUV in dB of the whole file without texture, and with it."""
        count = max(1, self.frames)
        return self.sums[0] / count, self.sums[1] / count


def _seen(shot: Shot, coded: Coded, model: Enhancer, threads: int) -> float:
    """Mean PSNR-YUV in dB of what a receiver will see: of all frames without the enhancer, and its gain on some."""
    plain = np.array(qualities_of(shot, coded, None, threads=threads))
    if coded.layer is None:
        return float(plain.mean())
    first = max(0, (len(shot) - JUDGED_FRAMES) // 2)
    last = min(len(shot), first + JUDGED_FRAMES)
    enhanced = qualities_of(shot, coded, model, threads=threads, first=first, last=last)
    return float(plain.mean() + np.mean(enhanced) - plain[first:last].mean())
