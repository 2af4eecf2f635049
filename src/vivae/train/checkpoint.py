"""Checkpoints that resume exactly: weights, their running mean and the optimiser in one safetensors file.

The plan (step, number of steps, best score) is JSON in the same file's header, so a checkpoint is one atomic
rename. Random draws are functions of seed and step and need no state.
"""

import json
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from vivae.errors import FormatError
from vivae.media.atomic import atomic_path

FILE = "checkpoint.safetensors"


class Plan(TypedDict):
    """Where a training stands."""

    step: int
    steps: int | None
    """Number of steps in all; None until a budget in minutes has been turned into steps."""
    seconds: float
    processor: float
    """Seconds of processor time of the first process, whatever else the machine did."""
    best: float | None
    stale: int
    """Evaluations since the best one."""
    gradient: float | None
    """Running mean of the gradient's norm."""
    recipe: dict[str, Any]
    data: str
    """Identity of the training data."""


def _optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    return {
        f"optimiser.{index}.{key}": value
        for index, entries in optimiser.state_dict()["state"].items()
        for key, value in entries.items()
    }


def save_checkpoint(
    folder: Path, model: nn.Module, mean: AveragedModel, optimiser: Optimizer, plan: Plan
) -> Path:
    """Write FOLDER/checkpoint.safetensors, beside first and then in place of the last one."""
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    tensors |= {f"mean.{key}": value for key, value in mean.state_dict().items()}
    tensors |= _optimiser_tensors(optimiser)
    path = folder / FILE
    cloned = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    with atomic_path(path, force=True) as beside:
        Path(beside).write_bytes(save(cloned, metadata={"plan": json.dumps(plan)}))
    return path


def load_checkpoint(folder: Path, model: nn.Module, mean: AveragedModel, optimiser: Optimizer) -> Plan:
    """Restore all three in place and return the plan. Raises FormatError for a damaged checkpoint."""
    path = folder / FILE
    try:
        with safe_open(str(path), framework="pt") as file:
            plan: Plan = json.loads(file.metadata()["plan"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        model.load_state_dict(_under("model.", tensors))
        mean.load_state_dict(_under("mean.", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("optimiser.", tensors).items():
            index, entry = key.split(".", 1)
            state.setdefault(int(index), {})[entry] = value
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise FormatError(f"the checkpoint {path} cannot be resumed: {error}") from error
    return plan


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def generator_of(seed: int, step: int, rank: int, device: torch.device) -> torch.Generator:
    """The random numbers of one step in one process: the same whether or not training was interrupted."""
    return torch.Generator(device=device).manual_seed((seed * 1_000_003 + step) * 1009 + rank)
