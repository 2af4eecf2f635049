"""Writing: lossless where it says so, exact times, nothing half done."""

import logging
import os
import resource
import signal
import subprocess
import sys
import textwrap
from fractions import Fraction

import av
import numpy as np
import pytest

from vivae.errors import InputError, OutputError, UnsupportedError
from vivae.media import ColorInfo, Frame, open_video, open_writer, probe
from vivae.media.encoders import SVT_KEYS

FAST = {"av1": 10, "h264": "ultrafast", "hevc": "ultrafast", "vp9": 8, "ffv1": None}


def frames_of(size=(64, 48), times=range(6), color=None, unit=Fraction(1, 25)):
    """Noise over a ramp: nothing that an encoder could code without loss by chance."""
    rng = np.random.default_rng(1)
    width, height = size
    half = (-(-height // 2), -(-width // 2))
    stamps = [t * unit for t in times]
    steps = [b - a for a, b in zip(stamps, stamps[1:], strict=False)] + [unit]
    return [
        Frame(
            *(rng.integers(30, 220, s, np.uint8) for s in ((height, width), half, half)),
            t,
            d,
            color or ColorInfo(),
        )
        for t, d in zip(stamps, steps, strict=True)
    ]


def write(path, frames, **settings):
    first = frames[0]
    settings = {"fps": Fraction(25), "color": first.color} | settings
    with open_writer(path, width=first.width, height=first.height, **settings) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def read(path, **span):
    with open_video(path, **span) as reader:
        return list(reader)


def same(a, b):
    return len(a) == len(b) and all(
        np.array_equal(p, q)
        for x, y in zip(a, b, strict=True)
        for p, q in zip(x.planes, y.planes, strict=True)
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("codec", "kind"),
    [(c, k) for c in FAST for k in (".mp4", ".mkv", ".webm")],
)
def test_lossless_means_every_sample(tmp_path, codec, kind):
    frames = frames_of(color=ColorInfo("full", "bt709", 1, 1))
    path = tmp_path / f"x{kind}"
    if (codec in ("h264", "hevc") and kind == ".webm") or (codec == "ffv1" and kind != ".mkv"):
        with pytest.raises(UnsupportedError, match="use "):
            write(path, frames, codec=codec)
        return
    write(path, frames, codec=codec, preset=FAST[codec], lossless=True)
    again = read(path)
    assert same(frames, again)
    assert [f.time for f in again] == [f.time for f in frames]
    info = probe(path)
    assert info.codec == codec
    assert info.color == frames[0].color


@pytest.mark.parametrize("codec", ["av1", "h264", "hevc", "vp9"])
def test_crf_trades_size_for_quality(tmp_path, bikes, codec):
    frames = read(bikes, end=0.2)
    sizes, errors = [], []
    for crf in (20, 45):
        path = write(tmp_path / f"{crf}.mp4", frames, codec=codec, crf=crf, preset=FAST[codec])
        sizes.append(path.stat().st_size)
        again = read(path)
        errors.append(np.mean([(a.y.astype(float) - b.y) ** 2 for a, b in zip(frames, again, strict=True)]))
    assert sizes[0] > 1.5 * sizes[1]
    assert errors[0] < errors[1]


def test_usual_codec_is_av1_and_files_are_reproducible(tmp_path):
    frames = frames_of()
    for kind in ("mp4", "mkv"):
        contents = {
            write(tmp_path / f"{n}.{kind}", frames, preset=10, threads=1).read_bytes() for n in range(2)
        }
        assert len(contents) == 1
    assert probe(tmp_path / "0.mp4").codec == "av1"


@pytest.mark.parametrize("codec", ["av1", "h264", "vp9"])
def test_variable_rate_stays_exact_in_mp4(tmp_path, codec):
    unit = Fraction(1, 90000)
    frames = frames_of(times=(0, 3003, 4500, 4501, 90000, 95001), unit=unit)
    frames[-1].duration = 777 * unit
    again = read(write(tmp_path / "v.mp4", frames, codec=codec, preset=FAST[codec], time_base=unit))
    assert [(f.time, f.duration) for f in again] == [(f.time, f.duration) for f in frames]


@pytest.mark.parametrize(
    "fps", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(15, 2), Fraction(1000000, 33333)]
)
def test_every_rate_is_exact_without_being_told_a_clock(tmp_path, fps):
    frames = frames_of(times=range(5), unit=1 / fps)
    again = read(write(tmp_path / "v.mp4", frames, fps=fps, codec="h264", preset="ultrafast"))
    assert [f.time for f in again] == [f.time for f in frames]


def test_matroska_rounds_to_the_millisecond(tmp_path):
    frames = frames_of(unit=Fraction(1001, 30000))
    again = read(write(tmp_path / "v.mkv", frames, fps=Fraction(30000, 1001), codec="ffv1"))
    assert [f.time for f in again] == [Fraction(round(f.time * 1000), 1000) for f in frames]


def test_a_late_first_frame_stays_late(tmp_path):
    frames = frames_of(times=range(3, 7))
    for kind in ("mp4", "mkv"):
        again = read(write(tmp_path / f"late.{kind}", frames, codec="h264", preset="ultrafast"))
        assert [f.time for f in again] == [f.time for f in frames]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm", "y4m"])
@pytest.mark.parametrize("sar", [Fraction(1), Fraction(4, 3), Fraction(8, 9)])
def test_sample_aspect_ratio(tmp_path, kind, sar):
    codec = {} if kind == "y4m" else {"codec": "vp9", "preset": 8}
    path = write(tmp_path / f"x.{kind}", frames_of((144, 48)), sar=sar, **codec)
    assert probe(path).sar == sar
    assert len(read(path)) == 6


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 63), (64, 48)])
def test_y4m_and_png_folders_keep_odd_sizes(tmp_path, size):
    frames = frames_of(size, color=ColorInfo("full", "bt601"))
    again = read(write(tmp_path / "x.y4m", frames, fps=Fraction(30000, 1001)))
    assert same(frames, again)
    assert again[0].color == frames[0].color
    assert [f.time for f in again] == [i * Fraction(1001, 30000) for i in range(6)]
    write(tmp_path / "folder", frames)
    assert names(tmp_path / "folder") == [f"{i:05d}.png" for i in range(6)]
    with av.open(tmp_path / "folder" / "00003.png") as container:
        assert np.array_equal(next(container.decode(video=0)).to_ndarray(format="rgb24"), frames[3].to_rgb())


@pytest.mark.parametrize(
    ("codec", "size"), [("av1", (17, 5)), ("vp9", (3, 5)), ("ffv1", (3, 5)), ("ffv1", (1, 1))]
)
def test_odd_sizes_in_codecs_that_take_them(tmp_path, codec, size):
    frames = frames_of(size)
    assert same(
        frames, read(write(tmp_path / "x.mkv", frames, codec=codec, lossless=True, preset=FAST[codec]))
    )


@pytest.mark.parametrize(
    ("codec", "size"), [("h264", (17, 6)), ("hevc", (64, 47)), ("hevc", (14, 64)), ("av1", (2, 64))]
)
def test_sizes_that_a_codec_does_not_take_are_refused_at_once(tmp_path, codec, size):
    with pytest.raises(UnsupportedError, match="use "):
        write(tmp_path / "x.mp4", frames_of(size), codec=codec)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "settings", "error"),
    [
        ("x.mp4", {"codec": "h265"}, InputError),
        ("x.mp4", {"crf": 99}, InputError),
        ("x.mp4", {"crf": 0}, InputError),
        ("x.mp4", {"crf": 20, "lossless": True}, InputError),
        ("x.mp4", {"lossless": True, "preset": 12}, InputError),
        ("x.mp4", {"options": {"nonsense": "1"}}, InputError),
        ("x.mp4", {"options": {"svtav1-params": "nonsense=1"}}, UnsupportedError),
        ("x.mkv", {"codec": "ffv1", "crf": 3}, InputError),
        ("x.mp4", {"preset": "warp"}, InputError),
        ("x.y4m", {"crf": 20}, InputError),
        ("x.avi", {}, UnsupportedError),
        ("no/x.mp4", {}, OutputError),
        ("x.mp4", {"fps": Fraction(0)}, InputError),
    ],
)
def test_wrong_settings_are_refused_and_leave_nothing(tmp_path, name, settings, error):
    with pytest.raises(error):
        write(tmp_path / name, frames_of(), **settings)
    assert names(tmp_path) == []


VALUES = {"tune": 0, "lossless": 1, "keyint": 3, "film-grain": 20, "enable-qm": 1, "enable-overlays": 1}


@pytest.mark.parametrize("key", sorted(SVT_KEYS - {"lp"}))
def test_allowed_svt_parameters_change_the_output(tmp_path, bikes, key):
    frames = read(bikes, end=0.6)
    plain, changed = (
        write(tmp_path / f"{n}.mp4", frames, preset=8, options=options).read_bytes()
        for n, options in enumerate([{}, {"svtav1-params": f"{key}={VALUES[key]}"}])
    )
    assert plain != changed


def test_one_image(tmp_path):
    frames = frames_of()
    write(tmp_path / "x.png", frames[:1])
    assert probe(tmp_path / "x.png").is_image
    with pytest.raises(OutputError, match="one image"):
        write(tmp_path / "y.png", frames)
    assert names(tmp_path) == ["x.png"]


def test_another_colour_is_converted(tmp_path):
    rgb = np.full((16, 16, 3), (200, 60, 30), np.uint8)
    frame = Frame.from_rgb(rgb, ColorInfo("full", "bt601"))
    path = write(tmp_path / "x.y4m", [frame], color=ColorInfo("limited", "bt601"))
    assert np.abs(read(path)[0].to_rgb().astype(int) - rgb).max() <= 4


def test_uneven_times_into_y4m_are_told_once(tmp_path, caplog):
    write(tmp_path / "x.y4m", frames_of(times=(0, 5, 9, 30), color=ColorInfo.guess(48)))
    assert [r.levelno for r in caplog.records] == [logging.WARNING]


def test_no_frames_and_frames_out_of_order(tmp_path):
    with (
        pytest.raises(OutputError, match="no frame"),
        open_writer(tmp_path / "x.mp4", width=64, height=48, fps=Fraction(25), color=ColorInfo()),
    ):
        pass
    with pytest.raises(OutputError, match="order"):
        write(tmp_path / "x.mp4", frames_of()[::-1])
    with pytest.raises(ValueError, match="64x48"):
        write(tmp_path / "x.mp4", [*frames_of(), *frames_of((32, 32))])
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.webm", "x.y4m", "x.png", "folder"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_writer_leaves_nothing(tmp_path, bunny, name, error):
    def work():
        frame = frames_of()[0]
        copy = bunny if name[-4:] in (".mp4", ".mkv") else None
        with open_writer(
            tmp_path / name, width=64, height=48, fps=Fraction(25), color=ColorInfo(), copy_from=copy
        ) as writer:
            writer.write(frame)
            assert names(tmp_path)
            raise error

    with pytest.raises(error):
        work()
    assert names(tmp_path) == []


def test_targets_are_guarded(tmp_path, bikes):
    frames = frames_of()
    path = write(tmp_path / "x.mkv", frames, codec="ffv1")
    before = path.read_bytes()
    (tmp_path / "link.mkv").symlink_to(path)
    with pytest.raises(OutputError, match="--force"):
        write(path, frames, codec="ffv1")
    for target in (path, tmp_path / "link.mkv"):
        for protect in ({"copy_from": path}, {"inputs": [path]}):
            with pytest.raises(OutputError, match="input"):
                write(target, frames, codec="ffv1", force=True, **protect)
    assert path.read_bytes() == before
    write(path, frames[:2], codec="ffv1", force=True)
    assert len(read(path)) == 2


SCRIPT = """
    import signal, sys, time
    from fractions import Fraction
    import numpy as np
    from vivae.media import ColorInfo, Frame, open_writer
    rng = np.random.default_rng(0)
    planes = [rng.integers(0, 256, s, np.uint8) for s in ((480, 640), (240, 320), (240, 320))]
    try:
        with open_writer(sys.argv[1], width=640, height=480, fps=Fraction(25), color=ColorInfo(), {settings}) as writer:
            for number in range(400):
                writer.write(Frame(*planes, Fraction(number, 25), Fraction(1, 25), ColorInfo()))
                print(number, flush=True)
                time.sleep(0.002)  # on a single core, who is to send the signal must have its turn
                planes[0] = np.roll(planes[0], 12345)
    except BaseException as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("x.y4m", ""),
        ("x.mp4", "codec='h264', preset='ultrafast', crf=5"),
        ("x.mkv", "codec='ffv1'"),
        ("frames", ""),
    ],
)
def test_a_full_disk_leaves_no_half_file(tmp_path, name, settings):
    """A file size limit makes the system refuse writes in the middle, as a full disk does."""
    script = textwrap.dedent(SCRIPT).replace("{settings}", settings)
    limit = 200_000 if name == "frames" else 3_000_000
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / name],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert "OutputError cannot write" in done.stdout, done
    assert names(tmp_path) == []


@pytest.mark.parametrize(("name", "settings"), [("x.mp4", "preset=10"), ("x.y4m", ""), ("frames", "")])
def test_ctrl_c_leaves_nothing(tmp_path, name, settings):
    script = textwrap.dedent(SCRIPT).replace("{settings}", settings)
    process = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / name], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.strip() == "12":
            os.kill(process.pid, signal.SIGINT)
        last = line
    process.wait(60)
    assert last.startswith("KeyboardInterrupt")
    assert names(tmp_path) == []


def test_memory_does_not_grow_with_length(tmp_path):
    """Ten times the frames, the same peak."""
    script = """
        import resource, sys
        from fractions import Fraction
        import numpy as np
        from vivae.media import ColorInfo, Frame, open_video, open_writer
        planes = [np.zeros(s, np.uint8) for s in ((240, 320), (120, 160), (120, 160))]
        with open_writer(sys.argv[1], width=320, height=240, fps=Fraction(25), color=ColorInfo(), codec="h264",
                         preset="ultrafast", threads=1) as writer:
            for number in range(int(sys.argv[2])):
                writer.write(Frame(*planes, Fraction(number, 25), Fraction(1, 25), ColorInfo()))
        with open_video(sys.argv[1], threads=1) as reader:
            assert sum(1 for _ in reader) == int(sys.argv[2])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    peaks = []
    for count in (200, 2000):
        command = [sys.executable, "-c", textwrap.dedent(script), tmp_path / f"{count}.mp4", str(count)]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    assert peaks[1] < peaks[0] + 20_000  # kilobytes; the frames alone would be 200,000
