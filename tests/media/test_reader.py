"""Reading real and awkward files: exact times, upright pictures, conversions told once, damage survived."""

import gc
import logging
import re
import shutil
import struct
import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest

from vivae.errors import FormatError, InputError, UnsupportedError
from vivae.media import ColorInfo, encode_png, open_video, probe, read_first
from vivae.media.color import SWS_FLAGS, planes_of


def read(path, **span):
    with open_video(path, **span) as reader:
        return list(reader)


def decoded(path):
    """FFmpeg's own frames."""
    with av.open(path) as container:
        return list(container.decode(video=0))


def warnings(caplog):
    return [r.message for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.parametrize("clip", ["bikes", "bunny"])
def test_frames_of_a_real_clip_are_ffmpegs(clip, request):
    path = request.getfixturevalue(clip)
    info = probe(path)
    assert (info.frames, info.fps, info.variable_rate) == ({"bikes": 250, "bunny": 132}[clip], 25, False)
    frames = read(path, end=0.4)
    for ours, theirs in zip(frames, decoded(path), strict=False):
        assert ours.time == theirs.pts * theirs.time_base
        for a, b in zip(ours.planes, planes_of(theirs), strict=True):
            assert np.array_equal(a, b)
    assert len(frames) == 10
    assert [track.codec for track in info.audio] == {"bikes": [], "bunny": ["aac"]}[clip]


def test_guessed_colour_of_unmarked_files(bikes, bunny):
    assert probe(bikes).color == ColorInfo("limited", "bt601")
    assert probe(bunny).color == ColorInfo("limited", "bt709")


def test_variable_rate_is_exact(make_clip):
    stamps = (0, 3003, 4500, 4501, 90000, 95001)
    path = make_clip("vfr.mp4", codec="libx264", stamps=stamps, time_base=Fraction(1, 90000))
    frames = read(path)
    assert [f.time for f in frames] == [Fraction(s, 90000) for s in stamps]
    assert all(a.time + a.duration == b.time for a, b in zip(frames, frames[1:], strict=False))
    assert frames[-1].duration > 0
    assert probe(path).variable_rate is True


@pytest.mark.parametrize("span", [(0.0, 0.2), (0.1, None), (0.13, 0.31), (None, 0.04), (0.28, 5.0)])
def test_trimming_selects_by_time_and_restarts_the_clock(make_clip, span):
    path = make_clip("clip.mp4", codec="libx264", options={"g": "3"})
    whole = read(path)
    start, end = span[0] or 0, span[1] if span[1] is not None else 100
    wanted = [f for f in whole if Fraction(str(start)) <= f.time < Fraction(str(end))]
    cut = read(path, start=span[0], end=span[1])
    assert [f.time + Fraction(str(start)) for f in cut] == [f.time for f in wanted]
    assert all(np.array_equal(a.y, b.y) for a, b in zip(cut, wanted, strict=True))
    assert cut[-1].time + cut[-1].duration <= Fraction(str(end)) - Fraction(str(start))


@pytest.mark.parametrize(
    ("kind", "codec", "pix_fmt"),
    [("mkv", "libx264", "yuv420p"), ("ts", "libx264", "yuv420p"), ("mpg", "mpeg2video", "yuv420p"),
     ("avi", "mpeg4", "yuv420p"), ("flv", "flv", "yuv420p"), ("gif", "gif", "rgb8"), ("264", "libx264", "yuv420p"),
     ("webm", "libvpx-vp9", "yuv420p"), ("y4m", "wrapped_avframe", "yuv420p"), ("nut", "ffv1", "yuv420p")],
)  # fmt: skip
def test_trimming_works_in_every_container(make_clip, kind, codec, pix_fmt):
    path = make_clip(f"clip.{kind}", codec=codec, pix_fmt=pix_fmt, stamps=range(60))
    whole, cut = read(path), read(path, start=1.0, end=1.6)
    wanted = [f for f in whole if 1 <= f.time < Fraction(8, 5)]
    assert len(wanted) == 15
    assert [f.time + 1 for f in cut] == [f.time for f in wanted]
    assert all(np.array_equal(a.y, b.y) for a, b in zip(cut, wanted, strict=True))


def test_spans_that_make_no_sense(make_clip):
    path = make_clip("clip.mkv")
    for span in ({"start": -1.0}, {"start": 2.0, "end": 1.0}, {"end": 0.0}, {"start": 99.0}):
        with pytest.raises(InputError):
            read(path, **span)


@pytest.mark.parametrize(
    ("name", "codec"), [("late.ts", "libx264"), ("late.mpg", "mpeg2video"), ("late.mp4", "libx264")]
)
def test_a_stream_whose_clock_starts_late_starts_at_zero(make_clip, name, codec):
    frames = read(make_clip(name, codec=codec, stamps=range(100, 106)))
    assert [f.time for f in frames] == [Fraction(i, 25) for i in range(6)]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("size", [(64, 48), (35, 21)])
def test_turned_pictures_come_upright(make_clip, degrees, flip, size):
    """Against the ffmpeg command, which turns as players do."""
    path = make_clip("turned.mp4", codec="libvpx-vp9", rotation=degrees, flip=flip, size=size, stamps=(0, 1))
    info = probe(path)
    assert (info.width, info.height) == (size if degrees % 180 == 0 else size[::-1])
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        path,
        "-frames:v",
        "1",
        "-f",
        "rawvideo",
        "-",
    ]
    expected = subprocess.run(command, capture_output=True, check=True).stdout
    assert b"".join(plane.tobytes() for plane in read(path)[0].planes) == expected


@pytest.mark.parametrize(
    ("pix_fmt", "lost"),
    [
        ("yuv420p10le", "10-bit"),
        ("yuv422p", "chroma beyond 4:2:0"),
        ("yuv444p", "chroma beyond 4:2:0"),
        ("yuv422p10le", "10-bit, chroma beyond 4:2:0"),
        ("yuva420p", "transparency"),
        ("yuva444p10le", "10-bit, chroma beyond 4:2:0, transparency"),
    ],
)
def test_other_formats_become_420_with_one_warning(make_clip, caplog, pix_fmt, lost):
    path = make_clip("other.mkv", pix_fmt=pix_fmt)
    frames = read(path)
    assert [re.search("lost: (.*)", m)[1] for m in warnings(caplog)] == [lost]
    for ours, theirs in zip(frames, decoded(path), strict=True):
        for a, b in zip(
            ours.planes, planes_of(theirs.reformat(format="yuv420p", interpolation=SWS_FLAGS)), strict=True
        ):
            assert np.abs(a.astype(int) - b).max() <= 1


def test_ten_bits_are_rounded_to_eight(make_clip):
    path = make_clip("deep.mkv", pix_fmt="yuv420p10le")
    for ours, theirs in zip(read(path), decoded(path), strict=True):
        height, width = ours.y.shape
        samples = theirs.to_ndarray()[:height, :width].astype(int)
        np.testing.assert_array_equal(ours.y, np.minimum((samples + 2) // 4, 255))


def test_interlaced_film_is_told_once(make_clip, caplog):
    read(make_clip("fields.mp4", codec="libx264", options={"x264-params": "tff=1"}))
    assert ["interlaced" in m for m in warnings(caplog)] == [True]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.gif", "gif", "rgb8"),
        ("a.apng", "apng", "rgba"),
        ("a.mov", "prores_ks", "yuv422p10le"),
        ("a.nut", "rawvideo", "rgb24"),
        ("a.264", "libx264", "yuv420p"),
        ("a.flv", "flv", "yuv420p"),
        ("a.wmv", "wmv2", "yuv420p"),
    ],
)
def test_other_containers(make_clip, name, codec, pix_fmt):
    frames = read(make_clip(name, codec=codec, pix_fmt=pix_fmt))
    assert [f.time for f in frames] == [Fraction(i, 25) for i in range(8)]
    expected = decoded(make_clip(name, codec=codec, pix_fmt=pix_fmt))[3].to_ndarray(format="rgb24")
    # in the mean over the picture, because the dither of .gif is finer than 4:2:0
    assert np.abs((frames[3].to_rgb().astype(int) - expected).mean(axis=(0, 1))).max() < 3


def test_full_range_stays_full_range(make_clip):
    path = make_clip("full.avi", codec="mjpeg", pix_fmt="yuvj420p")
    assert probe(path).color.range == "full"
    assert np.array_equal(read(path)[0].y, planes_of(decoded(path)[0])[0])


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 5), (17, 64)])
def test_odd_sizes(make_clip, size):
    frame = read(make_clip("odd.mkv", size=size, options={"slices": "1"}))[0]
    assert frame.y.shape == size[::-1]
    assert frame.u.shape == frame.v.shape == (-(-size[1] // 2), -(-size[0] // 2))


def test_colour_marks_and_aspect_ratio(make_clip):
    path = make_clip(
        "marked.mp4",
        codec="libx264",
        color_range=2,
        colorspace=1,
        color_primaries=9,
        color_trc=1,
        sample_aspect_ratio=Fraction(4, 3),
        rotation=90,
    )
    info = probe(path)
    assert info.color == ColorInfo("full", "bt709", 9, 1)
    assert info.sar == Fraction(3, 4)
    assert read(path)[0].color == info.color


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_with_advice(make_clip, transfer, name):
    path = make_clip("hdr.mp4", codec="libx265", pix_fmt="yuv420p10le", color_trc=transfer, colorspace=9,
                     options={"x265-params": "log-level=none"})  # fmt: skip
    with pytest.raises(UnsupportedError, match=f"{name}.*tone"):
        open_video(path)


def test_one_frame_and_images(make_clip, tmp_path):
    frames = read(make_clip("one.mkv", stamps=(0,)))
    assert len(frames) == 1
    assert frames[0].duration > 0
    (tmp_path / "a.png").write_bytes(encode_png(frames[0]))
    info = probe(tmp_path / "a.png")
    assert info.is_image
    assert (info.frames, info.width, info.height) == (1, 64, 48)
    assert np.abs(read_first(tmp_path / "a.png").to_rgb().astype(int) - frames[0].to_rgb()).mean() < 3


def test_photos_are_turned_by_their_exif(make_clip, tmp_path):
    jpeg = make_clip("frame.jpg", codec="mjpeg", pix_fmt="yuvj420p", stamps=(0,)).read_bytes()
    # an APP1 segment: big-endian TIFF with one entry, Orientation (0x0112) = 6, "turn clockwise"
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    body = b"Exif\0\0" + tiff
    (tmp_path / "turned.jpg").write_bytes(
        jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]
    )
    info = probe(tmp_path / "turned.jpg")
    assert (info.width, info.height, info.rotation) == (48, 64, 90)
    upright = read_first(tmp_path / "turned.jpg").y
    assert np.array_equal(upright, np.rot90(read_first(tmp_path / "frame.jpg").y, -1))


@pytest.fixture
def folder(make_clip, tmp_path):
    frames = read(make_clip("source.mkv", stamps=range(12)))
    (tmp_path / "images").mkdir()
    for number, frame in enumerate(frames):
        (tmp_path / "images" / f"img{number}.png").write_bytes(encode_png(frame))
    return tmp_path / "images"


@pytest.mark.parametrize("form", ["", "/*.png", "/img%d.png", "/img[0-9]*.png"])
def test_numbered_images_in_the_order_of_their_numbers(folder, form):
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_text("not an image either")
    path = f"{folder}{form}"
    with open_video(path, fps=Fraction(10)) as reader:
        frames = list(reader)
        assert (reader.info.frames, reader.info.fps, reader.info.is_image) == (12, 10, False)
    assert [f.time for f in frames] == [Fraction(i, 10) for i in range(12)]
    for number, frame in enumerate(frames):
        assert np.array_equal(frame.y, read_first(folder / f"img{number}.png").y)
    assert len(read(path, start=0.2, end=0.4)) == 5


def test_images_of_different_sizes_or_damaged_are_named(folder, tmp_path):
    (folder / "img5.png").write_bytes((folder / "img5.png").read_bytes()[:40])
    with pytest.raises(FormatError, match="img5"):
        read(folder)
    shutil.copy(tmp_path / "images/img1.png", folder / "img5.png")
    wide = np.zeros((10, 20, 3), np.uint8)
    av.VideoFrame.from_ndarray(wide, "rgb24").save(folder / "img7.png")
    with pytest.raises(InputError, match=r"img7.*20x10"):
        read(folder)


def test_file_names_with_special_characters(make_clip, tmp_path):
    for name in ("a%03d b.mkv", "[x]*?.mkv", "http:..x.mkv", "-y.mkv", "ä漢.mkv"):
        shutil.copy(make_clip("plain.mkv"), tmp_path / name)
        assert len(read(tmp_path / name)) == 8


def test_closing_early_frees_the_file(bikes):
    with open_video(bikes) as reader:
        first = next(reader)
    assert first.time == 0
    with pytest.raises(StopIteration):
        next(reader)


def test_pictures_that_were_read_are_let_go_at_once(bikes):
    """Without waiting for a collection of garbage, which comes seldom and knows nothing of how large pictures are."""
    gc.collect()
    gc.disable()
    try:
        with open_video(bikes, end=2) as reader:
            for _ in reader:
                pass
            assert sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects()) <= 2
    finally:
        gc.enable()
