"""`--tune perceptual`: the shots of a file as they are, with a layer that gives them back the texture they have lost.

What players show stays the same. What vivae shows was made by a network that was taught for looks before PSNR: detail
that a coarse quantiser has removed is made up, as the pictures around it say. See `recipes/texture.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from vivae.codec.choose import quality_of
from vivae.codec.layer import CRF_UNIT, GAIN_UNIT, Layer
from vivae.codec.shot import Coded
from vivae.codec.spool import Shot
from vivae.vae.enhancer import Enhancer

TEXTURE_FROM = 36.0
"""CRF below which so little is lost that texture takes as much as it gives."""


def textured(shot: Shot, coded: Coded, model: Enhancer) -> Coded:
    """The same stream, to be decoded with texture. Fine shots of full size stay as they are."""
    crf = coded.base.settings.crf
    if not coded.base.enhanced and crf < TEXTURE_FROM:
        return coded
    gains = [GAIN_UNIT] * 3
    layer = Layer(
        shot.picture.width, shot.picture.height, round(crf * CRF_UNIT), model.hash[:16], "texture", *gains
    )
    return replace(coded, layer=layer)


@dataclass
class Price:
    """What texture takes from PSNR: the means over all frames of a file without it and with it."""

    frames: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def add(
        self, shot: Shot, plain: Coded, seen: Coded, usual: Enhancer, model: Enhancer, threads: int
    ) -> None:
        """usual: the model of `plain`, where that is enhanced, too."""
        before = quality_of(shot, plain, usual, threads=threads)
        after = before if seen is plain else quality_of(shot, seen, model, threads=threads)
        self.frames += len(shot)
        for index, value in enumerate((before, after)):
            self.sums[index] += len(shot) * value

    @property
    def means(self) -> tuple[float, float]:
        """PSNR-YUV in dB."""
        count = max(1, self.frames)
        return self.sums[0] / count, self.sums[1] / count
