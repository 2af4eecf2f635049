"""The streaming contract: whole clip, any chunks and frame by frame are one and the same."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vae.conftest import randomised
from vivae.measure.quality import compare_clips
from vivae.media import ColorInfo, Frame, open_video
from vivae.train.recipe import Recipe, load_recipe
from vivae.vae.config import VAEConfig
from vivae.vae.stream import Layout, StreamDecoder, StreamEncoder, decode_clip, encode_clip, encode_stream
from vivae.vae.zoo import load_model

RECIPES = [
    path
    for path in sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
    if isinstance(load_recipe(path), Recipe)
]


def clip_of(config: VAEConfig, count: int, side: int = 32) -> torch.Tensor:
    rows = side // 4
    return torch.rand(
        1, count, config.picture_channels, rows, rows, generator=torch.Generator().manual_seed(count)
    )


def chunks_of(clip: torch.Tensor, sizes: list[int]) -> list[torch.Tensor]:
    return [part for part in clip.split(sizes, 1) if part.shape[1]]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("count", [1, 2, 3, 17, 100])
def test_chunk_plans_agree(path, count):
    config = load_recipe(path).model
    if count == 100 and sum(config.widths) > 500:
        count = 40
    model = randomised(config)
    quality = torch.tensor([0.8])
    clip = clip_of(config, count)
    whole, _ = encode_clip(model, clip, quality)
    start = model.initial_state(1, 8, 8)
    pictures, _ = decode_clip(model, whole, quality, start)
    assert torch.isfinite(pictures).all()
    for sizes in ([1] * count, [count // 3, count - count // 3]):
        state, parts = None, []
        for part in chunks_of(clip, sizes):
            latents, state = encode_clip(model, part, quality, state)
            parts.append(latents)
        torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-5)
        state, parts = start, []
        for part in chunks_of(whole, sizes):
            out, state = decode_clip(model, part, quality, state)
            parts.append(out)
        torch.testing.assert_close(torch.cat(parts, 1), pictures, rtol=0, atol=1e-5)


def frame_of(height: int, width: int, index: int) -> Frame:
    rng = np.random.default_rng((height, width, index))
    half = (-(-height // 2), -(-width // 2))
    smooth = np.linspace(20, 220, width)[None] + np.linspace(-15, 15, height)[:, None]
    y = np.clip(smooth + rng.normal(0, 4, (height, width)) + 3 * index, 0, 255).astype(np.uint8)
    u, v = (rng.integers(100, 150, half, dtype=np.uint8) for _ in range(2))
    return Frame(y, u, v, Fraction(index, 25), Fraction(1, 25), ColorInfo.guess(height))


@settings(max_examples=12, deadline=None)
@given(height=st.integers(1, 50), width=st.integers(1, 50), count=st.integers(1, 5))
@pytest.mark.parametrize("temporal_stride", [1, 2])
def test_any_size_and_count(temporal_stride, height, width, count):
    config = VAEConfig(
        stride=8,
        temporal_stride=temporal_stride,
        widths=(8, 12),
        encoder_depths=(0, 1),
        decoder_depths=(0, 1),
        latent_channels=4,
        nested=(2,),
        memory_channels=4,
        prior_width=8,
    )
    model = randomised(config)
    frames = [frame_of(height, width, index) for index in range(count)]
    steps = list(encode_stream(model, frames))
    decoder = StreamDecoder(model, height, width)
    decoded = [frame for step in steps for frame in step.decoded]
    assert [frame.time for frame in decoded] == [frame.time for frame in frames]
    for step in steps:
        assert step.latent.shape == Layout(config, height, width).latent_size
        for mirrored, seen in zip(decoder.push(step.latent, len(step.frames)), step.decoded, strict=True):
            for one, two in zip(mirrored, seen.planes, strict=True):
                assert one.shape == two.shape
                assert np.array_equal(one, two)


def test_later_frames_change_nothing_before(make_model):
    model = make_model()
    frames = [frame_of(40, 56, index) for index in range(6)]
    long = [step.latent for step in encode_stream(model, frames)]
    short = [step.latent for step in encode_stream(model, frames[:3])]
    for one, two in zip(short, long, strict=False):
        assert torch.equal(one, two)


def test_state_does_not_grow(make_model):
    model = make_model()
    encoder = StreamEncoder(model)
    sizes = set()
    for index in range(30):
        encoder.push([frame_of(32, 48, index)])
        sizes.add(tuple(part.untyped_storage().nbytes() for part in encoder.state))
    assert len(sizes) == 1


def test_a_change_of_size_restarts(make_model):
    model = make_model()
    encoder = StreamEncoder(model)
    encoder.push([frame_of(32, 48, 0)])
    changed = encoder.push([frame_of(48, 32, 1)])
    fresh = StreamEncoder(model).push([frame_of(48, 32, 1)])
    assert torch.equal(changed.latent, fresh.latent)


def test_leading_channels(make_model):
    model = make_model()
    step = StreamEncoder(model, channels=4).push([frame_of(32, 32, 0)])
    assert step.latent[4:].abs().max() == 0
    assert step.latent[:4].abs().max() > 0


def test_coding_again_loses_little(bikes):
    """Of the shipped model: what went through once comes through again almost unharmed."""
    model = load_model("base")
    with open_video(bikes, end=0.2) as reader:
        frames = list(reader)
    trips = [frames]
    for _ in range(3):
        trips.append([frame for step in encode_stream(model, trips[-1]) for frame in step.decoded])
    first, last = (compare_clips(frames, trips[index])[0].psnr_yuv for index in (1, 3))
    assert first > 30
    assert last > first - 0.5
