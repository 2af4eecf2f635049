"""The layer over a base of full size: what a coarse quantiser has taken, given back as far as the pictures around tell.

The network that `vivae enhance --deblock` has for AV1 says what is missing, and least squares over frames of the shot
say how much of that to believe. A shot for which it is not worth its record stays plain AV1. Decoding takes as long as
enhancing, so it is for who wants small files and has time.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vivae.codec.layer import Layer, whole_layer
from vivae.codec.shot import Coded, fitted, products_of
from vivae.codec.spool import Shot
from vivae.measure.quality import PEAK, psnr_yuv
from vivae.vae.enhancer import Enhancer

REPAIRED_UP_TO = 4
"""Speed of compressing up to which decoding may take long without being asked for."""
REPAIR_FROM = 36.0
"""CRF below which coding leaves too little to repair."""
WORTH = 0.02
"""dB of PSNR-YUV that a repair must bring: less is not worth what decoding it takes."""
RECORD_BITS = 8 * 45
FLOOR = 1e-4
"""Of mean squared errors: identical planes are good enough."""
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
        layer = whole_layer(shot.picture, crf, self.model.hash, "repair")
        products = products_of(shot, coded.units, layer, self.model, threads)
        layer = fitted(layer, products)
        energy, agreement, error = products.transpose(2, 0, 1)
        gains = np.array(layer.gains)
        after = error - 2 * gains * agreement + gains**2 * energy
        gain = float(np.mean(_quality(after, layer) - _quality(error, layer)))
        if gain < WORTH + SLOPE * np.log1p(RECORD_BITS / coded.bits):
            return coded, 0.0
        return replace(coded, layer=layer), gain


def _quality(errors: NDArray[np.float64], layer: Layer) -> NDArray[np.float64]:
    """PSNR-YUV (frames,) in dB, from summed squared errors (frames, 3 planes)."""
    chroma = -(-layer.width // 2) * -(-layer.height // 2)
    means = errors / (layer.width * layer.height, chroma, chroma)
    y, u, v = 10 * np.log10(PEAK**2 / np.maximum(means, FLOOR)).T
    return np.asarray(psnr_yuv(y, u, v))
