"""The layer over a base of full size: what a coarse quantiser has taken, given back as far as the pictures around tell.

A network that knows AV1's traces, as that of `vivae enhance --deblock` does, says what is missing, and least squares
over frames of the shot say how much of that to believe. A shot for which it is not worth its record stays plain AV1.
Decoding takes as long as enhancing, so it is for who wants small files and has time.
"""

from dataclasses import dataclass

import numpy as np

from vivae.codec.shot import Coded, with_layer
from vivae.codec.spool import Shot
from vivae.vae.enhancer import Enhancer

REPAIRED_UP_TO = 4
"""Speed of compressing up to which decoding may take long without being asked for."""
REPAIR_FROM = 36.0
"""CRF below which coding leaves too little to repair."""
WORTH = 0.02
"""dB of PSNR-YUV that a repair must bring: less is not worth what decoding it takes."""
RECORD_BITS = 8 * 45
SLOPE = 5.0
"""dB for each e-fold of bits, by which those of the record count against what it brings: as of most footage."""


@dataclass
class Repair:
    """What looks at each finished shot and gives it a layer where that pays."""

    model: Enhancer

    def given(self, shot: Shot, coded: Coded, threads: int) -> Coded:
        """The shot with a layer, or as it is."""
        return self.worth(shot, coded, threads)[0]

    def worth(self, shot: Shot, coded: Coded, threads: int) -> tuple[Coded, float]:
        """The same, and what the layer brings, in dB of PSNR-YUV."""
        crf = coded.base.settings.crf
        if coded.layer is not None or crf < REPAIR_FROM:
            return coded, 0.0
        repaired, gain = with_layer(shot, coded, self.model, "repair", threads=threads)
        if gain < WORTH + SLOPE * np.log1p(RECORD_BITS / coded.bits):
            return coded, 0.0
        return repaired, gain
