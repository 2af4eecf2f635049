"""Cut-outs are transparent outside of the object, with the source's times, and are whole or absent."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from vivae.errors import OutputError, UnsupportedError
from vivae.media import Frame, Picture
from vivae.media.cutout import open_cutout

TIMES = [Fraction(0), Fraction(1, 25), Fraction(1, 10)]


def frames(width, height):
    rng = np.random.default_rng(1)
    for time in TIMES:
        rgb = np.clip(rng.normal(130, 30, (height, width, 3)), 0, 255).astype(np.uint8)
        yield Frame.from_rgb(cv2.GaussianBlur(rgb, (0, 0), 3), time=time)


def alpha(width, height):
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2, width // 3 :] = 255
    return mask


def write(path, width=75, height=49):
    shown = list(frames(width, height))
    with open_cutout(path, Picture(width, height, Fraction(25), shown[0].color)) as writer:
        for frame in shown:
            writer.write(frame, alpha(width, height))


def fail(path):
    frame = next(frames(75, 49))
    with open_cutout(path, Picture(75, 49, Fraction(25), frame.color)) as writer:
        writer.write(frame, alpha(75, 49))
        raise RuntimeError


def read(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if path.suffix == ".mov":
            return [(frame.time, frame.to_ndarray(format="rgba")) for frame in container.decode(stream)]
        decoder = av.CodecContext.create(
            "libvpx-vp9", "r"
        )  # FFmpeg's own decoder passes over the transparency
        found = [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]
        return [(float(frame.pts * stream.time_base), frame.to_ndarray(format="rgba")) for frame in found]


@pytest.mark.parametrize("name", ["out.webm", "out.mov"])
def test_films_carry_transparency_and_times(tmp_path, name):
    write(tmp_path / name)
    found = read(tmp_path / name)
    assert [time for time, _ in found] == pytest.approx([float(time) for time in TIMES], abs=0.0011)
    wanted = alpha(75, 49)
    for _, pixels in found:
        assert np.abs(pixels[..., 3].astype(int) - wanted).mean() < 6


def test_a_folder_of_png_is_exact(tmp_path):
    write(tmp_path / "out")
    paths = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in paths] == ["00000.png", "00001.png", "00002.png"]
    pixels = cv2.imread(str(paths[0]), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(pixels[..., 3], alpha(75, 49))
    assert np.array_equal(pixels[..., 2::-1], next(frames(75, 49)).to_rgb())


def test_nothing_is_left_of_a_failure(tmp_path):
    with pytest.raises(UnsupportedError, match="transparency"):
        write(tmp_path / "out.mp4")
    with pytest.raises(RuntimeError):
        fail(tmp_path / "a.webm")
    assert not list(tmp_path.iterdir())
    write(tmp_path / "b.webm")
    with pytest.raises(OutputError, match="exists"):
        write(tmp_path / "b.webm")
