"""`tune`: which learning rate, width, depth and latent size suit a recipe on your footage, by trying.

A study of Optuna (Akiba et al., KDD 2019) in a file: it goes on when it is interrupted, and the same command in several
shells makes as many workers. Trials that do worse than the median of the others at the same step are given up.
"""

import logging
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from vivae.app.training import find_recipe, train
from vivae.errors import InputError, UnsupportedError, VivaeError
from vivae.media import atomic_path
from vivae.train.recipe import AnyRecipe, GeneratorRecipe, Recipe, load_recipe

if TYPE_CHECKING:
    import optuna

logger = logging.getLogger(__name__)

RATE_SPAN = 4.0
"""The learning rate is sought within this factor of the recipe's."""
WIDTHS = (0.5, 0.75, 1.0, 1.25, 1.5)
LATENTS = (0.5, 1.0, 1.5)
WIDTH_UNIT = 8
MEASURE = "test_loss"
EVALUATIONS = 8
"""Of each trial, when it may be given up."""


def tune(
    recipe: str | Path,
    data: str | os.PathLike[str],
    *,
    trials: int = 20,
    minutes: float | None = None,
    steps: int | None = None,
    output: str | os.PathLike[str] | None = None,
    progress: Callable[[str, float], None] = lambda label, share: None,
) -> dict[str, Any]:
    """Search the settings of a recipe for the least test loss on the footage under `data`.

    trials: in all, those of earlier runs and other workers counted. minutes, steps: of each trial, instead of the
    recipe's budget. output: the folder for the study, `report.md` and `best.yaml`, the winning recipe; tuning/NAME
    unless said. Returns the best settings and what mattered. Raises InputError, and UnsupportedError without the
    `tune` extra.
    """
    try:
        import optuna
    except ImportError as error:
        raise UnsupportedError("tuning needs optuna: pip install 'vivae[tune]'") from error
    if trials < 1:
        raise InputError(f"there must be at least 1 trial, not {trials}")
    path = find_recipe(recipe)
    base = load_recipe(path, _budget(minutes, steps))
    if isinstance(base, GeneratorRecipe) and base.model.flow is None:
        raise InputError(f"the recipe '{path.stem}' has no flow, and so nothing that is tuned of a generator")
    folder = Path(output) if output is not None else Path("tuning") / base.model.name
    (folder / "cache").mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=base.model.name,
        storage=f"sqlite:///{folder / 'study.db'}",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=base.seed, constant_liar=True),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
    )
    finished = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)

    def attempt(trial: "optuna.Trial") -> float:
        done = len(study.get_trials(deepcopy=False, states=finished))
        progress(f"trial {done + 1} of {trials}", min(1.0, done / trials))
        overrides = _drawn(trial, base) | _budget(minutes, steps)
        return _tried(trial, path, Path(data), folder / f"trial-{trial.number:03d}", overrides)

    if not study.trials:
        study.enqueue_trial(_usual(base))
    stop = optuna.study.MaxTrialsCallback(trials, states=finished)
    if len(study.get_trials(deepcopy=False, states=finished)) < trials:
        study.optimize(attempt, callbacks=[stop], catch=(VivaeError,))
    return _report(study, base, path, folder)


def _budget(minutes: float | None, steps: int | None) -> dict[str, Any]:
    """Overrides of a recipe. With `steps`, a trial is measured often enough to be given up early."""
    often = None if steps is None else max(1, steps // EVALUATIONS)
    given = {"budget.minutes": minutes, "budget.steps": steps, "budget.evaluate_every": often}
    return {name: value for name, value in given.items() if value is not None}


def _usual(base: AnyRecipe) -> dict[str, Any]:
    """The recipe as it is: the first trial, which the others must beat."""
    told: dict[str, Any] = {"learning_rate": base.optimiser.learning_rate, "width": 1.0, "depth": 0}
    return told | ({"latent": 1.0} if isinstance(base, Recipe) else {})


def _drawn(trial: "optuna.Trial", base: AnyRecipe) -> dict[str, Any]:
    """A trial's settings as overrides of the recipe."""
    usual = base.optimiser.learning_rate
    rate = trial.suggest_float("learning_rate", usual / RATE_SPAN, min(usual * RATE_SPAN, 0.9), log=True)
    width = trial.suggest_categorical("width", WIDTHS)
    deeper = trial.suggest_int("depth", 0, 1)
    drawn: dict[str, Any] = {"optimiser.learning_rate": rate}
    if isinstance(base, GeneratorRecipe):
        flow = base.model.flow
        assert flow is not None
        drawn["model.flow.width"] = max(1, round(flow.width * width / (4 * flow.heads))) * 4 * flow.heads
        drawn["model.flow.depth"] = flow.depth + deeper
        return drawn
    for name, sides in base.model:
        if name.endswith("widths"):
            drawn[f"model.{name}"] = [_multiple(side * width) for side in sides]
        elif name.endswith("depths"):
            drawn[f"model.{name}"] = [depth + deeper for depth in sides]
    if isinstance(base, Recipe):
        latent = trial.suggest_categorical("latent", LATENTS)
        most = max(base.model.nested, default=0) + 1
        drawn["model.latent_channels"] = max(most, round(base.model.latent_channels * latent))
    return drawn


def _multiple(width: float) -> int:
    return max(WIDTH_UNIT, round(width / WIDTH_UNIT) * WIDTH_UNIT)


def _tried(
    trial: "optuna.Trial", path: Path, data: Path, folder: Path, overrides: Mapping[str, Any]
) -> float:
    import optuna

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "cache").symlink_to(Path("..") / "cache")
    best = math.inf

    def watch(step: int, steps: int, figures: Mapping[str, float]) -> None:
        nonlocal best
        if MEASURE in figures:
            best = min(best, figures[MEASURE])
            trial.report(figures[MEASURE], EVALUATIONS * step // steps)
            if trial.should_prune():
                raise optuna.TrialPruned

    try:
        train(path, data, output=folder, force=True, overrides=overrides, watch=watch)
    finally:
        for left in (folder / "tensorboard", folder / "checkpoint.safetensors"):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    return best


def _mattering(shares: Mapping[str, float]) -> list[str]:
    """Lines of the report; none where there were too few trials to tell."""
    if not shares:
        return []
    told = [f"- {name}: {share:.0%}" for name, share in shares.items()]
    return [
        "What mattered (share of the difference between good and other trials, PED-ANOVA):",
        "",
        *told,
        "",
    ]


def _report(study: "optuna.Study", base: AnyRecipe, path: Path, folder: Path) -> dict[str, Any]:
    import optuna

    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if not complete:
        raise VivaeError(f"no trial of {path} came to an end: try it with vivae train first")
    best = study.best_trial
    mattered: dict[str, float] = {}
    if len(complete) > 3:
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        mattered = optuna.importance.get_param_importances(study, evaluator=evaluator)
    drawn = _drawn(optuna.trial.FixedTrial(best.params), base)  # type: ignore[arg-type]
    winner = load_recipe(path, drawn)
    with atomic_path(folder / "best.yaml", force=True) as beside:
        beside.write_text(yaml.safe_dump(winner.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    names = list(best.params)
    usual = f"{complete[0].value:.4f}" if complete[0].number == 0 else "given up"
    lines = [
        f"# Tuning {base.model.name}",
        "",
        f"The best of {len(study.trials)} trials, {MEASURE} {best.value:.4f} (the recipe as it was: {usual}):",
        "",
        *(f"- {name}: {value:.4g}" for name, value in best.params.items()),
        "",
        *_mattering(mattered),
        f"| trial | {MEASURE} | state | " + " | ".join(names) + " |",
        "| ---: | ---: | --- |" + " ---: |" * len(names),
    ]
    for trial in sorted(study.trials, key=lambda item: (item.value is None, item.value)):
        value = "-" if trial.value is None else f"{trial.value:.4f}"
        cells = [f"{trial.params[name]:.4g}" if name in trial.params else "-" for name in names]
        lines.append(f"| {trial.number} | {value} | {trial.state.name.lower()} | " + " | ".join(cells) + " |")
    with atomic_path(folder / "report.md", force=True) as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {
        "recipe": str(folder / "best.yaml"),
        "report": str(folder / "report.md"),
        "trials": len(study.trials),
        MEASURE: best.value,
        "settings": dict(best.params),
        "mattered": {name: round(share, 3) for name, share in mattered.items()},
    }
