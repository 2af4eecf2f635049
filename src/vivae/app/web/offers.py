"""What the tabs offer: from settings and clips to calls of vivae, and to the command lines that do the same.

An offer knows neither Gradio nor the queue. Its settings are plain values with the names that vivae's functions have.
"""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vivae.app.web.rooms import Clip, Room
from vivae.app.web.worker import Step, Work
from vivae.errors import InputError
from vivae.vae.zoo import list_models, styles

PREVIEW_SECONDS = 3.0
USUAL_STEPS = 400
"""Of the training of `detect_fit`."""
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a visitor asks for: a verb's settings, on one clip, of which preview is the time to show three seconds from.

    points: what was clicked, in pixels of the clip, with the time in seconds.
    """

    settings: Settings
    clip: Clip | None
    room: Room
    folder: Path
    threads: int
    preview: float | None = None
    points: Sequence[Mapping[str, Any]] = ()

    @property
    def span(self) -> dict[str, float]:
        """The previewed part, as vivae's functions take it."""
        if self.preview is None or self.the_clip.facts["image"]:
            return {}
        last = max(0.0, self.the_clip.facts["duration"] - PREVIEW_SECONDS)
        start = round(min(max(0.0, self.preview), last), 3)
        return {"start": start, "end": round(start + PREVIEW_SECONDS, 3)}

    @property
    def the_clip(self) -> Clip:
        """Raises InputError where none is chosen."""
        if self.clip is None:
            raise InputError("no clip is chosen: put one in, or click on one")
        return self.clip


@dataclass(frozen=True)
class Plan:
    """What will be done. view: how the result is shown: compare, video or page; of_clip: whether it needs the clip."""

    title: str
    work: Work
    commands: tuple[str, ...]
    view: dict[str, Any] = field(default_factory=dict)
    of_clip: bool = True


Offer = Callable[[Asked], Plan]


def compress(asked: Asked) -> Plan:
    """Smaller files: to a quality, size, ratio, bit rate or VMAF."""
    clip, settings = asked.the_clip, asked.settings
    suffix = settings.get("container", ".mp4")
    aim = settings.get("aim", "quality")
    if clip.facts["image"] and suffix != ".vva":
        raise InputError("an image becomes a .vva file: choose that container")
    options: dict[str, Any] = {}
    if aim == "size" and asked.span:
        # A part of a clip that is to become so small gets the same rate.
        options["bitrate"] = round(8 * 1e6 * _number(settings, "size") / clip.facts["duration"])
    elif aim == "size":
        options["size"] = round(1e6 * _number(settings, "size"))
    elif aim == "bitrate":
        options["bitrate"] = round(1e3 * _number(settings, "bitrate"))
    elif aim == "quality":
        options["quality"] = float(settings.get("quality", 50))
    else:
        options[aim] = _number(settings, aim)
    if suffix != ".vva" and settings.get("speed", 6) != 6:
        options["speed"] = int(settings["speed"])
    if suffix != ".vva" and settings.get("grain"):
        options["grain"] = True
    if suffix != ".vva" and settings.get("tune"):
        options["tune"] = settings["tune"]
    return _to_video("compress", asked, options, suffix, "compressing")


def enhance(asked: Asked) -> Plan:
    """Cleaner footage."""
    settings = asked.settings
    options: dict[str, Any] = {}
    if settings.get("denoise") == "auto":
        options["denoise"] = "auto"
    elif settings.get("denoise") == "strength":
        options["denoise"] = float(settings["sigma"])
    options |= dict.fromkeys(settings.get("also") or (), True)
    if int(settings.get("scale", 1)) > 1:
        options["scale"] = int(settings["scale"])
    if int(settings.get("rate", 1)) > 1:
        options["rate"] = int(settings["rate"])
    if settings.get("auto") and options:
        options["auto"] = True
    if not options and not settings.get("auto"):
        raise InputError("no treatment is chosen: switch one on, or let vivae measure what is needed")
    if settings.get("preset", "fast") != "fast":
        options["preset"] = settings["preset"]
    return _to_video("enhance", asked, options, _suffix_of(asked.the_clip), "enhancing")


def stylize(asked: Asked) -> Plan:
    """The colours of a picture, or its strokes."""
    settings = asked.settings
    wanted = str(settings.get("style") or "")
    shipped = styles()
    style: Path | str
    if wanted in shipped:
        style, shown = wanted, wanted
    else:
        picture = asked.room.ready(wanted)
        style, shown = picture.path, picture.title
    options: dict[str, Any] = {"style": str(style)}
    if settings.get("mode", "photo") != "photo":
        options["mode"] = settings["mode"]
    if float(settings.get("strength", 1)) < 1:
        options["strength"] = round(float(settings["strength"]), 3)
    suffix = _suffix_of(asked.the_clip)
    return _to_video("stylize", asked, options, suffix, "styling", told={str(style): shown})


def segment(asked: Asked) -> Plan:
    """Objects: pointed at, moving, or passing a still camera."""
    clip, settings = asked.the_clip, asked.settings
    find, form = settings.get("find", "point"), settings.get("form", "overlay")
    options: dict[str, Any] = {}
    if find in ("point", "box"):
        options |= _prompts(asked.points, find)
        if asked.preview is not None:
            # It begins where something is pointed at: what is before that cannot be followed from it.
            asked = replace(asked, preview=min(float(point.get("time", 0)) for point in asked.points))
    elif find == "static":
        options["static_camera"] = True
    if clip.facts["image"] and not options:
        raise InputError("nothing moves in an image: point at something")
    # The picture with the object in colour says at once what was found.
    form = "overlay" if asked.preview is not None else form
    options["form"] = form
    suffix = {"masks": "", "cutout": ".webm"}.get(form, _suffix_of(clip))
    return _to_video("segment", asked, options, suffix, "segmenting")


def hints_of(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was pointed at in one frame, as `vivae.tasks.segment.first_mask` takes it. Raises InputError."""
    try:
        boxes = [tuple(float(p[k]) for k in ("x", "y", "width", "height")) for p in points if "width" in p]
        dots = [(float(p["x"]), float(p["y"]), bool(p.get("against"))) for p in points if "width" not in p]
    except (KeyError, TypeError, ValueError):
        raise InputError("the page sent something unreadable: load it anew") from None
    return {
        "points": [(x, y) for x, y, against in dots if not against],
        "not_points": [(x, y) for x, y, against in dots if against],
        "box": boxes[-1] if boxes else None,
    }


def _prompts(points: Sequence[Mapping[str, Any]], find: str) -> dict[str, Any]:
    found: dict[str, list[str]] = {"point": [], "not_point": [], "box": []}
    for point in points:
        hints, at = hints_of([point]), f"@{float(point.get('time', 0)):.10g}"
        for name, values in (("point", hints["points"]), ("not_point", hints["not_points"])):
            found[name] += [f"{x:g},{y:g}{at}" for x, y in values]
        if hints["box"]:
            found["box"].append(",".join(f"{value:g}" for value in hints["box"]) + at)
    if not found["box"] and not found["point"]:
        verb = "click on an object" if find == "point" else "draw a box around an object"
        raise InputError(f"nothing is pointed at: {verb} in the clip first")
    return {name: tuple(texts) for name, texts in found.items() if texts}


def generate(asked: Asked) -> Plan:
    """New video: from nothing, from where a clip ends, from one clip to another, or along the latent space."""
    settings = asked.settings
    way = settings.get("way", "nothing")
    options: dict[str, Any] = {}
    told: dict[str, str] = {}
    shown = "new video"
    if way in ("continue", "between"):
        clip = asked.the_clip
        shown = told[str(clip.path)] = clip.title
        options["continue_"] = str(clip.path)
        if way == "between":
            other = asked.room.ready(str(settings.get("second") or ""))
            told[str(other.path)] = other.title
            options = {"between": (str(clip.path), str(other.path))}
    if way != "between":
        model = settings.get("model")
        if model not in list_models("generator"):
            raise InputError("there is no generator of that name here: choose one of those in the list")
        options["model"] = model
    if way == "along":
        options["traverse"] = int(_number(settings, "rows"))
    elif settings.get("frames"):
        options["frames"] = int(_number(settings, "frames"))
    if way in ("nothing", "continue") and int(settings.get("variations", 1)) > 1:
        options["variations"] = int(settings["variations"])
    if way != "between":
        options["seed"] = int(settings.get("seed") or 0)
    output = asked.folder / "result.mp4"
    step = Step("generate", "sampling", (), output, options, unit="steps")
    stem = Path(asked.the_clip.title).stem if told else "vivae"
    line = command("generate", [], f"{stem}-{WORDS['generate']}.mp4", options, told)
    work = Work((step,), asked.threads, result=output)
    return Plan(f"Generate · {shown}", work, (line,), {"kind": "video"}, of_clip=bool(told))


def detect(asked: Asked) -> Plan:
    """Learn what is usual from some clips, then find what is not in another."""
    clip, settings = asked.the_clip, asked.settings
    usual = [asked.room.ready(key) for key in settings.get("normal") or ()]
    if not usual:
        raise InputError("no ordinary footage is chosen: pick the clips that show what is usual")
    if any(other.facts["image"] for other in (*usual, clip)):
        raise InputError("an image does not move: choose videos")
    normal, shown = usual[0].path, usual[0].title
    if len(usual) > 1:
        normal, shown = asked.folder / "normal", "normal/"
        normal.mkdir()
        for number, other in enumerate(usual):
            os.link(other.path, normal / f"{number:03}{other.path.suffix}")
    model, scores = asked.folder / "result.safetensors", asked.folder / "result.csv"
    steps = int(_number({"steps": settings.get("steps", USUAL_STEPS)}, "steps"))
    fit: dict[str, Any] = {} if steps == USUAL_STEPS else {"steps": steps}
    score: dict[str, Any] = {"report": True}
    if float(settings.get("false_alarms", 1)) != 1:
        score["false_alarms"] = float(settings["false_alarms"])
    score |= asked.span
    work = Work(
        (
            Step("detect_fit", "learning what is usual", (normal,), model, fit, unit="parts"),
            Step(
                "detect_score",
                "looking for what is not",
                (model, clip.path),
                scores,
                {**score, "name": clip.title},
            ),
        ),
        asked.threads,
    )
    learned = _named("detect", clip, model.suffix)
    commands = (
        command("detect fit", [shown], learned, fit),
        command("detect score", [learned, clip.title], _named("detect", clip, scores.suffix), score),
    )
    return Plan(f"Detect · {clip.title}", work, commands, {"kind": "page", "page": "result.html"})


def report(asked: Asked) -> Plan:
    """One page about a video."""
    clip, settings = asked.the_clip, asked.settings
    options: dict[str, Any] = {}
    if not settings.get("surprise", True):
        options["surprise"] = False
    if settings.get("summary"):
        options["summary"] = float(settings["summary"])
    options |= asked.span
    output = asked.folder / "result.html"
    step = Step("report", "looking it over", (clip.path,), output, {**options, "name": clip.title})
    work = Work((step,), asked.threads)
    line = command("report", [clip.title], _named("report", clip, ".html"), options)
    return Plan(f"Report · {clip.title}", work, (line,), {"kind": "page", "page": output.name})


OFFERS: dict[str, Offer] = {
    "compress": compress,
    "enhance": enhance,
    "stylize": stylize,
    "segment": segment,
    "generate": generate,
    "detect": detect,
    "report": report,
}
WORDS = {
    "compress": "small",
    "enhance": "enhanced",
    "stylize": "styled",
    "segment": "segmented",
    "generate": "generated",
    "detect": "watched",
    "report": "report",
}
"""What is put behind the name of a clip to name what came of it."""


TITLES = {"stylize": "Style"}
"""Tabs that are not called as their verbs."""
FLAGS = {"rate": "--fps", "form": "--as", "continue_": "--continue"}
"""Options that are called otherwise on the command line."""
PAIRS = ("between",)
"""Options of two values at once."""


def command(
    verb: str, inputs: Sequence[str], output: str, options: Settings, told: Mapping[str, str] | None = None
) -> str:
    """The command line that makes the same call. told: what to write instead of a value."""
    # A name that begins like an option is told as a path.
    files = [f"./{name}" if name.startswith("-") else name for name in (*inputs, output)]
    words = ["vivae", *verb.split(), *files[:-1], "-o", files[-1]]
    for name, value in options.items():
        flag = FLAGS.get(name, "--" + name.replace("_", "-"))
        if value is True:
            words.append(flag)
        elif isinstance(value, tuple) and name in PAIRS:
            words += [flag, *((told or {}).get(each, each) for each in value)]
        elif isinstance(value, tuple):
            words += [word for each in value for word in (flag, each)]
        elif value is False:
            words.append("--no-" + flag.removeprefix("--"))
        else:
            text = "none" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
            words += [flag, (told or {}).get(text, text) + ("x" if name == "rate" else "")]
    return shlex.join(words)


def _to_video(
    verb: str,
    asked: Asked,
    options: Settings,
    suffix: str,
    label: str,
    told: Mapping[str, str] | None = None,
) -> Plan:
    """One call that makes a video of a clip, to be looked at beside it."""
    clip = asked.the_clip
    span = asked.span
    options = {**options, **span}
    output = asked.folder / f"result{suffix}"
    before = (clip.path, span["start"], span["end"]) if span else None
    step = Step(verb, label, (clip.path,), output, options)
    line = command(verb, [clip.title], _named(verb, clip, suffix), options, told)
    work = Work((step,), asked.threads, result=output, before=before, fps=clip.facts["fps"])
    title = TITLES.get(verb, verb.capitalize())
    return Plan(f"{title} · {clip.title}", work, (line,), {"kind": "compare"})


def _number(settings: Settings, name: str) -> float:
    value = settings.get(name)
    if value is None or not float(value) > 0:
        raise InputError(f"the {name.replace('_', ' ')} must be a number above 0")
    return float(value)


def _suffix_of(clip: Clip) -> str:
    return ".png" if clip.facts["image"] else ".mp4"


def _named(verb: str, clip: Clip, suffix: str) -> str:
    return f"{Path(clip.title).stem}-{WORDS[verb]}{suffix}"
