"""AV1 in memory: there and back, at both depths; decoders that are let go of in the middle do no harm."""

import os
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from vivae.errors import FormatError, InputError
from vivae.media import ColorInfo, Frame, Picture, open_video, open_writer
from vivae.media.av1 import Av1Settings, decode_av1, encode_av1
from vivae.media.resample import Shrinker, base_size, enlarged


@pytest.fixture(scope="module")
def frames(bikes):
    shrink = Shrinker(160, 68)
    with open_video(bikes) as reader:
        return [shrink(frame.planes) for frame in islice(reader, 20)]


def coded(frames, settings):
    height, width = frames[0][0].shape
    return list(encode_av1(frames, Picture(width, height, Fraction(25), ColorInfo.guess(height)), settings))


def psnr(clean, seen):
    errors = [np.mean((a[0].astype(float) - b[0]) ** 2) for a, b in zip(clean, seen, strict=True)]
    return 10 * np.log10(255**2 / np.mean(errors))


@pytest.mark.parametrize("depth", [8, 10])
def test_there_and_back(frames, depth):
    units = coded(frames, Av1Settings(25, 10, depth))
    assert [unit.position for unit in units] == list(range(20))
    assert [unit.key for unit in units] == [True] + 19 * [False]
    assert psnr(frames, list(decode_av1(unit.data for unit in units))) > 35


def test_finer_quantisers_cost_more_and_give_more(frames):
    sizes, qualities = [], []
    for crf in (62, 58, 50, 30):
        units = coded(frames, Av1Settings(crf, 10))
        sizes.append(sum(len(unit.data) for unit in units))
        qualities.append(psnr(frames, list(decode_av1(unit.data for unit in units))))
    assert sizes == sorted(sizes)
    assert qualities == sorted(qualities)


def test_quantisers_come_in_quarters(frames):
    one, other = (coded(frames, Av1Settings(crf, 10)) for crf in (60.25, 60))
    assert [unit.data for unit in one] != [unit.data for unit in other]


@pytest.mark.parametrize(
    "other", ["enable-dlf=0", "tf-strength=4", "lambda-scale-factors=[160,160,160,160,160,160,160]"]
)
def test_the_encoder_knows_what_it_is_told(frames, other):
    """It ignores keys that it does not know, so another value must make another file: the last one counts."""
    usual, changed = (coded(frames, Av1Settings(35, 6, extra=extra)) for extra in ("", other))
    assert [unit.data for unit in usual] != [unit.data for unit in changed]


def test_decoders_may_be_let_go_of_at_any_time(frames):
    units = coded(frames, Av1Settings(30, 10))
    for taken in range(60):
        assert len(list(islice(decode_av1(unit.data for unit in units), taken % 20))) == taken % 20


def test_nonsense_is_an_error(frames):
    units = [unit.data for unit in coded(frames, Av1Settings(30, 10))]
    with pytest.raises(FormatError):
        list(decode_av1([units[0], b"\xff" * 40]))


def test_decoders_end_after_an_error_while_their_threads_still_work(frames):
    """What they free then must not wait for the interpreter: within some thirty tries, one would hang."""
    first = coded(frames, Av1Settings(30, 10))[0].data
    for _ in range(500):
        with pytest.raises(FormatError):
            list(decode_av1([first, b"\xff" * 40]))


def test_refused_settings_are_named(frames):
    with pytest.raises(InputError, match="SVT-AV1 refuses"):
        coded(frames, Av1Settings(30, 99))


@pytest.mark.parametrize(
    ("width", "height", "shrink"), [(854, 480, 2.0), (97, 61, 4 / 3), (20, 300, 8), (9, 9, 1)]
)
def test_bases_are_even_and_no_larger_than_the_display(width, height, shrink):
    columns, rows = base_size(width, height, shrink)
    assert columns <= width
    assert rows <= height
    assert shrink == 1 or (columns % 2 == 0 or columns == width)


def test_scaling_keeps_smooth_pictures():
    y = (120 + 80 * np.sin(np.arange(64)[:, None] / 9) * np.cos(np.arange(96) / 11)).astype(np.uint8)
    planes = (y, y[::2, ::2].copy(), y[::2, ::2].copy())
    back = enlarged(Shrinker(48, 32)(planes), 96, 64)
    for before, after in zip(planes, back, strict=True):
        assert before.shape == after.shape
        assert np.abs(before.astype(int) - after)[4:-4, 4:-4].max() <= 3


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system has no scheduling policies")
def test_encoding_asks_for_no_priority(frames, tmp_path):
    """SVT-AV1 would make the process a real-time one where it may, as root."""

    def policies():
        return {os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").iterdir()}

    before = policies()
    height, width = frames[0][0].shape
    picture = Picture(width, height, Fraction(25), ColorInfo.guess(height))
    units = encode_av1(frames, picture, Av1Settings(40, 12))
    assert next(units).key
    assert policies() == before
    assert len(list(units)) == len(frames) - 1
    target = tmp_path / "a.mp4"
    with open_writer(target, width=width, height=height, fps=picture.fps, color=picture.color) as writer:
        assert policies() == before
        writer.write(Frame(*frames[0], Fraction(0), Fraction(1, 25), picture.color))
