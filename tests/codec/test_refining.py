"""A second look at single pictures: worth more, understood by any decoder, and nothing where it would be too large."""

import math

import numpy as np
import pytest

from tests.codec.test_latent import decoded
from tests.vae.conftest import SMALL, randomised
from vivae.codec import refining, symbols
from vivae.measure.quality import compare
from vivae.vae.config import VAEConfig
from vivae.vae.zoo import load_model, serialise


@pytest.fixture(scope="session")
def still_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "still.safetensors"
    config = VAEConfig.model_validate(SMALL | {"name": "still", "still": True, "groups": (1, 3)})
    path.write_bytes(serialise(randomised(config)))
    return load_model(path)


@pytest.mark.parametrize("quality", [0.25, 0.7])
def test_pictures_are_worth_more_after_a_second_look(write_file, clip, monkeypatch, quality):
    """As good as with one look, they take fewer bits."""
    images = load_model("images")
    frames = clip[1][:1]

    def point(at, looks):
        monkeypatch.setattr(refining, "LOOKS", looks)
        path, bits = write_file(frames, vae=images, quality=at)
        (found,) = decoded(path, images)
        return compare(frames[0], found).psnr_yuv, math.log(bits)

    good, bits = point(quality, refining.LOOKS)
    qualities, plain = zip(*(point(quality + step, 0) for step in (-0.2, 0, 0.2)), strict=True)
    assert qualities[0] < good < qualities[2]
    assert bits < np.interp(good, qualities, plain)


def test_large_pictures_get_one_look(write_file, clip, still_model, monkeypatch):
    monkeypatch.setattr(refining, "LARGEST", 100)
    few, _ = write_file(clip[1][:1], vae=still_model, name="few.vva")
    monkeypatch.setattr(refining, "LOOKS", 0)
    none, _ = write_file(clip[1][:1], vae=still_model, name="none.vva")
    assert few.read_bytes() == none.read_bytes()


def test_every_frame_of_a_still_model_stands_alone(write_file, clip, still_model):
    """Frames of a video are as they would be by themselves, key or not."""
    frames = clip[1][:4]
    together = decoded(write_file(frames, vae=still_model, key_interval=3)[0], still_model)
    for frame, found in zip(frames, together, strict=True):
        (alone,) = decoded(write_file([frame], vae=still_model, name="one.vva")[0], still_model)
        for one, other in zip(found.planes, alone.planes, strict=True):
            assert (one == other).all()


def test_zero_is_a_choice(write_file, clip, still_model, monkeypatch):
    """Where errors cost nothing, nothing but the likeliest symbols is coded."""
    usual = write_file(clip[1][:1], vae=still_model)[1]
    monkeypatch.setattr(symbols, "BITS_PER_ERROR", 0.0)
    monkeypatch.setattr(refining, "LOOKS", 0)
    assert write_file(clip[1][:1], vae=still_model)[1] < usual
