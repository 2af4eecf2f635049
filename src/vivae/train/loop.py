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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter

from vivae.errors import Interrupted, VivaeError
from vivae.train.checkpoint import FILE, Plan, generator_of, load_checkpoint, save_checkpoint
from vivae.train.recipe import Recipe, Stage
from vivae.vae.config import PLANES, VAEConfig
from vivae.vae.model import VideoVAE
from vivae.vae.objective import Objective, negative_elbo, train_step

logger = logging.getLogger(__name__)

Batches = Callable[[int], NDArray[np.uint8]]
"""step -> packed clips (B, T, P, h, w) uint8 of this process."""
Progress = Callable[[int, int, dict[str, float]], None]
"""Called after every step with the step, the number of steps and the latest figures."""

SPEED_STEPS = 20
"""Steps measured before a budget in minutes becomes a number of steps."""
EVALUATION_QUALITIES = (0.25, 0.6, 1.0)


@dataclass(frozen=True)
class Workers:
    """This process among those of one training (torchrun sets the variables)."""

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        return self.rank == 0


class Unroll(nn.Module):
    """The loss of a batch of clips, step after step through time; a module so that DDP can wrap it."""

    def __init__(self, model: VideoVAE, objective: Objective, precision: torch.dtype | None):
        super().__init__()
        self.model = model
        self.objective = objective
        self.precision = precision

    def forward(
        self, clips: Tensor, quality: Tensor, kept: Tensor, beta: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean loss, and distortion and bits per pixel (T, B) without gradient. clips: (B, T, P, h, w)."""
        model = self.model
        state = model.initial_state(clips.shape[0], *clips.shape[-2:])
        loss = clips.new_zeros(())
        distortions, bits = [], []
        kind = clips.device.type
        with torch.autocast(kind, dtype=self.precision or torch.bfloat16, enabled=self.precision is not None):
            for index in range(clips.shape[1]):
                step = train_step(model, clips[:, index], state, quality, self.objective, generator, kept)
                state = step.state
                loss = loss + negative_elbo(step, quality, self.objective, beta)
                distortions.append(step.distortion.detach())
                bits.append(step.bits.detach())
        return loss / clips.shape[1], torch.stack(distortions), torch.stack(bits)


def choose_precision(recipe: Recipe, device: torch.device) -> torch.dtype | None:
    """bfloat16 where it is asked for, or where the hardware computes it natively; None for float32."""
    if recipe.precision == "float32":
        return None
    if recipe.precision == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else None


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


def unpack_batch(batch: NDArray[np.uint8], config: VAEConfig, device: torch.device) -> Tensor:
    """uint8 (B, T * s, 24, h, w) -> float (B, T, P, h, w) in [0, 1]: s frames and the model's planes a step."""
    stride = config.temporal_stride
    planes = batch[:, : batch.shape[1] // stride * stride, : sum(PLANES[config.colour])]
    clips = torch.from_numpy(np.ascontiguousarray(planes)).to(device).float() / 255
    b, t, p, h, w = clips.shape
    return clips.reshape(b, t // stride, stride * p, h, w)


class Training:
    """A training under way; `run` takes it to its end."""

    def __init__(
        self,
        recipe: Recipe,
        model: VideoVAE,
        sampler: Callable[[Stage], Batches],
        windows: Sequence[NDArray[np.uint8]],
        folder: Path,
        data: str,
        workers: Workers,
        progress: Progress | None = None,
    ):
        self.recipe, self.folder, self.workers, self.progress = recipe, folder, workers, progress
        self.model = model.to(workers.device)
        settings = recipe.objective
        self.objective = Objective(
            settings.distortion, settings.rate_low, settings.rate_high, settings.balance, settings.free_bits
        )
        precision = choose_precision(recipe, workers.device)
        self.unroll: nn.Module = Unroll(self.model, self.objective, precision)
        if workers.world > 1:
            self.unroll = DistributedDataParallel(self.unroll, find_unused_parameters=True)
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
        self.windows = windows
        minutes = recipe.budget.minutes
        self.plan = Plan(
            step=0,
            steps=None if minutes else recipe.budget.steps,
            seconds=0.0,
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
        """Linear warm-up, then a cosine from the peak to `final` of it."""
        settings = self.recipe.optimiser
        if step < settings.warmup:
            return settings.learning_rate * (step + 1) / settings.warmup
        share = (step - settings.warmup) / max(1, steps - settings.warmup)
        low = settings.final
        return settings.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))

    def draw(self, clips: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Quality (B,) of each clip, and (B,) how many of its latent channels are kept."""
        settings = self.recipe.objective
        device = self.workers.device
        chance = torch.rand((3, clips), generator=generator, device=device)
        quality = torch.where(chance[0] < settings.best_share, torch.ones_like(chance[1]), chance[1])
        kept = torch.full((clips,), self.model.config.latent_channels, device=device)
        nested = self.model.config.nested
        if nested:
            # The same draw decides whether a clip is nested and, spread over the parts, how deep.
            part = (chance[2] / max(settings.nested_share, 1e-9) * len(nested)).long()
            for index, prefix in enumerate(nested):
                kept = torch.where(part == index, prefix, kept)
        return torch.where(kept < self.model.config.latent_channels, torch.ones_like(quality), quality), kept

    def one_step(self) -> dict[str, float]:
        plan = self.plan
        step = plan["step"]
        # Until the speed is known, the first stage and the warm-up apply whatever the length will be.
        steps = plan["steps"] or self.recipe.budget.steps
        index, _ = self.recipe.stage_at(step, steps)
        workers = self.workers
        clips = unpack_batch(self.samplers[index](step), self.model.config, workers.device)
        generator = generator_of(self.recipe.seed, step, workers.rank, workers.device)
        quality, kept = self.draw(len(clips), generator)
        rate = self.learning_rate(step, steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        warmup = self.recipe.objective.beta_warmup
        beta = min(1.0, 0.1 + 0.9 * step / warmup) if warmup else 1.0
        self.unroll.train()
        loss, distortion, bits = self.unroll(clips, quality, kept, beta, generator)
        self.optimiser.zero_grad(set_to_none=True)
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
            "distortion_db": decibels(distortion.mean().item()),
            "bpp": bits.mean().item(),
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

    def mean_model(self) -> VideoVAE:
        """The running mean of the weights, ready to run."""
        model = self.mean.module
        assert isinstance(model, VideoVAE)
        model.tables.copy_(self.model.tables)
        model.prior.freeze()
        return model.eval()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Negative ELBO of the test half, mean over fixed windows and qualities; and its two terms at quality 1."""
        unroll = Unroll(self.mean_model(), self.objective, None)
        totals = np.zeros(3)
        for index, window in enumerate(self.windows):
            clips = unpack_batch(window, self.model.config, self.workers.device)
            whole = torch.full((len(clips),), self.model.config.latent_channels, device=clips.device)
            for value in EVALUATION_QUALITIES:
                generator = generator_of(self.recipe.seed, index, 0, clips.device)
                quality = torch.full((len(clips),), value, device=clips.device)
                loss, distortion, bits = unroll(clips, quality, whole, 1.0, generator)
                totals[0] += loss.item() / len(EVALUATION_QUALITIES)
            totals[1:] += distortion.mean().item(), bits.mean().item()
        mean_loss, mean_distortion, mean_bits = (totals / len(self.windows)).tolist()
        return {"test_loss": mean_loss, "test_db": decibels(mean_distortion), "test_bpp": mean_bits}

    def run(self) -> VideoVAE:
        """Train to the end of the budget, or until the test ELBO stops improving; returns the mean weights.

        Raises Interrupted on Ctrl-C or termination, with a checkpoint written.
        """
        plan, budget = self.plan, self.recipe.budget
        logs = Logs(self.folder, plan["step"]) if self.workers.leads else None
        started = time.monotonic() - plan["seconds"]
        saved = time.monotonic()
        speed_from = (plan["step"], time.monotonic())
        with catch_signals() as caught:
            while plan["steps"] is None or plan["step"] < plan["steps"]:
                figures = self.one_step()
                plan["seconds"] = time.monotonic() - started
                if plan["steps"] is None and plan["step"] - speed_from[0] >= SPEED_STEPS:
                    plan["steps"] = self.planned_steps(*speed_from)
                if plan["step"] % budget.evaluate_every == 0 and self.windows:
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


def decibels(error: float) -> float:
    """PSNR of a squared error in code values."""
    return 10 * math.log10(255**2 / max(error, 1e-6))
