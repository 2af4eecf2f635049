"""A short real clip, small enough to encode many times."""

from pathlib import Path

import pytest

from vivae.measure.clip import Clip, load_clip


@pytest.fixture(scope="session")
def short_clip(bikes: Path) -> Clip:
    """12 frames of 640x272."""
    return load_clip(bikes, frames=12)
