"""A small random model as a file, for verbs that take one by path."""

from pathlib import Path

import pytest

from tests.vae.conftest import SMALL, randomised
from vivae.vae.config import VAEConfig
from vivae.vae.zoo import serialise


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    path.write_bytes(serialise(randomised(VAEConfig.model_validate(SMALL | {"name": "small"}))))
    return path


@pytest.fixture(scope="session")
def paired_model(tmp_path_factory) -> Path:
    """As `small_model`, with two frames in each latent."""
    path = tmp_path_factory.mktemp("models") / "paired.safetensors"
    config = VAEConfig.model_validate(SMALL | {"name": "paired", "temporal_stride": 2})
    path.write_bytes(serialise(randomised(config, seed=1)))
    return path
