"""The layered codec on real clips in small pictures: ordinary AV1 files, better decoded, whatever happens to them."""

import logging
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vivae
import vivae.codec.layered as layered
from tests.tasks.conftest import SIZE
from vivae.codec.layer import Layer, read_layer, write_layer
from vivae.codec.layered import packets_of
from vivae.codec.obu import configuration_of, metadata_of
from vivae.codec.shot import Base, decode_shot, encode_shot
from vivae.codec.spool import shots_of
from vivae.codec.store import ShotStore
from vivae.codec.unlayered import decode_layered, display_size
from vivae.errors import FormatError, InputError, ModelMismatch, UnsupportedError
from vivae.media import Frame, Picture, open_video, open_writer, probe
from vivae.media.av1 import Av1Settings
from vivae.media.kept import Kept
from vivae.media.packets import open_packet_writer, read_packets
from vivae.media.resample import enlarged
from vivae.tasks.compress import compress
from vivae.tasks.decompress import decompress, enhancers
from vivae.tasks.info import info
from vivae.vae.zoo import load_enhancer


def frames_of(path):
    with open_video(path) as reader:
        return list(reader)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.y.astype(float) - b.y) ** 2))


def assert_same(found, expected):
    for one, two in zip(found, expected, strict=True):
        assert one.time == two.time
        for plane, other in zip(one.planes, two.planes, strict=True):
            np.testing.assert_array_equal(plane, other)


def test_any_player_shows_it(two_shots, tmp_path):
    told = compress(two_shots, tmp_path / "a.mp4", quality=60, speed=9)
    assert (told["codec"], told["frames"]) == ("layered", 36)
    assert told["size_bytes"] == (tmp_path / "a.mp4").stat().st_size
    info = probe(tmp_path / "a.mp4")
    assert (info.codec, info.width, info.height, info.frames) == ("av1", *SIZE, 36)
    assert [track.codec for track in info.audio] == ["aac"]
    shown, source = frames_of(tmp_path / "a.mp4"), frames_of(two_shots)
    assert [(f.time, f.duration) for f in shown] == [(f.time, f.duration) for f in source]
    assert min(psnr(a, b) for a, b in zip(shown, source, strict=True)) > 30
    assert [packet.time for packet in read_packets(tmp_path / "a.mp4") if packet.key] == [0, Fraction(20, 25)]


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_other_containers(two_shots, tmp_path, suffix):
    compress(two_shots, tmp_path / f"a{suffix}", quality=30, speed=10, end=0.4)
    told = decompress(tmp_path / f"a{suffix}", tmp_path / "a.y4m")
    assert told["frames"] == 10


def test_what_is_plain_decodes_as_it_plays(two_shots, tmp_path):
    compress(two_shots, tmp_path / "a.mp4", quality=40, speed=9)
    decompress(tmp_path / "a.mp4", tmp_path / "a.y4m")
    assert_same(frames_of(tmp_path / "a.y4m"), frames_of(tmp_path / "a.mp4"))


def test_spans_begin_at_any_frame(two_shots, tmp_path):
    compress(two_shots, tmp_path / "a.mp4", quality=40, speed=9)
    decompress(tmp_path / "a.mp4", tmp_path / "part.y4m", start=0.9, end=1.2)
    whole = frames_of(tmp_path / "a.mp4")
    expected = [frame for frame in whole if 0.9 <= frame.time < 1.2]
    for one, two in zip(frames_of(tmp_path / "part.y4m"), expected, strict=True):
        np.testing.assert_array_equal(one.y, two.y)


@pytest.mark.parametrize("kind", ["ratio", "bitrate", "size"])
def test_targets_are_met(two_shots, tmp_path, kind):
    middle = compress(two_shots, tmp_path / "middle.mp4", quality=45, speed=10)
    wanted = {
        "ratio": middle["ratio"],
        "bitrate": middle["bits_per_second"],
        "size": middle["size_bytes"],
    }[kind]
    told = compress(two_shots, tmp_path / "a.mp4", speed=10, **{kind: wanted})
    reached = {"ratio": told["ratio"], "bitrate": told["bits_per_second"], "size": told["size_bytes"]}[kind]
    assert reached == pytest.approx(wanted, rel=0.03)


def test_sharing_bits_over_shots_keeps_the_file_whole(two_shots, tmp_path):
    told = compress(two_shots, tmp_path / "a.mp4", quality=10, speed=8)
    assert told["frames"] == 36
    decompress(tmp_path / "a.mp4", tmp_path / "a.y4m")
    assert len(frames_of(tmp_path / "a.y4m")) == 36


def test_an_interrupted_run_goes_on(two_shots, tmp_path, monkeypatch):
    monkeypatch.setattr(layered, "PLANNED_UP_TO", -1)
    options = {"quality": 40, "speed": 9}
    whole = compress(two_shots, tmp_path / "whole.mp4", **options)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(two_shots, tmp_path / "a.mp4", progress=stop, **options)
    assert not (tmp_path / "a.mp4").exists()
    kept = list((tmp_path / ".a.mp4.vivae").iterdir())
    assert len(kept) == 1
    coded = []
    best_coding = layered.best_coding

    def counted(shot, *arguments, **names):
        coded.append(shot.first)
        return best_coding(shot, *arguments, **names)

    monkeypatch.setattr(layered, "best_coding", counted)
    again = compress(two_shots, tmp_path / "a.mp4", **options)
    assert coded == [20]
    assert again["size_bytes"] == whole["size_bytes"]
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "whole.mp4"]


def test_what_was_kept_serves_only_its_own_job(tmp_path, two_shots):
    folder = tmp_path / "kept"
    shot, walk = first_shot(two_shots, tmp_path)
    coded = encode_shot(shot, Base(Av1Settings(45, 9)), None, threads=1)
    ShotStore(Kept(folder, "one")).put("shot", coded)
    assert ShotStore(Kept(folder, "one")).get("shot") == coded
    assert ShotStore(Kept(folder, "other")).get("shot") is None
    assert ShotStore(Kept(folder, "one")).get("another shot") is None
    path = next(folder.iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    assert ShotStore(Kept(folder, "one")).get("shot") is None
    walk.close()


def first_shot(source, folder):
    """A shot and the walk it belongs to, which must be kept: closing it removes the shot."""
    with open_video(source) as reader:
        frames = list(reader)
    picture = Picture(*SIZE, Fraction(25), frames[0].color)
    walk = shots_of(frames, picture, folder, 100)
    return next(walk), walk


@pytest.fixture(scope="module")
def halved(two_shots, tmp_path_factory):
    """A file of one shot whose base has half the size; the shot; and what it should decode to."""
    folder = tmp_path_factory.mktemp("halved")
    shot, walk = first_shot(two_shots, folder)
    model = load_enhancer()
    coded = encode_shot(shot, Base(Av1Settings(35, 9), shrink=2.0), model, threads=1)
    path = folder / "half.mp4"
    write(path, shot, coded)
    clean = list(shot)
    seen = list(decode_shot(coded, model, threads=1))
    walk.close()
    return path, clean, seen


def write(path, shot, coded, change=lambda packet: packet):
    extradata = configuration_of(coded.units[0].data)
    with open_packet_writer(path, picture=shot.picture, extradata=extradata) as writer:
        for packet in packets_of(shot, coded):
            writer.write(change(packet))


def decoded(path, model=None):
    return list(decode_layered(path, probe(path), enhancers(model), threads=1))


def test_a_smaller_base_is_brought_back(halved):
    path, clean, seen = halved
    found = decoded(path)
    assert display_size(path, probe(path)) == SIZE
    for frame, planes in zip(found, seen, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(frame.planes, planes, strict=True))
    plain = [enlarged(frame.planes, *SIZE)[0] for frame in frames_of(path)]
    errors = [
        np.mean([np.mean((a[0].astype(float) - b) ** 2) for a, b in zip(clean, lumas, strict=True)])
        for lumas in ([frame.y for frame in found], plain)
    ]
    assert errors[0] <= errors[1] * 1.001


def damaged(path, target, place):
    """The same file with one byte of its record changed."""
    data = path.read_bytes()
    record = metadata_of(next(read_packets(path)).data)[0]
    at = data.index(record) + place
    target.write_bytes(data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
    return target


@pytest.mark.parametrize("place", [0, 3, 10])
def test_a_damaged_record_costs_the_enhancement_alone(halved, tmp_path, caplog, place):
    path = damaged(halved[0], tmp_path / "damaged.mp4", place)
    with caplog.at_level(logging.WARNING):
        found = decoded(path)
    assert len(found) == 20
    assert "left out" in caplog.text


def test_another_model_is_refused(two_shots, tmp_path):
    from tests.vae.test_enhancing import Enhancer, EnhancerConfig, serialise

    own, other = tmp_path / "own.safetensors", tmp_path / "other.safetensors"
    for path in (own, other):
        path.write_bytes(serialise(Enhancer(EnhancerConfig(name=path.stem, widths=(8, 8)))))
    shot, walk = first_shot(two_shots, tmp_path)
    coded = encode_shot(shot, Base(Av1Settings(35, 9), shrink=2.0), load_enhancer(own), threads=1)
    write(tmp_path / "a.mp4", shot, coded)
    walk.close()
    for wrong in (other, None):
        with pytest.raises(ModelMismatch):
            decompress(tmp_path / "a.mp4", tmp_path / "a.y4m", model=wrong)
    assert not (tmp_path / "a.y4m").exists()
    assert decompress(tmp_path / "a.mp4", tmp_path / "a.y4m", model=own)["frames"] == 20


def test_what_a_shipped_model_made_needs_no_other(halved, tmp_path):
    from tests.vae.test_enhancing import Enhancer, EnhancerConfig, serialise

    other = tmp_path / "other.safetensors"
    other.write_bytes(serialise(Enhancer(EnhancerConfig(name="other", widths=(8, 8)))))
    assert len(decoded(halved[0], model=other)) == 20


def test_a_cut_off_file_is_an_error(halved, tmp_path):
    data = halved[0].read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(FormatError):
        decompress(tmp_path / "cut.mp4", tmp_path / "a.y4m")
    assert [path.name for path in tmp_path.iterdir()] == ["cut.mp4"]


@given(st.binary(max_size=60))
def test_records_from_anywhere_are_read_or_refused(data):
    try:
        layer = read_layer(data, "a file")
    except (FormatError, UnsupportedError):
        return
    assert read_layer(write_layer(layer), "a file") == layer


def test_records_are_what_they_were():
    layer = Layer(1920, 1080, 4 * 51, "0123456789abcdef", "upscale", 16, 8, 0)
    assert read_layer(write_layer(layer), "a file") == layer
    assert len(write_layer(layer)) < 24
    with pytest.raises(UnsupportedError, match="update"):
        read_layer(b"\x7f" + write_layer(layer)[1:], "a file")


@pytest.mark.parametrize(
    ("target", "options", "error"),
    [
        ("a.mp4", {"speed": 11}, InputError),
        ("a.mp4", {"key_interval": 10}, InputError),
        ("a.mp4", {"model": "base"}, InputError),
        ("a.avi", {}, InputError),
        ("a.vva", {"codec": "layered"}, InputError),
        ("a.mp4", {"size": 300}, UnsupportedError),
        ("a.mp4", {"start": 50.0}, InputError),
    ],
)
def test_impossible_wishes_are_refused(two_shots, tmp_path, target, options, error):
    with pytest.raises(error):
        compress(two_shots, tmp_path / target, **({"speed": 10} | options))
    assert list(tmp_path.iterdir()) == []


def test_only_av1_is_decompressed(two_shots, tmp_path):
    with pytest.raises(InputError, match="h264"):
        decompress(two_shots, tmp_path / "a.y4m")


@pytest.mark.parametrize(("width", "height", "count"), [(34, 18, 3), (97, 61, 2), (64, 64, 1)])
def test_odd_sizes_and_single_frames(tmp_path, width, height, count):
    rng = np.random.default_rng(0)
    source = tmp_path / "in.mkv"
    with open_writer(source, width=width, height=height, fps=Fraction(30), color=Frame.from_rgb(
        np.zeros((height, width, 3), np.uint8)).color, codec="ffv1") as writer:  # fmt: skip
        for index in range(count):
            rgb = np.kron(rng.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3)), np.ones((8, 8, 1)))
            picture = rgb[:height, :width].astype(np.uint8)
            writer.write(Frame.from_rgb(picture, time=Fraction(index, 30), duration=Fraction(1, 30)))
    told = compress(source, tmp_path / "a.mp4", quality=5, speed=6)
    assert told["frames"] == count
    decompress(tmp_path / "a.mp4", tmp_path / "a.y4m")
    info = probe(tmp_path / "a.y4m")
    assert (info.width, info.height) == (width, height)


def test_info_tells_how_shots_are_coded(halved, two_shots, tmp_path):
    (shot,) = info(halved[0])["shots"]
    assert (shot["frames"], shot["coded_width"], shot["coded_height"]) == (20, SIZE[0] // 2, SIZE[1] // 2)
    enhancement = shot["enhancement"]
    assert (enhancement["display_width"], enhancement["display_height"], enhancement["crf"]) == (*SIZE, 35)
    compress(two_shots, tmp_path / "a.mp4", quality=40, speed=10)
    shots = info(tmp_path / "a.mp4")["shots"]
    assert [(shot["frames"], shot["enhancement"]) for shot in shots] == [(20, None), (16, None)]
    assert sum(shot["size_bytes"] for shot in shots) < (tmp_path / "a.mp4").stat().st_size


def test_any_file_opens_frame_by_frame(halved, two_shots, small_model, tmp_path):
    with vivae.open(halved[0]) as frames:
        first = next(frames)
        assert (first.width, first.height) == SIZE
        assert all(np.array_equal(a, b) for a, b in zip(first.planes, halved[2][0], strict=True))
    with vivae.open(two_shots, start=1.0) as frames:
        assert len(list(frames)) == 11
    compress(two_shots, tmp_path / "a.vva", model=small_model, end=0.2)
    with vivae.open(tmp_path / "a.vva", model=small_model) as frames:
        assert len(list(frames)) == 5
