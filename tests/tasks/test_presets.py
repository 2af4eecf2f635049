"""What the presets of enhancing may cost."""

import pytest
import torch
from torch import nn

from vivae.tasks import restore
from vivae.tasks.restore import Family
from vivae.tasks.stage import GATHERED, ONE_BEHIND
from vivae.vae.cost import enhancer_cost
from vivae.vae.enhancer import Enhancer, EnhancerConfig, Known
from vivae.vae.zoo import serialise


def multiplications(model):
    """Of a pixel, counted as the layers run."""
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        total += layer.weight.numel() * output.shape[-2] * output.shape[-1]

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    side = 16
    frame = torch.zeros(1, 24, side, side)
    # With gradients every layer is called as a module, and none is fused with what follows it.
    with torch.enable_grad():
        model(
            frame,
            frame,
            frame,
            torch.zeros(1, len(model.config.attributes)),
            model.scene(0, 0, side, side),
        )
    for hook in hooks:
        hook.remove()
    return total / (16 * side**2)


@pytest.mark.parametrize("best, most", [(False, 35e3), (True, 160e3)])
@pytest.mark.parametrize(
    "known",
    [Known(noise=20), Known(coded=1), Known(coded=0.5, crf=50), Known(shrink=2), Known(blur=1)],
    ids=str,
)
def test_no_preset_multiplies_more_than_it_may(best, most, known):
    """At most 35,000 multiplications a pixel for fast, and 160,000 for best, all looks together."""
    chosen = Family(best=best).of(known)
    assert 0 < chosen.views * multiplications(chosen.model) <= most


@pytest.mark.parametrize(
    "shape",
    [{}, {"grid": 2, "blends": True, "depths": (3, 2)}, {"scene_size": (13, 21), "scene_features": 4}],
)
def test_what_a_network_costs_is_known_before_it_runs(shape):
    model = Enhancer(EnhancerConfig(name="test", **shape)).eval()
    # What turns attributes into gains is counted, too: hardly anything.
    assert enhancer_cost(model.config) * 1000 == pytest.approx(multiplications(model), rel=0.02)


@pytest.mark.parametrize("widths, views", [((24, 32), 4), ((64, 96), 2), ((128, 128), 1)])
def test_the_best_preset_looks_as_often_as_it_can_afford(tmp_path, widths, views):
    """Also with a network that it has never heard of."""
    model = Enhancer(EnhancerConfig(name="mine", grid=2, widths=widths, depths=(2, 1)))
    path = tmp_path / "mine.safetensors"
    path.write_bytes(serialise(model))
    assert Family(path, best=True).of(Known(noise=20)).views == views
    assert Family(path).of(Known(noise=20)).views == 1


@pytest.mark.parametrize("best, views", [(False, 1), (True, 4)])
def test_a_network_that_is_told_so_is_shown_what_comes(tmp_path, best, views):
    shape = EnhancerConfig(name="mine", grid=2, widths=(24, 32), attributes=("noise", "ahead"))
    path = tmp_path / "mine.safetensors"
    path.write_bytes(serialise(Enhancer(shape)))
    assert Family(path, best=best).of(Known(noise=20))[1:] == (views, GATHERED)
    assert Family("deblock", best=best).of(Known(noise=20)).passage == ONE_BEHIND


def test_motion_is_sought_closer_where_there_is_time_and_no_heavy_noise(monkeypatch):
    sought = []
    monkeypatch.setattr(
        restore, "Motions", lambda *effort, **finest: sought.append((*effort, *finest.values()))
    )
    for best in (False, True):
        for known in (Known(coded=1), Known(noise=20), Known(noise=50)):
            Family(best=best).motions(known)
    assert sought == [(1,)] * 3 + [("medium", 0)] * 2 + [(1,)]
