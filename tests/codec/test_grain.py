"""Film grain in a stream that was coded without: coded pictures stay, every one gains grain as measured."""

import itertools
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from vivae.codec.bits import BitReader, BitWriter
from vivae.codec.grain import Grain, GrainMeter, neighbours, with_grain
from vivae.errors import FormatError, UnsupportedError
from vivae.media import ColorInfo, open_video
from vivae.media.av1 import Av1Settings, decode_av1, encode_av1
from vivae.media.frames import Picture
from vivae.media.resample import Shrinker

COUNT = 12


def flat_grain(level):
    """Grain of one strength for all brightnesses, white."""
    curve = ((0, level), (255, level))
    size = len(neighbours())
    return Grain((curve, curve, curve), 9, ((0,) * size, (0,) * (size + 1), (0,) * (size + 1)), True)


@pytest.fixture(scope="module")
def clip(bunny):
    with open_video(bunny) as reader:
        frames = [frame.planes for frame in itertools.islice(reader, 40, 40 + COUNT)]
    small = Shrinker(320, 192)
    picture = Picture(320, 192, Fraction(25), ColorInfo("limited", "bt709"), Fraction(1))
    return [small(planes) for planes in frames], picture


def coded(clip, depth=8, preset=8, extra=""):
    frames, picture = clip
    return list(encode_av1(iter(frames), picture, Av1Settings(40, preset, depth=depth, extra=extra)))


@pytest.mark.parametrize(
    "depth, preset, extra",
    [
        (8, 8, ""),
        (10, 10, ""),
        (10, 6, "hierarchical-levels=4"),
        (8, 6, "startup-mg-size=3"),
        (8, 9, "scm=1"),
    ],
)
def test_pictures_stay_and_every_one_gains_grain(clip, depth, preset, extra):
    units = coded(clip, depth, preset, extra)
    grained = [unit.data for unit in with_grain(units, flat_grain(80))]
    before = list(decode_av1(unit.data for unit in units))
    without = list(decode_av1(grained, grain=False))
    shown = list(decode_av1(grained))
    assert len(before) == len(without) == len(shown) == COUNT
    for a, b in zip(before, without, strict=True):
        assert all(np.array_equal(*planes) for planes in zip(a, b, strict=True))
    deviations = [(a[0].astype(float) - b[0]).std() for a, b in zip(shown, before, strict=True)]
    # 80 / 2^9 of the synthesis' 32 code values, less what the limited range cuts off.
    assert min(deviations) > 4
    assert max(deviations) < 5.5
    assert sum(map(len, grained)) < sum(len(unit.data) for unit in units) + 6 * COUNT + 120


def test_two_pictures_have_different_grain(clip):
    units = coded(clip)
    clean, shown = (
        list(decode_av1([u.data for u in with_grain(units, flat_grain(80))], grain=g)) for g in (False, True)
    )
    first, second = ((shown[i][0].astype(float) - clean[i][0]) for i in (0, 1))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.2


def test_headers_end_where_ffmpeg_says(clip, tmp_path):
    """FFmpeg's own parser reads the rewritten headers to their end, and finds the parameters there."""
    units = list(with_grain(coded(clip), flat_grain(80)))
    path = tmp_path / "grain.ivf"
    with av.open(path, "w") as container:
        stream = container.add_stream("libsvtav1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        for unit in units:
            packet = av.Packet(unit.data)
            packet.stream, packet.time_base, packet.pts = stream, Fraction(1, 25), unit.position
            packet.dts = unit.position
            container.mux(packet)
    seen = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        level = av.logging.get_level()
        av.logging.set_level(av.logging.TRACE)
        try:
            with av.logging.Capture() as logs:
                bsf = BitStreamFilterContext("trace_headers", stream)
                for packet in container.demux(stream):
                    if packet.size:
                        bsf.filter(packet)
            seen = [message for _, _, message in logs]
        finally:
            av.logging.set_level(level)
    text = "".join(seen)
    assert text.count("apply_grain") >= COUNT
    # The first picture tells everything, the others refer to it.
    assert text.count("clip_to_restricted_range") == 1
    assert text.count("film_grain_params_ref_idx") == COUNT - 1


@pytest.mark.parametrize("soft", [0.0, 0.7])
def test_what_is_measured_is_what_is_put_back(clip, soft):
    frames, _ = clip
    rng = np.random.default_rng(0)
    meter, lost = GrainMeter(), []
    for planes in frames:
        noisy = []
        for plane in planes:
            noise = rng.normal(0, 1, plane.shape)
            if soft:
                noise = cv2.GaussianBlur(noise, (0, 0), soft)
            noise *= 6 / noise.std()
            noisy.append(np.clip(np.rint(plane + noise), 0, 255).astype(np.uint8))
        lost.append(noisy[0].astype(float) - planes[0])
        meter.add(tuple(noisy), planes)
    units = [unit.data for unit in with_grain(coded(clip), meter.grain())]
    pairs = zip(decode_av1(units), decode_av1(units, grain=False), strict=True)
    made = [a[0].astype(float) - b[0] for a, b in pairs]
    for statistic in (np.std, neighbourly):
        wanted, got = statistic(np.stack(lost)), statistic(np.stack(made))
        assert got == pytest.approx(wanted, rel=0.15, abs=0.06)


def neighbourly(noise):
    """Correlation of samples side by side."""
    return float((noise[:, :, 1:] * noise[:, :, :-1]).mean() / (noise**2).mean())


def test_nothing_lost_is_no_grain(clip):
    meter = GrainMeter()
    for planes in clip[0]:
        meter.add(planes, planes)
    assert meter.grain().empty


def test_damaged_headers_are_refused(clip):
    units = coded(clip)
    rng = np.random.default_rng(1)
    for _ in range(200):
        data = bytearray(units[0].data)
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        try:
            list(
                with_grain(
                    [units[0]._replace(data=bytes(data[: int(rng.integers(1, len(data) + 1))]))],
                    flat_grain(9),
                )
            )
        except (FormatError, UnsupportedError):
            continue


def test_bits_come_back():
    writer = BitWriter(b"\xab\xcd", 12)
    for value, size in ((5, 3), (0, 1), (1023, 10)):
        writer.put(value, size)
    reader = BitReader(writer.bytes(), "bits")
    assert [reader.take(size) for size in (12, 3, 1, 10)] == [0xABC, 5, 0, 1023]
    assert reader.place == 26
    with pytest.raises(ValueError, match="fit"):
        writer.put(8, 3)
    with pytest.raises(FormatError, match="too early"):
        reader.take(8)
