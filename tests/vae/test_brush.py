"""Painted noise is renewed where motion drew it out, and where things come into view."""

import numpy as np

from vivae.vae.brush import fresh, worn
from vivae.vae.styling import Painter


def test_noise_that_was_drawn_out_is_worn_and_fresh_noise_is_not():
    noise = fresh(96, 160)
    assert not worn(noise, noise).any()
    for streaks in (np.repeat(noise[:, :1], 160, 1), np.repeat(noise[:1], 96, 0)):
        assert worn(streaks, noise).all()
    half = noise.copy()
    half[:, 80:] = half[:, 80:81]
    found = worn(half, noise)
    assert found[:, 100:].all()
    assert not found[:, :60].any()


def test_what_comes_into_view_is_painted_anew():
    rng = np.random.default_rng(5)
    wide = np.kron(rng.integers(60, 200, (12, 60)), np.ones((8, 8))).astype(np.uint8)
    chroma = np.full((48, 80), 128, np.uint8)
    painter = Painter()
    for step in range(0, 48, 6):
        view = np.ascontiguousarray(wide[:96, step : step + 160])
        painted = painter.paint((view, chroma, chroma), (view, chroma, chroma))[0]
    edge, middle = painted[:, -24:].astype(float), painted[:, 60:84].astype(float)
    # Streaks from a repeated border would leave nothing that changes along the rows.
    assert np.abs(np.diff(edge, axis=1)).mean() > 0.9 * np.abs(np.diff(middle, axis=1)).mean()
