"""Crops disturbed as they are drawn: noise, small size, blur, and pairs of codecs."""

import numpy as np
import pytest
import torch

from vivae.errors import InputError
from vivae.media import unpack
from vivae.train.data_settings import DataSettings, DegradeSettings, DisturbSettings
from vivae.train.dataset import Passage
from vivae.train.degrade import Pair, PairSampler, make_pairs, through_codec
from vivae.train.disturb import MixedSampler, disturbed, with_noise
from vivae.train.enhance_lesson import EnhanceLesson, Rollout
from vivae.train.recipe import Stage, load_recipe
from vivae.vae.coming import averaged
from vivae.vae.enhancer import AVERAGED, Enhancer, EnhancerConfig, Known
from vivae.vae.enhancing import EnhancerRunner, Motions

TINY = EnhancerConfig(
    name="tiny", widths=(8, 8), depths=(0, 0), attributes=("noise", "shrink", "coded", "blur"), blends=True
)


@pytest.fixture(scope="module")
def passage(tmp_path_factory):
    """Smooth waves that travel, (12, 24, 16, 24)."""
    rows, columns = np.mgrid[:64, :96]
    frames = []
    for step in range(12):
        y = 120 + 60 * np.sin((columns + 2 * step) / 9) * np.cos(rows / 7)
        blocks = y.reshape(16, 4, 24, 4).transpose(1, 3, 0, 2).reshape(16, 16, 24)
        chroma = np.full((8, 16, 24), 120.0)
        frames.append(np.concatenate([blocks, chroma]))
    array = np.rint(frames).astype(np.uint8)
    path = tmp_path_factory.mktemp("passage") / "waves.packed"
    path.write_bytes(array.tobytes())
    return Passage(path, array.shape, 0, len(array), "waves")


def test_noise_has_the_deviation_asked_for():
    rng = np.random.default_rng(0)
    grey = (
        np.full((64, 64), 126, np.uint8),
        np.full((32, 32), 128, np.uint8),
        np.full((32, 32), 128, np.uint8),
    )
    noisy = with_noise(grey, 20, rng)
    assert noisy[0].std() == pytest.approx(20 * 0.574, rel=0.1)
    assert noisy[1].std() < noisy[0].std()


@pytest.mark.parametrize("kind", ["noise", "shrink", "blur"])
def test_each_disturbance_is_told_of(passage, kind):
    settings = DisturbSettings(shares={kind: 1.0}, light_share=1.0)
    clean = np.asarray(passage.frames[:3])
    made, known = disturbed(clean, settings, kind, np.random.default_rng(2))
    assert made.shape == clean.shape
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - clean).mean() > 0.3
    assert {"noise": known.noise > 0, "shrink": known.shrink > 1, "blur": known.blur > 0}[kind]
    again, _ = disturbed(clean, settings, kind, np.random.default_rng(2))
    assert np.array_equal(made, again)


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg2video", "mpeg4", "mjpeg"])
def test_every_codec_gives_all_frames_in_order(passage, codec):
    frames = [unpack(frame, 64, 96) for frame in passage.frames]
    fine, coarse = (
        np.mean([np.abs(a[0].astype(int) - b[0]).mean() for a, b in zip(
            frames, through_codec(iter(frames), 96, 64, codec, quality), strict=True)])
        for quality in (4, 30)
    )  # fmt: skip
    assert fine < coarse < 20


def test_batches_do_not_depend_on_the_number_of_processes(passage, tmp_path):
    degrade = DegradeSettings(codecs=("mpeg4",), shrinks=(1,), variants=1, frames=8)
    pairs = make_pairs([passage], degrade, tmp_path)
    data, disturb = DataSettings(crop=32), DisturbSettings(shares={"noise": 0.4, "shrink": 0.3})
    stage = Stage(batch=4, frames=3)
    whole = MixedSampler([passage], pairs, data, disturb, stage, seed=1)(5)
    halves = [
        MixedSampler([passage], pairs, data, disturb, stage, seed=1, rank=rank, world=2)(5) for rank in (0, 1)
    ]
    assert whole.degraded.shape == (4, 4, 24, 8, 8)
    assert whole.clean.shape == (4, 3, 24, 8, 8)
    assert np.array_equal(whole.degraded, np.concatenate([half.degraded for half in halves]))
    assert np.array_equal(whole.known, np.concatenate([half.known for half in halves]))


def test_both_pictures_of_a_pair_are_turned_alike(passage):
    data = DataSettings(crop=32, min_side=32, turn=True)
    pair = Pair(passage, passage, Known())
    seen = set()
    for step in range(12):
        batch = PairSampler([pair], data, Stage(batch=2, frames=2), seed=1, rank=0, world=1)(step)
        assert np.array_equal(batch.degraded[:, :-1], batch.clean)
        seen |= {crop.tobytes() for crop in batch.clean}
    assert len(seen) > 12


def test_a_lesson_of_mixed_crops_has_a_gradient(passage, tmp_path):
    sampler = MixedSampler(
        [passage],
        [],
        DataSettings(crop=32),
        DisturbSettings(shares={"noise": 1.0}),
        Stage(batch=2, frames=2),
        seed=0,
    )
    lesson = EnhanceLesson(Enhancer(TINY), [sampler(0)])
    loss, told = lesson.module(None)(*lesson.batch(sampler(1), 0, None))
    loss.backward()
    assert told["gain_db"].abs() < 3
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in lesson.enhancer.parameters())
    assert set(lesson.evaluate(lesson.enhancer)) == {"test_loss", "test_gain_db"}


def test_a_lesson_shows_of_what_comes_what_a_run_in_use_does(passage):
    """The mean of it, or the next frame alone."""
    model = Enhancer(TINY.model_copy(update={"attributes": ("noise", "ahead"), "grid": 2, "settled": True}))
    settings = DisturbSettings(shares={"noise": 1.0})
    noisy, known = disturbed(np.asarray(passage.frames[:5]), settings, "noise", np.random.default_rng(0))
    rollout = Rollout(model, None)
    rollout.motions = [Motions() for _ in range(2)]
    ways = np.array([known, known._replace(ahead=AVERAGED)], np.float32)
    brought = rollout._brought(np.stack([noisy] * 2), ways)
    means = averaged(noisy, EnhancerRunner(model).sight(known), Motions().later)
    assert brought[0] == [None] * 5
    assert brought[1][4] is means[4] is None
    assert all(np.array_equal(brought[1][index], means[index]) for index in range(4))


def test_a_lesson_that_looks_ahead_has_a_gradient(passage):
    ahead = DisturbSettings(shares={"noise": 1.0}, ahead=0.5)
    sampler = MixedSampler([passage], [], DataSettings(crop=32), ahead, Stage(batch=6, frames=3), seed=0)
    kinds = {float(way) for step in range(3) for way in sampler(step).known[:, -1]}
    assert kinds == {AVERAGED, 0.0}
    model = Enhancer(TINY.model_copy(update={"attributes": ("noise", "ahead")}))
    lesson = EnhanceLesson(model, [])
    loss, _ = lesson.module(None)(*lesson.batch(sampler(0), 0, None))
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_model_that_is_not_told_is_shown_nothing_ahead(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("kind: enhancer\ndisturb: {shares: {noise: 1.0}, ahead: 0.8}\n")
    with pytest.raises(InputError, match="attribute"):
        load_recipe(path)


def test_what_is_known_is_told_in_the_order_of_the_model():
    known = Known(noise=25, shrink=2, coded=1, blur=1)
    assert known.attributes(("shrink", "noise", "blur", "coded")) == [1, 0.5, 0.5, 1]


def test_shares_above_one_are_refused(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("kind: enhancer\ndisturb: {shares: {noise: 0.8, blur: 0.4}}\n")
    with pytest.raises(InputError, match="at most 1"):
        load_recipe(path)


def test_steadiness_counts_how_an_error_changes():
    still = np.repeat(np.random.default_rng(0).integers(60, 190, (1, 24, 16, 16)), 5, 0).astype(np.uint8)
    steady, flickering = (
        np.stack([still[step].astype(int) + (6 if kind or step % 2 else -6) for step in range(5)]).astype(
            np.uint8
        )
        for kind in (True, False)
    )

    def loss(degraded, weight):
        rollout = Rollout(Enhancer(TINY.model_copy(update={"blends": False})), None, weight)
        told = torch.zeros(1, len(TINY.attributes))
        known, place = np.array([Known()], np.float32), np.zeros((1, 2), np.int64)
        return rollout(degraded[None], still[None, :4], told, known, place)[0].item()

    assert loss(steady, 0.0) == pytest.approx(loss(flickering, 0.0), abs=1e-3)
    assert loss(flickering, 0.5) > loss(steady, 0.5) + 0.3


def test_loop_restoration_is_part_of_a_pair(tmp_path):
    """It makes other pictures, which a cache must not take for one another."""
    noise = np.random.default_rng(0).normal(120, 30, (6, 24, 32, 48)).clip(0, 255).astype(np.uint8)
    (tmp_path / "noise.packed").write_bytes(noise.tobytes())
    passage = Passage(tmp_path / "noise.packed", noise.shape, 0, len(noise), "noise")
    made = {}
    for restoration in (False, True, False):
        settings = DegradeSettings(
            shrinks=(1,), crf_low=50, crf_high=50, preset=4, variants=1, restoration=restoration
        )
        (pair,) = make_pairs([passage], settings, tmp_path / "pairs")
        found = pair.degraded.frames.tobytes()
        assert made.setdefault(restoration, found) == found
    assert made[False] != made[True]
