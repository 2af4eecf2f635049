"""A small random model as a file, and a short real clip in small pictures, for the codec and its verbs."""

from itertools import islice
from pathlib import Path

import cv2
import pytest

from tests.vae.conftest import SMALL, make_model, randomised
from vivae.codec.container import VvaWriter
from vivae.codec.encoding import header_of
from vivae.codec.latent import LatentEncoder
from vivae.codec.records import QUALITY_UNITS
from vivae.media import Frame, VideoInfo, open_video
from vivae.vae.config import VAEConfig
from vivae.vae.model import VideoVAE
from vivae.vae.zoo import load_model, serialise

__all__ = ["make_model"]


@pytest.fixture(scope="session")
def model_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    path.write_bytes(serialise(randomised(VAEConfig.model_validate(SMALL | {"name": "small"}))))
    return path


@pytest.fixture(scope="session")
def model(model_path) -> VideoVAE:
    return load_model(model_path)


@pytest.fixture(scope="session")
def clip(bikes) -> tuple[VideoInfo, list[Frame]]:
    """24 frames of the street at 90x62: no multiple of any stride."""
    with open_video(bikes) as reader:
        frames = []
        for frame in islice(reader, 24):
            small = cv2.resize(frame.to_rgb(), (90, 62), interpolation=cv2.INTER_AREA)
            frames.append(Frame.from_rgb(small, frame.color, frame.time, frame.duration))
        return reader.info, frames


@pytest.fixture
def write_file(tmp_path, clip, model):
    """Encode frames to a .vva file; returns its path and what its symbols should cost in bits."""

    def write(frames=None, *, quality=0.6, key_interval=8, vae=model, name="clip.vva", info=clip[0]):
        frames = frames or clip[1]
        header = header_of(info, frames[0], vae, round(quality * QUALITY_UNITS))
        encoder = LatentEncoder(vae, header, key_interval=key_interval)
        path = tmp_path / name
        with path.open("wb") as file:
            writer = VvaWriter(file, header)
            for group in encoder.groups(iter(frames)):
                writer.group(group)
            writer.finish()
        return path, encoder.bits

    return write
