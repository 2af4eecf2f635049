"""What a browser makes of a file whose shots differ in size and depth, and whose key frames carry records of ours.

Chromium is driven through its debugging pipe; where there is none, the test is skipped.
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from itertools import count

import cv2
import numpy as np
import pytest

from vivae.codec.obu import configuration_of, with_metadata
from vivae.media import ColorInfo, Frame, Picture
from vivae.media.av1 import Av1Settings, encode_av1
from vivae.media.packets import CodedPacket, open_packet_writer

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
PATIENCE = 180  # seconds, on a busy machine
WIDTH, HEIGHT = 320, 192
SHOTS = [(320, 192, 8), (160, 96, 8), (160, 96, 10), (240, 144, 8), (320, 192, 10)]
LENGTH = 10  # frames of a shot
FPS = 25
GRID = (16, 10)  # cells in which pictures are compared

# Shows a video in a box, seeks, and gives back what is seen there, cell by cell, and the size of the box; then plays.
PAGE = """(async () => {
  const failed = (video, no) => { video.onerror = () => no(new Error(video.error.message)) };
  const happens = (video, name) => new Promise((ok, no) => { video['on' + name] = ok; failed(video, no) });
  document.body.innerHTML = '<video muted style="width:%(width)dpx;height:%(height)dpx"></video>';
  const video = document.querySelector('video');
  const bytes = Uint8Array.from(atob('%(data)s'), c => c.charCodeAt(0));
  const loaded = happens(video, 'loadeddata');
  video.src = URL.createObjectURL(new Blob([bytes], {type: '%(kind)s'}));
  await loaded;
  const canvas = new OffscreenCanvas(%(columns)d, %(rows)d), pen = canvas.getContext('2d');
  pen.imageSmoothingQuality = 'high';
  const seen = [];
  // A seek may have ended before the picture that was sought is the one that is shown.
  const shown = time => new Promise(ok => {
    const look = (_, {mediaTime}) =>
      Math.abs(mediaTime - time) < 1.5 / %(fps)d ? ok() : video.requestVideoFrameCallback(look);
    video.requestVideoFrameCallback(look);
  });
  for (const time of %(times)s) {
    const there = shown(time);
    video.currentTime = time;
    await there;
    pen.drawImage(video, 0, 0, %(columns)d, %(rows)d);
    const box = video.getBoundingClientRect();
    seen.push({cells: Array.from(pen.getImageData(0, 0, %(columns)d, %(rows)d).data), box: [box.width, box.height]});
  }
  const start = happens(video, 'seeked');
  video.currentTime = 0;
  await start;
  const end = happens(video, 'ended');
  await video.play();
  await end;
  return {seen, end: video.currentTime, decoded: video.getVideoPlaybackQuality().totalVideoFrames};
})()"""


# The browser reads commands from descriptor 3 and answers on 4.
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD_CLOEXEC, 10) for end in sys.argv[1:3]]
for place, end in enumerate(ends, 3):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Chromium:
    """A headless browser with one blank page, for a `with` block."""

    def __init__(self, executable, folder):
        ours, its = os.pipe(), os.pipe()
        flags = [
            "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
            "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(its[0]), str(ours[1]), executable, *flags],
            pass_fds=(its[0], ours[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(its[0])
        os.close(ours[1])
        self._answers, self._commands = ours[0], its[1]
        self._numbers, self._read, self._session = count(1), b"", None

    def __enter__(self):
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return self

    def evaluate(self, code):
        """The value that a promise in the page comes to. Raises AssertionError where it fails."""
        answer = self._call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"]["value"]

    def _call(self, method, **parameters):
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        data = json.dumps(command).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        deadline = time.monotonic() + PATIENCE
        while True:
            while b"\0" not in self._read:
                ready = select.select([self._answers], [], [], max(0, deadline - time.monotonic()))[0]
                more = os.read(self._answers, 1 << 20) if ready else b""
                assert more, f"the browser did not answer {method}"
                self._read += more
            text, _, self._read = self._read.partition(b"\0")
            message = json.loads(text)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def __exit__(self, *_):
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._answers)
        os.close(self._commands)


def picture(number):
    """Shot by shot another arrangement of colours."""
    corners = np.random.default_rng(number).integers(40, 220, (3, 4, 3)).astype(np.uint8)
    rgb = cv2.resize(corners, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    return Frame.from_rgb(rgb, ColorInfo("limited", "bt709", 1, 1))


def shot(number, width, height, depth):
    frame = picture(number)
    small = [cv2.resize(p, (width >> s, height >> s), interpolation=cv2.INTER_AREA) for p, s in zip(
        frame.planes, (0, 1, 1), strict=True)]  # fmt: skip
    described = Picture(width, height, Fraction(FPS), frame.color)
    units = encode_av1([tuple(small)] * LENGTH, described, Av1Settings(30, 12, depth), threads=1)
    for place, unit in enumerate(units):
        data = with_metadata(unit.data, bytes(range(99))) if unit.key else unit.data
        time = Fraction(number * LENGTH + place, FPS)
        yield CodedPacket(data, time, Fraction(1, FPS), unit.key)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_chromium_plays_shots_of_all_sizes_in_one_box(tmp_path):
    packets = [packet for number, kind in enumerate(SHOTS) for packet in shot(number, *kind)]
    described = Picture(WIDTH, HEIGHT, Fraction(FPS), picture(0).color)
    box = (400, 240)
    times = [(number + 0.5) * LENGTH / FPS for number in range(len(SHOTS))]
    with Chromium(BROWSER, tmp_path / "profile") as browser:
        for suffix, kind in ((".mp4", "video/mp4"), (".webm", "video/webm"), (".mkv", "video/x-matroska")):
            path = tmp_path / f"a{suffix}"
            header = configuration_of(packets[0].data)
            with open_packet_writer(path, picture=described, extradata=header) as writer:
                for packet in packets:
                    writer.write(packet)
            shown = browser.evaluate(
                PAGE % {
                    "width": box[0], "height": box[1], "columns": GRID[0], "rows": GRID[1], "times": times, "fps": FPS,
                    "kind": kind, "data": base64.b64encode(path.read_bytes()).decode(),
                }
            )  # fmt: skip
            for number, seen in enumerate(shown["seen"]):
                cells = np.array(seen["cells"]).reshape(GRID[1], GRID[0], 4)[..., :3]
                expected = cv2.resize(picture(number).to_rgb(), GRID, interpolation=cv2.INTER_AREA)
                assert np.abs(cells - expected.astype(int)).mean() < 5, (suffix, number)
                assert tuple(seen["box"]) == box
            assert shown["end"] == pytest.approx(len(packets) / FPS, abs=0.01)
            assert shown["decoded"] >= len(packets)
