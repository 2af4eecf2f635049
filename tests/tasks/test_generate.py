"""`vivae generate`: what it writes, whatever the weights; and what it refuses."""

import numpy as np
import pytest
import torch

from tests.vae.generators import small
from vivae.errors import InputError, OutputError
from vivae.media import open_video, probe, read_first
from vivae.tasks.digits import _motion
from vivae.tasks.generate import generate
from vivae.train.composed import bouncing
from vivae.vae.middle import MiddleConfig, MiddleFrame
from vivae.vae.zoo import serialise


@pytest.fixture(scope="module", params=["things", "window"])
def model(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / f"{request.param}.safetensors"
    path.write_bytes(serialise(small(request.param)))
    return path


@pytest.fixture(scope="module")
def filler(tmp_path_factory):
    torch.manual_seed(0)
    config = MiddleConfig(
        name="filler",
        coarse_widths=(8, 8, 8),
        coarse_depths=(0, 0, 0),
        fine_widths=(8, 8),
        fine_depths=(0, 0, 0),
    )
    path = tmp_path_factory.mktemp("models") / "filler.safetensors"
    path.write_bytes(serialise(MiddleFrame(config)))
    return path


def frames_of(path):
    with open_video(path) as reader:
        return [frame.to_rgb() for frame in reader]


def test_a_video_of_any_length(model, tmp_path):
    out = tmp_path / "new.mkv"
    told = generate(out, model=model, frames=13, steps=2, sheet=tmp_path / "sheet.png", codec="ffv1")
    assert told["new_frames"] == 13
    assert len(frames_of(out)) == 13
    assert probe(out).fps == 10
    assert read_first(tmp_path / "sheet.png").width > 10 * probe(out).width


def test_the_seed_decides_and_variations_are_seeds(model, tmp_path):
    one, again, pair = tmp_path / "1.y4m", tmp_path / "2.y4m", str(tmp_path / "pair-{}.y4m")
    generate(one, model=model, seed=4, steps=2)
    generate(again, model=model, seed=4, steps=2)
    generate(pair, model=model, seed=3, steps=2, variations=2)
    assert one.read_bytes() == again.read_bytes()
    second = np.array(frames_of(tmp_path / "pair-1.y4m")).astype(int)
    assert np.abs(second - np.array(frames_of(one))).mean() < 2


def test_variations_beside_each_other(model, tmp_path):
    out = tmp_path / "many.y4m"
    generate(out, model=model, variations=3, steps=1)
    width, height = small(model.stem).size[::-1]
    assert (probe(out).width, probe(out).height) == (2 * width + 2, 2 * height + 2)


def test_a_clip_is_gone_on_from(model, bikes, tmp_path):
    out = tmp_path / "on.y4m"
    told = generate(out, model=model, continue_=bikes, frames=5, steps=2)
    assert told["known_frames"] == 4
    assert told["new_frames"] == 5
    assert len(frames_of(out)) == 9


def test_a_picture_is_gone_on_from(model, bikes, tmp_path):
    still = tmp_path / "still.png"
    generate(still, model=model, steps=1)
    told = generate(tmp_path / "on.y4m", model=model, continue_=still, steps=1)
    assert told["known_frames"] == 0


def test_a_state_space_goes_on_where_there_is_one(bikes, tmp_path):
    made = small("window", states={"rank": 2, "width": 0})
    made.states.fit(made.tracks(made.encode(torch.rand(6, 8, 24, 8, 12), 0)))
    model = tmp_path / "streams.safetensors"
    model.write_bytes(serialise(made))
    outputs = {}
    for prior in ("auto", "flow", "state-space"):
        out = tmp_path / f"{prior}.y4m"
        told = generate(out, model=model, continue_=bikes, frames=7, steps=2, prior=prior)
        assert told["prior"] == ("flow" if prior == "flow" else "state-space")
        assert told["known_frames"] == 4
        outputs[prior] = out.read_bytes()
    assert outputs["auto"] == outputs["state-space"] != outputs["flow"]
    with pytest.raises(InputError, match="only goes on"):
        generate(tmp_path / "x.y4m", model=model, interpolate=("1", "2"), prior="state-space")


def test_a_state_space_that_is_not_there_is_told(model, tmp_path):
    with pytest.raises(InputError, match="no state space"):
        generate(tmp_path / "x.y4m", model=model, prior="state-space")
    with pytest.raises(InputError, match="no prior 'kalman'"):
        generate(tmp_path / "x.y4m", model=model, prior="kalman")


def test_what_only_a_flow_can_do_is_told(tmp_path, bikes):
    made = small("window", states={"rank": 2, "width": 0}, flow=None)
    made.states.fit(made.tracks(made.encode(torch.rand(6, 8, 24, 8, 12), 0)))
    model = tmp_path / "alone.safetensors"
    model.write_bytes(serialise(made))
    assert generate(tmp_path / "new.y4m", model=model, frames=5)["new_frames"] == 5
    for wish in (
        {"prior": "flow"},
        {"between": (bikes, bikes)},
        {"traverse": 2},
        {"interpolate": ("1", "2")},
    ):
        with pytest.raises(InputError, match="no flow"):
            generate(tmp_path / "x.y4m", model=model, **wish)


def test_between_two_clips(model, bikes, tmp_path):
    out = tmp_path / "filled.y4m"
    told = generate(out, model=model, between=(bikes, bikes), frames=4, steps=1)
    assert told["new_frames"] == 4
    with pytest.raises(InputError, match="do not fit"):
        generate(tmp_path / "x.y4m", model=model, between=(bikes, bikes), frames=40)


def test_between_two_frames_at_their_own_size(filler, bikes, tmp_path):
    with open_video(bikes) as reader:
        a, b = next(reader), next(reader)
    names = [tmp_path / "a.png", tmp_path / "b.png"]
    from vivae.media import encode_png

    for name, frame in zip(names, (a, b), strict=True):
        name.write_bytes(encode_png(frame))
    out = tmp_path / "slow.y4m"
    generate(out, model=filler, between=(names[0], names[1]), frames=3)
    found = frames_of(out)
    assert len(found) == 5
    assert found[0].shape[:2] == (a.height, a.width)
    tiny = tmp_path / "tiny.png"
    generate(tiny, model=filler, between=(names[0], names[1]), frames=1)
    with pytest.raises(InputError, match="scale one"):
        generate(tmp_path / "no.y4m", model=filler, between=(names[0], tiny))


def test_walks_through_the_latent(model, bikes, tmp_path):
    generate(tmp_path / "walk.png", model=model, interpolate=("1", "2"), steps=1)
    generate(tmp_path / "walk.y4m", model=model, interpolate=(bikes, "2"), steps=1)
    told = generate(tmp_path / "axes.png", model=model, traverse=3, steps=1)
    assert told["clips"] == 15
    assert read_first(tmp_path / "axes.png").height > 15 * 32


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"frames": 0}, "frames must lie"),
        ({"variations": 1000}, "variations must lie"),
        ({"steps": 0}, "steps must lie"),
        ({"traverse": 2, "interpolate": ("1", "2")}, "one of"),
        ({"labels": (7,)}, "do not suit"),
        ({"model": "base"}, "no generator"),
    ],
)
def test_what_does_not_go_is_refused(model, tmp_path, wrong, words):
    with pytest.raises(InputError, match=words):
        generate(tmp_path / "x.mp4", **({"model": model, "steps": 1} | wrong))
    assert not list(tmp_path.iterdir())


def test_an_input_is_never_overwritten(model, bikes):
    with pytest.raises(OutputError, match="input itself"):
        generate(bikes, model=model, continue_=bikes, force=True)


def test_motion_is_judged_by_walls_and_straightness():
    paths = np.stack([bouncing(np.random.default_rng(seed), 2, 20, 36.0, 3.6) for seed in range(20)]) + 14
    fits, bounces = _motion(paths, 64, 28)
    assert fits.mean() > 0.99
    assert bounces.sum() > 20
    shaken = paths + np.random.default_rng(0).normal(0, 3, paths.shape)
    assert _motion(shaken, 64, 28)[0].mean() < 0.5
