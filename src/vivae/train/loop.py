"""The one training loop: recipe and batches in, weights out.

Runs on one CPU or GPU, or under torchrun on several (gloo or nccl). Every random draw is a function of seed, step
and rank, so a resumed training reaches the weights of an unbroken one.
"""

import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter

from vivae.errors import Interrupted, VivaeError
from vivae.train.checkpoint import FILE, Plan, generator_of, load_checkpoint, save_checkpoint
from vivae.train.lesson import Batches, Lesson
from vivae.train.recipe import CommonRecipe, Stage
from vivae.vae.blocks import has_bfloat16

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, dict[str, float]], None]
"""Called after every step with the step, the number of steps and the latest figures."""

SPEED_STEPS = 20
"""Steps measured before a budget in minutes becomes a number of steps."""


@dataclass(frozen=True)
class Workers:
    """This process among those of one training (torchrun sets the variables)."""

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        return self.rank == 0


def choose_precision(recipe: CommonRecipe, device: torch.device) -> torch.dtype | None:
    """bfloat16 where it is asked for, or where the hardware computes it natively; None for float32."""
    if recipe.precision == "float32":
        return None
    if recipe.precision == "bfloat16":
        return torch.bfloat16
    return torch.bfloat16 if has_bfloat16(device) else None


@contextmanager
def join_workers(device: str | None) -> Iterator[Workers]:
    """The process group of torchrun's environment; a group of one without it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and world > 1:
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    chosen = torch.device(name)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if world == 1:
        yield Workers(0, 1, chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Workers(rank, world, chosen)
    finally:
        dist.destroy_process_group()


@contextmanager
def catch_signals() -> Iterator[list[int]]:
    """A list that fills when Ctrl-C or a termination arrives, so that a step ends before the loop does."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    names = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(name, lambda number, _frame: caught.append(number)) for name in names]
    try:
        yield caught
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)


class Training:
    """A training under way; `run` takes it to its end."""

    def __init__(
        self,
        recipe: CommonRecipe,
        lesson: Lesson,
        sampler: Callable[[Stage], Batches],
        folder: Path,
        data: str,
        workers: Workers,
        progress: Progress | None = None,
    ):
        self.recipe, self.folder, self.workers, self.progress = recipe, folder, workers, progress
        self.lesson = lesson
        self.model = lesson.model.to(workers.device)
        self.taught: nn.Module = lesson.module(choose_precision(recipe, workers.device))
        if workers.world > 1:
            self.taught = DistributedDataParallel(self.taught, find_unused_parameters=True)
        self.mean = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(recipe.optimiser.ema), use_buffers=False
        )
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(),
            lr=recipe.optimiser.learning_rate,
            betas=recipe.optimiser.betas,
            weight_decay=recipe.optimiser.weight_decay,
        )
        self.samplers = [sampler(stage) for stage in recipe.stages]
        minutes = recipe.budget.minutes
        self.plan = Plan(
            step=0,
            steps=None if minutes else recipe.budget.steps,
            seconds=0.0,
            processor=0.0,
            best=None,
            stale=0,
            gradient=None,
            recipe=recipe.model_dump(mode="json"),
            data=data,
        )

    def resume(self) -> None:
        """Go on from the folder's checkpoint; a changed recipe or other data is refused."""
        plan = load_checkpoint(self.folder, self.model, self.mean, self.optimiser)
        if plan["recipe"] != self.plan["recipe"] or plan["data"] != self.plan["data"]:
            raise VivaeError(
                f"{self.folder} was trained with another recipe or other data: give the same ones to resume, or "
                "another output folder to start anew"
            )
        self.plan = plan

    def learning_rate(self, step: int, steps: int) -> float:
        """Linear warm-up, then a cosine from the peak to `final` of it; anew where a stage says so."""
        settings = self.recipe.optimiser
        first, last = self.recipe.span_at(step, steps)
        step, steps = step - first, last - first
        if step < settings.warmup:
            return settings.learning_rate * (step + 1) / settings.warmup
        share = (step - settings.warmup) / max(1, steps - settings.warmup)
        low = settings.final
        return settings.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))

    def one_step(self) -> dict[str, float]:
        plan = self.plan
        step = plan["step"]
        # Until the speed is known, the first stage and the warm-up apply whatever the length will be.
        steps = plan["steps"] or self.recipe.budget.steps
        index, _ = self.recipe.stage_at(step, steps)
        if step and step == self.recipe.span_at(step, steps)[0]:
            plan["gradient"] = None  # something else is taught from here on
        workers = self.workers
        generator = generator_of(self.recipe.seed, step, workers.rank, workers.device)
        batch = self.lesson.batch(self.samplers[index](step), step, generator)
        rate = self.learning_rate(step, steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.taught.train()
        loss, figures = self.taught(*batch)
        self.optimiser.zero_grad(set_to_none=True)
        if loss.requires_grad:  # what is solved in closed form has nothing to descend
            loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optimiser.clip)
        if self.is_usual(norm.item()):
            self.optimiser.step()
            self.mean.update_parameters(self.model)
        else:
            logger.warning("step %d had a gradient of norm %g and was left out", step, norm)
        plan["step"] = step + 1
        return {
            "loss": loss.item(),
            **{name: value.item() for name, value in figures.items()},
            "learning_rate": rate,
            "gradient": norm.item(),
        }

    def is_usual(self, norm: float) -> bool:
        """Whether a gradient is near the running mean of those before; the mean follows, slowly where it is not."""
        if not math.isfinite(norm):
            return False
        usual = norm if self.plan["gradient"] is None else self.plan["gradient"]
        limit = usual * self.recipe.optimiser.skip
        self.plan["gradient"] = usual + 0.02 * (min(norm, limit) - usual)
        return norm <= limit

    def evaluate(self) -> dict[str, float]:
        """What the lesson says of the running mean of the weights."""
        with torch.no_grad():
            return self.lesson.evaluate(self.mean_model())

    def mean_model(self) -> nn.Module:
        """The running mean of the weights, ready to run."""
        model = self.mean.module
        self.lesson.settle(model)
        return model.eval()

    def run(self) -> nn.Module:
        """Train to the end of the budget, or until the test ELBO stops improving; returns the mean weights.

        Raises Interrupted on Ctrl-C or termination, with a checkpoint written.
        """
        plan, budget = self.plan, self.recipe.budget
        logs = Logs(self.folder, plan["step"]) if self.workers.leads else None
        started = time.monotonic() - plan["seconds"]
        processor = time.process_time() - plan.get("processor", 0.0)
        saved = time.monotonic()
        speed_from = (plan["step"], time.monotonic())
        with catch_signals() as caught:
            while plan["steps"] is None or plan["step"] < plan["steps"]:
                figures = self.one_step()
                plan["seconds"] = time.monotonic() - started
                plan["processor"] = time.process_time() - processor
                if plan["steps"] is None and plan["step"] - speed_from[0] >= SPEED_STEPS:
                    plan["steps"] = self.planned_steps(*speed_from)
                due = plan["step"] % budget.evaluate_every == 0 or plan["step"] == plan["steps"]
                if due and self.lesson.windows:
                    figures |= self.evaluate()
                    better = plan["best"] is None or figures["test_loss"] < plan["best"] * 0.9995
                    plan["best"] = figures["test_loss"] if better else plan["best"]
                    plan["stale"] = 0 if better else plan["stale"] + 1
                if logs:
                    logs.write(plan["step"], plan["seconds"], figures)
                    if self.progress:
                        self.progress(plan["step"], plan["steps"] or budget.steps, figures)
                if self.stops(bool(caught)):
                    self.save()
                    raise Interrupted(
                        f"training stopped at step {plan['step']} of {plan['steps']}; {self.folder / FILE} is "
                        "written: run the same command with --resume to go on"
                    )
                if budget.patience is not None and plan["stale"] >= budget.patience:
                    logger.info("the test ELBO has stopped improving: training ends at step %d", plan["step"])
                    break
                if time.monotonic() - saved > budget.checkpoint_minutes * 60:
                    self.save()
                    saved = time.monotonic()
        self.save()
        if logs:
            logs.close()
        return self.mean_model()

    def planned_steps(self, first: int, since: float) -> int:
        """Steps that fit into the budget's minutes, agreed on by all processes."""
        minutes = self.recipe.budget.minutes
        assert minutes is not None
        opening = self.recipe.stages[0]
        seconds = (time.monotonic() - since) / (self.plan["step"] - first) / (opening.batch * opening.frames)
        work = sum(stage.share * stage.batch * stage.frames for stage in self.recipe.stages)
        steps = torch.tensor(min(self.recipe.budget.steps, math.ceil(minutes * 60 / (seconds * work))))
        if self.workers.world > 1:
            steps = steps.to(self.workers.device)
            dist.broadcast(steps, 0)
        return max(int(steps), self.plan["step"])

    def stops(self, here: bool) -> bool:
        """Whether any process was asked to stop: then all do, after the same step."""
        if self.workers.world == 1:
            return here
        flag = torch.tensor(int(here), device=self.workers.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def save(self) -> None:
        if self.workers.leads:
            save_checkpoint(self.folder, self.model, self.mean, self.optimiser, self.plan)


class Logs:
    """Figures of every step as JSON lines, and for TensorBoard."""

    def __init__(self, folder: Path, step: int):
        path = folder / "log.jsonl"
        # A resumed training takes up at its checkpoint: later lines of the broken run are dropped.
        kept = []
        if step and path.exists():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= step]
        path.write_text("".join(line + "\n" for line in kept))
        self.file = path.open("a", encoding="utf-8", buffering=1)
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)

    def write(self, step: int, seconds: float, figures: dict[str, float]) -> None:
        line: dict[str, Any] = {"step": step, "seconds": round(seconds, 2)}
        self.file.write(json.dumps(line | {key: round(value, 6) for key, value in figures.items()}) + "\n")
        for key, value in figures.items():
            self.board.add_scalar(key, value, step)

    def close(self) -> None:
        self.file.close()
        self.board.close()


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError):
        return 1 << 62
