"""A run over an archive: what is done, what is done again, what fails, and what is left when it is killed."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

import vivae
from vivae.cluster.batch import run_batch
from vivae.cluster.processes import Processes, Started
from vivae.errors import FormatError, InputError, OutputError


def shout(source, output, threads, progress):
    """A verb that needs no time: the content in capitals."""
    text = source.read_bytes()
    if b"no video" in text:
        raise FormatError(f"'{source}' is no video")
    output.write_bytes(text[::-1])
    return {"output": str(output)}


@pytest.fixture
def run(archive, tmp_path, here):
    def command(engine=here, verb="compress", settings=None, **options):
        return run_batch(shout, verb, [archive], tmp_path / "out", settings or {}, engine, **options)

    return command


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".vivae" not in path.parts
    }


class Counting:
    """An engine that notes what it is given, stopping after some tasks as a kill would."""

    def __init__(self, engine, stop_after=None):
        self.engine, self.stop_after, self.sources = engine, stop_after, []

    def run(self, call, tasks):
        for event in self.engine.run(call, tasks):
            self.sources.append(tasks[event.number].source.name)
            yield event
            if len(self.sources) == self.stop_after:
                raise KeyboardInterrupt


def test_each_file_gets_its_place_and_equal_ones_are_done_once(run, here, archive, tmp_path):
    engine = Counting(here)
    told = run(engine)
    assert (told["files"], told["done"], told["same"], told["failed"]) == (5, 3, 1, 1)
    assert sorted(engine.sources) == ["a.mkv", "b.mkv", "broken.mp4", "c.mkv"]
    assert contents(tmp_path / "out") == {
        name: (archive / name).read_bytes()[::-1]
        for name in ("a.mkv", "b.mkv", "deep/c.mkv", "deep/same.mkv")
    }
    assert [failure["source"] for failure in told["failures"]] == [str(archive / "broken.mp4")]
    assert "is no video" in told["failures"][0]["reason"]


def test_a_second_run_does_only_what_failed_or_changed(run, here, archive, tmp_path):
    run()
    (archive / "b.mkv").write_bytes(b"something new")
    (tmp_path / "out" / "deep" / "c.mkv").unlink()
    engine = Counting(here)
    told = run(engine)
    assert sorted(engine.sources) == ["b.mkv", "broken.mp4", "c.mkv"]
    assert told["done_before"] == 2
    assert (tmp_path / "out" / "b.mkv").read_bytes() == b"something new"[::-1]


def test_a_copy_that_joins_later_gets_the_result_that_is_there(run, here, archive):
    run()
    (archive / "late.mkv").write_bytes((archive / "b.mkv").read_bytes())
    engine = Counting(here)
    assert run(engine)["same"] == 1
    assert engine.sources == ["broken.mp4"]


def test_names_of_the_file_in_the_result_keep_equal_files_apart(run, here):
    engine = Counting(here)
    run(engine, verb="report")
    assert "same.mkv" in engine.sources


@pytest.mark.parametrize("after", [1, 2, 3])
def test_an_interrupted_run_goes_on(run, here, tmp_path, after):
    with pytest.raises(KeyboardInterrupt):
        run(Counting(here, after))
    engine = Counting(here)
    told = run(engine)
    assert (told["done_before"] + told["done"] + told["same"], told["failed"]) == (4, 1)
    assert len(engine.sources) <= 4 - after + 1  # what failed is tried again
    assert len(contents(tmp_path / "out")) == 4


def test_a_result_that_a_killed_run_did_not_come_to_note_is_its_own(run, here, tmp_path):
    class Killed:
        def run(self, call, tasks):
            yield Started(tasks[0], "here")
            list(here.run(call, tasks[:1]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Killed())
    assert contents(tmp_path / "out").keys() == {"a.mkv"}
    told = run()
    assert (told["done"], told["same"], told["failed"]) == (3, 1, 1)


def test_other_settings_are_refused_unless_forced(run, here):
    run(settings={"quality": 30})
    with pytest.raises(InputError, match="--force"):
        run(settings={"quality": 40})
    engine = Counting(here)
    run(engine, settings={"quality": 40}, force=True)
    assert len(engine.sources) == 4
    assert run(settings={"quality": 40})["done_before"] == 4


def test_a_file_of_someone_else_is_not_replaced(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.mkv").write_bytes(b"something dear")
    told = run()
    assert (tmp_path / "out" / "a.mkv").read_bytes() == b"something dear"
    assert told["failed"] == 2
    assert "--force" in told["failures"][0]["reason"]


def test_a_result_that_was_not_made_is_a_failure(archive, tmp_path, here):
    told = run_batch(lambda *_: {}, "compress", [archive], tmp_path / "out", {}, here)
    assert (told["done"], told["failed"]) == (0, 5)
    assert told["faults"] == 4  # the copy shares the fate of its twin


def test_what_cannot_be_read_is_a_failure_and_no_obstacle(run, archive, monkeypatch):
    from vivae.cluster.sources import Item

    mark = Item.mark

    def unreadable(item):
        if item.path.name == "b.mkv":
            raise InputError("'b.mkv' cannot be read: Permission denied")
        return mark(item)

    monkeypatch.setattr(Item, "mark", unreadable)
    told = run()
    assert (told["done"], told["same"], told["failed"]) == (2, 1, 2)
    assert "Permission denied" in " ".join(failure["reason"] for failure in told["failures"])


@pytest.mark.parametrize(
    ("verb", "options", "suffix", "wanted"),
    [
        ("compress", {}, None, {"a.mp4", "b.webm", "c.mp4", "d.mp4"}),
        ("compress", {"codec": "latent"}, None, {"a.vva", "b.vva", "c.vva", "d.vva"}),
        ("compress", {}, ".mkv", {"a.mkv", "b.mkv", "c.mkv", "d.mkv"}),
        ("enhance", {}, None, {"a.mp4", "b.webm", "c.mp4", "d.png"}),
        ("encode", {}, None, {f"{name}.safetensors" for name in "abcd"}),
        ("segment", {"form": "masks"}, None, {"a", "b", "c", "d"}),
        ("segment", {"form": "overlay"}, None, {"a.mp4", "b.webm", "c.mp4", "d.png"}),
    ],
)
def test_names_of_results(tmp_path, here, verb, options, suffix, wanted):
    sources = [tmp_path / name for name in ("a.mov", "b.webm", "c.y4m", "d.jpg")]
    for number, source in enumerate(sources):
        source.write_bytes(bytes(number + 1))
    run_batch(shout, verb, sources, tmp_path / "out", {"options": options}, here, suffix=suffix)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".vivae"} | wanted


def test_one_run_at_a_time(run, archive, tmp_path, here):
    class Second:
        def run(self, call, tasks):
            with pytest.raises(OutputError, match="another run is at work"):
                run(here)
            yield from here.run(call, tasks)

    assert run(Second())["done"] == 3


def test_a_damaged_manifest_says_so(run, tmp_path):
    run()
    (tmp_path / "out" / ".vivae" / "manifest.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(FormatError, match="remove it"):
        run()


def test_a_file_is_no_place_for_many_results(run, archive, here, tmp_path):
    for name in ("out.mp4", "out.html", "out.safetensors", "gone/out"):
        with pytest.raises(OutputError, match="folder"):
            run_batch(shout, "compress", [archive], tmp_path / name, {}, here)


def test_leftovers_of_a_kill_are_removed_and_nothing_else(run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".a.0123abcd.part.mkv").write_bytes(b"half")
    (out / ".a._x9abcde.part").mkdir()
    (out / ".other.0123abcd.part.mkv").write_bytes(b"not of this run")
    run()
    assert sorted(path.name for path in out.glob(".*")) == [".other.0123abcd.part.mkv", ".vivae"]


def test_a_process_that_dies_costs_its_file_alone(archive, tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(
        "import os, shutil, signal\n"
        "def verb(source, output, threads, progress):\n"
        "    if source.name == 'b.mkv':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    shutil.copy(source, output)\n"
        "    return {}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    from deadly import verb

    told = run_batch(verb, "compress", [archive], tmp_path / "out", {}, Processes(1, 1))
    assert (told["done"], told["same"], told["failed"], told["faults"]) == (3, 1, 1, 1)
    assert "killed" in told["failures"][0]["reason"]
    assert told["failures"][0]["source"].endswith("b.mkv")


def vivae_process(*words, cwd, **options):
    command = [sys.executable, "-m", "vivae", *map(str, words)]
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_the_command_line_on_an_archive(archive, small_model, tmp_path):
    words = (
        "encode",
        "archive",
        "-o",
        "out",
        "--model",
        small_model,
        "--jobs",
        "2",
        "--threads",
        "1",
        "--json",
    )
    process = vivae_process(*words, cwd=tmp_path)
    out, err = process.communicate()
    assert process.returncode == 2, err
    told = json.loads(out)
    assert (told["done"], told["same"], told["failed"]) == (3, 1, 1)
    assert err.count("\n") == 1
    assert "broken.mp4" in err
    vivae.encode(archive / "b.mkv", tmp_path / "b.safetensors", model=small_model)
    one, other = (load_file(tmp_path / name) for name in ("b.safetensors", "out/b.safetensors"))
    # Sums of another number of threads round otherwise, and latents are stored as float16.
    assert all(np.allclose(one[key], other[key], rtol=5e-3, atol=5e-3) for key in one)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_nobody_at_work_and_goes_on(pieces, small_model, tmp_path, number):
    words = ("encode", pieces, "-o", "out", "--model", small_model, "--threads", "1", "--json")
    process = vivae_process(*words, cwd=tmp_path)
    manifest = tmp_path / "out" / ".vivae" / "manifest.sqlite"
    while process.poll() is None and not states(manifest).get("done"):
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=300)
    before = states(manifest)
    assert before.get("done", 0) < 3, "it was not killed in the middle"
    out, _ = vivae_process(*words, cwd=tmp_path).communicate(timeout=300)
    told = json.loads(out)
    assert told["done_before"] + told["done"] == 3
    assert told["done_before"] >= 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".vivae", "0.safetensors", "1.safetensors", "2.safetensors",
    ]  # fmt: skip


def states(manifest):
    if not manifest.is_file():
        return {}
    try:
        with sqlite3.connect(manifest) as database:
            return dict(database.execute("SELECT state, count(*) FROM files GROUP BY state"))
    except sqlite3.OperationalError:  # not yet made
        return {}


def test_the_python_face(archive, small_model, tmp_path):
    with pytest.raises(InputError, match="for archives"):
        vivae.batch("train", archive, tmp_path / "out")
    (archive / "broken.mp4").unlink()
    told = vivae.batch(
        "encode", [archive / "a.mkv", archive / "deep"], tmp_path / "out", model=small_model, channels=None
    )
    assert told["files"] == 3
    assert sorted(contents(tmp_path / "out")) == [
        "a.safetensors", "deep/c.safetensors", "deep/same.safetensors",
    ]  # fmt: skip


def test_a_single_file_needs_no_jobs(vivae_command, bikes, tmp_path):
    code, _, err = vivae_command("encode", bikes, "-o", tmp_path / "z.safetensors", "--jobs", 2)
    assert code == 2
    assert "--jobs" in err
    assert err.count("\n") == 1
