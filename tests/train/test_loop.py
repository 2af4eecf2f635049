"""The loop's promises: exact resume, clean interruption, early stop, and several processes as one."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vivae.errors import FormatError, Interrupted, VivaeError
from vivae.train.checkpoint import FILE
from vivae.train.loop import Training, Workers, join_workers
from vivae.train.recipe import Recipe
from vivae.train.vae_lesson import VAELesson
from vivae.vae.model import VideoVAE

SETTINGS = {
    "model": {
        "name": "test",
        "stride": 8,
        "latent_channels": 6,
        "nested": [2],
        "widths": [8, 12],
        "encoder_depths": [0, 1],
        "decoder_depths": [0, 1],
        "memory_channels": 4,
        "prior_width": 8,
    },
    "data": {"crop": 32},
    "optimiser": {"learning_rate": 2e-3, "warmup": 2, "ema": 0.9},
    "stages": [{"share": 0.5, "batch": 2, "frames": 2}, {"share": 0.5, "batch": 1, "frames": 3}],
    "budget": {"steps": 8, "evaluate_every": 4},
    "precision": "float32",
}


def sampler(stage):
    def batch(step):
        rng = np.random.default_rng((7, step))
        flat = rng.integers(40, 200, (stage.batch, 1, 3, 2, 2), dtype=np.uint8)
        return flat.repeat([16, 4, 4], 2).repeat(4, 3).repeat(4, 4).repeat(stage.frames, 1)

    return batch


def training(folder: Path, progress=None, **changes) -> Training:
    recipe = Recipe.model_validate(SETTINGS | changes)
    folder.mkdir(exist_ok=True)
    torch.manual_seed(recipe.seed)
    workers = Workers(0, 1, torch.device("cpu"))
    windows = [sampler(recipe.stages[0])(1000)]
    lesson = VAELesson(recipe, VideoVAE(recipe.model), windows)
    return Training(recipe, lesson, sampler, folder, "data", workers, progress)


def interrupt_at(step_wanted: int):
    def progress(step, steps, figures):
        if step == step_wanted:
            os.kill(os.getpid(), signal.SIGINT)

    return progress


@pytest.mark.parametrize("where", [2, 5])
def test_a_resumed_run_reaches_the_same_weights(tmp_path, where):
    whole = training(tmp_path / "whole").run().state_dict()
    with pytest.raises(Interrupted, match="--resume"):
        training(tmp_path / "broken", interrupt_at(where)).run()
    assert (tmp_path / "broken" / FILE).exists()
    again = training(tmp_path / "broken")
    again.resume()
    assert again.plan["step"] == where
    resumed = again.run().state_dict()
    assert whole.keys() == resumed.keys()
    for key, value in whole.items():
        assert torch.equal(value, resumed[key]), key
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "broken")
    ]
    assert [(line["step"], line["loss"]) for line in logs[0]] == [
        (line["step"], line["loss"]) for line in logs[1]
    ]


def test_another_recipe_is_not_resumed(tmp_path):
    training(tmp_path / "run").run()
    with pytest.raises(VivaeError, match="another recipe"):
        training(tmp_path / "run", seed=5).resume()


def test_a_damaged_checkpoint_says_so(tmp_path):
    training(tmp_path / "run").run()
    path = tmp_path / "run" / FILE
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(FormatError, match="cannot be resumed"):
        training(tmp_path / "run").resume()


def test_it_stops_when_nothing_improves(tmp_path):
    frozen = {"learning_rate": 1e-12, "warmup": 0, "ema": 0.9}
    budget = {"steps": 50, "evaluate_every": 2, "patience": 3}
    run = training(tmp_path / "run", optimiser=frozen, budget=budget)
    run.run()
    assert run.plan["step"] == 8


def test_minutes_become_steps(tmp_path):
    run = training(tmp_path / "run", budget={"steps": 100000, "minutes": 0.02})
    run.run()
    assert run.plan["steps"] is not None
    assert run.plan["step"] == run.plan["steps"] < 100000


def test_accidents_are_left_out_and_lasting_change_is_not(tmp_path):
    run = training(tmp_path / "run")
    assert all(run.is_usual(norm) for norm in (3.0, 2.0, 4.0, 3.0))
    assert not run.is_usual(500.0)
    assert not run.is_usual(math.inf)
    assert run.is_usual(3.0)
    assert any(run.is_usual(500.0) for _ in range(20))


def test_it_learns(tmp_path):
    figures = []
    run = training(
        tmp_path / "run",
        lambda _step, _steps, now: figures.append(now["loss"]),
        budget={"steps": 60, "evaluate_every": 30},
        stages=[{"batch": 2, "frames": 2}],
        objective={"best_share": 1, "nested_share": 0, "beta_warmup": 0},
    )
    run.run()
    assert np.mean(figures[-10:]) < 0.8 * np.mean(figures[:10])


def test_two_processes_keep_equal_weights(tmp_path):
    """torchrun with gloo: both processes end with the same weights, and only one of them writes."""
    script = tmp_path / "two.py"
    script.write_text(
        "import json, sys, torch\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from pathlib import Path\n"
        "from tests.train.test_loop import SETTINGS, sampler\n"
        "from vivae.train.loop import Training, join_workers\n"
        "from vivae.train.recipe import Recipe\n"
        "from vivae.train.vae_lesson import VAELesson\n"
        "from vivae.vae.model import VideoVAE\n"
        "recipe = Recipe.model_validate(SETTINGS)\n"
        "folder = Path(sys.argv[1])\n"
        "with join_workers('cpu') as workers:\n"
        "    torch.manual_seed(0)\n"
        "    shifted = lambda stage: lambda step: sampler(stage)(step * 2 + workers.rank)\n"
        "    lesson = VAELesson(recipe, VideoVAE(recipe.model), [])\n"
        "    run = Training(recipe, lesson, shifted, folder, 'data', workers)\n"
        "    model = run.run()\n"
        "    total = sum(value.double().abs().sum().item() for value in model.state_dict().values())\n"
        "    (folder / f'rank{workers.rank}.json').write_text(json.dumps([workers.world, total]))\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            script,
            tmp_path,
        ],
        check=True,
        env=environment,
        timeout=300,
        capture_output=True,
    )
    one, two = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert one == two
    assert one[0] == 2
    assert (tmp_path / FILE).exists()


def test_a_single_process_needs_no_group():
    with join_workers("cpu") as workers:
        assert workers.world == 1
        assert workers.leads
