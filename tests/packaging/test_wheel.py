"""The wheel, installed alone into an empty environment, does the demo in an empty folder without a network."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
BLOCKER = """
import socket, sys
# Of the extras only 'demo' counts as installed.
sys.modules.update(dict.fromkeys(("imageio_ffmpeg", "skimage", "torchmetrics", "scenedetect", "pytest", "hypothesis")))
def refuse(*args, **kwargs): raise OSError("the network is off in this test")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
"""


def run(*command, **options):
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from the sources as they are."""
    folder = tmp_path_factory.mktemp("dist")
    built = run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        folder,
        ROOT,
    )
    assert built.returncode == 0, built.stderr
    return next(folder.glob("vivae-*.whl"))


@pytest.fixture(scope="module")
def offline(wheel, tmp_path_factory):
    """A function that runs a command of a fresh environment, which holds the wheel, without a network.

    Only vivae is installed there: its dependencies are linked from the environment that runs the tests, by a path that
    brings their modules along but not this project's own editable install.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    installed = run(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel
    )
    assert installed.returncode == 0, installed.stderr
    packages = next(home.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (packages / "sitecustomize.py").write_text(BLOCKER)
    # A network namespace is stronger than the blocker, where the system lets us have one.
    apart = (
        ["unshare", "-rn"]
        if shutil.which("unshare") and run("unshare", "-rn", "true").returncode == 0
        else []
    )

    # Two threads beside another worker's tests wait for each other most of the time.
    threads = {name: value for name, value in os.environ.items() if name == "OMP_NUM_THREADS"}

    def run_offline(name, *arguments, cwd):
        alone = {"HOME": str(cwd), "PATH": "/usr/bin:/bin"}
        return run(*apart, home / "bin" / name, *arguments, cwd=cwd, env=alone | threads)

    return run_offline


def test_the_wheel_holds_all_that_runs_and_nothing_else(wheel):
    names = set(ZipFile(wheel).namelist())
    assert {f"vivae/recipes/{path.name}" for path in (ROOT / "recipes").glob("*.yaml")} <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert any(name.endswith("/licenses/THIRD_PARTY.md") for name in names)
    assert "vivae/py.typed" in names
    assert "vivae/vae/weights/base.safetensors" in names
    assert not [name for name in names if name.startswith(("tests", "docs")) or name.endswith(".pyc")]


def test_it_is_the_wheel_that_runs(offline, tmp_path):
    where = offline("python", "-c", "import vivae; print(vivae.__file__)", cwd=tmp_path)
    assert "environment" in where.stdout
    blocked = offline(
        "python", "-c", "import socket; socket.create_connection(('127.0.0.1', 9))", cwd=tmp_path
    )
    assert blocked.returncode != 0


def test_doctor_finds_nothing_wrong(offline, tmp_path):
    report = offline("vivae", "doctor", cwd=tmp_path)
    assert report.returncode == 0, report.stdout + report.stderr


@pytest.mark.slow
def test_the_demo_runs_from_an_empty_folder(offline, tmp_path):
    done = offline("vivae", "demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = tmp_path / "demo" / "report.html"
    page = report.read_text(encoding="utf-8")
    assert "<html" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")  # namespaces are names, not addresses
    assert "https://" not in page
