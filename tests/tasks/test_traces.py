"""What codecs have left: how much of it is treated follows how coarsely they coded, and fine footage is not spoilt."""

from fractions import Fraction
from itertools import islice

import cv2
import numpy as np
import pytest

from vivae.measure.quality import compare_clips
from vivae.media import Frame, open_video, open_writer
from vivae.tasks.enhance import enhance
from vivae.tasks.traces import DEEP, NO_TRACES, QUICK, believed, left_by
from vivae.train.coarseness import LAWS
from vivae.vae.enhancer import Known

SIZE = (192, 96)


@pytest.fixture(scope="module")
def clean(bikes):
    with open_video(bikes) as reader:
        return [
            Frame.from_rgb(
                cv2.resize(frame.to_rgb(), SIZE, interpolation=cv2.INTER_AREA),
                time=Fraction(number, 25),
                duration=Fraction(1, 25),
            )
            for number, frame in enumerate(islice(reader, 5))
        ]


def read(path):
    with open_video(path) as reader:
        return list(reader)


def treated(clean, tmp_path, codec, crf):
    """What is asked to be deblocked, what it becomes, what was done and said."""
    said = []
    color = clean[0].color
    with open_writer(
        tmp_path / "a.mkv", width=SIZE[0], height=SIZE[1], fps=Fraction(25), color=color, codec=codec, crf=crf
    ) as writer:
        for frame in clean:
            writer.write(frame)
    told = enhance(tmp_path / "a.mkv", tmp_path / "b.y4m", deblock=True, tell=said.append)
    return read(tmp_path / "a.mkv"), read(tmp_path / "b.y4m"), told["done"], said


def gain(clean, before, after):
    return compare_clips(clean, after)[0].psnr_yuv - compare_clips(clean, before)[0].psnr_yuv


@pytest.mark.parametrize(("codec", "crf"), [("av1", 18), ("h264", 12), ("hevc", 14)])
def test_what_is_finely_coded_is_left_alone(clean, tmp_path, codec, crf):
    before, after, done, said = treated(clean, tmp_path, codec, crf)
    assert done == []
    assert any(codec in sentence and "finely" in sentence for sentence in said)
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a.y, b.y)


@pytest.mark.parametrize(
    ("codec", "crf"), [("av1", 58), ("av1", 40), ("h264", 24), ("h264", 33), ("hevc", 27), ("hevc", 36)]
)
def test_what_is_coded_coarsely_becomes_better(clean, tmp_path, codec, crf):
    before, after, done, _ = treated(clean, tmp_path, codec, crf)
    assert done
    assert gain(clean, before, after) > 0


@pytest.mark.parametrize("quality", [92, 60, 20])
def test_a_photograph_does_not_lose_by_it(clean, tmp_path, quality):
    rgb = cv2.cvtColor(clean[0].to_rgb(), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(tmp_path / "a.jpg"), rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
    enhance(tmp_path / "a.jpg", tmp_path / "b.png", deblock=True)

    def error(name):
        return np.mean((cv2.imread(str(tmp_path / name)).astype(float) - rgb) ** 2)

    if quality == 92:
        assert error("b.png") < error("a.jpg") + 2.5  # 4:2:0 on the way
    else:
        assert error("b.png") < error("a.jpg")


def share(traces, shares=QUICK):
    return believed(Known(crf=traces.crf, coded=traces.deblock, coarse=traces.coarse), shares)[0]


@pytest.mark.parametrize("shares", [QUICK, DEEP], ids=["fast", "best"])
@pytest.mark.parametrize("codec", [*LAWS, "av1"])
def test_the_coarser_the_more_of_it(codec, shares):
    found = [left_by(codec, quantiser) for quantiser in np.linspace(1, 250 if codec == "av1" else 60, 60)]
    assert found[0] == NO_TRACES
    treated = [share(traces, shares) for traces in found if traces != NO_TRACES]
    assert len(treated) > 20
    assert treated == sorted(treated)
    assert treated[0] < 0.4
    assert 0.7 <= treated[-1] < 1.2
    assert found[-1].visible


def test_what_is_unknown_is_trusted_in_part():
    assert 0 < share(left_by("prores")) < 1
    assert left_by("h264") == left_by("prores")
    assert not left_by("prores").visible
    assert left_by("vp9") == left_by("av1") == left_by("av1", 60.0) == NO_TRACES


def test_blocks_under_a_fine_codec_are_seen():
    assert left_by("h264", 18.0) == left_by("h264", 18.0, 1.2) == NO_TRACES
    assert left_by("h264", 18.0, 1.5).deblock == 1
    assert left_by("mpeg2video", 3.0, 1.5) == NO_TRACES


def test_av1_is_told_by_its_crf():
    coarse, coarser = left_by("av1", 180.0), left_by("av1", 200.0)
    assert 0 < coarse.deblock < 1
    assert 40 < coarse.crf < coarser.crf < 64
    assert share(coarse) < share(coarser) < 1
    assert left_by("hevc", 40).crf == 0


def test_coarse_av1_is_treated_unasked_and_fine_is_not():
    fine, coarse = left_by("av1", 4 * 36 - 6), left_by("av1", 4 * 48 - 6)
    assert fine.deblock
    assert not fine.visible
    assert coarse.visible
