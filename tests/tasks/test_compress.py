"""compress and decompress on real clips in small pictures: sizes met, sound and times kept, nothing half-written."""

from fractions import Fraction
from itertools import islice

import av
import cv2
import numpy as np
import pytest

from vivae.codec import encoding
from vivae.codec.container import VvaReader
from vivae.codec.latent import decode_frames
from vivae.errors import FormatError, InputError, ModelMismatch, OutputError, UnsupportedError
from vivae.media import Frame, encode_png, open_video, open_writer, probe
from vivae.tasks.compress import compress
from vivae.tasks.decompress import decompress
from vivae.vae.zoo import load_model


def shrunk(source, target, count, size=(96, 64), **options):
    with open_video(source) as reader:
        info = reader.info
        with open_writer(
            target,
            width=size[0],
            height=size[1],
            fps=info.fps,
            color=info.color,
            codec="h264",
            lossless=True,
            time_base=info.time_base,
            **options,
        ) as writer:
            for frame in islice(reader, count):
                small = cv2.resize(frame.to_rgb(), size, interpolation=cv2.INTER_AREA)
                writer.write(Frame.from_rgb(small, info.color, frame.time, frame.duration))
    return target


@pytest.fixture(scope="module")
def street(bikes, tmp_path_factory):
    """40 silent frames."""
    return shrunk(bikes, tmp_path_factory.mktemp("clips") / "street.mp4", 40)


@pytest.fixture(scope="module")
def talkie(bunny, tmp_path_factory):
    """30 frames with stereo sound."""
    return shrunk(bunny, tmp_path_factory.mktemp("clips") / "talkie.mp4", 30, copy_from=bunny, end=1.2)


def frames_of(path):
    with open_video(path) as reader:
        return list(reader)


def times(frames):
    return [(frame.time, frame.duration) for frame in frames]


def sound_of(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_there_and_back(street, small_model, tmp_path):
    told = compress(street, tmp_path / "a.vva", model=small_model)
    assert told["size_bytes"] == (tmp_path / "a.vva").stat().st_size
    assert told["frames"] == 40
    assert told["quality"] == 50
    assert told["side_bytes"] == 0
    assert told["bits_per_pixel"] == pytest.approx(8 * told["size_bytes"] / (40 * 96 * 64))
    back = decompress(tmp_path / "a.vva", tmp_path / "a.y4m", model=small_model)
    assert back["frames"] == 40
    found = frames_of(tmp_path / "a.y4m")
    with VvaReader(tmp_path / "a.vva") as reader:
        expected = list(decode_frames(reader, load_model(small_model)))
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.y, two.y)
    assert times(expected) == times(frames_of(street))


def test_better_quality_is_larger(street, small_model, tmp_path):
    sizes = [
        compress(street, tmp_path / f"{quality}.vva", model=small_model, quality=quality)["size_bytes"]
        for quality in (0, 40, 100)
    ]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("kind", ["ratio", "bitrate", "size"])
def test_targets_are_met(street, small_model, tmp_path, monkeypatch, kind, long):
    if long:  # as for hours of video: samples first
        monkeypatch.setattr(encoding, "SAMPLE_FRAMES", 6)
    middle = compress(street, tmp_path / "middle.vva", model=small_model, quality=35)
    wanted = {
        "ratio": middle["ratio"],
        "bitrate": middle["bits_per_second"],
        "size": middle["size_bytes"],
    }[kind]
    told = compress(street, tmp_path / "a.vva", model=small_model, key_interval=16, **{kind: wanted})
    reached = {"ratio": told["ratio"], "bitrate": told["bits_per_second"], "size": told["size_bytes"]}[kind]
    assert reached == pytest.approx(wanted, rel=0.03)
    assert told["size_bytes"] == (tmp_path / "a.vva").stat().st_size


def test_sizes_out_of_reach(street, small_model, tmp_path, caplog):
    with pytest.raises(UnsupportedError, match="at least"):
        compress(street, tmp_path / "a.vva", model=small_model, size=500)
    assert list(tmp_path.iterdir()) == []
    told = compress(street, tmp_path / "a.vva", model=small_model, size=50_000_000)
    assert told["quality"] == 100
    assert "as near" in caplog.text


def test_sound_travels_and_counts(talkie, small_model, tmp_path):
    told = compress(talkie, tmp_path / "a.vva", model=small_model, quality=20)
    assert told["side_bytes"] > 10_000
    decompress(tmp_path / "a.vva", tmp_path / "a.mp4", model=small_model)
    assert times(frames_of(tmp_path / "a.mp4")) == times(frames_of(talkie))
    sound, original = sound_of(tmp_path / "a.mp4"), sound_of(talkie)
    assert sound
    assert set(sound) <= set(original)
    assert len(sound) >= len(original) - 2
    smaller = compress(
        talkie, tmp_path / "b.vva", model=small_model, size=round(told["size_bytes"] * 1.1), force=True
    )
    assert smaller["size_bytes"] == pytest.approx(told["size_bytes"] * 1.1, rel=0.03)


def test_spans(talkie, small_model, tmp_path):
    told = compress(talkie, tmp_path / "a.vva", model=small_model, start=0.2, end=1.0, key_interval=5)
    assert told["frames"] == 20
    decompress(tmp_path / "a.vva", tmp_path / "a.mkv", model=small_model, start=0.3, end=0.7)
    found = frames_of(tmp_path / "a.mkv")
    assert len(found) == 10
    assert found[0].time < Fraction(1, 25)
    length = sum(1024 for _ in sound_of(tmp_path / "a.mkv")) / 48000
    assert length == pytest.approx(0.4, abs=0.06)


def test_images(bikes, small_model, tmp_path):
    with open_video(bikes) as reader:
        picture = tmp_path / "in.png"
        picture.write_bytes(encode_png(next(reader)))
    told = compress(picture, tmp_path / "a.vva", model=small_model)
    assert told["frames"] == 1
    decompress(tmp_path / "a.vva", tmp_path / "out.png", model=small_model)
    assert (probe(tmp_path / "out.png").width, probe(tmp_path / "out.png").height) == (640, 272)


def test_damage(street, small_model, tmp_path):
    path = tmp_path / "a.vva"
    compress(street, path, model=small_model, key_interval=8)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError):
        decompress(path, tmp_path / "a.mp4", model=small_model)
    assert list(tmp_path.iterdir()) == [path]
    told = decompress(path, tmp_path / "a.mp4", model=small_model, best_effort=True)
    assert 8 <= told["frames"] < 40
    assert len(frames_of(tmp_path / "a.mp4")) == told["frames"]


def test_other_models_are_refused(street, small_model, paired_model, tmp_path):
    compress(street, tmp_path / "a.vva", model=small_model)
    with pytest.raises(ModelMismatch):
        decompress(tmp_path / "a.vva", tmp_path / "a.mp4", model=paired_model)
    assert not (tmp_path / "a.mp4").exists()


def test_interruption_leaves_nothing(street, small_model, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(street, tmp_path / "a.vva", model=small_model, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"quality": 3, "size": 1000}, InputError),
        ({"codec": "mpeg9"}, UnsupportedError),
        ({"key_interval": 0}, InputError),
        ({"quality": 120}, InputError),
        ({"start": 100.0}, InputError),
        ({"speed": 5}, InputError),
    ],
)
def test_impossible_wishes_are_refused(street, small_model, tmp_path, options, error):
    with pytest.raises(error):
        compress(street, tmp_path / "a.vva", model=small_model, **options)
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_protected(street, small_model, tmp_path):
    with pytest.raises(InputError):
        compress(street, tmp_path / "a.mp4", model=small_model)
    path = tmp_path / "a.vva"
    compress(street, path, model=small_model)
    with pytest.raises(OutputError):
        compress(street, path, model=small_model)
    with pytest.raises(OutputError):
        decompress(path, path, model=small_model, force=True)
    with pytest.raises(InputError):
        decompress(path, tmp_path / "b.mp4", model=small_model, start=2.0, end=1.0)
    with pytest.raises(InputError):
        decompress(path, tmp_path / "b.mp4", model=small_model, start=500.0)
