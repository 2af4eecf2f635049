"""The network that reads `vivae.vae.shot_signs`: for each frame, does a shot begin here, is it part of a transition?

Convolutions over time with growing gaps, as TransNet has them (Souček and Lokoč, 2020), over a few dozen figures a
frame instead of pixels. It runs in blocks with the rows around them: any length, the same numbers as at once.
"""

import json
from functools import cache
from importlib import resources

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor, nn

from vivae.vae.shot_signs import SIGNS

WIDTH = 40
GAPS = (1, 2, 4, 8, 16)
REACH = sum(GAPS)
"""Rows before and after that a frame's answer depends on."""
BLOCK = 256
FORMAT = "vivae-shots-1"


class ShotHead(nn.Module):
    """Rows (B, SIGNS, T) to logits (B, 2, T): a cut just before the frame, the frame inside a transition."""

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(SIGNS, 1))
        self.register_buffer("scale", torch.ones(SIGNS, 1))
        self.enter = nn.Conv1d(SIGNS, WIDTH, 1)
        self.steps = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 3, dilation=gap, padding=gap) for gap in GAPS)
        self.leave = nn.Conv1d(WIDTH, 2, 1)

    def forward(self, rows: Tensor) -> Tensor:
        hidden = torch.relu(self.enter(((rows - self.mean) / self.scale).clamp(-8, 8)))
        for step in self.steps:
            hidden = hidden + torch.relu(step(hidden))
        return self.leave(hidden)


@cache
def load_head() -> ShotHead:
    """The shipped one, in evaluation mode; `vivae.train.shots` makes it."""
    path = resources.files("vivae") / "weights" / "shots.safetensors"
    head = ShotHead()
    with safe_open(str(path), framework="pt") as file:
        assert json.loads(file.metadata()["vivae"])["format"] == FORMAT
        head.load_state_dict({key: file.get_tensor(key).float() for key in file.keys()})  # noqa: SIM118
    return head.requires_grad_(False).eval()


class Judge:
    """Rows in, pairs of probabilities out, one a row, in order: a cut just before the frame, the frame lying in a
    gradual transition. Holds a block and its surroundings; beyond the ends the first and last rows are repeated."""

    def __init__(self, head: ShotHead | None = None) -> None:
        self._head = head or load_head()
        self._held: list[NDArray[np.float32]] = []

    def push(self, row: NDArray[np.float32]) -> list[tuple[float, float]]:
        """The next row; a block of answers when there is one."""
        if not self._held:
            self._held = [row] * REACH
        self._held.append(row)
        if len(self._held) < BLOCK + 2 * REACH:
            return []
        found = self._run(self._held)
        del self._held[:BLOCK]
        return found

    def finish(self) -> list[tuple[float, float]]:
        """The answers for the last rows."""
        return self._run(self._held + self._held[-1:] * REACH) if self._held else []

    @torch.no_grad()
    def _run(self, rows: list[NDArray[np.float32]]) -> list[tuple[float, float]]:
        """Of all rows but `REACH` at either end."""
        logits = self._head(torch.from_numpy(np.stack(rows, 1))[None])[0, :, REACH : len(rows) - REACH]
        return [(cut, inside) for cut, inside in torch.sigmoid(logits).T.tolist()]
