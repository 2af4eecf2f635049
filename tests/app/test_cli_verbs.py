"""Each verb from the command line on a real clip: good input, wrong input, machine-readable output."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from vivae.media import probe


def test_reconstruct(vivae_json, bikes, small_model, tmp_path):
    out = tmp_path / "out.mkv"
    result = vivae_json(
        "reconstruct",
        bikes,
        "-o",
        out,
        "--model",
        small_model,
        "--start",
        "0:02",
        "--end",
        "2.2",
        "--video-codec",
        "ffv1",
    )
    assert result["frames"] == 5
    assert 5 < result["psnr_yuv"] < 100
    assert (probe(out).width, probe(out).height) == (640, 272)


def test_encode_and_decode(vivae_json, bikes, small_model, tmp_path):
    latent, out = tmp_path / "z.safetensors", tmp_path / "out.y4m"
    encoded = vivae_json("encode", bikes, "-o", latent, "--model", small_model, "--end", "0.2")
    assert encoded["latents"][0] == 5
    assert vivae_json("info", latent)["frames"] == 5
    assert vivae_json("decode", latent, "-o", out, "--model", small_model)["frames"] == 5
    assert probe(out).size_bytes > 5 * 640 * 272 * 3 / 2


def test_compress_and_decompress(vivae_json, bikes, small_model, tmp_path):
    packed, out = tmp_path / "clip.vva", tmp_path / "out.mkv"
    span = ("--start", "1", "--end", "0:01.2")
    made = vivae_json("compress", bikes, "-o", packed, "--model", small_model, "--quality", "30", *span)
    assert made["size_bytes"] == packed.stat().st_size
    found = vivae_json("info", packed)
    assert (found["kind"], found["frames"], found["intact"]) == ("compressed", 5, True)
    back = vivae_json("decompress", packed, "-o", out, "--model", small_model, "--video-codec", "ffv1")
    assert back["frames"] == 5
    assert (probe(out).width, probe(out).height) == (640, 272)


def test_best_effort_saves_what_it_can(vivae_command, vivae_json, bikes, small_model, tmp_path):
    packed, out = tmp_path / "clip.vva", tmp_path / "out.mkv"
    options = ("--model", small_model, "--end", "0.4", "--key-interval", "2", "--quality", "90")
    vivae_json("compress", bikes, "-o", packed, *options)
    packed.write_bytes(packed.read_bytes()[: packed.stat().st_size // 2])
    code, _, err = vivae_command("decompress", packed, "-o", out, "--model", small_model)
    assert code == 2
    assert "truncated" in err
    assert not out.exists()
    code, text, err = vivae_command(
        "decompress", packed, "-o", out, "--model", small_model, "--best-effort", "--json"
    )
    assert code == 0
    assert 0 < json.loads(text)["frames"] < 10
    assert "clip.vva" in err


def test_bench_vae_says_which_data_are_missing(vivae_command, small_model, tmp_path):
    code, _, err = vivae_command(
        "bench", "vae", "--data", tmp_path, "-o", tmp_path / "out", "--model", small_model
    )
    assert code == 2
    assert "--data" in err


def test_info(vivae_command, vivae_json, bikes, small_model):
    assert vivae_json("info", bikes)["frames"] == 250
    assert vivae_json("info", small_model)["config"]["name"] == "small"
    code, out, err = vivae_command("info", bikes)
    assert (code, err) == (0, "")
    assert "640" in out


def test_doctor(vivae_command):
    code, out, _ = vivae_command("doctor")
    assert code in (0, 1)
    assert "torch" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("reconstruct", "missing.mp4", "-o", "out.mp4"),
        ("reconstruct", "damaged.mp4", "-o", "out.mp4"),
        ("reconstruct", "bikes.mp4", "-o", "out.avi"),
        ("reconstruct", "bikes.mp4", "-o", "no/such/folder/out.mp4"),
        ("reconstruct", "bikes.mp4", "-o", "bikes.mp4", "--force"),
        ("reconstruct", "bikes.mp4", "-o", "taken.mp4"),
        ("reconstruct", "bikes.mp4", "-o", "out.mp4", "--start", "99"),
        ("reconstruct", "bikes.mp4", "-o", "out.mp4", "--start", "2", "--end", "1"),
        ("reconstruct", "bikes.mp4", "-o", "out.mp4", "--quality", "101"),
        ("reconstruct", "bikes.mp4", "-o", "out.mp4", "--device", "abacus"),
        ("reconstruct", "bikes.mp4", "-o", "out.mp4", "--model", "nobody"),
        ("encode", "bikes.mp4", "-o", "z.npz"),
        ("encode", "bikes.mp4"),
        ("decode", "bikes.mp4", "-o", "out.mp4"),
        ("compress", "bikes.mp4", "-o", "out.mp4"),
        ("compress", "bikes.mp4", "-o", "out.vva", "--quality", "50", "--size", "2M"),
        ("compress", "bikes.mp4", "-o", "out.vva", "--size", "large"),
        ("compress", "bikes.mp4", "-o", "out.vva", "--codec", "mp3"),
        ("decompress", "bikes.mp4", "-o", "out.mp4"),
        ("decompress", "missing.vva", "-o", "out.mp4"),
        ("info", "missing.mp4"),
        ("info", "damaged.mp4"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments, vivae_command, bikes, small_model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bikes.mp4").write_bytes(bikes.read_bytes())
    (tmp_path / "damaged.mp4").write_bytes(bikes.read_bytes()[2000:9000])
    (tmp_path / "taken.mp4").write_bytes(b"something dear")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    if arguments[0] in ("reconstruct", "encode", "compress") and "--model" not in arguments:
        arguments = (*arguments, "--model", small_model)
    code, out, err = vivae_command(*arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1, err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_truncated_video_gives_what_there_is_with_a_warning(
    vivae_command, vivae_json, bikes, small_model, tmp_path
):
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    vivae_json(
        "reconstruct", bikes, "-o", whole, "--model", small_model, "--end", "0.4", "--video-codec", "ffv1"
    )
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    code, out, err = vivae_command(
        "encode", cut, "-o", tmp_path / "z.safetensors", "--model", small_model, "--json"
    )
    assert code == 0, err
    assert 3 < json.loads(out)["frames"] < 10
    assert "cut.mkv" in err


def test_a_process_of_its_own(bikes, small_model, tmp_path):
    command = (
        f"-m vivae encode {bikes} -o {tmp_path}/z.safetensors --model {small_model} --end 0.1 --threads 1"
    )
    done = subprocess.run(
        [sys.executable, *command.split()],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "40"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no progress bar where nobody watches
    assert "frames" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_verb_leaves_nothing_and_says_so(bikes, small_model, tmp_path, number):
    command = f"-m vivae reconstruct {bikes} -o {tmp_path}/z.mkv --model {small_model} --threads 1"
    process = subprocess.Popen([sys.executable, *command.split()], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not any(tmp_path.iterdir()):  # until it has begun to write
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.startswith("vivae: Interrupted.")
    assert err.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_a_full_disk_is_one_line_and_leaves_nothing(bikes, small_model, tmp_path):
    def small_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = f"-m vivae encode {bikes} -o {tmp_path}/z.safetensors --model {small_model} --end 1 --threads 1"
    done = subprocess.run(
        [sys.executable, *command.split()],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small_disk,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert not any(tmp_path.iterdir())
