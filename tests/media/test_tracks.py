"""Sound, subtitles, chapters and metadata come along unchanged, converted, or are named as lost."""

import logging
import re
from fractions import Fraction

import av
import numpy as np
import pytest

from vivae.media import open_video, open_writer, probe

FAST = {
    ".mp4": {"codec": "h264", "preset": "ultrafast"},
    ".mkv": {"codec": "ffv1"},
    ".webm": {"codec": "vp9", "preset": 8},
}


def convert(source, target, start=None, end=None):
    with open_video(source, start=start, end=end) as reader:
        info = reader.info
        with open_writer(
            target, width=info.width, height=info.height, fps=info.fps, color=info.color, time_base=info.time_base,
            copy_from=source, start=start, end=end, **FAST.get(target.suffix, {}),
        ) as writer:  # fmt: skip
            for frame in reader:
                writer.write(frame)
    return target


def packets(path, kind, number=0):
    with av.open(path) as container:
        stream = getattr(container.streams, kind)[number]
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


def warnings(caplog):
    return [r.message for r in caplog.records if r.levelno >= logging.WARNING]


def loudness(path, number=0):
    """(seconds, root mean square) of the sound in pieces of about 20 ms."""
    with av.open(path) as container:
        stream = container.streams.audio[number]
        return [(float(f.time), float(np.sqrt(np.mean(f.to_ndarray().astype(float) ** 2)))) for f in
                container.decode(stream)]  # fmt: skip


@pytest.fixture
def full(tmp_path, make_clip):
    """A Matroska film with everything: two sound tracks, styled and plain subtitles, chapters, a font, metadata."""
    plain = make_clip("plain.mkv", stamps=range(100), audio=2)
    path = tmp_path / "full.mkv"
    with av.open(plain) as source, av.open(path, "w") as container:
        streams = {s.index: container.add_stream_from_template(s) for s in source.streams}
        for stream, language in zip(container.streams.audio, ("eng", "fra"), strict=True):
            stream.metadata["language"] = language
        container.streams.audio[1].metadata["title"] = "Commentary"
        srt = container.add_mux_stream("subrip")
        srt.metadata["language"] = "deu"
        container.add_attachment("font.ttf", "font/ttf", b"glyphs" * 50)
        container.metadata.update({"title": "A film", "artist": "Somebody", "comment": "ünïcode"})
        base = Fraction(1, 1000)
        container.set_chapters(
            [{"id": i, "start": i * 1000, "end": (i + 1) * 1000, "time_base": base, "metadata": {"title": f"Part {i}"}}
             for i in range(4)]
        )  # fmt: skip
        container.start_encoding()
        for number, text in enumerate(("One", "Two <i>words</i>", "Three\nlines")):
            packet = av.Packet(text.encode())
            packet.pts = packet.dts = 500 + 1000 * number
            packet.duration, packet.time_base, packet.stream = 800, base, srt
            container.mux(packet)
        for packet in source.demux():
            if packet.pts is not None:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    return path


@pytest.mark.parametrize("kind", [".mp4", ".mkv"])
def test_real_sound_is_copied_bit_for_bit(bunny, tmp_path, kind):
    path = convert(bunny, tmp_path / f"x{kind}", end=1.0)
    theirs, ours = packets(bunny, "audio"), packets(path, "audio")
    assert [data for _, data in ours] == [data for time, data in theirs if time < 1]
    assert all(abs(a[0] - b[0]) <= Fraction(1, 1000) for a, b in zip(ours, theirs, strict=False))


@pytest.mark.parametrize("kind", [".mp4", ".mkv"])
def test_trimmed_sound_stays_in_step(bunny, tmp_path, kind):
    path = convert(bunny, tmp_path / f"x{kind}", start=1.5, end=2.5)
    theirs = [(time - Fraction(3, 2), data) for time, data in packets(bunny, "audio") if 1.5 <= time < 2.5]
    ours = packets(path, "audio")
    assert [data for _, data in ours] == [data for _, data in theirs]
    assert all(abs(a[0] - b[0]) <= Fraction(1, 1000) for a, b in zip(ours, theirs, strict=True))


def test_everything_travels_in_matroska(full, tmp_path, caplog):
    path = convert(full, tmp_path / "x.mkv")
    assert warnings(caplog) == []
    info = probe(path)
    assert [(a.codec, a.language, a.title) for a in info.audio] == [
        ("aac", "eng", None),
        ("aac", "fra", "Commentary"),
    ]
    assert [(s.codec, s.language) for s in info.subtitles] == [("subrip", "deu")]
    assert info.metadata["title"] == "A film"
    assert {k.lower(): v for k, v in info.metadata.items()}["comment"] == "ünïcode"
    for kind, number in (("audio", 0), ("audio", 1), ("subtitles", 0)):
        assert packets(path, kind, number) == packets(full, kind, number)
    with av.open(path) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == [f"Part {i}" for i in range(4)]
        assert [s.data for s in container.streams if s.type == "attachment"] == [b"glyphs" * 50]


@pytest.mark.parametrize(
    ("kind", "sound", "text"),
    [(".mp4", "aac", "mov_text"), (".webm", "opus", "webvtt"), (".mkv", "aac", "subrip")],
)
def test_what_a_container_cannot_hold_is_converted_and_named(full, tmp_path, caplog, kind, sound, text):
    path = convert(full, tmp_path / f"x{kind}")
    info = probe(path)
    assert [a.codec for a in info.audio] == [sound] * 2
    assert [a.language for a in info.audio] == ["eng", "fra"]
    assert [s.codec for s in info.subtitles] == [text]
    told = " ".join(warnings(caplog))
    assert ("attachment" in told) == (kind != ".mkv")
    assert ("subrip" in told) == (kind != ".mkv")
    assert ("libopus" in told) == (kind == ".webm")
    with av.open(path) as container:
        events = [
            (float(p.pts * p.time_base), event.dialogue.decode())
            for p in container.demux(container.streams.subtitles[0])
            if p.pts is not None and p.size > 2
            for event in container.streams.subtitles[0].decode(p)
        ]
        assert len(container.chapters()) == 4
    assert [time for time, _ in events] == [0.5, 1.5, 2.5]
    words = [re.sub(r"{.*?}|<.*?>", "", text).replace("\\N", "\n") for _, text in events]
    assert words == ["One", "Two words", "Three\nlines"]


def test_subtitles_survive_the_whole_circle(full, tmp_path):
    """subrip, mov_text, webvtt and back: the words and their times."""
    path = full
    for name in ("a.mp4", "b.webm", "c.mp4", "d.mkv"):
        path = convert(path, tmp_path / name)
    time, text = packets(path, "subtitles")[0]
    assert (time, text.decode().strip()) == (Fraction(1, 2), "One")
    assert len(packets(path, "subtitles")) == 3


def test_reencoded_sound_stays_in_step(bunny, tmp_path):
    path = convert(bunny, tmp_path / "x.webm", start=0.5, end=2.0)
    before = [(t - 0.5, level) for t, level in loudness(bunny) if 0.5 <= t < 2.0]
    after = loudness(path)
    grid = np.arange(0.1, 1.3, 0.02)
    a, b = (np.interp(grid, *zip(*levels, strict=True)) for levels in (before, after))
    scale = np.dot(a, b) / np.dot(a, a)
    assert np.corrcoef(a, b)[0, 1] > 0.95
    assert scale > 0


def test_trimming_moves_chapters_and_subtitles(full, tmp_path):
    path = convert(full, tmp_path / "x.mkv", start=1.2, end=2.2)
    assert [(float(t), d) for t, d in packets(path, "subtitles")] == [(0.3, b"Two <i>words</i>")]
    with av.open(path) as container:
        spans = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]))
            for c in container.chapters()
        ]
    assert spans == [(0.0, 0.8), (0.8, 1.0)]


@pytest.mark.parametrize("name", ["x.y4m", "folder"])
def test_plain_frames_say_what_stays_behind(full, tmp_path, caplog, name):
    convert(full, tmp_path / name)
    assert sum("3 sound or subtitle tracks" in m for m in warnings(caplog)) == 1


def test_silent_and_image_sources_need_nothing(bikes, tmp_path, caplog):
    path = convert(bikes, tmp_path / "x.mp4", end=0.2)
    assert probe(path).audio == ()
    convert(path, tmp_path / "folder")
    convert(tmp_path / "folder", tmp_path / "again.mp4")
    assert warnings(caplog) == []


def test_a_late_sound_track_stays_late(tmp_path, make_clip):
    """Sound that starts 0.3 s after the pictures."""
    clip = make_clip("a.mp4", codec="libx264", stamps=range(30), audio=1)
    with av.open(clip) as source, av.open(tmp_path / "late.mp4", "w") as container:
        streams = {s.index: container.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.pts is not None:
                if packet.stream.type == "audio":
                    packet.pts += 14400
                    packet.dts += 14400
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    for kind in (".mp4", ".mkv"):
        path = convert(tmp_path / "late.mp4", tmp_path / f"x{kind}")
        assert packets(path, "audio")[0][0] == pytest.approx(
            packets(tmp_path / "late.mp4", "audio")[0][0], abs=0.001
        )
        assert packets(path, "video")[0][0] == 0


@pytest.mark.parametrize(("kind", "kept"), [(".mkv", 1), (".mp4", 0), (".webm", 0)])
def test_bitmap_subtitles_are_copied_or_named(tmp_path, make_clip, caplog, kind, kept):
    clip = make_clip("a.mkv")
    with av.open(clip) as source, av.open(tmp_path / "b.mkv", "w") as container:
        video = container.add_stream_from_template(source.streams.video[0])
        bitmaps = container.add_mux_stream("hdmv_pgs_subtitle")
        packet = av.Packet(b"\x80\0\0")
        packet.pts = packet.dts = packet.duration = 100
        packet.time_base, packet.stream = Fraction(1, 1000), bitmaps
        container.mux(packet)
        for packet in source.demux():
            if packet.pts is not None:
                packet.stream = video
                container.mux(packet)
    path = convert(tmp_path / "b.mkv", tmp_path / f"x{kind}")
    assert len(probe(path).subtitles) == kept
    assert sum("cannot travel" in m and "pgs" in m for m in warnings(caplog)) == 1 - kept


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1(side)", "quad"])
def test_surround_sound_can_be_reencoded(tmp_path, make_clip, layout):
    clip = make_clip("a.mkv", stamps=range(25))
    with av.open(clip) as source, av.open(tmp_path / "b.mkv", "w") as container:
        video = container.add_stream_from_template(source.streams.video[0])
        sound = container.add_stream("flac", rate=44100, layout=layout)
        channels = av.AudioLayout(layout).nb_channels
        for packet in source.demux():
            if packet.pts is not None:
                packet.stream = video
                container.mux(packet)
        for number in range(10):
            tone = (np.sin(np.arange(4096 * channels) * 0.05) * 9000).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(tone, "s16", layout)
            frame.sample_rate, frame.pts, frame.time_base = 44100, number * 4096, Fraction(1, 44100)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    path = convert(tmp_path / "b.mkv", tmp_path / "x.webm")
    assert probe(path).audio[0].codec == "opus"
    assert loudness(path)[-1][0] == pytest.approx(0.9, abs=0.1)
