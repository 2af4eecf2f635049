"""The linear VAE: what it finds in closed form."""

import pytest
import torch

from vivae.vae.linear import LinearConfig, LinearVAE


def vae(channels=3):
    return LinearVAE(LinearConfig(frames=4, height=32, width=32, channels=channels))


def footage(directions=3, noise=0.01, count=30, seed=0):
    """Clips (count, 4, 24, 8, 8) of a mean and some pictures that come and go."""
    draws = torch.Generator().manual_seed(seed)
    fixed = torch.Generator().manual_seed(99)
    pictures = 0.1 * torch.randn(directions, 24, 8, 8, generator=fixed)
    weights = torch.randn(count, 4, directions, generator=draws)
    clean = 0.5 + torch.einsum("btk,kchw->btchw", weights, pictures)
    return clean + noise * torch.randn(clean.shape, generator=draws)


def test_what_moves_is_kept_and_noise_is_not():
    made = vae()
    made.fit(footage())
    other = footage(seed=1)
    again = made.decode(made.encode(other)[0])
    error, signal = (again - other).square().mean(), (other - 0.5).square().mean()
    assert error < 0.02 * signal
    assert made.get_buffer("noise").exp().item() == pytest.approx(1e-4, rel=0.1)


def test_latents_are_as_the_prior_says():
    made = vae()
    made.fit(footage())
    mean, log_spread = made.encode(footage(seed=1))
    assert mean.mean().abs() < 0.2
    # What means and posteriors spread to, together, is one.
    total = mean.flatten(0, 1).var(0) + (2 * log_spread).exp().flatten(0, 1).mean(0)
    assert torch.allclose(total, torch.ones_like(total), atol=0.4)


def test_more_pictures_tell_more_and_fewer_frames_suffice():
    clips = footage(directions=6)
    errors = []
    for channels in (1, 3, 6):
        made = vae(channels)
        made.fit(clips)
        errors.append((made.decode(made.encode(clips)[0]) - clips).square().mean().item())
    assert errors == sorted(errors, reverse=True)
    few = vae(20)
    few.fit(clips[:2])
    again = few.decode(few.encode(clips[:2])[0])
    assert torch.isfinite(again).all()
    assert torch.allclose(again, clips[:2], atol=0.05)


def test_any_number_of_frames():
    made = vae()
    made.fit(footage())
    clip = footage(count=2)[:, :3]
    assert made.decode(made.encode(clip)[0]).shape == clip.shape
    assert torch.equal(made.spread(made.flat(made.encode(clip)[0])), made.encode(clip)[0])
