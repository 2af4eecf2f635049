"""The same work on a real Ray cluster of two nodes on this machine, also when one of them is lost."""

import shutil
import threading
import time

import pytest
import ray
from ray.cluster_utils import Cluster

import vivae
from vivae.cluster.batch import batch
from vivae.errors import InputError
from vivae.vae.zoo import notes_of

STORE = 80 << 20
OPTIONS = {"speed": 8, "quality": 30}


@pytest.fixture
def cluster(monkeypatch):
    """A head with one processor, to which nodes can be added."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else a busy machine starves it
    node = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_a_lost_node_costs_nothing(cluster, long_clip, pieces, tmp_path):
    """Short clips and a long one whose shots are spread: killed in the middle, every file is as if made alone."""
    second = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    archive, out = tmp_path / "archive", tmp_path / "out"
    shutil.copytree(pieces, archive)
    shutil.copy(long_clip, archive / "long.mkv")
    killed = []

    def kill():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not killed:
            # Shots of the long clip are kept as they are done: both nodes are at work on the others.
            if len(list(out.glob(".long.mkv.vivae/*.part"))) >= 1:
                cluster.remove_node(second, allow_graceful=False)
                killed.append(second)
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    told = batch("compress", archive, out, engine="ray", address=cluster.address, threads=1, **OPTIONS)
    killer.join()
    assert killed, "the node was to be killed while it worked"
    assert (told["done"], told["failed"]) == (4, 0), told["failures"]
    assert sorted(path.name for path in out.iterdir()) == [
        ".vivae", "0.mkv", "1.mkv", "2.mkv", "long.mkv",
    ]  # fmt: skip
    for name in ("0.mkv", "1.mkv", "2.mkv", "long.mkv"):
        vivae.compress(archive / name, tmp_path / name, threads=1, **OPTIONS)
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes(), name


@pytest.mark.slow
def test_one_long_file_on_a_cluster_from_the_command_line(cluster, long_clip, vivae_command, tmp_path):
    words = ("compress", long_clip, "--speed", "10", "--threads", "1")
    code, _, err = vivae_command(
        *words, "-o", tmp_path / "a.mp4", "--engine", "ray", "--address", cluster.address
    )
    assert code == 0, err
    vivae_command(*words, "-o", tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


RECIPE = """
model:
  {name: mine, stride: 8, latent_channels: 6, nested: [2], widths: [8, 12], encoder_depths: [0, 1],
   decoder_depths: [0, 1], memory_channels: 4, prior_width: 8}
data: {crop: 32, downscale: 1, min_side: 32, max_frames: 30}
stages: [{batch: 2, frames: 2}]
optimiser: {warmup: 2, ema: 0.9}
budget: {steps: 6, evaluate_every: 3}
"""


@pytest.mark.slow
def test_two_workers_train_one_model(cluster, long_clip, vivae_json, vivae_command, tmp_path):
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
    (tmp_path / "data").mkdir()
    shutil.copy(long_clip, tmp_path / "data")
    (tmp_path / "mine.yaml").write_text(RECIPE)
    words = ("train", tmp_path / "mine.yaml", "--data", tmp_path / "data", "-o", tmp_path / "run")
    ray_words = ("--engine", "ray", "--workers", "2", "--threads", "1", "--address", cluster.address)
    told = vivae_json(*words, *ray_words)
    assert told["steps"] == 6
    assert notes_of(tmp_path / "run")["hardware"].startswith("2 x cpu")
    code, _, err = vivae_command(*words, *ray_words)
    assert code == 2
    assert "--resume" in err


def test_workers_without_a_cluster_are_refused(vivae_command, tmp_path):
    code, _, err = vivae_command("train", "tiny", "--data", tmp_path, "--workers", "2")
    assert code == 2
    assert "ray" in err


def test_an_engine_that_is_none(tmp_path, pieces):
    with pytest.raises(InputError, match="local or ray"):
        batch("compress", pieces, tmp_path / "out", engine="abacus")
    with pytest.raises(InputError, match="--engine ray"):
        batch("compress", pieces, tmp_path / "out", address="auto")
