"""What a tab does is what its command line does; settings that cannot be are said in a sentence."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from tests.app.web.conftest import wait_for
from vivae.app.web.offers import OFFERS, Asked
from vivae.app.web.rooms import Limits, Rooms
from vivae.errors import InputError

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
        ("compress", {"aim": "ratio", "ratio": 8, "container": ".vva"}, "vivae compress clip.mp4 -o clip-small.vva --ratio 8"),
        ("compress", {"quality": 0, "speed": 10}, "vivae compress clip.mp4 -o clip-small.mp4 --quality 0 --speed 10"),
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
        ("report", {"surprise": False, "summary": 9}, "vivae report clip.mp4 -o clip-report.html --no-surprise --summary 9"),
    ],
)  # fmt: skip
def test_command_lines(asked, verb, settings, line):
    assert line_of(verb, asked(settings)) == line


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
    job = house.ask(room, "detect", {"normal": [usual], "surprise": False}, today)
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
        "vivae detect fit usual.mp4 -o today-watched.safetensors --model none",
        "vivae detect score today-watched.safetensors today.mp4 -o today-watched.csv --report",
    )
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
