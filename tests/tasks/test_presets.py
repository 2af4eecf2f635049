"""What the presets of enhancing may cost."""

import pytest
import torch
from torch import nn

from vivae.tasks.restore import Family
from vivae.vae.enhancer import Known


@pytest.mark.parametrize("best, most", [(False, 35e3), (True, 160e3)])
@pytest.mark.parametrize(
    "known",
    [Known(noise=20), Known(coded=1), Known(coded=0.5, crf=50), Known(shrink=2), Known(blur=1)],
    ids=str,
)
def test_no_preset_multiplies_more_than_it_may(best, most, known):
    """At most 35,000 multiplications a pixel for fast, and 160,000 for best, all looks together."""
    model, views = Family(best=best).of(known)
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        total += layer.weight.numel() * output.shape[-2] * output.shape[-1]

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    size = 16
    frame = torch.zeros(1, 24, size, size)
    # With gradients every layer is called as a module, and none is fused with what follows it.
    with torch.enable_grad():
        model(frame, frame, frame, torch.zeros(1, len(model.config.attributes)))
    for hook in hooks:
        hook.remove()
    assert 0 < views * total / (16 * size**2) <= most
