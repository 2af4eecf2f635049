"""`train` from a folder of real footage to a model that other verbs can use, and the ways it can end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vivae.app.training import find_recipe, new_vae, train
from vivae.errors import InputError
from vivae.media import open_video, open_writer
from vivae.train.recipe import Recipe, load_recipe
from vivae.vae.zoo import load_model, notes_of

RECIPE = """
model:
  {name: mine, stride: 8, latent_channels: 6, nested: [2], widths: [8, 12], encoder_depths: [0, 1],
   decoder_depths: [0, 1], memory_channels: 4, prior_width: 8}
data: {crop: 32, downscale: 8, min_side: 32, max_frames: 30}
stages: [{batch: 2, frames: 2}]
optimiser: {warmup: 2, ema: 0.9}
budget: {steps: 6, evaluate_every: 3}
"""


SHIPPED = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
BEGUN = [path for path in SHIPPED if isinstance(one := load_recipe(path), Recipe) and one.start_from]


@pytest.mark.parametrize("path", BEGUN, ids=lambda path: path.stem)
def test_shipped_recipes_suit_the_weights_they_begin_with(path):
    recipe = load_recipe(path)
    assert new_vae(recipe).config == recipe.model


@pytest.fixture
def recipe(tmp_path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def footage(tmp_path_factory, bikes) -> Path:
    """Two passages of a real clip as files of their own, and one that is broken."""
    root = tmp_path_factory.mktemp("footage")
    for index, start in enumerate((0.0, 3.0)):
        with open_video(bikes, start=start, end=start + 0.8) as reader:
            info = reader.info
            with open_writer(
                root / f"part{index}.mkv",
                width=info.width,
                height=info.height,
                fps=info.fps,
                color=info.color,
                codec="h264",
            ) as writer:
                for frame in reader:
                    writer.write(frame)
    (root / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + b"x" * 500)
    return root


def test_a_training_ends_with_a_model_and_a_sheet(recipe, footage, tmp_path):
    seen = []
    result = train(
        recipe, footage, output=tmp_path / "run", device="cpu", progress=lambda *now: seen.append(now)
    )
    assert result["steps"] == 6
    assert result["left_out"] == [str(footage / "broken.mp4")]
    assert 10 < result["psnr_yuv"] < 60
    assert {label for label, _, _ in seen} == {"reading clips", "training", "testing"}
    model = load_model(tmp_path / "run")
    assert model.config.name == "mine"
    assert notes_of(tmp_path / "run")["steps"] == 6
    page = (tmp_path / "run" / "sheet.html").read_text()
    for text in ("PSNR-YUV", "MS-SSIM", "Negative ELBO", "data:image/png;base64", "2 latent channels"):
        assert text in page
    assert "broken.mp4: left out" in (tmp_path / "run" / "data.txt").read_text()


def test_a_folder_with_a_training_is_not_overwritten_unasked(recipe, footage, tmp_path):
    train(recipe, footage, output=tmp_path / "run", device="cpu")
    with pytest.raises(InputError, match="--resume"):
        train(recipe, footage, output=tmp_path / "run", device="cpu")
    first = Path(tmp_path / "run" / "model.safetensors").stat().st_size
    recipe.write_text(RECIPE + "weight_bits: 8\n")
    again = train(recipe, footage, output=tmp_path / "run", device="cpu", force=True)
    assert again["steps"] == 6
    assert Path(tmp_path / "run" / "model.safetensors").stat().st_size < first
    assert load_model(tmp_path / "run").config.name == "mine"


def test_nothing_to_resume_says_so(recipe, footage, tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        train(recipe, footage, output=tmp_path / "run", resume=True, device="cpu")


def test_recipes_are_found_by_name():
    assert find_recipe("tiny").name == "tiny.yaml"
    with pytest.raises(InputError, match="base"):
        find_recipe("nonesuch")


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(recipe, footage, tmp_path):
    text = (
        recipe.read_text()
        .replace("steps: 6", "steps: 100000")
        .replace("evaluate_every: 3", "evaluate_every: 90000")
    )
    recipe.write_text(text)
    command = [
        sys.executable,
        "-m",
        "vivae",
        "train",
        str(recipe),
        "--data",
        str(footage),
        "-o",
        str(tmp_path / "run"),
    ]
    process = subprocess.Popen(
        [*command, "--device", "cpu"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (log.exists() and log.read_text().count("\n") > 3):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "--resume" in errors
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    done = json.loads(log.read_text().splitlines()[-1])["step"]
    recipe.write_text(text.replace("steps: 100000", f"steps: {done + 3}"))
    with pytest.raises(Exception, match="another recipe"):
        train(recipe, footage, output=tmp_path / "run", resume=True, device="cpu")
