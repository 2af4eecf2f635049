"""`train`: a recipe and a folder of footage in; a model, its figures on the test half, and a sheet out."""

import logging
import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from vivae.app.sheet import Score, means, score, write_sheet
from vivae.errors import InputError
from vivae.media import atomic_path
from vivae.train.checkpoint import FILE
from vivae.train.dataset import Dataset, prepare
from vivae.train.loop import Training, Workers, join_workers
from vivae.train.recipe import Recipe, Stage, load_recipe
from vivae.train.sampler import ClipSampler, Window, evaluation_windows
from vivae.vae.model import VideoVAE
from vivae.vae.zoo import load_model, serialise

logger = logging.getLogger(__name__)

TEST_WINDOWS = 12
Report = Callable[[str, int, int | None], None]
"""Progress: what is being done, how far, of how many."""


def find_recipe(name: str | Path) -> Path:
    """A recipe's path, or the shipped recipe of that name. Raises InputError with the names there are."""
    path = Path(name)
    if path.is_file():
        return path
    # Inside the package, or beside the sources of a checkout.
    places = [Path(str(resources.files("vivae"))) / "recipes", Path(__file__).parents[3] / "recipes"]
    for place in places:
        if (place / f"{name}.yaml").is_file():
            return place / f"{name}.yaml"
    shipped = sorted({found.stem for place in places for found in place.glob("*.yaml")})
    raise InputError(f"there is no recipe {name}: give a path, or one of {', '.join(shipped)}")


def train(
    recipe: str | Path,
    data: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    force: bool = False,
    device: str | None = None,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Train a model on the footage under `data`.

    recipe: a path or a shipped name. output: the folder for all that is made, runs/NAME unless said; it is then a model
    for every other verb. minutes, steps: instead of the recipe's budget. resume: go on from the folder's checkpoint.
    force: start anew in a folder that holds a training.
    Returns the mean figures of the test half. Raises InputError, VivaeError, and Interrupted after Ctrl-C, with a
    checkpoint written.
    """
    overrides = {"budget.minutes": minutes, "budget.steps": steps}
    chosen = load_recipe(
        find_recipe(recipe), {key: value for key, value in overrides.items() if value is not None}
    )
    folder = Path(output) if output is not None else Path("runs") / chosen.model.name
    if resume and not (folder / FILE).is_file():
        raise InputError(f"{folder} holds no checkpoint to resume")
    if not resume and not force and (folder / FILE).is_file():
        raise InputError(f"{folder} holds a training: --resume goes on with it, --force starts anew")
    with join_workers(device) as workers:
        return _train(chosen, Path(data), folder, resume, workers, progress if workers.leads else None)


def _train(
    recipe: Recipe, data: Path, folder: Path, resume: bool, workers: Workers, progress: Report | None
) -> dict[str, Any]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from error

    def told(label: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(label, done, total)

    dataset = _prepare(data, recipe, folder, workers, told("reading clips"))
    windows = evaluation_windows(dataset.test, recipe.data.crop, TEST_WINDOWS)

    def sampler(stage: Stage) -> ClipSampler:
        return ClipSampler(
            dataset.train, recipe.data, stage, seed=recipe.seed, rank=workers.rank, world=workers.world
        )

    torch.manual_seed(recipe.seed)
    model = VideoVAE(recipe.model)
    if recipe.start_from is not None:
        start = load_model(recipe.start_from)
        if start.config.model_copy(update={"name": recipe.model.name}) != recipe.model:
            raise InputError(
                f"{recipe.start_from} has another shape than the recipe's model: use its settings"
            )
        model.load_state_dict(start.state_dict())

    def stepped(step: int, steps: int, _figures: dict[str, float]) -> None:
        if progress:
            progress("training", step, steps)

    arrays = [window.frames[None] for window in windows]
    run = Training(recipe, model, sampler, arrays, folder, dataset.identity, workers, stepped)
    if resume:
        run.resume()
    trained = run.run()
    if not workers.leads:
        return {}
    return _finish(trained, run, dataset, windows, folder, told("testing"))


def _prepare(
    data: Path, recipe: Recipe, folder: Path, workers: Workers, progress: Callable[[int, int], None] | None
) -> Dataset:
    """The dataset in every process; the first one makes the cache and the others find it made."""
    if workers.world > 1 and not workers.leads:
        torch.distributed.barrier()
    dataset = prepare(data, recipe.data, folder / "cache", progress)
    if workers.world > 1 and workers.leads:
        torch.distributed.barrier()
    if workers.leads:
        (folder / "data.txt").write_text(dataset.report() + "\n", encoding="utf-8")
    return dataset


def _finish(
    trained: VideoVAE,
    run: Training,
    dataset: Dataset,
    windows: list[Window],
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """Save the model, then measure what was saved on the test half and write the sheet."""
    recipe = run.recipe
    notes = {
        "recipe": recipe.model_dump(mode="json"),
        "clips": len({passage.clip for passage in dataset.train}),
        "steps": run.plan["step"],
        "minutes": round(run.plan["seconds"] / 60, 1),
        "hardware": f"{run.workers.world} x {run.workers.device}, {torch.get_num_threads()} threads",
    }
    path = folder / "model.safetensors"
    with atomic_path(path, force=True) as beside:
        Path(beside).write_bytes(serialise(trained, notes))
    model = load_model(path)
    scores: list[Score] = []
    wanted = (*recipe.model.nested, recipe.model.latent_channels)
    for index, window in enumerate(windows):
        scores += [score(model, window, channels) for channels in wanted]
        if progress:
            progress(index + 1, len(windows))
    settings = {
        "name": recipe.model.name,
        "steps": str(run.plan["step"]),
        "minutes": f"{run.plan['seconds'] / 60:.1f}",
        "training clips": str(notes["clips"]),
        "latent channels": str(recipe.model.latent_channels),
        "stride": f"{recipe.model.stride} pixels, {recipe.model.temporal_stride} frames",
        "posterior": recipe.model.posterior,
        "crop": f"{recipe.data.crop} pixels",
    }
    write_sheet(folder / "sheet.html", recipe.model.name, scores, folder / "log.jsonl", settings)
    figures = means(item for item in scores if item.channels == recipe.model.latent_channels)
    return {
        "model": str(path),
        "sheet": str(folder / "sheet.html"),
        "steps": run.plan["step"],
        "minutes": round(run.plan["seconds"] / 60, 2),
        "left_out": [record.path for record in dataset.records if record.problem],
    } | figures
