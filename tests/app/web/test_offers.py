"""What a tab does is what its command line does; settings that cannot be are said in a sentence."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.app.web.conftest import wait_for
from vivae.app.web.offers import OFFERS, Asked
from vivae.app.web.rooms import Limits, Rooms
from vivae.errors import InputError
from vivae.media import probe
from vivae.vae.zoo import list_models

FACTS = {"width": 160, "height": 68, "sar": 1.0, "fps": 25.0, "frames": 250, "duration": 10.0, "image": False}


@pytest.fixture
def asked(tmp_path):
    """A function: settings for a clip of ten seconds."""
    room = Rooms(tmp_path, Limits()).new()

    def asking(settings, image=False, preview=None, title="clip.mp4", **others):
        clip = room.admit(title, Limits())
        clip.path.write_bytes(b"x")
        clip.state, clip.facts = "ready", {**FACTS, "image": image}
        return Asked(settings, clip, room, room.new_folder(), 1, preview, **others)

    return asking


def line_of(verb, asked):
    return OFFERS[verb](asked).commands[0]


@pytest.mark.parametrize(
    "verb, settings, line",
    [
        ("compress", {}, "vivae compress clip.mp4 -o clip-small.mp4 --quality 50"),
        ("compress", {"aim": "size", "size": 1.5}, "vivae compress clip.mp4 -o clip-small.mp4 --size 1500000"),
        (
            "compress",
            {"aim": "ratio", "ratio": 8, "container": ".vva"},
            "vivae compress clip.mp4 -o clip-small.vva --ratio 8",
        ),
        ("compress", {"quality": 0, "speed": 10}, "vivae compress clip.mp4 -o clip-small.mp4 --quality 0 --speed 10"),
        ("compress", {"grain": True}, "vivae compress clip.mp4 -o clip-small.mp4 --quality 50 --grain"),
        ("compress", {"tune": "psnr"}, "vivae compress clip.mp4 -o clip-small.mp4 --quality 50 --tune psnr"),
        ("compress", {"tune": "", "container": ".mkv"}, "vivae compress clip.mp4 -o clip-small.mkv --quality 50"),
        ("enhance", {"auto": True}, "vivae enhance clip.mp4 -o clip-enhanced.mp4"),
        (
            "enhance",
            {"auto": True, "denoise": "strength", "sigma": 15, "also": ["light"], "rate": 2, "scale": 2},
            "vivae enhance clip.mp4 -o clip-enhanced.mp4 --denoise 15 --light --scale 2 --fps 2x --auto",
        ),
        (
            "stylize",
            {"style": "wave", "mode": "art", "strength": 0.5},
            "vivae stylize clip.mp4 -o clip-styled.mp4 --style wave --mode art --strength 0.5",
        ),
        ("report", {"surprise": False}, "vivae report clip.mp4 -o clip-report.html --no-surprise"),
        ("report", {"summary": 9}, "vivae report clip.mp4 -o clip-report.html --summary 9"),
        ("segment", {"find": "auto", "form": "masks"}, "vivae segment clip.mp4 -o clip-segmented --as masks"),
        ("segment", {"find": "static"}, "vivae segment clip.mp4 -o clip-segmented.mp4 --static-camera --as overlay"),
    ],
)  # fmt: skip
def test_command_lines(asked, verb, settings, line):
    assert line_of(verb, asked(settings)) == line


def test_what_was_pointed_at_is_in_the_command_line(asked):
    points = [{"x": 10, "y": 20, "time": 0.12}, {"x": 1, "y": 2, "time": 1, "against": True}]
    line = line_of("segment", asked({"form": "cutout"}, points=points))
    start = "vivae segment clip.mp4 -o clip-segmented.webm"
    assert line == f"{start} --point 10,20@0.12 --not-point 1,2@1 --as cutout"
    box = [{"x": 1, "y": 2, "width": 30, "height": 40, "time": 0}]
    assert "--box 1,2,30,40@0 --as overlay" in line_of("segment", asked({"find": "box"}, points=box))


def test_generation_names_what_it_begins_with(asked, monkeypatch):
    monkeypatch.setattr("vivae.app.web.offers.list_models", lambda kind: ["digits"])
    plan = OFFERS["generate"](asked({"model": "digits", "seed": 3, "variations": 4}))
    assert plan.commands == ("vivae generate -o vivae-generated.mp4 --model digits --variations 4 --seed 3",)
    assert not plan.of_clip
    line = line_of("generate", asked({"way": "continue", "model": "digits", "frames": 8}))
    assert (
        line == "vivae generate -o clip-generated.mp4 --continue clip.mp4 --model digits --frames 8 --seed 0"
    )
    first = asked({"way": "between"})
    second = first.room.admit("other clip.mp4", Limits())
    second.state, second.facts = "ready", FACTS
    line = line_of("generate", replace(first, settings={"way": "between", "second": second.key}))
    assert line == "vivae generate -o clip-generated.mp4 --between clip.mp4 'other clip.mp4'"
    with pytest.raises(InputError, match="no generator"):
        OFFERS["generate"](asked({"model": "/etc/passwd"}))


def test_names_are_quoted_for_the_shell(asked):
    words = shlex.split(line_of("enhance", asked({"auto": True}, title="-a $(b); 'c'.mp4")))
    assert words == ["vivae", "enhance", "./-a $(b); 'c'.mp4", "-o", "./-a $(b); 'c'-enhanced.mp4"]


def test_a_preview_is_three_seconds_inside_the_clip(asked):
    for wanted, start in ((0, 0), (4.2, 4.2), (9.5, 7), (-1, 0)):
        step = OFFERS["enhance"](asked({"auto": True}, preview=wanted)).work.steps[0]
        assert (step.options["start"], step.options["end"]) == (start, start + 3)


def test_the_preview_of_a_size_has_its_rate(asked):
    settings = {"aim": "size", "size": 1}
    assert OFFERS["compress"](asked(settings, preview=0)).work.steps[0].options["bitrate"] == 800_000
    assert OFFERS["compress"](asked(settings)).work.steps[0].options["size"] == 1_000_000


@pytest.mark.parametrize(
    "verb, settings, image, text",
    [
        ("compress", {"aim": "size", "size": 0}, False, "above 0"),
        ("compress", {"aim": "size", "size": None}, False, "above 0"),
        ("compress", {}, True, "vva"),
        ("enhance", {"auto": False}, False, "no treatment"),
        ("stylize", {"style": "nothing"}, False, "no longer here"),
        ("detect", {"normal": []}, False, "ordinary"),
        ("segment", {}, False, "click on an object"),
        ("segment", {"find": "auto"}, True, "nothing moves"),
    ],
)
def test_what_cannot_be_is_said(asked, verb, settings, image, text):
    with pytest.raises(InputError, match=text):
        OFFERS[verb](asked(settings, image=image))


def test_without_a_clip_it_is_said(tmp_path):
    room = Rooms(tmp_path, Limits()).new()
    with pytest.raises(InputError, match="no clip"):
        OFFERS["enhance"](Asked({"auto": True}, None, room, tmp_path, 1))


def test_the_command_line_makes_the_same_file(house, enter, street, vivae_command, tmp_path, monkeypatch):
    room = enter(street)
    (key,) = room.clips
    job = house.ask(room, "stylize", {"style": "starry", "strength": 0.6}, key)
    wait_for(lambda: job.state == "done")
    shutil.copyfile(street, tmp_path / "street.mp4")
    monkeypatch.chdir(tmp_path)
    code, _, err = vivae_command(*shlex.split(job.commands[0])[1:])
    assert code == 0, err
    ((name, path),) = house.files(job, room)
    assert (tmp_path / name).read_bytes() == path.read_bytes()


def test_detection_learns_and_scores(house, enter, street):
    room = enter(street, street, names=["usual.mp4", "today.mp4"])
    usual, today = room.clips
    job = house.ask(room, "detect", {"normal": [usual], "steps": 2}, today)
    wait_for(lambda: job.state not in ("waiting", "running"))
    assert job.error == ""
    names = [name for name, _ in house.files(job, room)]
    assert [name.removeprefix("today-watched") for name in names] == [
        ".csv",
        ".events.json",
        ".html",
        ".safetensors",
    ]
    assert job.commands == (
        "vivae detect fit usual.mp4 -o today-watched.safetensors --steps 2",
        "vivae detect score today-watched.safetensors today.mp4 -o today-watched.csv --report",
    )
    page = (job.folder / "result.html").read_text("utf-8")
    assert "today.mp4" in page
    assert room.clips[today].path.name not in page
    assert json.loads((job.folder / "result.events.json").read_text())["events"] is not None


def test_a_preview_shows_both_sides_and_tells_what_the_whole_will_take(house, enter, street):
    room = enter(street)
    (key,) = room.clips
    job = house.ask(room, "enhance", {"also": ["light"]}, key, preview=0.0)
    wait_for(lambda: job.state == "done")
    assert set(job.views) == {"before", "after"}
    (told,) = house.state(room)["jobs"]
    assert told["estimate"]["seconds"] >= job.seconds > 0
    assert told["estimate"]["memory"] > 1e8
    assert told["estimate"]["bytes"] == Path(job.folder / "result.mp4").stat().st_size


def test_what_is_pointed_at_is_shown_at_once(house, enter, street):
    room = enter(street)
    (key,) = room.clips
    picture = cv2.imdecode(
        np.frombuffer(house.point(room, key, 0.2, [{"x": 110, "y": 40}]), np.uint8), cv2.IMREAD_UNCHANGED
    )
    assert picture.shape == (68, 160, 4)
    assert picture[40, 110, 3] > 0
    assert 0 < (picture[..., 3] > 0).mean() < 0.9
    assert not list(room.folder.glob("mask-*"))
    with pytest.raises(InputError, match="outside"):
        house.point(room, key, 0.2, [{"x": 500, "y": 40}])


@pytest.mark.parametrize("form, suffix", [("overlay", ".mp4"), ("cutout", ".webm"), ("masks", ".zip")])
def test_segmentation_can_be_seen_and_taken_home(house, enter, street, form, suffix):
    room = enter(street)
    (key,) = room.clips
    job = house.ask(room, "segment", {"find": "static", "form": form}, key)
    wait_for(lambda: job.state not in ("waiting", "running"))
    assert job.error == ""
    assert probe(job.views["after"]).estimated_frames == 25
    assert [name for name, _ in house.files(job, room)] == [f"street-segmented{suffix}"]


@pytest.mark.skipif("motion" not in list_models(), reason="the model of motion is not in this package")
def test_what_is_pointed_at_is_followed_also_in_a_preview(house, enter, street):
    room = enter(street)
    (key,) = room.clips
    job = house.ask(room, "segment", {}, key, preview=0.9, points=[{"x": 110, "y": 40, "time": 0.4}])
    wait_for(lambda: job.state not in ("waiting", "running"))
    assert job.error == ""
    assert job.results[0]["objects"] == 1


@pytest.mark.skipif(not list_models("generator"), reason="no generator is in this package")
def test_what_is_generated_can_be_seen(house):
    room = house.rooms.new()
    settings = {"model": list_models("generator")[0], "frames": 4, "seed": 1}
    job = house.ask(room, "generate", settings, None)
    wait_for(lambda: job.state not in ("waiting", "running"))
    assert job.error == ""
    assert probe(job.views["after"]).estimated_frames == job.facts["frames"] > 0


def test_a_report_is_told_of(house, enter, street):
    room = enter(street)
    (key,) = room.clips
    job = house.ask(room, "report", {"surprise": False}, key)
    wait_for(lambda: job.state not in ("waiting", "running"))
    assert job.error == ""
    (told,) = house.state(room)["jobs"]
    assert told["figures"][0] == ("Shots", "1")
    assert "street.mp4" in (job.folder / "result.html").read_text("utf-8")


def test_a_passage_between_two_clips_is_generated(house, enter, street):
    room = enter(street, street, names=["one.mp4", "two.mp4"])
    first, second = room.clips
    job = house.ask(room, "generate", {"way": "between", "second": second, "frames": 3}, first)
    wait_for(lambda: job.state not in ("waiting", "running"))
    assert job.error == ""
    assert job.commands == ("vivae generate -o one-generated.mp4 --between one.mp4 two.mp4 --frames 3",)
    (told,) = house.state(room)["jobs"]
    assert told["figures"] == [("New frames", "3")]
    assert probe(job.views["after"]).width == 160
