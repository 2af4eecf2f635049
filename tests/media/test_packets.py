"""AV1 packets into containers and out again: the same bytes, times, pictures and tracks; nothing half done."""

import logging
from contextlib import suppress
from fractions import Fraction
from itertools import accumulate

import av
import numpy as np
import pytest

from vivae.codec.obu import (
    configuration_of,
    metadata_of,
    with_metadata,
    without_metadata,
)
from vivae.errors import FormatError, InputError, OutputError, UnsupportedError
from vivae.media import ColorInfo, Picture, open_video, open_writer, probe
from vivae.media.av1 import Av1Settings, encode_av1
from vivae.media.color import planes_of
from vivae.media.packets import CodedPacket, decode_packets, open_packet_writer, read_packets

CONTAINERS = (".mp4", ".mkv", ".webm")
WIDTH, HEIGHT = 96, 64
SDR = ColorInfo()
TICK = Fraction(1, 1000)  # of Matroska


def planes(width, height, number):
    y, x = np.mgrid[:height, :width]
    half = (-(-height // 2), -(-width // 2))
    luma = (x * 192 // width + y * 96 // height + 3 * number) % 200 + 20
    return tuple(p.astype(np.uint8) for p in (luma, np.full(half, 100 + number), np.full(half, 150 - number)))


def shot(width=WIDTH, height=HEIGHT, depth=8, count=6, color=SDR, extra=""):
    """Temporal units of one group of pictures."""
    picture = Picture(width, height, Fraction(25), color)
    frames = [planes(width, height, number) for number in range(count)]
    settings = Av1Settings(35, 12, depth, extra)
    return [(unit.data, unit.key) for unit in encode_av1(frames, picture, settings, threads=1)]


def timed(units, step=Fraction(1, 25), steps=None):
    steps = steps or [step] * len(units)
    times = [Fraction(0), *accumulate(steps)]
    return [CodedPacket(data, t, d, key) for (data, key), t, d in zip(units, times, steps, strict=False)]


def write(path, packets, *, color=SDR, sar=Fraction(1), size=(WIDTH, HEIGHT), extradata=None, **settings):
    picture = Picture(*size, Fraction(25), color, sar)
    header = extradata or configuration_of(packets[0].data)
    with open_packet_writer(path, picture=picture, extradata=header, **settings) as writer:
        for packet in packets:
            writer.write(packet)
    return path


def remux(source, target):
    """Stream copy as FFmpeg's own tools do it."""
    with av.open(source) as old, av.open(target, "w") as new:
        copies = {stream.index: new.add_stream_from_template(stream, opaque=True) for stream in old.streams}
        copies[0].codec_context.framerate = old.streams.video[0].average_rate
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
    return target


def decoded(path):
    with av.open(path) as container:
        return [planes_of(frame) for frame in container.decode(video=0)]


def same(a, b):
    pairs = zip(a, b, strict=True)
    return len(a) == len(b) and all(np.array_equal(p, q) for x, y in pairs for p, q in zip(x, y, strict=True))


@pytest.fixture(scope="module")
def units():
    return shot()


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_packets_come_out_as_they_went_in(tmp_path, units, suffix):
    packets = timed(units)
    back = list(read_packets(write(tmp_path / f"a{suffix}", packets)))
    assert [(p.time, p.duration, p.key) for p in back] == [(p.time, p.duration, p.key) for p in packets]
    for before, after in zip(packets, back, strict=True):
        assert after.data == before.data[2:]  # containers leave the temporal delimiter out


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_variable_rate_keeps_its_times(tmp_path, units, suffix):
    steps = [Fraction(n, 30000) for n in (1001, 2002, 1001, 500, 7007, 3003)]
    packets = timed(units, steps=steps)
    path = write(tmp_path / f"a{suffix}", packets, time_base=Fraction(1, 30000))
    exact = suffix == ".mp4"
    for before, after in zip(packets, read_packets(path), strict=True):
        assert abs(after.time - before.time) <= (0 if exact else TICK / 2)
        assert abs(after.duration - before.duration) <= (0 if exact else TICK)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_times_are_those_of_the_reader(tmp_path, units, suffix):
    """Also of the last picture, and where the first does not start at zero."""
    packets = timed(units, steps=[Fraction(n, 100) for n in (4, 9, 2, 30, 5, 17)])
    late = [CodedPacket(p.data, p.time + Fraction(1, 5), p.duration, p.key) for p in packets]
    for number, clip in enumerate((packets, late)):
        path = write(tmp_path / f"{number}{suffix}", clip)
        with open_video(path) as reader:
            seen = [(frame.time, frame.duration) for frame in reader]
        assert [(p.time, p.duration) for p in read_packets(path)] == seen


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_files_are_described_like_those_of_the_frame_writer(tmp_path, suffix):
    color, sar = ColorInfo("full", "bt709", 9, 14), Fraction(4, 3)
    ours = write(tmp_path / f"ours{suffix}", timed(shot(color=color)), color=color, sar=sar)
    theirs = tmp_path / f"theirs{suffix}"
    with (
        open_video(ours) as reader,
        open_writer(theirs, width=WIDTH, height=HEIGHT, fps=Fraction(25), color=color, sar=sar, preset=12) as writer,
    ):  # fmt: skip
        for frame in reader:
            writer.write(frame)
    one, other = probe(ours), probe(theirs)
    assert (one.color, one.sar) == (color, sar)
    for name in (
        "width",
        "height",
        "fps",
        "frames",
        "duration",
        "time_base",
        "origin",
        "codec",
        "variable_rate",
    ):
        assert getattr(one, name) == getattr(other, name), name


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_writing_twice_gives_the_same_bytes(tmp_path, units, suffix):
    packets = timed(units)
    first, second = (write(tmp_path / f"{n}{suffix}", packets).read_bytes() for n in "ab")
    assert first == second


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_index_stands_before_the_pictures(tmp_path, units, suffix):
    data = write(tmp_path / f"a{suffix}", timed(units)).read_bytes()
    if suffix == ".mp4":
        assert data.index(b"moov") < data.index(b"mdat")
        assert data.count(b"av1C") == 1


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_sizes_and_depths_may_change_at_key_frames(tmp_path, suffix):
    kinds = [(96, 64, 8), (48, 32, 8), (48, 32, 10), (96, 64, 10), (72, 48, 8)]
    packets = timed([unit for kind in kinds for unit in shot(*kind, count=3)])
    path = write(tmp_path / f"a{suffix}", packets)
    with av.open(path) as container:
        seen = [(f.width, f.height, f.format.name) for f in container.decode(video=0)]
    expected = [(w, h, "yuv420p" if d == 8 else "yuv420p10le") for w, h, d in kinds for _ in range(3)]
    assert seen == expected
    pairs = list(decode_packets(read_packets(path), path.name, threads=1))
    assert [(f.width, f.height, f.format.name) for _, f in pairs] == expected
    assert [packet.time for packet, _ in pairs] == [packet.time for packet in packets]
    assert [packet.key for packet, _ in pairs] == [n % 3 == 0 for n in range(15)]


@pytest.mark.parametrize(
    "way", [(".mp4", ".mkv", ".webm", ".mp4"), (".webm", ".mp4", ".mkv"), (".mkv", ".webm")]
)
def test_records_survive_remuxing(tmp_path, units, way):
    """And FFmpeg decodes the same pictures with them and without."""
    records = {number: bytes([number]) * 40 for number in (0, 3)}
    packets = timed(
        [(with_metadata(data, records[n]) if n in records else data, key) for n, (data, key) in enumerate(units)]
    )  # fmt: skip
    path = write(tmp_path / f"0{way[0]}", packets)
    plain = write(tmp_path / f"plain{way[0]}", timed(units))
    for number, suffix in enumerate(way[1:], 1):
        path = remux(path, tmp_path / f"{number}{suffix}")
    back = list(read_packets(path))
    found = {n: metadata_of(packet.data) for n, packet in enumerate(back)}
    assert {n: payloads[0] for n, payloads in found.items() if payloads} == records
    assert [without_metadata(p.data) for p in back] == [p.data for p in read_packets(plain)]
    assert same(decoded(path), decoded(plain))


def test_film_grain_is_added_or_left_out(tmp_path):
    path = write(tmp_path / "a.mp4", timed(shot(extra="film-grain=40")))
    noisy, clean = (
        [planes_of(f) for _, f in decode_packets(read_packets(path), "a", threads=1, grain=grain)]
        for grain in (True, False)
    )
    assert same(noisy, decoded(path))
    assert not same(noisy, clean)


@pytest.fixture
def film(tmp_path, make_clip):
    """A clip with sound, chapters, a title."""
    plain = make_clip("plain.mkv", stamps=range(50), audio=1)
    path = tmp_path / "film.mkv"
    with av.open(plain) as source, av.open(path, "w") as container:
        streams = {s.index: container.add_stream_from_template(s) for s in source.streams}
        container.metadata["title"] = "A film"
        container.set_chapters(
            [{"id": 1, "start": 0, "end": 800, "time_base": TICK, "metadata": {"title": "one"}}]
        )
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    return path


def sound(path):
    with av.open(path) as container:
        stream = container.streams.audio[0]
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_other_tracks_come_along_in_step(tmp_path, units, film, suffix):
    path = write(tmp_path / f"a{suffix}", timed(units, Fraction(1, 20)), copy_from=film)
    before, after = sound(film), sound(path)
    assert [data for _, data in after] == [data for _, data in before]
    assert all(abs(a - b) <= TICK for (a, _), (b, _) in zip(after, before, strict=True))
    assert probe(path).metadata["title"] == "A film"
    with av.open(path) as container:
        assert len(container.chapters()) == 1
        order = [(p.stream.type, p.pts * p.time_base) for p in container.demux() if p.size]
    assert [t for _, t in order] == sorted(t for _, t in order)  # interleaved, as players want it


def test_other_tracks_are_cut_like_the_pictures(tmp_path, units, film):
    path = write(tmp_path / "a.mkv", timed(units), copy_from=film, start=0.1, end=0.25)
    before = [(t - Fraction(1, 10), data) for t, data in sound(film)]
    expected = [(t, data) for t, data in before if 0 <= t < Fraction(15, 100)]
    after = sound(path)
    assert [data for _, data in after] == [data for _, data in expected]
    assert all(abs(a - b) <= TICK for (a, _), (b, _) in zip(after, expected, strict=True))


def test_what_cannot_be_written_leaves_nothing(tmp_path, units, film):
    packets = timed(units)
    with pytest.raises(UnsupportedError, match=r"\.mp4"):
        write(tmp_path / "a.avi", packets)
    with pytest.raises(OutputError, match="input"):
        write(film, packets, copy_from=film, force=True)
    with pytest.raises(OutputError, match="exists"):
        write(film, packets)
    with pytest.raises(OutputError, match="order"):
        write(tmp_path / "a.mp4", [packets[0], packets[2], packets[1]])
    with pytest.raises(ValueError, match="key"):
        write(tmp_path / "a.mp4", packets[1:], extradata=configuration_of(packets[0].data))
    with pytest.raises(OutputError, match="no frame"), open_packet_writer(
        tmp_path / "a.mp4", picture=Picture(WIDTH, HEIGHT, Fraction(25), ColorInfo()),
        extradata=configuration_of(packets[0].data),
    ):  # fmt: skip
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.mkv", "plain.mkv"]


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_nonsense_for_a_header_is_refused(tmp_path, units, suffix):
    with pytest.raises((InputError, OutputError)):
        write(tmp_path / f"a{suffix}", timed(units), extradata=b"nonsense")
    assert list(tmp_path.iterdir()) == []


def test_other_codecs_are_refused(make_clip):
    with pytest.raises(InputError, match="AV1"):
        next(read_packets(make_clip("a.mkv")))


def test_closing_early_closes_the_file(tmp_path, units):
    packets = read_packets(write(tmp_path / "a.mp4", timed(units)))
    next(packets)
    packets.close()
    assert list(packets) == []


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_damage_is_named_and_never_escapes_as_anything_else(tmp_path, suffix, caplog):
    caplog.set_level(logging.CRITICAL, "libav")
    whole = write(tmp_path / f"a{suffix}", timed(shot(count=8))).read_bytes()
    path = tmp_path / f"b{suffix}"
    rng = np.random.default_rng(3)
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 12)):
            data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data[: rng.integers(len(data) // 2, len(data) + 1)])
        with suppress(InputError):  # FormatError belongs to them
            assert sum(1 for _ in decode_packets(read_packets(path), path.name, threads=1)) <= 16


def test_a_file_cut_off_says_so(tmp_path, units, caplog):
    data = write(tmp_path / "a.mp4", timed(units)).read_bytes()
    cut = tmp_path / "cut.mp4"
    for length in (len(data) - 1, len(data) - 60):
        cut.write_bytes(data[:length])
        with pytest.raises(FormatError, match=r"damaged|cut off"):
            list(read_packets(cut))
    data = write(tmp_path / "a.mkv", timed(shot(count=30))).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    assert len(list(read_packets(cut))) < 30
    assert "cut off" in caplog.text


def test_pictures_beyond_the_limit_are_refused(units, monkeypatch):
    assert len(list(decode_packets(timed(units), "a.mp4", threads=1))) == len(units)
    monkeypatch.setattr("vivae.media.av1.MAX_SIDE", 64)
    with pytest.raises(FormatError, match="cannot be decoded"):
        list(decode_packets(timed(units), "a.mp4", threads=1))
