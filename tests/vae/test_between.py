"""The frame between two others."""

import numpy as np
import pytest
import torch

from vivae.errors import FormatError, InputError
from vivae.media import pack
from vivae.vae.between import Interpolator, found_ways
from vivae.vae.middle import MiddleConfig, MiddleFrame, Ways, unaided
from vivae.vae.motion import Motion
from vivae.vae.zoo import list_models, load_enhancer, load_middle, serialise

TINY = MiddleConfig(
    name="tiny",
    coarse_widths=(8, 8, 8),
    coarse_depths=(0, 0, 0),
    handed=4,
    fine_widths=(8, 8),
    fine_depths=(0, 0, 0),
)


@pytest.fixture(scope="module")
def shipped():
    return Interpolator(load_middle())


def moving(step, height=96, width=160):
    rng = np.random.default_rng(3)
    texture = np.kron(rng.integers(40, 220, (16, 32)), np.ones((12, 12))).astype(np.float32)
    shifted = np.roll(texture, step, 1)[:height, :width]
    chroma = np.full((-(-height // 2), -(-width // 2)), 120, np.uint8)
    return shifted.astype(np.uint8), chroma, chroma


def error(a, b):
    inside = slice(8, -8), slice(16, -16)
    return float(((a[0][inside].astype(float) - b[0][inside]) ** 2).mean())


def apart(a, b):
    """Largest and mean difference over all planes, in code values."""
    different = np.concatenate([np.abs(x.astype(int) - y).ravel() for x, y in zip(a, b, strict=True)])
    return different.max(), different.mean()


def waves(batch=2, side=32, seed=0):
    """Smooth packed frames (B, 24, side / 4, side / 4), and no flow."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, 24, 2, 2, generator=generator)
    frames = torch.nn.functional.interpolate(coarse, size=(side // 4, side // 4), mode="bilinear")
    return frames, torch.zeros(batch, 2, side, side)


@pytest.mark.parametrize("shift", [2, 6, 14])
def test_the_model_finds_the_middle(shipped, shift):
    before, middle, after = (moving(step) for step in (0, shift // 2, shift))
    made = shipped.between(before, after)
    mean = ((before[0].astype(int) + after[0]) // 2).astype(np.uint8)
    assert error(made, middle) < error((mean,), middle) / 4


def test_what_stands_still_stays(shipped):
    frame = moving(0)
    largest, mean = apart(shipped.between(frame, frame), frame)
    assert largest <= 8
    assert mean < 0.5


def test_time_has_no_direction(shipped):
    before, after = moving(0), moving(6)
    _, mean = apart(shipped.between(before, after), shipped.between(after, before))
    _, moved = apart(before, after)
    assert mean < moved / 50


def test_frames_around_bend_the_way(shipped):
    earlier, before, middle, after, later = (moving(step) for step in (2, 0, 2, 6, 20))
    bent, evenly = shipped.between(before, after, earlier, later), shipped.between(before, after)
    assert error(bent, middle) < error(evenly, middle)


@pytest.mark.parametrize("size", [(17, 33), (2, 4), (50, 70)])
def test_odd_and_tiny_frames(shipped, size):
    frame = moving(0, *size)
    filled = shipped.filled(frame, frame, 2)
    assert len(filled) == 3
    for made in filled:
        assert [plane.shape for plane in made] == [plane.shape for plane in frame]


def even(flow):
    return Ways(flow, -flow, torch.zeros_like(flow), torch.zeros_like(flow))


def test_a_fresh_model_shows_the_mean_of_both_moved():
    before, still = waves()
    ways = even(still + torch.tensor([3.0, -1.0])[:, None, None])
    after = before.flip(3)
    assert torch.allclose(MiddleFrame(TINY)(before, after, ways), unaided(before, after, ways), atol=1e-6)


def test_whole_steps_of_flow_fetch_whole_samples():
    before, flow = waves()
    flow[:, 0] = 16.0  # eight pixels each way: two packed positions
    made = unaided(before, before, even(flow))
    # The mean of what lies eight pixels to the left and eight to the right.
    expected = (before[..., :-4] + before[..., 4:]) / 2
    assert torch.allclose(made[..., 2:-2], expected, atol=1e-5)


def test_what_speeds_up_is_found_where_it_is():
    # Places 0, 2, 8, 18: it was at 4.5 half way between the second and the third, where evenly it were at 5.
    earlier, before, after, later = (pack(moving(step)) for step in (0, 2, 8, 18))
    ways = found_ways(Motion("medium"), before, after, earlier, later)
    inside = np.s_[:, 0, 24:-24, 24:-40]
    forth, back, *bends = (float(np.median(way)) for way in ways[inside])
    assert (forth, back) == pytest.approx((6, -6), abs=0.3)
    assert bends == pytest.approx([4, 4], abs=0.5)
    one_sided = found_ways(Motion("medium"), before, after, None, later)
    assert np.array_equal(one_sided[2], one_sided[3])
    assert np.array_equal(one_sided[3], ways[3])
    assert not found_ways(Motion("medium"), before, after)[2:].any()


def test_every_weight_is_taught():
    model = MiddleFrame(TINY)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    before, flow = waves()
    after, _ = waves(seed=1)
    ways = Ways(flow + 0.5, flow - 0.2, flow + 0.3, flow - 0.4)
    model(before, after, ways).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model = MiddleFrame(TINY)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(serialise(model))
    rounded = MiddleFrame(TINY)
    rounded.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
    pair = moving(0), moving(4)
    saved, kept = (Interpolator(each.eval()).between(*pair) for each in (load_middle(path), rounded))
    assert apart(saved, kept) == (0, 0)
    with pytest.raises(InputError, match="no enhancer"):
        load_enhancer(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FormatError):
        load_middle(path)


def test_an_enhancer_finds_no_frames_between():
    assert "between" in list_models("middle")
    assert "between" not in list_models("enhancer")
    with pytest.raises(InputError, match="frames between"):
        load_middle("upscale")
