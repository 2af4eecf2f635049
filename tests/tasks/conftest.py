"""Small random models as files, for verbs that take one by path, and a clip of two shots."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import pytest

from tests.vae.conftest import SMALL, randomised
from vivae.media import Frame, open_video, open_writer
from vivae.vae.config import VAEConfig
from vivae.vae.zoo import serialise

SIZE = (160, 96)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    path.write_bytes(serialise(randomised(VAEConfig.model_validate(SMALL | {"name": "small"}))))
    return path


@pytest.fixture(scope="session")
def paired_model(tmp_path_factory) -> Path:
    """As `small_model`, with two frames in each latent."""
    path = tmp_path_factory.mktemp("models") / "paired.safetensors"
    config = VAEConfig.model_validate(SMALL | {"name": "paired", "temporal_stride": 2})
    path.write_bytes(serialise(randomised(config, seed=1)))
    return path


def small(source, count, first):
    with open_video(source) as reader:
        for number, frame in enumerate(islice(reader, count)):
            rgb = cv2.resize(frame.to_rgb(), SIZE, interpolation=cv2.INTER_AREA)
            time = Fraction(first + number, 25)
            yield Frame.from_rgb(rgb, time=time, duration=Fraction(1, 25))


@pytest.fixture(scope="session")
def two_shots(bikes, bunny, tmp_path_factory):
    """A street, then a meadow: 20 and 16 frames, with the meadow's sound."""
    path = tmp_path_factory.mktemp("clips") / "two.mp4"
    frames = [*small(bikes, 20, 0), *small(bunny, 16, 20)]
    with open_writer(
        path, width=SIZE[0], height=SIZE[1], fps=Fraction(25), color=frames[0].color,
        codec="h264", lossless=True, copy_from=bunny, end=36 / 25,
    ) as writer:  # fmt: skip
        for frame in frames:
            writer.write(frame)
    return path
