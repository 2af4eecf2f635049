"""How coarsely video was coded, from headers and from what the decoder tells."""

from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
import pytest

from vivae.codec.frame_header import read_sequence
from vivae.codec.hevc_header import key_quantisers
from vivae.codec.quantiser import av1_quantiser, quantiser_of
from vivae.errors import FormatError, UnsupportedError
from vivae.media import ColorInfo, Picture
from vivae.media.av1 import Av1Settings, encode_av1
from vivae.media.quantisers import first_packets


def units(crf, count=12):
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 255, (12, 20)), np.ones((16, 16))).astype(np.uint8)
    grey = np.full((64, 96), 128, np.uint8)
    frames = ((wide[:128, 3 * step : 3 * step + 192], grey, grey) for step in range(count))
    picture = Picture(192, 128, Fraction(25), ColorInfo.guess(128))
    return [unit.data for unit in encode_av1(frames, picture, Av1Settings(crf, 9), threads=1)]


def test_a_coarser_quantiser_is_seen():
    fine, middle, coarse = (av1_quantiser(units(crf)) for crf in (20, 40, 60))
    assert fine < middle < coarse
    assert abs(coarse - 4 * 60) < 25


def test_what_cannot_be_read_is_unknown():
    assert av1_quantiser([]) is None
    damaged = [bytes(unit[: len(unit) // 3]) for unit in units(40, 4)]
    assert av1_quantiser(damaged) is None or av1_quantiser(damaged) > 0
    assert av1_quantiser(unit[40:] for unit in units(40, 2)) is None


FROM_THE_COMMAND_LINE = bytes.fromhex("0200002d6a67fd9e357cc120")
"""The sequence header of a 1280x720 file that FFmpeg's command line writes by SVT-AV1 4.2: with display delays."""


def test_the_header_of_an_ordinary_file_is_read():
    found = read_sequence(FROM_THE_COMMAND_LINE)
    assert (found.width, found.height) == (1280, 720)
    assert found.cdef
    assert found.order_hint_bits == 7


@pytest.mark.parametrize("decoder_model", [0, 1])
def test_timing_information_is_passed_over(decoder_model):
    bits = "".join(f"{byte:08b}" for byte in FROM_THE_COMMAND_LINE)
    timed = f"{bits[:5]}1{1:032b}{25:032b}1{'1'}{decoder_model}{bits[6:]}"
    timed += "0" * (-len(timed) % 8)
    header = int(timed, 2).to_bytes(len(timed) // 8, "big")
    if decoder_model:
        with pytest.raises(UnsupportedError, match="decoder model"):
            read_sequence(header)
    else:
        assert read_sequence(header).width == 1280


def coded(path, encoder, count=6, form="yuv420p", height=128, **options):
    """A file of a moving pattern, by one of FFmpeg's encoders."""
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 255, (12, 20, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 192, height, form
        for step in range(count):
            picture = np.ascontiguousarray(wide[:height, 3 * step : 3 * step + 192])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


X265 = "log-level=none:ipratio=1:pbratio=1"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize(
    ("codec", "encoder", "options", "expected"),
    [
        ("hevc", "libx265", {"x265-params": f"{X265}:qp=31"}, 31),
        (
            "hevc",
            "libx265",
            {"x265-params": f"{X265}:qp=17:scaling-list=default:no-sao=1:temporal-layers=3"},
            17,
        ),
        ("h264", "libx264", {"x264-params": "qp=29:ipratio=1:pbratio=1"}, 29),
        ("mpeg4", "mpeg4", {"qmin": "6", "qmax": "6"}, 12),
        ("mpeg2video", "mpeg2video", {"qmin": "6", "qmax": "6"}, 12),
    ],
)
def test_the_quantiser_is_what_the_encoder_was_asked_for(tmp_path, suffix, codec, encoder, options, expected):
    path = coded(tmp_path / f"a{suffix}", encoder, **options)
    assert quantiser_of(path, codec) == pytest.approx(expected, abs=0.01)


def test_interlaced_rows_of_blocks_are_padded_to_pairs(tmp_path):
    params = "qp=29:ipratio=1:pbratio=1:tff=1"
    path = coded(tmp_path / "a.mkv", "libx264", height=112, flags="+ildct+ilme", **{"x264-params": params})
    assert quantiser_of(path, "h264") == pytest.approx(29, abs=0.01)


@pytest.mark.parametrize(
    ("codec", "encoder", "options"),
    [
        ("h264", "libx264", {"x264-params": "qp=41:ipratio=1:pbratio=1"}),  # x264 counts 12 for ten bits
        ("hevc", "libx265", {"x265-params": f"{X265}:qp=29"}),
    ],
)
def test_ten_bits_have_the_same_quantiser(tmp_path, codec, encoder, options):
    path = coded(tmp_path / "a.mkv", encoder, form="yuv420p10le", **options)
    assert quantiser_of(path, codec) == pytest.approx(29, abs=0.01)


def test_motion_jpeg_tells_by_its_tables(tmp_path):
    fine, coarse = (
        quantiser_of(coded(tmp_path / f"{q}.mkv", "mjpeg", strict="unofficial", qmin=q, qmax=q), "mjpeg")
        for q in ("3", "12")
    )
    assert 3 < fine < coarse / 2


def test_a_codec_without_a_quantiser_has_none(tmp_path):
    assert quantiser_of(coded(tmp_path / "a.mkv", "ffv1"), "ffv1") is None
    (tmp_path / "b.mp4").write_bytes(b"no video")
    assert quantiser_of(tmp_path / "b.mp4", "h264") is None


def test_damaged_headers_of_hevc_are_refused_or_passed_over(tmp_path):
    path = coded(tmp_path / "a.mkv", "libx265", 2, **{"x265-params": X265})
    whole = b"".join(first_packets(path, 4))
    assert len(list(key_quantisers([whole]))) == 1
    for length in range(min(len(whole), 400)):
        with suppress(FormatError):
            assert len(list(key_quantisers([whole[:length]]))) < 2
    slices = whole[whole.rindex(b"\0\0\1") :]
    assert list(key_quantisers([slices])) == []
    rng = np.random.default_rng(1)
    for _ in range(200):
        bad = bytearray(whole[:400])
        bad[rng.integers(len(bad))] = rng.integers(256)
        with suppress(FormatError):
            list(key_quantisers([bytes(bad)]))
