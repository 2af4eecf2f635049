"""A folder with the files that the documents speak of: `clip.mp4`, `films/`, `masks/`, made of one small real clip.

The clip is short, so commands keep their options but get values that suit it; see `SMALLER`.
"""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

import vivae
from tests.docs.reading import ROOT
from vivae.media import encode_png, open_video, open_writer, read_first
from vivae.media.resample import Shrinker
from vivae.vae.zoo import resolve

WIDTH, HEIGHT, FRAMES, FPS = 160, 96, 12, 10
VIDEOS = (".mp4", ".mkv", ".webm", ".mov", ".avi")
IMAGES = (".png", ".jpg")
OUTPUTS = ("-o", "--output", "--split")
OTHER_OUTPUTS = ("--sheet", "--onnx", "--hf", "--vti")
SMALLER = {
    "--start": "0.2",
    "--end": "0.7",
    "--preview": "0",
    "--summary": "0.5",
    "--ratio": "20",
    "--size": "9k",
    "--bitrate": "80k",
    "--frames": "8",
    "--minutes": "0.02",
    "--point": "80,48@0",
    "--not-point": "10,10@0",
    "--box": "40,24,80,48@0",
}
"""Values for an option, whatever the document says: times within the clip, sizes that its few frames can have."""


def make_clip(source: Path, target: Path, begin: float = 3.04) -> None:
    """The first frames from `begin` (seconds) on, scaled down, as H.264."""
    scale = Shrinker(WIDTH, HEIGHT)
    with (
        open_video(source, start=begin) as reader,
        open_writer(
            target,
            width=WIDTH,
            height=HEIGHT,
            fps=Fraction(FPS),
            color=reader.info.color,
            codec="h264",
            crf=18,
        ) as writer,
    ):
        for number, frame in zip(range(FRAMES), reader, strict=False):
            y, u, v = scale(frame.planes)
            writer.write(replace(frame, y=y, u=u, v=v, time=Fraction(number, FPS), duration=Fraction(1, FPS)))


class World:
    """Files on demand. clips: three small clips, of which the first is what a single file shows."""

    def __init__(self, folder: Path, clips: list[Path]):
        self.folder = folder
        self.clips = clips

    def provide(self, words: Iterable[str]) -> None:
        """Make what the words of a command name as its inputs, unless it is there."""
        words = list(words)
        for before, word in zip(["", *words], words, strict=False):
            if before not in OUTPUTS + OTHER_OUTPUTS and not word.startswith("-"):
                self._provide(word.split("@")[0].split("=")[0], before)

    def _provide(self, name: str, option: str) -> None:
        path = self.folder / name
        if path.exists() or not name or (option, name) == ("--roi", "auto"):
            return
        if option in ("--mask", "--masks", "--roi"):
            self._masks(path)
        elif name.startswith("recipes/"):
            self._copy(ROOT / name, path)
        elif path.suffix in VIDEOS:
            self._copy(self.clips[0], path)
        elif name.startswith("runs/"):
            made = {"camera": "upscale", "digits": "moving-mnist"}
            model = next((made[word] for word in made if word in name), "base")
            self._copy(resolve(model), path / "model.safetensors")
        elif name == "street.safetensors":
            vivae.detect_fit(self.clips[0], path, steps=2)
        elif path.stem == "damaged":
            vivae.compress(self.clips[0], path)
            path.write_bytes(path.read_bytes()[:-100])
        elif path.suffix in IMAGES:
            path.write_bytes(encode_png(read_first(self.clips[0])))
        elif "mask" in name:
            self._masks(path)
        elif name.endswith("/"):
            for number, clip in enumerate(self.clips):
                self._copy(clip, path / f"film{number}.mp4")

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)

    @staticmethod
    def _masks(path: Path) -> None:
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.ellipse(mask, (80, 48), (30, 30), 0, 0, 360, 255, -1)
        if path.suffix:
            cv2.imwrite(str(path), mask)
            return
        path.mkdir(parents=True)
        for number in range(FRAMES):
            cv2.imwrite(str(path / f"{number:05d}.png"), mask)


def fitted(words: Iterable[str]) -> list[str]:
    """The words with the values of `SMALLER`, and every moment `NAME@T` at the clip's beginning."""
    adapted: list[str] = []
    for word in words:
        if adapted and adapted[-1] in SMALLER:
            word = SMALLER[adapted[-1]]
        elif "@" in word and not word.startswith("-"):
            word = word.split("@")[0] + "@0.5"
        adapted.append(word)
    return adapted
