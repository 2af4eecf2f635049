"""Enhancers: streaming is exact, cuts are respected, sizes and gains do what they say."""

import numpy as np
import pytest
import torch

from vivae.errors import InputError
from vivae.media import pack
from vivae.vae import enhancing
from vivae.vae.config import VAEConfig
from vivae.vae.enhancer import Enhancer, EnhancerConfig, Known, gathered, spread
from vivae.vae.enhancing import Sight, Step, enhanced
from vivae.vae.model import VideoVAE
from vivae.vae.motion import Motion, moved
from vivae.vae.zoo import load_any, load_enhancer, load_model, serialise


@pytest.fixture(scope="module", params=[{}, {"grid": 2, "sharp": True, "blends": True}], ids=["4x4", "2x2"])
def enhancer(request) -> Enhancer:
    torch.manual_seed(0)
    model = Enhancer(EnhancerConfig(name="test", widths=(8, 12), **request.param))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.requires_grad_(False).eval()


def steps(count, height=46, width=70, seed=0, cut=None):
    rng = np.random.default_rng(seed)
    wide = np.kron(rng.integers(0, 255, (20, 30)), np.ones((8, 8))).astype(np.uint8)
    small = (-(-height // 2), -(-width // 2))
    for index in range(count):
        y = wide[index : index + height, 2 * index : 2 * index + width]
        u, v = (wide[: small[0], part : part + small[1]] for part in (index, 3 * index))
        yield Step((y, u, v), Known(40.0, 2.0), restart=index in (0, cut))


def same(a, b):
    return all(np.array_equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True))


def test_results_have_the_size_of_what_was_given(enhancer):
    for given, planes in zip(steps(3), enhanced(enhancer, steps(3)), strict=True):
        assert [plane.shape for plane in planes] == [plane.shape for plane in given.planes]
        assert all(plane.dtype == np.uint8 for plane in planes)


def test_nothing_leaks_over_a_cut(enhancer):
    together = list(enhanced(enhancer, steps(9, cut=5)))
    every = list(steps(9, cut=5))
    apart = list(enhanced(enhancer, every[:5])) + list(enhanced(enhancer, every[5:]))
    assert same(together, apart)
    assert not same(together, list(enhanced(enhancer, steps(9))))


def test_the_future_is_one_frame(enhancer):
    ends_differently = [*list(steps(9))[:7], *list(steps(9, seed=1))[7:]]
    assert same(list(enhanced(enhancer, steps(9)))[:6], list(enhanced(enhancer, ends_differently))[:6])


def test_gains_scale_what_is_added(enhancer):
    given = list(steps(4))
    none = list(enhanced(enhancer, (replace_gains(step, (0.0, 0.0, 0.0)) for step in given)))
    assert same(none, [step.planes for step in given])
    full, luma = (
        list(enhanced(enhancer, (replace_gains(step, gains) for step in given)))
        for gains in ((1.0, 1.0, 1.0), (1.0, 0.0, 0.0))
    )
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(full, luma, strict=True))
    assert all(np.array_equal(step.planes[1], b[1]) for step, b in zip(given, luma, strict=True))


def replace_gains(step, gains):
    return step._replace(gains=gains)


def test_a_fresh_enhancer_changes_nothing():
    fresh = Enhancer(EnhancerConfig()).eval()
    assert same(list(enhanced(fresh, steps(3))), [step.planes for step in steps(3)])


def test_a_finer_grid_has_every_sample_at_its_place():
    rng = np.random.default_rng(3)
    y = rng.integers(0, 256, (16, 24), np.uint8)
    u, v = rng.integers(0, 256, (2, 8, 12), np.uint8)
    packed = torch.from_numpy(pack((y, u, v)))[None]
    fine = spread(packed)[0].numpy()
    assert np.array_equal(fine, [y[::2, ::2], y[::2, 1::2], y[1::2, ::2], y[1::2, 1::2], u, v])
    assert torch.equal(gathered(spread(packed)), packed)


def test_beginning_with_another_keeps_what_both_are_told(enhancer):
    torch.manual_seed(1)
    other = Enhancer(enhancer.config.model_copy(update={"attributes": ("coded", "shrink")}))
    other.adopt(enhancer)
    column = enhancer.config.attributes.index("shrink")
    assert torch.equal(other.gains[0].weight[:, 1], enhancer.gains[0].weight[:, column])
    assert not other.gains[0].weight[:, 0].any()
    given = [step._replace(known=Known(0.0, 2.0)) for step in steps(3)]
    assert same(list(enhanced(other.eval(), given)), list(enhanced(enhancer, given)))


def test_beginning_deeper_changes_nothing_at_first(enhancer):
    few = enhancer.config.depths
    deeper = Enhancer(enhancer.config.model_copy(update={"depths": (few[0] + 2, few[1] + 1)}))
    deeper.adopt(enhancer)
    assert same(list(enhanced(deeper.eval(), steps(3))), list(enhanced(enhancer, steps(3))))
    with pytest.raises(ValueError, match="blocks"):
        Enhancer(enhancer.config).adopt(deeper)


def test_both_motions_are_found_as_well_at_once():
    present, last, following = (pack(step.planes) for step in steps(3, 48, 72))
    one, both = (
        enhancing.aligned(
            enhancing.Motions(), Sight(settle=True), present, last, None, following, at_once=at_once
        )
        for at_once in (False, True)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one.pictures, both.pictures, strict=True))
    assert not np.array_equal(one.last, one.following)


def test_one_camera_and_a_finer_grid_exclude_each_other():
    with pytest.raises(ValueError, match="grid"):
        Enhancer(EnhancerConfig(grid=2, scene_features=4, scene_size=(8, 8)))


def test_no_frames_give_none(enhancer):
    assert list(enhanced(enhancer, [])) == []


def test_saved_and_loaded_it_is_the_same(enhancer, tmp_path):
    path = tmp_path / "test.safetensors"
    path.write_bytes(serialise(enhancer))
    loaded = load_enhancer(path)
    rounded = Enhancer(enhancer.config)
    rounded.load_state_dict({name: value.half().float() for name, value in enhancer.state_dict().items()})
    assert same(list(enhanced(loaded, steps(3))), list(enhanced(rounded.eval(), steps(3))))
    assert load_any(path) is loaded
    with pytest.raises(InputError, match="no latent"):
        load_model(path)


def test_a_vae_is_no_enhancer(tmp_path):
    config = VAEConfig(name="vae", stride=8, latent_channels=4, nested=(2,), widths=(8, 8),
                       encoder_depths=(0, 0), decoder_depths=(0, 0), prior_width=8)  # fmt: skip
    path = tmp_path / "vae.safetensors"
    path.write_bytes(serialise(VideoVAE(config)))
    with pytest.raises(InputError, match="no enhancer"):
        load_enhancer(path)


def test_flow_brings_a_moved_picture_back():
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 255, (30, 40)), np.ones((4, 4))).astype(np.uint8)
    here, there = wide[:96, :128], wide[:96, 5:133]
    flow = Motion().between(here, there)
    chroma = np.zeros((48, 64), np.uint8)
    back = moved((there, chroma, chroma), flow)[0]
    inside = (slice(8, -8), slice(16, -16))
    assert (
        np.abs(back[inside].astype(int) - here[inside]).mean()
        < 0.2 * np.abs(there[inside].astype(int) - here[inside]).mean()
    )


def test_tiny_pictures_count_as_still():
    tiny = np.zeros((8, 40), np.uint8)
    assert not Motion().between(tiny, tiny).any()


def test_a_mirrored_look_is_a_look_at_the_mirrored_picture():
    rng = np.random.default_rng(5)
    picture = rng.integers(0, 256, (16, 24), np.uint8)
    chroma = rng.integers(0, 256, (8, 12), np.uint8)
    packed = torch.from_numpy(pack((picture, chroma, chroma)))[None]
    for across, down in enhancing.VIEWS:
        turned = [
            np.ascontiguousarray(p[:: -1 if down else 1, :: -1 if across else 1]) for p in (picture, chroma)
        ]
        expected = pack((turned[0], turned[1], turned[1]))
        assert np.array_equal(enhancing._turned(packed, across, down)[0].numpy(), expected)
