"""What a training teaches: the loss of a batch, and how a model is judged. The loop knows nothing else of it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import nn

Batches = Callable[[int], Any]
"""step -> this process's share of a batch, in whatever form the lesson reads."""


class Lesson(Protocol):
    """One kind of training. `windows`: what it is judged on; empty for no judging."""

    model: nn.Module
    windows: Sequence[Any]

    def module(self, precision: torch.dtype | None) -> nn.Module:
        """The loss as a module around the model, for DDP to wrap: (*batch) -> loss, {name: figure without gradient}."""

    def batch(self, drawn: Any, step: int, generator: torch.Generator) -> tuple[Any, ...]:
        """What the module is called with; random draws come from the generator alone."""

    def settle(self, model: nn.Module) -> None:
        """Make a running mean of weights ready to run: what is no weight is derived anew."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Figures on the windows; `test_loss` decides whether training still improves."""


def on_device(model: nn.Module) -> torch.device:
    """Where a model's weights lie."""
    return next(model.parameters()).device
