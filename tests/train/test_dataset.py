"""From a folder to batches: what is fit is kept, what is not is named, and the halves share no moment."""

import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from vivae.errors import InputError, VivaeError
from vivae.media import ColorInfo, Frame, open_video, open_writer, pack, unpack
from vivae.train.cleaning import Cleaner
from vivae.train.data_settings import DataSettings
from vivae.train.dataset import OPEN_FILES, _mapped, find_clips, prepare, scale_frame, target_size
from vivae.train.recipe import Stage
from vivae.train.sampler import ClipSampler, evaluation_windows, mirrored, transposed, upside_down

SETTINGS = DataSettings(crop=32, min_side=32)


def scene(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 230, (4, 5)).astype(np.uint8)
    return np.kron(coarse, np.ones((height // 4, -(-width // 5)), np.uint8))[:, :width]


def frame(y: np.ndarray, index: int) -> Frame:
    half = (-(-y.shape[0] // 2), -(-y.shape[1] // 2))
    chroma = np.full(half, 120, np.uint8)
    return Frame(y, chroma, chroma, Fraction(index, 25), Fraction(1, 25), ColorInfo.guess(y.shape[0]))


def moving(seed: int, count: int) -> list[np.ndarray]:
    base = scene(seed, 48, 160)
    return [np.ascontiguousarray(base[:, index : index + 64]) for index in range(count)]


def write(path: Path, pictures: list[np.ndarray]) -> Path:
    height, width = pictures[0].shape
    with open_writer(
        path, width=width, height=height, fps=Fraction(25), color=ColorInfo.guess(height), codec="ffv1"
    ) as writer:
        for index, y in enumerate(pictures):
            writer.write(frame(y, index))
    return path


def cleaned(pictures: list[np.ndarray]) -> tuple[Cleaner, list[tuple[int, bool]]]:
    cleaner = Cleaner()
    kept = [
        (round(item.frame.time * 25), item.starts)
        for item in cleaner.sort(frame(y, index) for index, y in enumerate(pictures))
    ]
    return cleaner, kept


def test_a_cut_starts_a_sequence():
    cleaner, kept = cleaned(moving(1, 6) + moving(2, 6))
    assert [index for index, starts in kept if starts] == [0, 6]
    assert cleaner.cuts == 1


def test_a_flash_is_dropped_and_is_no_cut():
    pictures = moving(1, 10)
    pictures[5] = np.full_like(pictures[5], 250)
    cleaner, kept = cleaned(pictures)
    assert cleaner.dropped == {"flash": 1}
    assert [index for index, starts in kept if starts] == [0]
    assert 5 not in [index for index, _ in kept]


def test_black_and_frozen_frames_are_dropped():
    pictures = moving(1, 4) + [np.full((48, 64), 16, np.uint8)] * 3 + moving(3, 4) + [moving(3, 4)[-1]] * 2
    cleaner, kept = cleaned(pictures)
    assert cleaner.dropped == {"black": 3, "frozen": 2}
    assert [index for index, starts in kept if starts] == [0, 7]


def test_nearly_equal_frames_are_frozen_and_small_movement_is_not():
    rng = np.random.default_rng(0)
    still = [(scene(1) + rng.integers(0, 2, (48, 64))).astype(np.uint8) for _ in range(5)]
    assert cleaned(still)[0].dropped == {"frozen": 4}
    for index, y in enumerate(still):
        y[20:24, 8 * index : 8 * index + 4] ^= 64
    assert not cleaned(still)[0].dropped


def test_shaking_is_no_cut():
    base = cv2.resize(np.random.default_rng(1).integers(0, 255, (8, 12), dtype=np.uint8), (240, 160))
    tops, lefts = (40 + 30 * np.sin(np.arange(40) / pace) for pace in (1.2, 1.7))
    places = zip(tops.astype(int), lefts.astype(int), strict=True)
    cleaner, _ = cleaned([np.ascontiguousarray(base[y : y + 48, x : x + 64]) for y, x in places])
    assert cleaner.cuts == 0


def test_every_cut_of_a_real_film_is_found(bikes):
    """Among them cuts out of strong motion, and none in the motion itself (found by eye)."""
    with open_video(bikes) as reader:
        kept = [round(item.frame.time * 25) for item in Cleaner().sort(reader) if item.starts]
    assert kept == [0, 30, 76, 137, 187, 242]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "data"
    (root / "deep").mkdir(parents=True)
    for seed in range(4):
        write(root / "deep" / f"clip{seed}.mkv", moving(seed, 20))
    return root


def test_a_broken_clip_is_named_and_the_others_train(folder, tmp_path):
    (folder / "broken.mp4").write_bytes(b"not a video" * 100)
    (folder / "notes.txt").write_text("not listed at all")
    data = prepare(folder, SETTINGS, tmp_path / "cache")
    problems = {Path(record.path).name for record in data.records if record.problem}
    assert problems == {"broken.mp4"}
    assert "broken.mp4: left out" in data.report()
    assert len(data.train) == len(data.test) == 2


def test_copies_are_left_out(folder, tmp_path):
    with open_video(folder / "deep" / "clip1.mkv") as reader:
        info = reader.info
        with open_writer(
            folder / "again.mp4",
            width=info.width,
            height=info.height,
            fps=info.fps,
            color=info.color,
            codec="h264",
        ) as writer:
            for item in reader:
                writer.write(item)
    data = prepare(folder, SETTINGS, tmp_path / "cache")
    assert sum("copy" in record.problem for record in data.records) == 1


def test_one_place_at_different_times_is_no_copy(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    for clip in range(4):
        pictures = [scene(1) for _ in range(20)]
        for index, y in enumerate(pictures):
            y[8 * clip + 4 : 8 * clip + 14, 2 * index : 2 * index + 6] = 250  # someone walks by
        write(root / f"{clip}.mkv", pictures)
    data = prepare(root, SETTINGS, tmp_path / "cache")
    assert not any(record.problem for record in data.records)


def test_more_files_than_may_be_open(tmp_path):
    resource = pytest.importorskip("resource")
    root = tmp_path / "data"
    root.mkdir()
    rng = np.random.default_rng(0)
    for index in range(100):
        colours = cv2.resize(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8), (64, 48))
        cv2.imwrite(str(root / f"{index}.png"), colours)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 64
    _mapped.cache_clear()
    data = prepare(root, SETTINGS, tmp_path / "cache")
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + OPEN_FILES + 20, limits[1]))
    try:
        assert {passage.frames.shape for passage in data.train + data.test} == {(64, 24, 12, 16)}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_long_clips_give_spans_of_their_whole_length(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    rng = np.random.default_rng(0)
    colours = cv2.resize(rng.integers(30, 220, (6, 300), dtype=np.uint8), (1200, 48))
    write(root / "long.mkv", [np.ascontiguousarray(colours[:, 2 * i : 2 * i + 64]) for i in range(500)])
    settings = DataSettings(crop=32, min_side=32, max_frames=200)
    data = prepare(root, settings, tmp_path / "cache")
    assert data.records[0].frames == 200
    last = unpack(np.ascontiguousarray(data.test[-1].frames[-1]), 48, 64)[0]
    assert np.abs(last.astype(int) - colours[:, 998:1062]).mean() < 1


def test_hidden_files_are_passed_over(folder):
    (folder / "._clip.mp4").write_bytes(b"resource fork")
    assert not any(path.name.startswith(".") for path in find_clips(folder))


def test_halves_by_file_depend_on_content_alone(folder, tmp_path):
    first = prepare(folder, SETTINGS, tmp_path / "cache")
    for path in list(folder.rglob("clip*.mkv")):
        path.rename(path.with_name("z" + path.name[::-1][4:] + ".mkv"))
    second = prepare(folder, SETTINGS, tmp_path / "cache")
    assert first.identity == second.identity
    for one, two in zip(first.test, second.test, strict=True):
        assert np.array_equal(one.frames, two.frames)
    tested = {passage.clip for passage in first.test}
    assert tested.isdisjoint(passage.clip for passage in first.train)


def test_one_video_is_split_by_time_with_a_gap(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    write(root / "one.mkv", moving(5, 90))
    data = prepare(root, SETTINGS, tmp_path / "cache")
    train, test = data.train[0].frames, data.test[0].frames
    assert len(train) + len(test) < 90 - 10
    assert abs(len(train) - len(test)) <= 2
    seen = {array.tobytes() for array in train}
    assert all(array.tobytes() not in seen for array in test)


def test_an_image_is_a_still_scene(tmp_path, bikes):
    root = tmp_path / "data"
    root.mkdir()
    for seed in range(2):
        with open_writer(
            root / f"p{seed}.png", width=64, height=48, fps=Fraction(25), color=ColorInfo.guess(48)
        ) as writer:
            writer.write(frame(scene(seed), 0))
    data = prepare(root, SETTINGS, tmp_path / "cache")
    batch = ClipSampler(data.train, SETTINGS, Stage(batch=2, frames=5), seed=0)(0)
    assert batch.shape == (2, 5, 24, 8, 8)
    assert (batch == batch[:, :1]).all()


def test_a_damaged_cache_is_made_again(folder, tmp_path):
    first = prepare(folder, SETTINGS, tmp_path / "cache")
    expected = [np.array(passage.frames) for passage in first.train]
    for path in (tmp_path / "cache").glob("*.packed"):
        path.write_bytes(path.read_bytes()[:100])
    second = prepare(folder, SETTINGS, tmp_path / "cache")
    for passage, array in zip(second.train, expected, strict=True):
        assert np.array_equal(passage.frames, array)


def test_nothing_fit_says_why(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"\0" * 1000)
    with pytest.raises(InputError, match="nothing under"):
        prepare(tmp_path, SETTINGS, tmp_path / "cache")
    with pytest.raises(InputError, match="no folder"):
        find_clips(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no videos or images"):
        find_clips(tmp_path / "empty")


def test_too_long_sequences_are_refused_with_advice(folder, tmp_path):
    data = prepare(folder, SETTINGS, tmp_path / "cache")
    with pytest.raises(VivaeError, match="lower 'frames'"):
        ClipSampler(data.train, SETTINGS, Stage(frames=64), seed=0)


def test_real_video_is_scaled_to_the_classic_size(bikes, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    shutil.copy(bikes, root)
    settings = DataSettings(resize=224, crop=224, max_frames=24)
    data = prepare(root, settings, tmp_path / "cache")
    batch = ClipSampler(data.train, settings, Stage(batch=1, frames=2), seed=0)(0)
    assert batch.shape == (1, 2, 24, 56, 56)
    assert batch.std() > 10
    assert evaluation_windows(data.test, 224, 3)[0].frames.shape[1:] == (24, 56, 56)


def test_sizes():
    assert target_size(480, 854, DataSettings(downscale=2, crop=128)) == (240, 424)
    assert target_size(240, 320, DataSettings(downscale=4, min_side=144, crop=128)) == (144, 192)
    assert target_size(100, 100, DataSettings(crop=128, min_side=32)) == (128, 128)
    scaled = scale_frame(frame(scene(0), 0), 24, 32)
    assert scaled.shape == (24, 6, 8)


def test_every_clip_is_taken_at_every_size(folder, tmp_path):
    settings = SETTINGS.model_copy(update={"downscale": (1.0, 1.5)})
    both = prepare(folder, settings, tmp_path / "cache")
    single = prepare(folder, SETTINGS, tmp_path / "cache")
    assert len(both.records) == len(single.records)
    for half, alone in ((both.train, single.train), (both.test, single.test)):
        assert len(half) == 2 * len(alone)
        assert {passage.clip for passage in half} == {passage.clip for passage in alone}
        assert len({passage.shape[2:] for passage in half}) == 2
    assert both.identity != single.identity


def test_sizes_are_refused_where_there_is_one_already():
    with pytest.raises(ValidationError, match="no resize"):
        DataSettings(downscale=(1, 2), resize=224, crop=224)


def test_scaling_keeps_proportions_and_samples():
    y, x = np.mgrid[:100, :203]
    round_one = (200 * ((y - 50) ** 2 + (x - 101) ** 2 < 1600)).astype(np.uint8)
    small = unpack(scale_frame(frame(round_one, 0), 48, 48), 48, 48)[0] > 100
    assert abs(int(small.any(0).sum()) - int(small.any(1).sum())) <= 2
    same = unpack(scale_frame(frame(round_one, 0), 100, 200), 100, 200)[0]
    assert any(np.array_equal(same, round_one[:, left : left + 200]) for left in range(4))


def test_windows_are_as_long_as_the_footage_allows(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    for seed in (1, 3):
        pictures = moving(seed, 20) + moving(seed + 20, 20)
        black = [np.full_like(pictures[0], 16)] * 2
        write(root / f"{seed}.mkv", [*pictures[:20], *black, pictures[0], *black, *pictures[20:]])
    data = prepare(root, SETTINGS, tmp_path / "cache")
    assert {len(passage) for passage in data.test} == {20, 1}
    assert {len(window.frames) for window in evaluation_windows(data.test, 32, 9)} == {8}


def test_a_batch_that_cannot_be_shared_is_refused(folder, tmp_path):
    data = prepare(folder, SETTINGS, tmp_path / "cache")
    with pytest.raises(InputError, match="shared evenly by 3"):
        ClipSampler(data.train, SETTINGS, Stage(batch=4, frames=2), seed=0, world=3)


@pytest.mark.parametrize(
    ("change", "same"), [(mirrored, np.fliplr), (upside_down, np.flipud), (transposed, np.transpose)]
)
def test_turning_packed_frames_turns_planes(change, same):
    rng = np.random.default_rng(1)
    planes = [rng.integers(256, size=size, dtype=np.uint8) for size in ((16, 24), (8, 12), (8, 12))]
    turned = np.ascontiguousarray(change(pack(tuple(planes))))
    rows, columns = turned.shape[1] * 4, turned.shape[2] * 4
    for plane, before in zip(unpack(turned, rows, columns), planes, strict=True):
        assert np.array_equal(plane, same(before))


def test_batches_are_a_function_of_seed_step_and_process(folder, tmp_path):
    data = prepare(folder, SETTINGS, tmp_path / "cache")
    stage = Stage(batch=4, frames=3)
    one = ClipSampler(data.train, SETTINGS, stage, seed=1)
    again = ClipSampler(data.train, SETTINGS, stage, seed=1)
    assert np.array_equal(one(5), again(5))
    assert not np.array_equal(one(5), one(6))
    parts = [ClipSampler(data.train, SETTINGS, stage, seed=1, rank=rank, world=2)(5) for rank in (0, 1)]
    assert np.array_equal(np.concatenate(parts), one(5))


@pytest.mark.parametrize(("turn", "ways"), [(False, 2), (True, 8)])
def test_crops_are_turned_in_every_way_where_that_is_wanted(tmp_path, turn, ways):
    root = tmp_path / "data"
    root.mkdir()
    for seed in (1, 2):
        picture = np.random.default_rng(seed).integers(30, 230, (32, 32), np.uint8)
        cv2.imwrite(str(root / f"{seed}.png"), cv2.GaussianBlur(picture, (5, 5), 0))
    settings = SETTINGS.model_copy(update={"turn": turn})
    sampler = ClipSampler(
        prepare(root, settings, tmp_path / "cache").train, settings, Stage(batch=1, frames=1), seed=0
    )
    seen = [sampler(step)[0, 0] for step in range(80)]
    assert len({crop.tobytes() for crop in seen}) == ways
    # Turning moves what is there and changes none of it.
    assert len({np.sort(unpack(crop, 32, 32)[0], None).tobytes() for crop in seen}) == 1
