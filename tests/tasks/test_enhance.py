"""Enhancing real clips in small pictures: better than what came in, the same however it is interrupted."""

from fractions import Fraction
from itertools import islice

import cv2
import numpy as np
import pytest

from vivae.errors import InputError, VivaeError
from vivae.measure.condition import measure_condition
from vivae.measure.quality import compare_clips
from vivae.media import Frame, open_video, open_writer, probe
from vivae.media.indexed import encode_indexed
from vivae.media.resample import Shrinker, enlarged
from vivae.tasks import resuming
from vivae.tasks.enhance import enhance
from vivae.tasks.restore import Family, Plan, Restorer, advised
from vivae.train.degrade import through_codec
from vivae.train.disturb import blurred, with_noise
from vivae.vae.enhancer import Known
from vivae.vae.zoo import load_middle

SIZE = (192, 96)


def like(frame, planes):
    return Frame(*planes, frame.time, frame.duration, frame.color)


@pytest.fixture(scope="module")
def clean(bikes):
    frames = []
    with open_video(bikes) as reader:
        for number, frame in enumerate(islice(reader, 10)):
            rgb = cv2.resize(frame.to_rgb(), SIZE, interpolation=cv2.INTER_AREA)
            frames.append(Frame.from_rgb(rgb, time=Fraction(number, 25), duration=Fraction(1, 25)))
    return frames


@pytest.fixture(scope="module")
def noisy(clean):
    rng = np.random.default_rng(1)
    return [like(frame, with_noise(frame.planes, 25, rng, frame.color)) for frame in clean]


def write(path, frames, **options):
    width, height = frames[0].width, frames[0].height
    lossless = {"codec": "h264", "lossless": True} if path.suffix != ".y4m" else {}
    with open_writer(
        path, width=width, height=height, fps=Fraction(25), color=frames[0].color, **lossless, **options
    ) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def read(path):
    with open_video(path) as reader:
        return list(reader)


def gain(clean, before, after):
    return compare_clips(clean, after)[0].psnr_yuv - compare_clips(clean, before)[0].psnr_yuv


def test_noise_goes_and_what_was_measured_is_told(clean, noisy, tmp_path):
    source = write(tmp_path / "noisy.y4m", noisy)
    said = []
    told = enhance(source, tmp_path / "out.y4m", denoise="auto", tell=said.append)
    assert 18 < told["measured"]["noise"] < 32
    assert gain(clean, noisy, read(tmp_path / "out.y4m")) > 3
    assert any("noise" in text for text in said)
    assert any("frames a second" in text or "moment" in text for text in said)


def test_without_treatments_it_does_what_is_needed(noisy, clean, tmp_path):
    source = write(tmp_path / "noisy.y4m", noisy)
    told = enhance(source, tmp_path / "out.y4m")
    assert any("noise" in words for words in told["done"])
    assert gain(clean, noisy, read(tmp_path / "out.y4m")) > 3


def test_traces_of_a_codec_go(clean):
    color = clean[0].color
    poor = [
        like(frame, planes)
        for frame, planes in zip(
            clean, through_codec((f.planes for f in clean), *SIZE, "mpeg2video", 16), strict=True
        )
    ]
    gains = []
    for best in (False, True):
        restorer = Restorer(Plan(deblock=1.0), Family(best=best))
        better = list(restorer.run((f, not n) for n, f in enumerate(poor)))
        assert better[0].frame.color == color
        gains.append(gain(clean, poor, [item.frame for item in better]))
    assert gains[1] > gains[0] > 0.1


@pytest.mark.parametrize("times", [2, 4])
def test_it_scales_up_better_than_a_bicubic_filter(clean, times, tmp_path):
    shrinker = Shrinker(SIZE[0] // times, SIZE[1] // times)
    small = [like(frame, shrinker(frame.planes)) for frame in clean]
    source = write(tmp_path / "small.y4m", small)
    told = enhance(source, tmp_path / "out.y4m", scale=times)
    assert (told["width"], told["height"]) == SIZE
    plain = [
        like(
            frame,
            tuple(
                cv2.resize(p, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC) for p in frame.planes
            ),
        )
        for frame in small
    ]
    assert gain(clean, plain, read(tmp_path / "out.y4m")) > 0


def test_light_is_steady_and_keeps_the_order_of_tones(clean, tmp_path):
    dark = [
        like(f, ((16 + (f.y.astype(int) - 16) // 5).clip(16, 235).astype(np.uint8), f.u, f.v)) for f in clean
    ]
    enhance(write(tmp_path / "dark.y4m", dark), tmp_path / "out.y4m", light=True)
    bright = read(tmp_path / "out.y4m")
    means = [float(frame.y.mean()) for frame in bright]
    assert means[0] > dark[0].y.mean() + 20
    assert np.ptp(means) < 3 + 5 * np.ptp([float(frame.y.mean()) for frame in dark])
    assert np.corrcoef(bright[5].y.ravel(), dark[5].y.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    "options", [{"denoise": 25, "light": True}, {"denoise": 25, "rate": 2}, {"denoise": 25, "preset": "best"}]
)
def test_an_interrupted_run_goes_on_and_gives_the_same(noisy, tmp_path, monkeypatch, options):
    monkeypatch.setattr(resuming, "SEGMENT", 4)
    source = write(tmp_path / "noisy.mkv", noisy)
    enhance(source, tmp_path / "whole.mp4", **options)

    def stop(done, total):
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enhance(source, tmp_path / "a.mp4", progress=stop, **options)
    assert not (tmp_path / "a.mp4").exists()
    seen = []
    enhance(source, tmp_path / "a.mp4", progress=lambda done, total: seen.append(done), **options)
    assert seen[0] == 8
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "noisy.mkv", "whole.mp4"]


@pytest.fixture
def disc(tmp_path):
    """One mask, and where it is certainly set and certainly not."""
    shape = SIZE[::-1]
    mask = cv2.circle(np.zeros(shape, np.uint8), (90, 50), 30, 255, cv2.FILLED)
    cv2.imwrite(str(tmp_path / "disc.png"), mask)
    inside = cv2.erode(mask, np.ones((9, 9))) > 0
    return tmp_path / "disc.png", inside, cv2.dilate(mask, np.ones((9, 9))) == 0


def test_only_the_object_or_all_but_it_is_enhanced(noisy, tmp_path, disc):
    path, inside, outside = disc
    source = write(tmp_path / "noisy.y4m", noisy)
    folder = tmp_path / "masks"
    folder.mkdir()
    for index in range(len(noisy)):
        (folder / f"{index:05d}.png").write_bytes(
            encode_indexed((cv2.imread(str(path), 0) > 0) * np.uint8(7))
        )
    options = {"denoise": 25, "light": True}
    enhance(source, tmp_path / "all.y4m", **options)
    whole = read(tmp_path / "all.y4m")
    for mask, invert, same, done in ((path, False, outside, inside), (folder, True, inside, outside)):
        enhance(source, tmp_path / "a.y4m", mask=mask, invert_mask=invert, force=True, **options)
        for before, after, full in zip(noisy, read(tmp_path / "a.y4m"), whole, strict=True):
            assert np.array_equal(after.y[same], before.y[same])
            assert np.array_equal(after.y[done], full.y[done])
            low, high = np.minimum(before.y, full.y), np.maximum(before.y, full.y)
            assert ((low <= after.y) & (after.y <= high)).all()


def test_a_mask_goes_along_with_scale_rate_and_preview(clean, tmp_path, disc):
    path, inside, outside = disc
    source = write(tmp_path / "clean.y4m", clean)
    told = enhance(source, tmp_path / "a.y4m", scale=2, rate=2, mask=path)
    frames = read(tmp_path / "a.y4m")
    enhance(source, tmp_path / "all.y4m", scale=2, rate=2)
    whole = read(tmp_path / "all.y4m")
    assert told["frames"] == len(frames) == 2 * len(clean)
    large = enlarged(clean[4].planes, 2 * SIZE[0], 2 * SIZE[1])[0]
    wide, far = (cv2.resize(part.astype(np.uint8), None, fx=2, fy=2) > 0 for part in (inside, outside))
    assert np.array_equal(frames[8].y[far], large[far])
    assert np.array_equal(frames[8].y[wide], whole[8].y[wide])
    assert not np.array_equal(whole[8].y[far], large[far])
    # A preview in the middle takes the masks of its frames, not the first ones.
    folder = tmp_path / "late"
    folder.mkdir()
    for index in range(len(clean)):
        shown = cv2.imread(str(path), 0) if index >= 5 else np.zeros(SIZE[::-1], np.uint8)
        cv2.imwrite(str(folder / f"{index:05d}.png"), shown)
    enhance(source, tmp_path / "look.y4m", denoise=20, mask=folder, preview=5 / 25)
    left, right = (read(tmp_path / "look.y4m")[0].y[:, place : place + SIZE[0]] for place in (0, SIZE[0]))
    assert not np.array_equal(left[inside], right[inside])


def test_masks_that_do_not_fit_are_refused_and_leave_nothing(noisy, tmp_path, disc, monkeypatch):
    monkeypatch.setattr(resuming, "SEGMENT", 2)
    source = write(tmp_path / "noisy.mkv", noisy)
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"m{index}.png"), cv2.imread(str(disc[0]), 0))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="4 masks"):
        enhance(source, tmp_path / "a.mp4", denoise=25, mask=tmp_path / "m%d.png")
    with pytest.raises(InputError, match="none"):
        enhance(source, tmp_path / "a.mp4", denoise=25, mask=tmp_path / "none.png")
    cv2.imwrite(str(tmp_path / "m0.png"), np.zeros((40, 40), np.uint8))
    with pytest.raises(InputError, match="proportions"):
        enhance(source, tmp_path / "a.mp4", denoise=25, mask=tmp_path / "m0.png")
    assert sorted(tmp_path.iterdir()) == before


def test_an_interrupted_run_with_masks_goes_on_with_the_right_ones(noisy, tmp_path, monkeypatch):
    monkeypatch.setattr(resuming, "SEGMENT", 3)
    source = write(tmp_path / "noisy.mkv", noisy)
    for index in range(len(noisy)):
        mask = cv2.circle(np.zeros(SIZE[::-1], np.uint8), (20 + 15 * index, 50), 20, 255, cv2.FILLED)
        cv2.imwrite(str(tmp_path / f"m{index}.png"), mask)
    options = {"denoise": 25, "mask": tmp_path / "m%d.png"}

    def stop(done, total):
        if done > 6:
            raise KeyboardInterrupt

    enhance(source, tmp_path / "whole.mp4", **options)
    with pytest.raises(KeyboardInterrupt):
        enhance(source, tmp_path / "a.mp4", progress=stop, **options)
    seen = []
    enhance(source, tmp_path / "a.mp4", progress=lambda done, total: seen.append(done), **options)
    assert seen[0] == 6
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize("plan", [Plan(noise=25), Plan(rate=2)])
def test_nothing_passes_a_cut(noisy, plan):
    def restored(frames, cuts):
        restorer = Restorer(plan, Family(), middle=load_middle())
        return [item.frame.planes for item in restorer.run((f, n in cuts) for n, f in enumerate(frames))]

    other = [like(f, tuple(np.ascontiguousarray(255 - p) for p in f.planes)) for f in noisy[:4]]
    alone, before = restored(noisy[4:], (0,)), restored(other, (0,))
    joined = restored([*other, *noisy[4:]], (0, 4))
    for a, b in zip([*before, *alone], joined, strict=True):
        assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def test_sound_and_times_come_along_and_a_preview_stands_side_by_side(bunny, tmp_path):
    told = enhance(bunny, tmp_path / "out.mp4", denoise=3, start=1, end=1.3)
    made = probe(tmp_path / "out.mp4")
    assert made.audio
    assert made.estimated_frames == told["frames"] == 8
    told = enhance(bunny, tmp_path / "preview.mkv", deblock=True, preview=5.1)
    assert told["width"] == 2 * 1280
    assert probe(tmp_path / "preview.mkv").width == 2560


@pytest.mark.parametrize("size", [(33, 17), (2, 2)])
def test_odd_and_tiny_pictures(clean, size, tmp_path):
    frames = [
        Frame.from_rgb(f.to_rgb()[: size[1], : size[0]], time=f.time, duration=f.duration) for f in clean[:2]
    ]
    told = enhance(
        write(tmp_path / "a.y4m", frames), tmp_path / "b.y4m", denoise=10, scale=2, deblock=True, light=True
    )
    assert (told["width"], told["height"]) == (2 * size[0], 2 * size[1])
    assert len(read(tmp_path / "b.y4m")) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [({"scale": 5}, "scale"), ({"denoise": 200.0}, "noise"), ({"preset": "quick"}, "preset")],
)
def test_bad_requests_are_refused_by_name(bikes, tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        enhance(bikes, tmp_path / "out.mp4", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sigma", [2, 4])
def test_little_noise_is_not_paid_for_with_texture(clean, tmp_path, sigma):
    rng = np.random.default_rng(2)
    noisy = [like(frame, with_noise(frame.planes, sigma, rng, frame.color)) for frame in clean[:4]]
    enhance(write(tmp_path / "a.y4m", noisy), tmp_path / "b.y4m", denoise=sigma)
    assert gain(clean[:4], noisy, read(tmp_path / "b.y4m")) > 0


def test_what_has_no_noise_keeps_its_texture(clean, tmp_path):
    still = [
        like(frame, tuple(cv2.GaussianBlur(plane, (0, 0), 2) for plane in frame.planes)) for frame in clean
    ]
    said = []
    told = enhance(write(tmp_path / "a.y4m", still), tmp_path / "b.y4m", denoise="auto", tell=said.append)
    assert told["done"] == []
    assert any("texture" in sentence for sentence in said)
    assert gain(still, still, read(tmp_path / "b.y4m")) == 0


def test_advice_follows_the_condition(bikes, clean, noisy):
    info = probe(bikes)
    assert advised(measure_condition([noisy], info)).noise > 15
    assert advised(measure_condition([clean], info)).noise < 8
    soft = [like(frame, blurred(frame.planes, 2.0)) for frame in clean]
    assert advised(measure_condition([soft], info)).blur > advised(measure_condition([clean], info)).blur
    dark = [like(frame, (frame.y // 6 + 14, frame.u, frame.v)) for frame in clean]
    assert advised(measure_condition([dark], info)).light


def test_twice_as_many_frames_stand_between_the_others(clean, tmp_path):
    told = enhance(write(tmp_path / "a.mkv", clean[:4]), tmp_path / "b.mkv", rate=2, codec="ffv1")
    made = read(tmp_path / "b.mkv")
    assert told["frames"] == len(made) == 8
    assert [frame.time for frame in made] == [Fraction(number, 50) for number in range(8)]
    for index, frame in enumerate(clean[:4]):
        assert np.array_equal(made[2 * index].y, frame.y)
    for index in range(3):
        before, middle, after = (made[2 * index + step].y.astype(int) for step in range(3))
        apart = np.abs(before - after).mean()
        assert max(np.abs(middle - side).mean() for side in (before, after)) < apart


def test_a_wrong_model_is_refused_even_where_none_is_needed(bikes, tmp_path):
    for treatment in ({"light": True}, {"rate": 2}, {"denoise": 10}):
        with pytest.raises(InputError, match="nonsense"):
            enhance(bikes, tmp_path / "a.mp4", model="nonsense", end=0.1, **treatment)


def test_a_stage_for_each_thing_that_a_network_of_its_own_knows():
    def told(**what):
        return Plan(**what).stages()

    assert told() == []
    assert told(noise=10, deblock=0.5, crf=55) == [(1, Known(noise=10)), (1, Known(crf=55, coded=0.5))]
    assert told(noise=2, scale=2) == [(2, Known(noise=2, shrink=2))]
    assert told(noise=20, scale=3) == [(1, Known(noise=20)), (3, Known(shrink=3))]
    assert told(deblock=1, coarse=0.9) == [(1, Known(coded=1, coarse=0.9))]
    assert told(noise=3, deblock=1, blur=1.5, scale=2) == [
        (1, Known(noise=3, coded=1, blur=1.5)),
        (2, Known(shrink=2)),
    ]


@pytest.mark.parametrize(
    ("name", "words"), [("there.mp4", "exists"), ("out.foo", "use .mp4"), ("no/a.mp4", "folder")]
)
def test_an_output_that_cannot_be_is_refused_before_the_work(bikes, tmp_path, name, words):
    (tmp_path / "there.mp4").write_bytes(b"kept")
    said = []
    with pytest.raises(VivaeError, match=words):
        enhance(bikes, tmp_path / name, denoise=5, tell=said.append)
    assert not said
    assert (tmp_path / "there.mp4").read_bytes() == b"kept"


def test_damage_is_told_once(clean, tmp_path, caplog):
    """What is wrong with a file is found at every look at it, and said by the work itself."""
    source = write(tmp_path / "whole.mp4", clean)
    data = bytearray(source.read_bytes())
    middle = data.index(b"mdat") + 4
    length = len(data) - middle
    data[middle + length // 3 : middle + length // 2] = bytes(length // 2 - length // 3)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    enhance(broken, tmp_path / "out.y4m", denoise=10)
    said = [record.message for record in caplog.records if "damaged" in record.message]
    assert len(said) == 1
