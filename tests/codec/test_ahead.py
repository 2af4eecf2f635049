"""A file whose shots others have coded is the file that one encoder makes, to the bit."""

import pickle
import shutil

import cv2
import numpy as np
import pytest

import vivae
from vivae.codec.ahead import helped_by
from vivae.media import Frame, open_video, open_writer


@pytest.fixture(scope="session")
def long_clip(bikes, bunny, tmp_path_factory):
    """280 frames of 128x64 with a cut and sound, the second part behind the first: several shots."""
    path = tmp_path_factory.mktemp("long") / "long.mkv"
    with open_video(bunny, end=0.1) as reader:
        color = reader.info.color
    count = 0
    with open_writer(
        path, width=128, height=64, fps=25, color=color, codec="ffv1", copy_from=bunny
    ) as writer:
        for source, end in ((bikes, None), (bunny, 1.2)):
            with open_video(source, end=end) as reader:
                for frame in reader:
                    sizes = [(128, 64), (64, 32), (64, 32)]
                    planes = [
                        np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))
                        for plane, size in zip(frame.planes, sizes, strict=True)
                    ]
                    writer.write(Frame(*planes, count * frame.duration, frame.duration, color))
                    count += 1
    assert count == 280
    return path


class Others:
    """Helpers that share nothing with the encoder but what travels; they work from the last piece to the first."""

    def __init__(self):
        self.pieces = []

    def __call__(self, function, arguments):
        travelled = [pickle.loads(pickle.dumps(argument)) for argument in arguments]
        self.pieces += [(function.__name__, piece.first, piece.count) for piece in travelled]
        return reversed([function(piece) for piece in reversed(travelled)])


@pytest.mark.parametrize("options", [{}, {"start": 0.52, "speed": 9}, {"size": 320_000}], ids=str)
def test_the_file_is_the_same(long_clip, tmp_path, options):
    options = {"speed": 8, "threads": 1, "quality": None if "size" in options else 30} | options
    vivae.compress(long_clip, tmp_path / "alone.mp4", **options)
    others = Others()
    with helped_by(others):
        vivae.compress(long_clip, tmp_path / "helped.mp4", **options)
    assert (tmp_path / "alone.mp4").read_bytes() == (tmp_path / "helped.mp4").read_bytes()
    coded = [(first, count) for name, first, count in others.pieces if name == "code_piece"]
    assert len(set(coded)) >= 3
    assert sum(count for _, count in set(coded)) == (280 if "start" not in options else 267)


def test_a_file_in_which_seeking_goes_astray_is_read_from_its_beginning(long_clip, tmp_path, monkeypatch):
    vivae.compress(long_clip, tmp_path / "alone.mp4", speed=10, threads=1)
    from vivae.codec import ahead

    def astray(path, *, start=None, **rest):
        return open_video(path, start=None if start is None else start + 1, **rest)

    monkeypatch.setattr(ahead, "open_video", astray)
    with helped_by(Others()):
        vivae.compress(long_clip, tmp_path / "helped.mp4", speed=10, threads=1)
    assert (tmp_path / "alone.mp4").read_bytes() == (tmp_path / "helped.mp4").read_bytes()


def test_a_short_clip_and_a_region_need_no_help(long_clip, bikes, tmp_path):
    shutil.copy(bikes, tmp_path / "bikes.mp4")
    mask = np.full((64, 128), 255, np.uint8)
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    others = Others()
    with helped_by(others):
        vivae.compress(bikes, tmp_path / "a.mp4", speed=10, end=0.4)
        vivae.compress(long_clip, tmp_path / "b.mp4", speed=10, roi=tmp_path / "mask.png")
    assert others.pieces == []
