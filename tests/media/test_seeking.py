"""What a decoder must have seen before it is sent to the middle of a file."""

import av
import numpy as np
from tests.media.test_reader import read


def test_after_seeking_old_4_4_4_is_mended_as_from_the_beginning(bikes, tmp_path):
    """FFmpeg mends the 4:4:4 of old x264s, whose version only the first packet tells. This stream is a new one's with
    an old label: mended in vain, so that its pictures are poor, but alike wherever reading begins."""
    path = tmp_path / "old.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", 25, options={"g": "10", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 320, 136, "yuv444p"
        for frame in read(bikes, end=1.2):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.to_rgb()[::2, ::2]))
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    label = data.index(b"x264 - core ") + len(b"x264 - core ")
    path.write_bytes(data[:label] + b"148" + data[label + 3 :])
    whole, cut = read(path), read(path, start=0.8)
    for frame, same in zip(whole[-len(cut) :], cut, strict=True):
        assert np.abs(frame.planes[0].astype(int) - same.planes[0]).mean() < 5
