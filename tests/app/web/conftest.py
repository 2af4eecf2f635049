"""A second of real footage, small; a house of our own; the server as a process and a browser that visits it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from vivae.app.web.house import House
from vivae.app.web.rooms import Limits
from vivae.media import open_video, open_writer
from vivae.tasks.survey import shrunk

SIDE, FRAMES = 160, 25


def cut(source: Path, target: Path, frames: int = FRAMES, side: int = SIDE, codec: str = "h264") -> Path:
    """The first frames of a shot of the source, scaled down."""
    with open_video(source, start=3.04) as reader:
        pictures = [shrunk(frame, side) for frame in islice(reader, frames)]
        info = reader.info
    first = pictures[0]
    with open_writer(
        target, width=first.width, height=first.height, fps=info.fps, color=info.color, codec=codec
    ) as writer:
        for picture in pictures:
            writer.write(picture)
    return target


@pytest.fixture(scope="session")
def street(bikes, tmp_path_factory):
    """160x68, 25 frames, H.264: browsers play it as it is."""
    return cut(bikes, tmp_path_factory.mktemp("clips") / "street.mp4")


@pytest.fixture(scope="session")
def lossless(bikes, tmp_path_factory):
    """The same in FFV1, which browsers do not play."""
    return cut(bikes, tmp_path_factory.mktemp("clips") / "lossless.mkv", codec="ffv1")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Rooms and jobs with processes, without a network."""
    found = House(tmp_path_factory.mktemp("house"), Limits(seconds=60), threads=1)
    found.open()
    yield found
    found.close()


@pytest.fixture
def enter(house):
    """A function that puts files into a new room and waits until they have been looked at."""

    def entered(*files: Path, names=None):
        room = house.rooms.new()
        for number, file in enumerate(files):
            clip = room.admit(names[number] if names else file.name, house.limits)
            shutil.copyfile(file, clip.path)
            clip.size = file.stat().st_size
            house.received(room, clip)
        wait_for(lambda: all(clip.state != "checking" for clip in room.clips.values()))
        return room

    return entered


def wait_for(condition, seconds=300.0):
    """Wait until it is so; fail if it does not become so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The address of a running `vivae serve`."""
    folder = tmp_path_factory.mktemp("server")
    log = folder / "log"
    arguments = ["serve", "--port", "0", "--threads", "1", "--max-minutes", "1", "--folder", str(folder)]
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "vivae", *arguments],
            stderr=written,
            stdout=subprocess.PIPE,
            env=dict(os.environ),
        )
    wait_for(lambda: "http://" in log.read_text() or process.poll() is not None)
    text = log.read_text()
    assert process.poll() is None, text
    yield next(word for word in text.split() if word.startswith("http://"))
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert "Traceback" not in log.read_text()
    assert [path.name for path in folder.iterdir()] == ["log"]


@pytest.fixture(scope="session")
def browser():
    """Chromium of the system, or a skip that says so."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="browser tests need the package playwright"
    )
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("the browser tests were left out: there is no Chromium here (apt install chromium)")
    with playwright.sync_playwright() as driver:
        options = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
        ]
        found = driver.chromium.launch(executable_path=path, args=options)
        yield found
        found.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Where a visit failed, what the page knew and showed then: such failures are rare and hard to repeat."""
    report = yield
    page = getattr(item, "funcargs", {}).get("visitor")
    if report.failed and page is not None:
        told = "() => JSON.stringify([vivaeBench.room, vivaeBench.shown, document.body.innerText], null, 1)"
        try:
            report.sections.append(("the page", page.wait_for_function(told, timeout=10_000).json_value()))
        except Exception as error:
            report.sections.append(("the page", f"does not answer: {error}"))
    return report
