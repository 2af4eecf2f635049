"""What every verb has in common: exit codes, one line an error, results a person or a program can read."""

import json
import logging
import math
import os
import signal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from vivae.app.console import Session, parts_kept, run
from vivae.app.options import Debug, Json, Start, amount, seconds
from vivae.errors import FormatError, Interrupted, OutputError
from vivae.media.kept import Kept, folder_for


def verb(body):
    """A command line with the one verb `work` that runs `body(session)`, and a second so that names are needed."""
    app = typer.Typer()

    @app.command()
    def work(start: Start = None, as_json: Json = False, debug: Debug = False) -> None:
        with Session(as_json, kept="Nothing is kept.") as session:
            body(session)

    @app.command()
    def other() -> None: ...

    return app


def fail_with(error):
    def body(session):
        raise error

    return verb(body)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FormatError("the file is\n  damaged"), 2),
        (OutputError("the disk is full"), 2),
        (Interrupted("Stopped; checkpoint kept in runs/a"), 130),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("by zero"), 1),
    ],
)
def test_failures_are_one_line_and_a_code(error, code, capsys):
    assert run(fail_with(error), ["work"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vivae: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["work", "--nope"], ["work", "--start", "soon"], ["work", "x"]]
)
def test_wrong_usage_is_one_line_that_points_to_help(arguments, capsys):
    assert run(fail_with(AssertionError("must not run")), arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--help" in err


def test_ctrl_c_says_what_is_kept(capsys):
    assert run(fail_with(KeyboardInterrupt()), ["work"]) == 130
    assert "Nothing is kept." in capsys.readouterr().err


@pytest.mark.parametrize("finished", [False, True])
def test_ctrl_c_says_what_the_next_run_finds(tmp_path, finished):
    output = tmp_path / "small.mp4"
    if finished:
        Kept(folder_for(output), "a job").put("the first shot", {}, b"coded")
    with (
        pytest.raises(Interrupted, match="No output was written") as caught,
        Session(kept=parts_kept("Finished shots", output)),
    ):
        raise KeyboardInterrupt
    assert ("Finished shots are kept" in str(caught.value)) == finished


def test_sigterm_ends_like_ctrl_c(capsys):
    assert run(verb(lambda session: os.kill(os.getpid(), signal.SIGTERM)), ["work"]) == 130
    assert "Nothing is kept." in capsys.readouterr().err


def test_debug_adds_the_traceback(capsys):
    assert run(fail_with(ZeroDivisionError("by zero")), ["work", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_warning_is_said_once_a_run(capsys):
    def body(session):
        for _ in range(3):
            logging.getLogger("vivae.media").warning("'a.mp4' may be cut off")
        logging.getLogger("vivae.media").warning("'b.mp4' may be cut off")

    for _ in range(2):
        assert run(verb(body), ["work"]) == 0
        assert capsys.readouterr().err.count("may be cut off") == 2


def test_results_go_to_stdout_and_notes_to_stderr(capsys):
    def body(session):
        logging.getLogger("vivae.media").warning("converted 10-bit to 8-bit")
        report = session.progress("working")
        report(1, 2)
        session.show(
            {"size_bytes": 123456, "path": Path("a.mp4"), "peers": [{"name": "x264", "psnr": 31.25}]}
        )

    assert run(verb(body), ["work"]) == 0
    out, err = capsys.readouterr()
    assert "123,456" in out
    assert "a.mp4" in out
    assert "x264" in out
    assert "converted" not in out
    assert "converted" in err


def test_json_is_valid_for_every_kind_of_number(capsys):
    result = {
        "fps": Fraction(30000, 1001),
        "psnr": math.inf,
        "bits": np.float32(0.5),
        "frames": np.int64(7),
        "missing": float("nan"),
        "path": Path("a"),
        "list": (1, None, True),
    }
    assert run(verb(lambda session: session.show(result)), ["work", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["fps"] == pytest.approx(30000 / 1001)
    assert read["psnr"] is None
    assert read["missing"] is None
    assert read["bits"] == 0.5
    assert read["frames"] == 7
    assert read["list"] == [1, None, True]


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59999))
def test_clock_times_are_seconds(hours, minutes, milliseconds):
    rest = milliseconds / 1000
    assert seconds(f"{hours}:{minutes:02d}:{rest:06.3f}") == pytest.approx(hours * 3600 + minutes * 60 + rest)
    assert seconds(f"{rest:.3f}") == pytest.approx(rest)


@pytest.mark.parametrize("text", ["", "-1", "1:2:3:4", "1e3", "nan", "inf", "1h", "::"])
def test_other_times_are_refused(text):
    with pytest.raises(typer.BadParameter):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("250k", 250e3), ("1.5M", 1.5e6), ("700ki", 700 * 1024), ("4MB", 4e6), ("12", 12), ("2 GiB", 2 * 2**30)],
)
def test_amounts_take_units(text, value):
    assert amount(text) == value


@pytest.mark.parametrize("text", ["", "k", "-3", "5 apples", "1e9999"])
def test_other_amounts_are_refused(text):
    with pytest.raises(typer.BadParameter):
        amount(text)
