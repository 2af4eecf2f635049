"""The pure VAE codec: files give back what the model made, cost what the objective says, and decode everywhere."""

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

import numpy as np
import pytest
import torch

from tests.vae.conftest import SMALL, randomised
from vivae.codec import latent, symbols
from vivae.codec.container import VvaReader
from vivae.codec.latent import LatentDecoder, decode_frames, model_of, symbols_digest
from vivae.codec.records import QUALITY_UNITS
from vivae.errors import FormatError, InputError, ModelMismatch, UnsupportedError
from vivae.media import Frame
from vivae.vae.config import VAEConfig
from vivae.vae.prior import bits_of
from vivae.vae.stream import Layout, as_frames
from vivae.vae.zoo import load_model, serialise


def decoded(path, model, **options):
    with VvaReader(path) as reader:
        return list(decode_frames(reader, model, **options))


def payload_bits(path):
    with VvaReader(path) as reader:
        return sum(8 * len(group.payload) for group in reader.groups())


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, two in zip(found, expected, strict=True):
        assert (one.time, one.duration, one.color) == (two.time, two.duration, two.color)
        for a, b in zip(one.planes, two.planes, strict=True):
            np.testing.assert_array_equal(a, b)


def cropped(frames, height, width):
    half = (-(-height // 2), -(-width // 2))
    return [
        replace(f, y=f.y[:height, :width], u=f.u[: half[0], : half[1]], v=f.v[: half[0], : half[1]])
        for f in frames
    ]


class Replayed(NamedTuple):
    """One step of a file: what the encoder wanted to say, what it said, and what that costs by the prior."""

    latent: torch.Tensor
    symbols: torch.Tensor
    bits: torch.Tensor
    rounded_bits: torch.Tensor
    """Of the latent simply rounded, with a dead zone."""
    frames: list[Frame]


@torch.no_grad()
def replayed(path, model, frames, quality, key_interval):
    """Go through a file with the model itself, without the codec's own loop."""
    quality = torch.tensor([round(quality * QUALITY_UNITS) / QUALITY_UNITS])
    with VvaReader(path) as reader:
        steps = list(LatentDecoder(model, reader.header).steps(reader.groups()))
    layout = Layout(model.config, frames[0].height, frames[0].width)
    for index, (step, frame) in enumerate(zip(steps, frames, strict=True)):
        if index % key_interval == 0:
            state = model.initial_state(1, *layout.packed_size)
        assert step.key == (index % key_interval == 0)
        wanted = model.find_latent(layout.pack([frame]), state, quality)
        context = model.expect(state, quality)
        bits = bits_of(step.symbols, model.prior.expect(context, step.symbols))
        rounded = model.quantise(wanted, quality)
        rounded_bits = bits_of(rounded, model.prior.expect(context, rounded))
        picture, state = model.decode(step.symbols, state, quality)
        state = model.remember(state, step.symbols, context)
        shown = as_frames(layout.unpack(picture, 1), [frame])
        yield Replayed(wanted, step.symbols, bits, rounded_bits, shown)


def test_files_hold_what_the_model_made(write_file, clip, model):
    path, _ = write_file(quality=0.6, key_interval=10)
    steps = list(replayed(path, model, clip[1], 0.6, 10))
    assert_same(decoded(path, model), [frame for step in steps for frame in step.frames])


def test_symbols_are_worth_their_bits(write_file, clip):
    """All in all, bits and what they spare of error are less than of a latent rounded without a look at the prior."""
    base = load_model("base")
    for quality in (0.1, 0.5, 1.0):
        path, _ = write_file(vae=base, quality=quality, key_interval=1000)
        chosen = plain = 0.0
        for step in replayed(path, base, clip[1], quality, 1000):
            level = torch.tensor([quality])
            rounded = base.quantise(step.latent, level)
            error, usual = ((whole - step.latent).square().sum().item() for whole in (step.symbols, rounded))
            chosen += step.bits.sum().item() + symbols.BITS_PER_ERROR * error
            plain += step.rounded_bits.sum().item() + symbols.BITS_PER_ERROR * usual
        assert chosen < plain


def test_bytes_of_the_shipped_model_cost_what_the_objective_says(write_file, clip):
    base = load_model("base")
    for quality in (0.1, 0.5, 1.0):
        path, _ = write_file(vae=base, quality=quality, key_interval=1000)
        objective = sum(step.bits.sum().item() for step in replayed(path, base, clip[1], quality, 1000))
        assert payload_bits(path) == pytest.approx(objective, rel=0.03)


@pytest.mark.parametrize(("quality", "wider"), [(0.0, 0.0), (0.5, 1.0), (0.7, 3.0)])
def test_bytes_cost_what_the_objective_says(write_file, clip, tmp_path, quality, wider):
    """wider: a bias on the scales, so that random priors fit as roughly as trained ones would closely."""
    path = tmp_path / "fitted.safetensors"
    fitted = randomised(VAEConfig.model_validate(SMALL))
    for head in fitted.prior.heads:
        head.bias.data[head.out_channels // 2 :] += wider
    path.write_bytes(serialise(fitted))
    model = load_model(path)
    path, ideal = write_file(vae=model, quality=quality, key_interval=1000)
    objective = sum(step.bits.sum().item() for step in replayed(path, model, clip[1], quality, 1000))
    assert payload_bits(path) == pytest.approx(objective, rel=0.03)
    assert payload_bits(path) == pytest.approx(ideal, rel=0.01)
    assert 8 * path.stat().st_size < payload_bits(path) + 8 * 250


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 16), (17, 33), (5, 90)])
def test_any_size_and_single_images(write_file, clip, model, size):
    frames = cropped(clip[1][:1], *size)
    path, _ = write_file(frames)
    (found,) = decoded(path, model)
    assert found.y.shape == size
    assert found.u.shape == frames[0].u.shape
    assert (found.time, found.duration) == (frames[0].time, frames[0].duration)


def test_uneven_times_survive_exactly(write_file, clip, model):
    frames, time = [], Fraction(7, 3)
    for index, frame in enumerate(clip[1][:12]):
        duration = clip[0].time_base * (300 + 7 * (index % 3))
        frames.append(replace(frame, time=time, duration=duration))
        time += duration if index != 5 else 2 * duration  # and a gap
    found = decoded(write_file(frames)[0], model)
    assert [(f.time, f.duration) for f in found] == [(f.time, f.duration) for f in frames]


def test_steps_of_several_frames(write_file, clip, tmp_path):
    path = tmp_path / "paired.safetensors"
    config = VAEConfig.model_validate(SMALL | {"name": "paired", "temporal_stride": 2})
    path.write_bytes(serialise(randomised(config)))
    model = load_model(path)
    for count in (1, 2, 9):
        found = decoded(write_file(clip[1][:count], vae=model, key_interval=4)[0], model)
        assert [(f.time, f.duration) for f in found] == [(f.time, f.duration) for f in clip[1][:count]]


def test_groups_stay_small(write_file, model, monkeypatch):
    whole, _ = write_file(quality=1.0, key_interval=1000)
    monkeypatch.setattr(latent, "GROUP_BYTES", 200)
    small, _ = write_file(quality=1.0, key_interval=1000, name="small.vva")
    with VvaReader(whole) as reader, VvaReader(small) as other:
        assert len(list(reader.groups())) < len(list(other.groups()))
    assert_same(decoded(small, model), decoded(whole, model))


@pytest.mark.parametrize("start", [0, 0.1, 0.32, 0.33, 0.9])
def test_seeking_gives_the_same_frames(write_file, clip, model, start, monkeypatch):
    path, _ = write_file(key_interval=8)
    start = Fraction(start).limit_denominator(100)
    end = start + Fraction(1, 5)
    pushed = []
    step = latent.SymbolStream.step
    monkeypatch.setattr(
        latent.SymbolStream, "step", lambda self, *args: pushed.append(1) or step(self, *args)
    )
    whole = decoded(path, model)
    pushed.clear()
    expected = [
        replace(f, time=f.time - start, duration=min(f.duration, end - f.time))
        for f in whole
        if start <= f.time < end
    ]
    assert_same(decoded(path, model, start=start, end=end), expected)
    assert len(pushed) <= 8 + 6


def test_spans_without_frames_are_refused(write_file, model):
    path, _ = write_file()
    with pytest.raises(InputError):
        decoded(path, model, start=Fraction(50))


def test_best_effort_gives_the_frames_before_the_damage(write_file, model, tmp_path, caplog):
    path, _ = write_file(quality=1.0)
    whole, data = decoded(path, model), path.read_bytes()
    counts = []
    for share in (0.3, 0.6, 0.9):
        for flip in (True, False):
            at = int(share * len(data))
            broken = data[:at] + (bytes([data[at] ^ 4]) + data[at + 1 :] if flip else b"")
            bad = tmp_path / "bad.vva"
            bad.write_bytes(broken)
            with pytest.raises(FormatError):
                decoded(bad, model)
            caplog.clear()
            found = decoded(bad, model, best_effort=True)
            assert_same(found, whole[: len(found)])
            assert "kept" in caplog.text
            counts.append(len(found))
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1] < len(whole)


def test_other_models_are_refused(write_file, model, model_path, tmp_path):
    path, _ = write_file()
    other = tmp_path / "other.safetensors"
    other.write_bytes(serialise(randomised(VAEConfig.model_validate(SMALL | {"name": "small"}), seed=9)))
    with VvaReader(path) as reader:
        assert model_of(reader, model_path).hash == model.hash
        with pytest.raises(ModelMismatch):
            model_of(reader, other)
        with pytest.raises(ModelMismatch, match="'small'"):
            model_of(reader)
        with pytest.raises(InputError):
            model_of(reader, tmp_path / "missing.safetensors")


def test_models_that_cannot_code_are_refused(write_file, make_model):
    with pytest.raises(InputError, match="saved"):
        write_file(vae=make_model())
    conditional = make_model(condition_channels=24)
    conditional.hash = "0" * 64
    with pytest.raises(UnsupportedError, match="condition"):
        write_file(vae=conditional)


def test_symbols_of_any_size_survive(write_file, clip, model, monkeypatch):
    """Latents far beyond the tables, as an odd model or video may give them."""
    encode = type(model).encode
    gain = torch.logspace(-2, 9, SMALL["latent_channels"])[:, None, None]
    monkeypatch.setattr(
        type(model), "encode", lambda self, *args: (encode(self, *args)[0] * gain, None), raising=True
    )
    path, _ = write_file(clip[1][:4], key_interval=2)
    assert all(np.isfinite(f.y.astype(float)).all() for f in decoded(path, model))
    with VvaReader(path) as reader:
        largest = max(
            step.symbols.abs().max() for step in LatentDecoder(model, reader.header).steps(reader.groups())
        )
    assert 2**19 < largest < 2**20


def test_latents_that_are_no_numbers_are_refused(write_file, model, monkeypatch):
    monkeypatch.setattr(
        type(model), "encode", lambda self, x, *_: (torch.full((1, 8, 4, 6), torch.nan), None)
    )
    with pytest.raises(UnsupportedError):
        write_file()


def test_memory_does_not_grow_with_length(clip, model, tmp_path, write_file):
    """Frames are pulled one step ahead of the groups, and groups one ahead of the frames."""
    pulled = []

    def endless():
        for index in range(10_000):
            frame = clip[1][index % 24]
            pulled.append(index)
            yield Frame(*frame.planes, Fraction(index, 25), Fraction(1, 25), frame.color)

    path, _ = write_file(clip[1][:1])
    with VvaReader(path) as reader:
        encoder = latent.LatentEncoder(model, reader.header, key_interval=8)
        groups = encoder.groups(endless())
        seen = 0
        for group in islice(groups, 10):
            seen += group.frames
            assert len(pulled) <= seen + 2
        frames = LatentDecoder(model, reader.header).frames(
            islice(latent.LatentEncoder(model, reader.header, key_interval=8).groups(endless()), 10)
        )
        pulled.clear()
        next(frames)
        assert len(pulled) <= 2


CAPS = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2"},
    "SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "2"},
}


@pytest.mark.slow
def test_symbols_are_the_same_on_every_machine(write_file, clip, tmp_path):
    """A model of the shipped size, with random weights; instruction sets are capped, as older CPUs would."""
    weights = tmp_path / "large.safetensors"
    weights.write_bytes(serialise(randomised(VAEConfig(name="large"))))
    path, _ = write_file(clip[1][:5], vae=load_model(weights), key_interval=3)
    expected = symbols_digest(path, model=weights)
    program = "import sys; from vivae.codec.latent import symbols_digest as d; print(d(sys.argv[1], model=sys.argv[2]))"
    for name, cap in CAPS.items():
        done = subprocess.run(
            [sys.executable, "-c", program, str(path), str(weights)],
            env=os.environ | cap,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == expected, f"{name}: {done.stderr[-500:]}"
