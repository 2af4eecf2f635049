"""The benchmark of generation, small: it runs whole, goes on, and says what it should of known sets."""

import json

import pytest
import torch
import yaml

from tests.train.test_composed import write_mnist
from tests.vae.generators import THINGS
from vivae.app.training import train
from vivae.errors import InputError
from vivae.tasks import bench_future, bench_generate, digits, rivals
from vivae.tasks.bench_generate import bench_generate as run


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(bench_generate, "CLIPS", 6)
    monkeypatch.setattr(bench_generate, "READ", 6)
    monkeypatch.setattr(bench_generate, "SHOWN", 2)
    monkeypatch.setattr(digits, "READER_STEPS", 2)
    monkeypatch.setattr(bench_future, "CLIPS", 1)
    monkeypatch.setattr(bench_future, "DRAWS", 2)


@pytest.fixture
def world(tmp_path):
    """A folder of data, and a generator that was hardly trained on it."""
    mnist = tmp_path / "data" / "generate" / "mnist"
    mnist.mkdir(parents=True)
    write_mnist(mnist, 40)
    vae = THINGS["vae"] | {"side": 64, "box": 28, "labels": 10}
    recipe = {
        "kind": "generator",
        "model": THINGS | {"vae": vae},
        "composed": {"train_pictures": 30},
        "stages": [
            {"part": "vae", "share": 0.4, "batch": 2, "frames": 2},
            {"part": "looks", "share": 0.2, "batch": 2, "frames": 2},
            {"part": "prior", "share": 0.4, "batch": 4, "frames": 2, "restart": True},
        ],
        "budget": {"steps": 10, "patience": None},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    train(tmp_path / "recipe.yaml", mnist, output=tmp_path / "model")
    return tmp_path


@pytest.mark.slow
def test_it_runs_whole_and_goes_on(small, world):
    out = world / "bench"
    settings = {"model": world / "model", "minutes": 0.001, "threads": 1}
    run(world / "data", out, **settings)
    result = json.loads((out / "results.json").read_text())
    found = result["samples"] | result["rivals"]
    assert len(found) == 8
    for figures in found.values():
        assert figures["frechet"] >= 0
        assert 0 <= figures["legible"] <= 1
    assert found["convolutional GAN, seed 0"]["parameters"] > 0
    best, mean = (result["future"][f"flow, {name} of the draws"]["ssim"] for name in ("best", "mean"))
    assert min(best, mean) >= -1
    assert best >= result["future"]["flow, one draw"]["ssim"]
    assert "Fréchet distance" in (out / "results.md").read_text()
    assert (out / "samples.png").exists()
    # What was measured is not measured again.
    points = {path: path.stat().st_mtime_ns for path in (out / "points").iterdir()}
    run(world / "data", out, **settings)
    assert points == {path: path.stat().st_mtime_ns for path in (out / "points").iterdir()}


def test_what_is_missing_is_told(tmp_path):
    with pytest.raises(InputError, match="there is no part"):
        run(tmp_path, tmp_path / "out", parts=("everything",))
    with pytest.raises(InputError, match="generator"):
        run(tmp_path, tmp_path / "out", model="base")


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_rivals_are_as_large_as_wanted_and_learn(name):
    torch.manual_seed(0)
    rival = rivals.fitting(name, 20, 400_000)
    size = sum(part.numel() for part in rival.parameters())
    assert size == pytest.approx(400_000, rel=0.15)
    module = rivals.RivalLesson(rival).module(None)
    clips = torch.zeros(2, 20, 64, 64)
    clips[:, :, 20:40, 20:40] = 1
    optimiser = torch.optim.Adam(rival.parameters(), 1e-3)
    losses = []
    for step in range(8):
        loss, figures = module(clips, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(figures["error" if name == "vae" else "critic"].item())
    assert losses[-1] < losses[0]
    assert rival.sample(3, 1).shape == (3, 20, 64, 64)


def test_the_gan_gives_each_network_its_own_gradient():
    torch.manual_seed(0)
    rival = rivals.fitting("gan", 8, 200_000)
    made = rival.decoder(torch.randn(2, rivals.LATENT))
    from vivae.train.critic import critic_terms

    for_decoder, for_critic = critic_terms(rival.encoder, torch.rand(2, 8, 64, 64), made)
    (for_decoder).backward(retain_graph=True)
    assert all(part.grad is None for part in rival.encoder.parameters())
    assert any(part.grad is not None for part in rival.decoder.parameters())
    rival.zero_grad()
    for_critic.backward()
    assert all(part.grad is None or not part.grad.any() for part in rival.decoder.parameters())
    assert any(part.grad is not None for part in rival.encoder.parameters())
