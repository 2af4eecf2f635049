"""The commands and Python blocks of the documents do what they say, run one after the other as a reader would.

Options keep their names; values that a clip of a second cannot have are replaced (`tests.docs.world.SMALLER`).
"""

import functools
import inspect
import io
import itertools
import re
import shlex
from contextlib import redirect_stdout

import cv2
import pytest
import torch
import typer

import vivae
from tests.docs.reading import PAGES, ROOT, Command, blocks, commands
from tests.docs.world import OUTPUTS, SMALLER, World, fitted, make_clip
from vivae.app.cli import app
from vivae.app.console import run
from vivae.app.verbs import EXAMPLES, every_verb
from vivae.media import open_video

NOT_RUN = {
    "bench": "minutes to hours, and needs the evaluation clips",
    "tune": "several trainings",
    "serve": "it never ends",
    "demo": "two minutes; tests/app/test_demo.py runs it",
    "train": "only the smallest recipe, and of it two steps",
}
STEPS = "2"
"""Of every training."""
RUN_AFTER_ALL = ("train recipes/tiny.yaml", "train tiny")
VERBS = dict(every_verb(typer.main.get_command(app)))
NOT_PRINTED = ("README.zh.md", "cluster.md")  # the commands of README.md; those of tests/cluster
PRINTED_PAGES = [page for page in PAGES if page.name not in NOT_PRINTED]


@pytest.fixture(scope="session")
def small_clips(tmp_path_factory, bikes, bunny):
    folder = tmp_path_factory.mktemp("clips")
    clips = [folder / f"{number}.mp4" for number in range(3)]
    for path, source, begin in zip(clips, (bikes, bikes, bunny), (3.04, 6.0, 2.0), strict=True):
        make_clip(source, path, begin)
    return clips


@pytest.fixture
def world(tmp_path, small_clips, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the pictures are so small that threads would only wait for each other
    yield World(tmp_path, small_clips)
    torch.set_num_threads(threads)


def is_run(command):
    line = " ".join(command.words)
    if {"--jobs", "--engine"} & set(command.words) or "://" in line:
        return False  # processes and clusters, which tests/cluster runs; cameras, which are not here
    return line.startswith(RUN_AFTER_ALL) or command.words[0] not in NOT_RUN


def is_python(block):
    return block.language == "python" or (not block.language and block.text.startswith(("vivae.", "import ")))


def options_of(words):
    """The options of the verb that these words call."""
    function = getattr(vivae, "_".join(words[:2]), None) or getattr(vivae, words[0])
    if words[0] == "train":
        from vivae.app.training import train as function
    return inspect.signature(function).parameters


def typed(words):
    """What is typed: made to fit the clip, and over the results of the line before."""
    words = fitted(words)
    if "steps" in options_of(words):
        if "--minutes" in words:
            at = words.index("--minutes")
            del words[at : at + 2]
        words += ["--steps", STEPS]
    if "force" in options_of(words) and not {"--force", "-f", "--resume"} & set(words):
        words.append("--force")
    return words


class Adapted:
    """`vivae` as the Python blocks see it: every function fits the small clip and writes over what is there."""

    def __getattr__(self, name):
        value = getattr(vivae, name)
        if not callable(value) or inspect.isclass(value):
            return value

        @functools.wraps(value)
        def call(*arguments, **options):
            for option in options:
                if (small := SMALLER.get(f"--{option}")) is not None:
                    number = small.replace(".", "", 1).isdigit()
                    options[option] = type(options[option])(float(small)) if number else small
            known = inspect.signature(value).parameters
            options |= {"force": True} if "force" in known else {}
            options |= {"steps": int(STEPS)} if "steps" in known else {}
            return value(*arguments, **options)

        return call


def run_command(command, world, capfd):
    world.provide(command.words)
    code = run(app, typed(command.words))
    error = capfd.readouterr().err
    assert code == 0, f"{command}\n{error}"
    for before, word in itertools.pairwise(command.words):
        if before in OUTPUTS:
            assert (world.folder / word).exists(), f"{command}: no {word}"


def run_python(block, world, names):
    read = re.sub(r"save_pretrained\([^)]*\)", "", block.text)
    world.provide(read.split('"')[1::2])
    code = compile(block.text.replace("import vivae\n", ""), f"{block.page.name}:{block.line}", "exec")
    with redirect_stdout(io.StringIO()):
        exec(code, names)


def loose_names(world):
    """What Python blocks speak of without saying where it is from: RGB frames of the size that they point into."""
    with open_video(world.clips[0]) as reader:
        frames = [cv2.resize(frame.to_rgb(), (640, 384)) for frame in reader]
    return {"frame": frames[3], "frames_before": frames[:3], "frames_after": frames[4:7]}


def steps_of(page):
    """What is run of a page: commands and Python blocks, in their order."""
    steps = [*filter(is_run, commands(page)), *filter(is_python, blocks(page))]
    return sorted(steps, key=lambda step: step.line)


@pytest.mark.parametrize("page", list(filter(steps_of, PRINTED_PAGES)), ids=lambda page: page.name)
def test_what_a_page_says_works_in_its_order(page, world, capfd):
    """Each step goes on from those before it."""
    names = {"vivae": Adapted(), **loose_names(world)}
    for step in steps_of(page):
        if isinstance(step, Command):
            run_command(step, world, capfd)
        else:
            run_python(step, world, names)


def test_the_examples_of_the_help_work(world, capfd):
    """In the order of the help, where each finds what it needs."""
    page = ROOT / "src/vivae/app/verbs.py"
    for panel in EXAMPLES.values():
        for verb, example in panel.items():
            command = Command(page, 0, tuple(shlex.split(example)[1:]), True)
            if verb in VERBS and is_run(command):
                run_command(command, world, capfd)
