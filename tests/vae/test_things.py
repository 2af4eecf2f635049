"""Things and their paths: drawing and cutting out, joining places, and fusing places with speeds."""

import numpy as np
import pytest
import torch

from vivae.vae.paths import joined, places_in, refined, with_speeds, without_speeds
from vivae.vae.things import ThingsConfig, ThingsVAE, cut_out, drawn


def test_whole_places_draw_whole_pixels():
    picture = torch.rand(1, 1, 8, 8)
    frame = drawn(picture, torch.tensor([[[[10.0, 12.0]]]]), 32)[0, 0]
    assert torch.allclose(frame[8:16, 6:14], picture[0, 0], atol=1e-6)
    assert frame.sum().item() == pytest.approx(picture.sum().item(), rel=1e-5)


def test_cutting_out_undoes_drawing():
    picture = torch.rand(2, 1, 8, 8)
    places = torch.tensor([[[[10.0, 12.0], [20.0, 9.0]]]]).expand(2, -1, -1, -1)
    frames = drawn(picture, places, 32)
    assert torch.allclose(
        cut_out(frames, places, 8), picture[:, :, None].expand(-1, -1, 2, -1, -1), atol=1e-6
    )


def test_between_pixels_light_moves_smoothly():
    picture = torch.zeros(1, 1, 8, 8)
    picture[..., 3:5, 3:5] = 1
    frames = drawn(picture, torch.tensor([[[[10.0, 12.0], [10.25, 12.0], [11.0, 12.0]]]]), 32)[0]
    columns = torch.arange(32.0) + 0.5
    centres = [(frame.sum(0) * columns).sum() / frame.sum() for frame in frames]
    assert [float(x) for x in centres] == pytest.approx([10.0, 10.25, 11.0], abs=1e-4)


def test_nothing_outside_the_frame():
    frames = drawn(torch.ones(1, 1, 8, 8), torch.tensor([[[[-20.0, 5.0], [500.0, 5.0]]]]), 32)
    assert frames.abs().max() == 0


@pytest.mark.parametrize("gap", [6.0, 40.0])
def test_places_are_found_between_cells(gap):
    true = torch.tensor([[20.3, 31.0], [20.3 + gap, 30.1]])
    cells = torch.arange(48.0) * 2 + 1
    spread = 2 * (1.4**2)
    maps = sum(
        torch.exp(-((cells[None] - x) ** 2) / spread) * torch.exp(-((cells[:, None] - y) ** 2) / spread)
        for x, y in true.tolist()
    )
    found = places_in((maps / maps.sum())[None], 2)[0]
    found = found[found[:, 0].argsort()]
    assert (found - true).abs().max() < 0.4


def test_crossing_paths_keep_their_things():
    times = np.arange(12.0)
    one, other = np.stack([5 + 4 * times, 10 + 2 * times], -1), np.stack([49 - 4 * times, 12 + 2 * times], -1)
    true = np.stack([one, other], 1)
    rng = np.random.default_rng(2)
    mixed = np.stack([frame[rng.permutation(2)] for frame in true])
    found = joined(mixed)
    assert np.allclose(found, true) or np.allclose(found, true[:, ::-1])


def test_speeds_smooth_places_and_known_ones_stay():
    times = torch.arange(10.0)
    path = torch.stack([3 * times, 2 * times], -1)
    told = with_speeds(path)
    noisy = told.clone()
    noisy[..., :2] += torch.randn(path.shape, generator=torch.Generator().manual_seed(1))
    firm = torch.zeros(10, dtype=torch.bool)
    smooth = without_speeds(noisy, firm)
    assert (smooth - path).diff(dim=0).abs().mean() < 0.3 * (noisy[..., :2] - path).diff(dim=0).abs().mean()
    assert torch.allclose(without_speeds(told, firm), path, atol=1e-4)
    firm[2] = True
    assert torch.allclose(without_speeds(noisy, firm)[2], noisy[2, :2], atol=1e-3)


def test_refining_explains_frames_better():
    torch.manual_seed(0)
    config = ThingsConfig(frames=4, side=32, box=12, appearance=4, labels=0, widths=(8, 8), finder=8)
    vae = ThingsVAE(config)
    look = torch.randn(1, 2, 4)
    places = torch.tensor(
        [[[[10.0, 12], [11, 12], [12, 12], [13, 12]], [[22.0, 20], [21, 20], [20, 20], [19, 20]]]]
    )
    frames = vae.decode(look, places).detach()
    shaken = places + 0.8 * torch.randn(places.shape)
    better, look_found = refined(vae, frames, shaken, look, 40)

    def error(where, what):
        return float(((vae.decode(what, where) - frames) ** 2).sum().detach())

    assert error(better, look_found) < 0.5 * error(shaken, look)


@pytest.mark.parametrize("wrong", [{"frames": 9, "group": 2}, {"side": 30}, {"things": 9}])
def test_wrong_shapes_are_refused(wrong):
    with pytest.raises(ValueError, match=r"multiple|less"):
        ThingsConfig(**wrong)
