"""Latents as files: what is written agrees with the model, reads with any safetensors library, and decodes."""

import json
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vivae.errors import FormatError, InputError, ModelMismatch, OutputError
from vivae.media import open_video, pack
from vivae.tasks.features import decode, encode, read_header
from vivae.vae.stream import encode_stream
from vivae.vae.zoo import load_model


@pytest.fixture
def latent_file(bikes, small_model, tmp_path):
    encode(bikes, tmp_path / "z.safetensors", model=small_model, end=0.2)
    return tmp_path / "z.safetensors"


@pytest.fixture(params=["small_model", "paired_model"])
def any_model(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("channels", [None, 4])
def test_decoding_gives_what_the_encoder_saw(any_model, bikes, tmp_path, channels):
    vae = load_model(any_model)
    with open_video(bikes, start=1, end=1.2) as reader:
        expected = [
            frame for coded in encode_stream(vae, reader, channels=channels) for frame in coded.decoded
        ]
    result = encode(bikes, tmp_path / "z.safetensors", model=any_model, channels=channels, start=1, end=1.2)
    decode(tmp_path / "z.safetensors", tmp_path / "out.mkv", model=any_model, codec="ffv1")
    with open_video(tmp_path / "out.mkv") as reader:
        frames = list(reader)
    assert result["frames"] == len(frames) == len(expected) == 5
    assert [frame.time for frame in frames] == [frame.time for frame in expected]
    for mine, theirs in zip(frames, expected, strict=True):
        # The file holds float16: a hair's breadth, which may tip a rounding.
        assert np.abs(pack(mine).astype(int) - pack(theirs).astype(int)).max() <= 1


def test_the_file_is_plain_safetensors(latent_file, small_model):
    tensors = load_file(latent_file)
    header, shape, frames = read_header(latent_file)
    config = load_model(small_model).config
    assert tensors["latents"].dtype == np.float16
    assert tensors["latents"].shape == shape == (5, config.latent_channels, 272 // 16, 640 // 16)
    assert tensors["times"].tolist() == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert tensors["durations"].tolist() == pytest.approx([0.04] * 5)
    assert (header.width, header.height, header.fps, frames) == (640, 272, Fraction(25), 5)
    assert header.model_hash == load_model(small_model).hash


def test_memory_does_not_grow_with_length(bikes, small_model, tmp_path):
    def peak(seconds):
        tracemalloc.start()
        encode(bikes, tmp_path / "z.safetensors", model=small_model, end=seconds, force=True)
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    peak(0.2)  # what is imported and cached once
    assert peak(1.6) < 1.1 * peak(0.4)


def test_another_model_is_refused(latent_file, paired_model, tmp_path):
    with pytest.raises(ModelMismatch, match="--model"):
        decode(latent_file, tmp_path / "out.mkv", model=paired_model)
    with pytest.raises(InputError, match="small"):  # the name in the file is not one of the shipped models
        decode(latent_file, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()


def test_wrong_requests_are_refused(bikes, small_model, latent_file, tmp_path):
    with pytest.raises(InputError, match="safetensors"):
        encode(bikes, tmp_path / "z.npz", model=small_model)
    with pytest.raises(InputError, match="4, 8 channels"):
        encode(bikes, tmp_path / "y.safetensors", model=small_model, channels=5)
    with pytest.raises(InputError, match="quality"):
        encode(bikes, tmp_path / "y.safetensors", model=small_model, quality=101)
    with pytest.raises(OutputError, match="exists"):
        encode(bikes, latent_file, model=small_model)
    with pytest.raises(InputError, match="no file"):
        decode(tmp_path / "missing.safetensors", tmp_path / "out.mkv")
    with pytest.raises(FormatError, match="no latents"):
        decode(small_model, tmp_path / "out.mkv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["z.safetensors"]


def rewritten(path, **changes):
    """The same file with tensors exchanged, or fields of its header."""
    tensors = load_file(path)
    header = json.loads(read_header(path)[0].model_dump_json())
    for name, value in changes.items():
        (tensors if name in tensors else header)[name] = value
    save_file(tensors, path, metadata={"vivae-latents": json.dumps(header)})


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 100_000},
        {"width": 17},
        {"fps": "0"},
        {"fps": "1/0"},
        {"color": {"range": "loud"}},
        {"latents": np.zeros((5, 9, 17, 40), np.float16)},
        {"latents": np.zeros((4, 8, 17, 40), np.float16)},
        {"latents": np.zeros((5, 8, 17, 40), np.float32)},
        {"latents": np.full((5, 8, 17, 40), np.nan, np.float16)},
        {"times": np.zeros(5)},
        {"times": np.arange(5.0) * 1e300},
        {"durations": np.full(5, np.inf)},
    ],
)
def test_damage_is_a_format_error(latent_file, small_model, tmp_path, changes):
    rewritten(latent_file, **changes)
    with pytest.raises(FormatError):
        decode(latent_file, tmp_path / "out.mkv", model=small_model)
    assert not (tmp_path / "out.mkv").exists()


def test_truncation_is_a_format_error(latent_file, small_model, tmp_path):
    whole = latent_file.read_bytes()
    for length in (0, 7, 100, 9000, len(whole) - 1):
        latent_file.write_bytes(whole[:length])
        with pytest.raises(FormatError):
            decode(latent_file, tmp_path / "out.mkv", model=small_model)
