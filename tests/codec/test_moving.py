"""The latent codec with motion compensation: sender and receiver agree, keys stand alone, and what moves costs less."""

import cv2
import numpy as np
import pytest
import torch

from tests.codec.test_latent import decoded
from tests.vae.conftest import SMALL, randomised
from vivae.codec.container import VvaReader
from vivae.codec.encoding import header_of
from vivae.codec.latent import LatentDecoder, LatentEncoder, decode_frames
from vivae.codec.records import QUALITY_UNITS
from vivae.errors import VivaeError
from vivae.media import Frame
from vivae.vae.compensation import KEY_FINER, REFRESH, REFRESH_FINER
from vivae.vae.config import VAEConfig
from vivae.vae.model import VideoVAE
from vivae.vae.stream import encode_stream
from vivae.vae.zoo import is_named, load_model, serialise


def saved(vae, path):
    path.write_bytes(serialise(vae))
    return load_model(path)


@pytest.fixture(scope="module")
def moving_model(tmp_path_factory):
    config = VAEConfig.model_validate(SMALL | {"name": "moving", "motion": True})
    return saved(randomised(config), tmp_path_factory.mktemp("models") / "moving.safetensors")


@pytest.fixture(scope="module")
def pan(clip):
    """Twelve frames of a textured picture that a camera passes over, 96x80."""
    rng = np.random.default_rng(4)
    wide = cv2.GaussianBlur(rng.integers(0, 256, (120, 200, 3)).astype(np.uint8), (0, 0), 2)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    old = clip[1]
    return [
        Frame.from_rgb(
            np.ascontiguousarray(wide[10 : 10 + 80, 5 * index : 5 * index + 96]),
            old[0].color,
            old[index].time,
            old[index].duration,
        )
        for index in range(12)
    ]


def steps_of(path, model):
    with VvaReader(path) as reader:
        return list(LatentDecoder(model, reader.header).steps(reader.groups()))


def test_the_receiver_sees_what_the_sender_saw(clip, pan, moving_model, write_file):
    header = header_of(clip[0], pan[0], moving_model, round(0.6 * QUALITY_UNITS))
    encoder = LatentEncoder(moving_model, header, key_interval=100)
    list(encoder.groups(iter(pan)))
    path, _ = write_file(pan, vae=moving_model, key_interval=100)
    last = decoded(path, moving_model)[-1]
    seen = encoder._layout.unpack(encoder._state.picture, 1)[0]
    for one, other in zip(seen, last.planes, strict=True):
        assert np.array_equal(one, other)


def test_keys_are_finer_and_have_no_field_and_others_are_finer_now_and_then(pan, moving_model, write_file):
    interval = REFRESH + 2
    path, _ = write_file(pan, vae=moving_model, quality=0.6, key_interval=interval)
    better = {0: KEY_FINER, REFRESH: REFRESH_FINER}
    for index, step in enumerate(steps_of(path, moving_model)):
        since_key = index % interval
        assert step.key == (since_key == 0) == (step.field is None)
        usual = round(0.6 * QUALITY_UNITS)
        assert step.units == usual + 41 * round(255 * better.get(since_key, 0))
        assert step.key or step.field.shape == (5, 6, 2)


@pytest.mark.parametrize("quality", [0.0, 0.95, 1.0])
def test_quality_ends_at_a_hundred(pan, moving_model, write_file, quality):
    path, _ = write_file(pan[:3], vae=moving_model, quality=quality)
    assert all(0 <= step.units <= QUALITY_UNITS for step in steps_of(path, moving_model))


def test_seeking_begins_at_a_key(pan, moving_model, write_file):
    path, _ = write_file(pan, vae=moving_model, key_interval=4)
    whole = decoded(path, moving_model)
    with VvaReader(path) as reader:
        rest = list(decode_frames(reader, moving_model, start=pan[6].time))
    assert len(rest) == len(whole) - 6
    for one, other in zip(rest, whole[6:], strict=True):
        assert np.array_equal(one.y, other.y)


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """`base`, with motion compensation."""
    base = load_model("base")
    vae = VideoVAE(base.config.model_copy(update={"name": "moved", "motion": True}))
    vae.load_state_dict(base.state_dict())
    return saved(vae.requires_grad_(False).eval(), tmp_path_factory.mktemp("models") / "moved.safetensors")


def test_what_moves_costs_less(pan, write_file, moved):
    """Of the same weights, at the same quality: fewer bits where motion is compensated."""

    def later_bytes(vae):
        path, _ = write_file(pan, vae=vae, quality=0.5, key_interval=100, name=f"{vae.config.name}.vva")
        with VvaReader(path) as reader:
            return sum(len(group.payload) for group in reader.groups() if not group.key)

    assert later_bytes(moved) < 0.7 * later_bytes(load_model("base"))


def test_one_frame_and_tiny_frames(clip, moving_model, write_file):
    frame = clip[1][0]
    assert len(decoded(write_file([frame], vae=moving_model)[0], moving_model)) == 1
    tiny = [
        Frame.from_rgb(old.to_rgb()[:3, :5].copy(), old.color, old.time, old.duration) for old in clip[1][:3]
    ]
    assert [frame.y.shape for frame in decoded(write_file(tiny, vae=moving_model)[0], moving_model)] == [
        (3, 5)
    ] * 3


def test_damaged_fields_end_in_a_clear_error_or_a_picture(pan, moving_model, write_file):
    """Symbols that no sender made: any of vivae's errors, or frames; never anything else."""
    path, _ = write_file(pan[:6], vae=moving_model, key_interval=100)
    rng = np.random.default_rng(5)
    with VvaReader(path) as reader:
        header, groups = reader.header, list(reader.groups())
    clean = 0
    for _ in range(20):
        changed = []
        for group in groups:
            payload = bytearray(group.payload)
            if not group.key:
                payload[rng.integers(min(len(payload), 60))] = rng.integers(256)
            changed.append(type(group)(group.key, group.first, group.start, group.spans, bytes(payload)))
        try:
            for frame in LatentDecoder(moving_model, header).frames(changed):
                assert frame.y.shape == (80, 96)
            clean += 1
        except VivaeError:
            continue
    assert clean < 20


def test_models_without_motion_are_saved_as_ever():
    """A setting that came later leaves what a model that does not use it says of itself, and so its hash, as it was."""
    assert "motion" not in VAEConfig().model_dump()
    assert VAEConfig(motion=True).model_dump()["motion"] is True


def test_files_that_name_base_as_it_was_first_stored_open_still():
    assert is_named(load_model("base"), "03d4818e984a63757d1894009a76773e")


def test_a_stream_that_follows_needs_fewer_bits(pan, moved):
    """What shows where bits went codes as the codec does."""
    streams = {
        follows: list(encode_stream(moved, pan, quality=0.6, rounded=True, follows=follows))
        for follows in (False, True)
    }
    plain, followed = (sum(float(coded.bits.sum()) for coded in stream[1:]) for stream in streams.values())
    assert followed < 0.8 * plain


def test_models_that_know_no_motion_do_not_follow(pan, model):
    for one, other in zip(
        encode_stream(model, pan[:3], follows=True), encode_stream(model, pan[:3]), strict=True
    ):
        assert torch.equal(one.latent, other.latent)
