"""`compress --grain`: noise taken out before coding, described in the file, and put back by players."""

from fractions import Fraction

import numpy as np
import pytest

from tests.tasks.conftest import SIZE
from tests.tasks.test_layered import assert_same, frames_of
from vivae.codec.unlayered import decode_layered
from vivae.errors import InputError
from vivae.media import Frame, open_writer, probe
from vivae.media.av1 import eight_bit
from vivae.media.packets import decode_packets, read_packets
from vivae.tasks.compress import compress
from vivae.tasks.decompress import enhancers
from vivae.train.disturb import with_noise


@pytest.fixture(scope="module")
def noisy(two_shots, tmp_path_factory):
    """The two shots with the noise of a sensor."""
    path = tmp_path_factory.mktemp("noisy") / "noisy.mp4"
    rng = np.random.default_rng(0)
    frames = [
        replace_planes(frame, with_noise(frame.planes, 15, rng, frame.color))
        for frame in frames_of(two_shots)
    ]
    with open_writer(
        path,
        width=SIZE[0],
        height=SIZE[1],
        fps=Fraction(25),
        color=frames[0].color,
        codec="h264",
        lossless=True,
    ) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def replace_planes(frame, planes):
    return Frame(*planes, frame.time, frame.duration, frame.color)


def test_grain_is_taken_out_and_put_back(noisy, two_shots, tmp_path):
    plain = compress(noisy, tmp_path / "plain.mp4", quality=70, speed=9)
    told = compress(noisy, tmp_path / "grain.mp4", quality=70, speed=9, grain=True)
    assert told["noise"] == pytest.approx(15, abs=4)
    assert told["size_bytes"] < 0.8 * plain["size_bytes"]
    packets = list(read_packets(tmp_path / "grain.mp4"))
    coded, shown = (
        [eight_bit(picture) for _, picture in decode_packets(packets, "grain", grain=grain)]
        for grain in (False, True)
    )
    clean, before = frames_of(two_shots), frames_of(noisy)
    assert len(shown) == len(clean)
    # What was coded is nearer to the clean pictures than the source was, and what is shown is as noisy as that.
    error = [np.mean((a.y.astype(float) - b[0]) ** 2) for a, b in zip(clean, coded, strict=True)]
    noise = [np.mean((a.y.astype(float) - b.y) ** 2) for a, b in zip(clean, before, strict=True)]
    assert np.mean(error) < 0.8 * np.mean(noise)
    put_back = [(a[0].astype(float) - b[0]).std() for a, b in zip(shown, coded, strict=True)]
    assert np.mean(put_back) == pytest.approx(np.sqrt(np.mean(noise)), rel=0.35)
    assert_same(frames_of(tmp_path / "grain.mp4"), decode_layered_frames(tmp_path / "grain.mp4"))


def decode_layered_frames(path):
    return list(decode_layered(path, probe(path), enhancers(None)))


def test_footage_without_noise_keeps_every_bit(two_shots, tmp_path):
    said = []
    told = compress(two_shots, tmp_path / "a.mp4", quality=40, speed=9, grain=True, tell=said.append)
    compress(two_shots, tmp_path / "b.mp4", quality=40, speed=9)
    assert "noise" not in told
    assert any("hardly any noise" in sentence for sentence in said)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_grain_excludes_what_it_cannot_go_with(noisy, tmp_path):
    with pytest.raises(InputError, match="VMAF"):
        compress(noisy, tmp_path / "a.mp4", target_vmaf=80, grain=True)
    with pytest.raises(InputError, match="knows no grain"):
        compress(noisy, tmp_path / "a.vva", grain=True)
