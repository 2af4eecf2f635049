"""An archive of short real clips, and an engine that works in this process, for what is not about processes."""

import shutil

import pytest

from tests.app.conftest import _no_debug, vivae_command, vivae_json  # noqa: F401
from tests.codec.test_ahead import long_clip  # noqa: F401
from tests.tasks.conftest import small_model  # noqa: F401
from vivae.cluster.work import perform
from vivae.media import open_video, open_writer


@pytest.fixture(scope="session")
def pieces(bikes, tmp_path_factory):
    """Three different clips of 4 frames, 160x68, FFV1."""
    import cv2

    from vivae.media import Frame

    folder = tmp_path_factory.mktemp("pieces")
    for number in range(3):
        with open_video(bikes, start=2.0 * number, end=2.0 * number + 0.16) as reader:
            info = reader.info
            with open_writer(
                folder / f"{number}.mkv", width=160, height=68, fps=info.fps, color=info.color, codec="ffv1"
            ) as writer:
                for frame in reader:
                    planes = [
                        cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
                        for plane, size in zip(frame.planes, [(160, 68), (80, 34), (80, 34)], strict=True)
                    ]
                    writer.write(Frame(*planes, frame.time, frame.duration, frame.color))
    return folder


@pytest.fixture
def archive(pieces, tmp_path):
    """a.mkv, b.mkv, deep/c.mkv, deep/same.mkv (as a), broken.mp4."""
    folder = tmp_path / "archive"
    (folder / "deep").mkdir(parents=True)
    for name, piece in {"a": 0, "b": 1, "deep/c": 2, "deep/same": 0}.items():
        shutil.copy(pieces / f"{piece}.mkv", folder / f"{name}.mkv")
    (folder / "broken.mp4").write_bytes(b"no video at all")
    return folder


class Here:
    """Tasks done one after another in this process."""

    def run(self, call, tasks):
        for task in tasks:
            yield perform(call, task, 1, lambda done, total: None)


@pytest.fixture
def here():
    return Here()
