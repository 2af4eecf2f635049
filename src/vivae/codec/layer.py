"""What the key frame of an enhanced shot carries beside its AV1 stream: how to make the pictures better than the base.

A record of a few bytes, as declared here, inside a metadata OBU (see `vivae.codec.obu`). A shot without one is plain
AV1 of full size. The enhancement never enters AV1's own prediction: an error in it ends with its frame, or its shot.
"""

from dataclasses import dataclass
from typing import Annotated

from vivae.codec.fields import Choice, Cursor, Prefix, Whole, read_record, write_record
from vivae.errors import UnsupportedError
from vivae.media import Picture

LAYER_VERSION = 1
GAIN_UNIT = 16
"""Steps of a gain of one."""
CRF_UNIT = 4
NO_MODEL = "0" * 16


@dataclass(frozen=True, slots=True)
class Layer:
    """How one shot is decoded: its base scaled up to the display size, then what an enhancer adds."""

    width: Annotated[int, Whole(1, 16384)]
    height: Annotated[int, Whole(1, 16384)]
    """Of the display."""
    crf: Annotated[int, Whole(0, 70 * CRF_UNIT)]
    """Of the base, in quarters: what the enhancer is told of its quality."""
    model: Annotated[str, Prefix(8)]
    """First 8 bytes of the enhancer's SHA-256, in hexadecimal."""
    kind: Annotated[str, Choice(("upscale", "texture", "repair"))]
    """What the enhancer was taught: to come near the original from a smaller base, to look like it, or to come near it
    from a base of full size."""
    gain_y: Annotated[int, Whole(0, 4 * GAIN_UNIT)]
    gain_u: Annotated[int, Whole(0, 4 * GAIN_UNIT)]
    gain_v: Annotated[int, Whole(0, 4 * GAIN_UNIT)]
    """What share of the enhancer's residual is added to each plane, solved by least squares over the shot."""

    @property
    def gains(self) -> tuple[float, float, float]:
        return self.gain_y / GAIN_UNIT, self.gain_u / GAIN_UNIT, self.gain_v / GAIN_UNIT


def whole_layer(picture: Picture, crf: float, model_hash: str | None, kind: str) -> Layer:
    """The layer of a shot that adds all of an enhancer's residual; without an enhancer, nothing."""
    name, gain = (NO_MODEL, 0) if model_hash is None else (model_hash[:16], GAIN_UNIT)
    return Layer(picture.width, picture.height, round(crf * CRF_UNIT), name, kind, gain, gain, gain)


def write_layer(layer: Layer) -> bytes:
    """The record behind its version."""
    return bytes([LAYER_VERSION]) + write_record(layer)


def read_layer(data: bytes, name: str) -> Layer:
    """Undo `write_layer`. Raises FormatError, and UnsupportedError for a later version's."""
    cursor = Cursor(data, name)
    version = cursor.take(1)[0]
    if version != LAYER_VERSION:
        raise UnsupportedError(
            f"{name} carries an enhancement of version {version}, this vivae reads {LAYER_VERSION}: update it"
        )
    return read_record(Layer, cursor)
