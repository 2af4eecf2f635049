"""`train`: a recipe and a folder of footage in; a model, its figures on the test half, and a sheet out."""

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel
from torch import nn

from vivae.app.sheet import Score, means, score, write_sheet
from vivae.errors import InputError
from vivae.media import atomic_path
from vivae.train.between_lesson import BetweenLesson, PassageSampler
from vivae.train.checkpoint import FILE
from vivae.train.critic import Taught
from vivae.train.dataset import Dataset, Passage, check_usable, prepare
from vivae.train.degrade import Pair, PairSampler, make_pairs, pair_windows
from vivae.train.disturb import MixedSampler
from vivae.train.enhance_lesson import EnhanceLesson
from vivae.train.familiar import known_footage
from vivae.train.generating import composed_lesson, split_pictures, window_lesson
from vivae.train.lesson import Batches, Lesson
from vivae.train.loop import Training, Workers, join_workers
from vivae.train.motion_lesson import FlowSampler, MotionLesson
from vivae.train.recipe import (
    AnyRecipe,
    BetweenRecipe,
    EnhancerRecipe,
    GeneratorRecipe,
    Recipe,
    SegmenterRecipe,
    Stage,
    load_recipe,
)
from vivae.train.sampler import ClipSampler, Window, evaluation_windows
from vivae.train.scene import background_of, camera_size
from vivae.train.vae_lesson import VAELesson
from vivae.vae.config import WEIGHTLESS
from vivae.vae.enhancer import Enhancer
from vivae.vae.generator import Generator
from vivae.vae.middle import MiddleFrame
from vivae.vae.model import VideoVAE
from vivae.vae.segmenter import FlowSegmenter
from vivae.vae.zoo import load_enhancer, load_middle, load_model, load_segmenter, serialise

logger = logging.getLogger(__name__)

TEST_WINDOWS = 12
TEST_PAIRS = 24
Report = Callable[[str, int, int | None], None]
"""Progress: what is being done, how far, of how many."""
Watch = Callable[[int, int, dict[str, float]], None]


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
    overrides: Mapping[str, Any] | None = None,
    watch: Watch | None = None,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Train a model on the footage under `data`.

    recipe: a path or a shipped name. output: the folder for all that is made, runs/NAME unless said; it is then a model
    for every other verb. minutes, steps: instead of the recipe's budget. resume: go on from the folder's checkpoint.
    force: start anew in a folder that holds a training. overrides: dotted names of the recipe's settings, such as
    "optimiser.learning_rate", to values. watch: called after every step with it, their number, and the latest figures.
    Returns the mean figures of the test half. Raises InputError, VivaeError, and Interrupted after Ctrl-C, with a
    checkpoint written.
    """
    budget = {"budget.minutes": minutes, "budget.steps": steps}
    given = {key: value for key, value in budget.items() if value is not None}
    chosen = load_recipe(find_recipe(recipe), {**(overrides or {}), **given})
    folder = Path(output) if output is not None else Path("runs") / chosen.model.name
    if resume and not (folder / FILE).is_file():
        raise InputError(f"{folder} holds no checkpoint to resume")
    if not resume and not force and (folder / FILE).is_file():
        raise InputError(f"{folder} holds a training: --resume goes on with it, --force starts anew")
    with join_workers(device) as workers:
        return _train(chosen, Path(data), folder, resume, workers, progress if workers.leads else None, watch)


def _train(
    recipe: AnyRecipe,
    data: Path,
    folder: Path,
    resume: bool,
    workers: Workers,
    progress: Report | None,
    watch: Watch | None,
) -> dict[str, Any]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from error

    def told(label: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(label, done, total)

    torch.manual_seed(recipe.seed)
    composed = isinstance(recipe, GeneratorRecipe) and recipe.composed is not None
    dataset = None if composed else _prepare(data, recipe, folder, workers, told("reading clips"))

    def stepped(step: int, steps: int, figures: dict[str, float]) -> None:
        if progress:
            progress("training", step, steps)
        if watch:
            watch(step, steps, figures)

    windows: list[Window] = []
    share: dict[str, int] = {"seed": recipe.seed, "rank": workers.rank, "world": workers.world}
    lesson: Lesson
    sampler: Callable[[Stage], Batches]
    identity = "" if dataset is None else dataset.identity
    if isinstance(recipe, GeneratorRecipe):
        if dataset is None:
            pictures = split_pictures(recipe, data)
            identity = hashlib.sha256(pictures[0].images.tobytes()).hexdigest()
            lesson, sampler = composed_lesson(recipe, pictures, share)
        else:
            lesson, sampler = window_lesson(recipe, (dataset.train, dataset.test), share)
    elif isinstance(recipe, Recipe):
        assert dataset is not None
        windows = evaluation_windows(dataset.test, recipe.data.crop, TEST_WINDOWS)
        lesson, sampler = _vae_lesson(recipe, dataset, windows, share)
    elif isinstance(recipe, BetweenRecipe):
        assert dataset is not None
        lesson, sampler = _between_lesson(recipe, dataset, share)
    elif isinstance(recipe, SegmenterRecipe):
        assert dataset is not None
        lesson, sampler = _motion_lesson(recipe, dataset, share)
    else:
        assert dataset is not None
        pairs = _pairs(recipe, dataset, folder, workers, told("degrading clips"))
        lesson, sampler = _enhance_lesson(recipe, dataset, pairs, share)

    run = Training(recipe, lesson, sampler, folder, identity, workers, stepped)
    if resume:
        run.resume()
    trained = run.run()
    if not workers.leads:
        return {}
    return _finish(trained, run, dataset, windows, folder, told("testing"))


APART_OF_ENHANCERS = frozenset(
    {"depths", "scene_features", "scene_size", "blends", "attributes", "sharp", "settled", "finest"}
)
"""In what an enhancer may differ from the one whose weights it begins with."""
Lessons = tuple[Lesson, Callable[[Stage], Batches]]
M = TypeVar("M", MiddleFrame, FlowSegmenter)


def _vae_lesson(recipe: Recipe, dataset: Dataset, windows: list[Window], share: dict[str, int]) -> Lessons:
    model = new_vae(recipe)
    lesson = VAELesson(recipe, model, [window.frames[None] for window in windows])
    return lesson, lambda stage: ClipSampler(dataset.train, recipe.data, stage, **share)


def _between_lesson(recipe: BetweenRecipe, dataset: Dataset, share: dict[str, int]) -> Lessons:
    chosen = PassageSampler(dataset.test, recipe.data, recipe.gaps, Stage(batch=1, frames=1), seed=0)
    model = _begun(MiddleFrame(recipe.model), recipe.start_from, load_middle)
    lesson = BetweenLesson(model, [chosen(step) for step in range(2 * TEST_PAIRS)])
    return lesson, lambda stage: PassageSampler(
        dataset.train, recipe.data, recipe.gaps, stage, lively=recipe.lively, **share
    )


def _motion_lesson(recipe: SegmenterRecipe, dataset: Dataset, share: dict[str, int]) -> Lessons:
    chosen = FlowSampler(dataset.test, recipe.data, recipe.scenes, Stage(batch=4, frames=1), seed=0)
    model = _begun(FlowSegmenter(recipe.model), recipe.start_from, load_segmenter)
    lesson = MotionLesson(model, recipe.scenes.prior, [chosen(step) for step in range(TEST_PAIRS // 2)])
    return lesson, lambda stage: FlowSampler(dataset.train, recipe.data, recipe.scenes, stage, **share)


def _enhance_lesson(
    recipe: EnhancerRecipe, dataset: Dataset, pairs: tuple[list[Pair], list[Pair]], share: dict[str, int]
) -> Lessons:
    model = _new_enhancer(recipe, dataset.train)
    train, test = pairs
    frames = recipe.stages[-1].frames
    weights = (recipe.steady, recipe.perceptual, recipe.adversarial)
    if not recipe.disturb.shares:
        lesson = EnhanceLesson(model, pair_windows(test, recipe.data.crop, frames, TEST_PAIRS), *weights)
        return lesson, lambda stage: PairSampler(train, recipe.data, stage, **share)
    chosen = MixedSampler(
        dataset.test, test, recipe.data, recipe.disturb, Stage(batch=1, frames=frames), seed=0
    )
    lesson = EnhanceLesson(model, [chosen(step) for step in range(2 * TEST_PAIRS)], *weights)
    return lesson, lambda stage: MixedSampler(
        dataset.train, train, recipe.data, recipe.disturb, stage, **share
    )


def _begun(model: M, start_from: str | None, load: Callable[[str], M]) -> M:
    """With the weights of another of the same shape, where the recipe starts from one."""
    if start_from is not None:
        start = load(start_from)
        _check_same_shape(start.config, model.config, start_from)
        model.load_state_dict(start.state_dict())
    return model


def new_vae(recipe: Recipe) -> VideoVAE:
    """With all weights of a model of the same shape, or the transforms of a smaller one."""
    model = VideoVAE(recipe.model)
    if recipe.start_from is None:
        return model
    start, apart = load_model(recipe.start_from), set(WEIGHTLESS)
    if start.config.model_dump(exclude=apart) == model.config.model_dump(exclude=apart):
        model.load_state_dict(start.state_dict())
        return model
    try:
        model.adopt(start)
    except ValueError as error:
        raise InputError(f"{recipe.start_from} has another shape than the recipe's model: {error}") from error
    return model


def _new_enhancer(recipe: EnhancerRecipe, passages: list[Passage]) -> Enhancer:
    config = recipe.model
    if config.scene_features:
        config = config.model_copy(update={"scene_size": camera_size(passages)})
    model = Enhancer(config)
    if recipe.start_from is not None:
        start = load_enhancer(recipe.start_from)
        _check_same_shape(start.config, config, recipe.start_from, APART_OF_ENHANCERS)
        try:
            model.adopt(start)
        except ValueError as error:
            raise InputError(
                f"{recipe.start_from} has another shape than the recipe's model: {error}"
            ) from error
    if config.scene_features:
        background = torch.from_numpy(background_of(passages)).float() / 255
        model.get_buffer("background").copy_(background)
    return model


def _check_same_shape(
    start: BaseModel, wanted: BaseModel, name: str, apart: frozenset[str] = frozenset()
) -> None:
    left_out = {"name", *apart}
    if start.model_dump(exclude=left_out) != wanted.model_dump(exclude=left_out):
        raise InputError(f"{name} has another shape than the recipe's model: use its settings")


def _pairs(
    recipe: EnhancerRecipe,
    dataset: Dataset,
    folder: Path,
    workers: Workers,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on and to test on; the first process makes them."""
    if workers.world > 1 and not workers.leads:
        torch.distributed.barrier()
    longest = max(stage.frames for stage in recipe.stages) + 1
    train, test = (
        make_pairs(check_usable(half, longest), recipe.degrade, folder / "cache", progress)
        for half in (dataset.train, dataset.test)
    )
    if workers.world > 1 and workers.leads:
        torch.distributed.barrier()
    return train, test


def _prepare(
    data: Path, recipe: AnyRecipe, folder: Path, workers: Workers, progress: Callable[[int, int], None] | None
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
    trained: nn.Module,
    run: Training,
    dataset: Dataset | None,
    windows: list[Window],
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """Save the model and measure it on the test half. dataset: None where clips were composed."""
    recipe = run.recipe
    assert isinstance(recipe, AnyRecipe)
    passages = [] if dataset is None else dataset.train
    records = [] if dataset is None else dataset.records
    notes = {
        "recipe": recipe.model_dump(mode="json"),
        "clips": len({passage.clip for passage in passages}),
        "steps": run.plan["step"],
        "minutes": round(run.plan["seconds"] / 60, 1),
        "processor_minutes": round(run.plan["processor"] / 60, 1),
        "hardware": f"{run.workers.world} x {run.workers.device}, {torch.get_num_threads()} threads",
    }
    path = folder / "model.safetensors"
    if isinstance(trained, Taught):
        trained = trained.model
    assert isinstance(trained, VideoVAE | Enhancer | Generator | FlowSegmenter | MiddleFrame)
    if isinstance(trained, VideoVAE) and dataset is not None:
        notes["familiar"] = known_footage(trained, dataset.train)
    with atomic_path(path, force=True) as beside:
        Path(beside).write_bytes(serialise(trained, notes, bits=recipe.weight_bits))
    told: dict[str, Any] = {
        "model": str(path),
        "steps": run.plan["step"],
        "minutes": round(run.plan["seconds"] / 60, 2),
        "left_out": [record.path for record in records if record.problem],
    }
    if not isinstance(recipe, Recipe):
        return told | run.evaluate()
    return told | _sheet(path, run, recipe, notes, windows, folder, progress)


def _sheet(
    path: Path,
    run: Training,
    recipe: Recipe,
    notes: dict[str, Any],
    windows: list[Window],
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """Measure what was saved on the test half and write the sheet."""
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
    return {"sheet": str(folder / "sheet.html")} | figures
