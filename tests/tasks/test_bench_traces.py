"""What `bench enhance` makes of clips: files of every codec, in which traces are found as in anybody's."""

import numpy as np
import pytest

from vivae.measure.clip import load_clip
from vivae.tasks.bench_restoring import even, restored
from vivae.tasks.bench_traces import CODECS, through_file
from vivae.tasks.restore import Family, Plan
from vivae.tasks.traces import UNKNOWN


@pytest.fixture(scope="module")
def clip(bikes):
    return even(load_clip(bikes, frames=3))


@pytest.mark.parametrize("name", CODECS)
def test_each_codec_leaves_traces(clip, name):
    poor, left = through_file(clip, *CODECS[name])
    assert [frame.time for frame in poor] == [frame.time for frame in clip.frames]
    assert not np.array_equal(poor[0].y, clip.frames[0].y)
    assert left.deblock > 0
    assert (left.crf > 0) == name.startswith("AV1")


@pytest.mark.parametrize("codec", ["h264", "av1", "mpeg2video", "mpeg4", "mjpeg"])
def test_coarser_files_are_found_to_be(clip, codec):
    levels = (8, 14, 24) if codec.startswith("m") else (32, 37, 42)
    found = [through_file(clip, codec, level)[1] for level in levels]
    measured = [left.crf or left.coarse for left in found]
    assert measured[0] < measured[1] < measured[2]
    assert UNKNOWN not in measured


def test_what_is_restored_comes_nearer(clip):
    for name in ("x264 CRF 42", "Motion JPEG q 8"):
        poor, left = through_file(clip, *CODECS[name])
        better, seconds = restored(poor, Plan().treating(left), Family())
        before, after = (
            np.mean(
                [(seen.y.astype(float) - frame.y) ** 2 for seen, frame in zip(some, clip.frames, strict=True)]
            )
            for some in (poor, better)
        )
        assert after < before
        assert seconds > 0
