"""Files that are damaged, cut off, or no video at all."""

import re
import struct
import zlib

import av
import numpy as np
import pytest
from tests.media.test_reader import read, warnings

from vivae.errors import FormatError, InputError
from vivae.media import probe


def huge_png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("empty.mp4", b"", FormatError),
        ("noise.mp4", np.random.default_rng(0).bytes(5000), FormatError),
        ("text.txt", b"This is no video.\n" * 100, FormatError),
        ("text.mp4", b"This is no video.\n" * 100, FormatError),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n", InputError),
        ("wide.png", huge_png(40000, 10), InputError),
        ("vast.png", huge_png(60000, 60000), InputError),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, name, content, error):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=re.escape(name)):
        read(tmp_path / name)


def test_missing_folders_and_sound_only(tmp_path):
    for name in ("missing.mp4", "missing*.png", "."):
        with pytest.raises(InputError):
            probe(tmp_path / name)
    with av.open(tmp_path / "sound.wav", "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(InputError, match="only sound"):
        probe(tmp_path / "sound.wav")


@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_a_truncated_file_gives_what_is_there(make_clip, caplog, codec):
    path = make_clip("cut.mkv", codec=codec, stamps=range(40), options={"g": "5"})
    whole = read(path)
    assert not warnings(caplog)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    some = read(path)
    assert 5 < len(some) < 40
    assert [f.time for f in some] == [f.time for f in whole[: len(some)]]
    assert any("cut off" in m for m in warnings(caplog))
    # A span within what is there is whole, and one beyond it is not.
    path.write_bytes(data[: len(data) // 2])
    last = float(read(path)[-1].time)
    caplog.clear()
    assert read(path, end=last / 2)
    assert not any("cut off" in m for m in warnings(caplog))
    assert read(path, start=last / 2, end=float(whole[-1].time))
    assert any("cut off" in m for m in warnings(caplog))


def test_a_damaged_file_is_read_on_with_one_warning(make_clip, caplog):
    path = make_clip("hurt.mkv", stamps=range(40))
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 4, len(data) * 3 // 4, 997):
        data[at] ^= 0x55
    path.write_bytes(bytes(data))
    assert len(read(path)) > 5
    assert len(warnings(caplog)) <= 2


def test_a_file_cut_off_before_its_index_is_damaged(tmp_path, make_clip):
    whole = make_clip("whole.mp4", codec="libx264").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[:1000])
    with pytest.raises(FormatError, match="damaged"):
        probe(tmp_path / "cut.mp4")


def test_random_damage_never_escapes_as_anything_else(make_clip):
    """400 damaged files: frames or a typed error, nothing more."""
    rng = np.random.default_rng(0)
    sources = [
        make_clip(f"s.{kind}", codec="libx264", stamps=range(4)).read_bytes() for kind in ("mp4", "mkv", "ts")
    ]
    path = make_clip("t.mkv")
    for trial in range(400):
        data = bytearray(sources[trial % 3])
        for _ in range(rng.integers(1, 8)):
            data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(bytes(data[: rng.integers(1, len(data)) if trial % 4 == 0 else None]))
        try:
            for frame in read(path):
                assert frame.duration > 0
        except InputError:
            pass


def test_a_change_of_size_inside_a_stream_is_scaled(tmp_path, make_clip, caplog):
    """Two MPEG-TS files put one after the other, as receivers do."""
    small = make_clip("small.ts", codec="libx264", stamps=range(5)).read_bytes()
    large = make_clip("large.ts", codec="libx264", size=(96, 80), stamps=range(5, 10)).read_bytes()
    (tmp_path / "both.ts").write_bytes(small + large)
    frames = read(tmp_path / "both.ts")
    assert {f.y.shape for f in frames} == {(48, 64)}
    assert len(frames) == 10
    assert sum("changes its size" in m for m in warnings(caplog)) == 1
