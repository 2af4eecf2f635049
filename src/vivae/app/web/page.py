"""The tabs and their settings, in Gradio; clips, viewer and jobs are parts of our own beside them (`assets`).

A button sends the settings of its tab, and what the parts know: which clips, which moment, what was pointed at.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from vivae import __version__
from vivae.app.web.frames import WORKBENCH
from vivae.app.web.guard import room_of
from vivae.app.web.house import House
from vivae.app.web.offers import USUAL_STEPS
from vivae.errors import VivaeError
from vivae.vae.zoo import list_models, styles

Settings = dict[str, Any]
_ACCENT = "#eefaf8 #d3f1ed #a9e3dc #75cfc6 #43b5ab #1d968d #0a7f7a #0b6662 #0e504e #10413f #072827"
_SLATE = "#f7f9fa #eef1f4 #dfe4ea #c3ccd6 #95a3b4 #6b7a8c #566373 #33404d #26303b #141a21 #0c1015"
AIMS = {
    "quality": "Quality",
    "size": "File size",
    "bitrate": "Bit rate",
    "ratio": "Ratio",
    "target_vmaf": "VMAF",
}
FINDS = {
    "point": "What I click on",
    "box": "What I draw a box around",
    "auto": "What moves by itself",
    "static": "What passes a still camera",
}
FORMS = {"overlay": "Overlay", "cutout": "Cut-out (transparent)", "masks": "Masks (PNG)"}
WAYS = {
    "nothing": "With nothing",
    "continue": "Where the clip ends",
    "between": "Between two clips",
    "along": "Along the latent space",
}
GIVEN_BACK = {"": "As the speed says", "psnr": "Nearer to the source", "perceptual": "Texture, for the eye"}
KINDS = {".mp4": "MP4", ".mkv": "MKV", ".webm": "WebM", ".vva": "Pure VAE (.vva)"}


def theme() -> gr.themes.Base:
    """As the reports look; fonts of the system alone, so that nothing is fetched."""
    accent, slate = (gr.themes.Color(*shades.split()) for shades in (_ACCENT, _SLATE))
    sans = ["Inter", "ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
    mono = ["ui-monospace", "SF Mono", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"]
    return gr.themes.Base(
        primary_hue=accent,
        secondary_hue=accent,
        neutral_hue=slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=sans,
        font_mono=mono,
    ).set(
        body_background_fill="#f3f5f7",
        body_background_fill_dark="#0c1015",
        block_border_width="0px",
        block_label_background_fill="transparent",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="#fff",
        block_padding="0px",
        block_shadow="none",
        form_gap_width="18px",
        layout_gap="14px",
        checkbox_label_background_fill="*neutral_100",
        checkbox_label_background_fill_dark="*neutral_800",
        checkbox_label_padding="6px 12px",
        checkbox_label_gap="7px",
        block_info_text_size="13px",
        block_title_text_size="14px",
        block_title_text_weight="560",
        block_title_text_color="*neutral_900",
        block_title_text_color_dark="*neutral_50",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
    )


def head() -> str:
    """Script and style of our own parts."""
    return f'<script src="/v/assets/{WORKBENCH}"></script><link rel="stylesheet" href="/v/assets/bench.css">'


def build(house: House) -> gr.Blocks:
    """The whole page."""
    with gr.Blocks(title="vivae", analytics_enabled=False, fill_width=True) as page:
        gr.HTML(
            '<header class="vv-top"><i></i><b>vivae</b>'
            "<span>Video made smaller, cleaner, clearer, on this machine</span>"
            f"<small>{__version__}</small></header>",
            js_on_load=None,
        )
        _part("tray")
        _part("nav", tabs=" ".join(verb for _, verb, _ in TABS), names=" ".join(name for name, _, _ in TABS))
        wish = gr.Textbox(visible=False)
        keys = gr.Textbox(visible=False)
        with gr.Row(elem_classes="vv-bench"):
            with gr.Column(scale=4, min_width=330, elem_classes="vv-tasks"):
                for _, verb, build_tab in TABS:
                    # All tabs stand in the page; the part "nav" shows one of them.
                    with gr.Column(elem_id=f"vv-tab-{verb}", elem_classes="vv-tab"):
                        _fill(house, verb, build_tab, wish, keys)
            with gr.Column(scale=7, min_width=330, elem_classes="vv-shows"):
                _part("viewer")
                _part("queue")
    return page


def _fill(
    house: House, verb: str, build_tab: Callable[[], Settings], wish: gr.Textbox, keys: gr.Textbox
) -> None:
    """A tab: its settings from a builder, then the buttons."""
    settings = build_tab()
    names = list(settings)
    with gr.Row(elem_classes=["vv-buttons", f"vv-of-{verb}"]):
        preview = gr.Button("Preview 3 s", elem_id=f"vv-{verb}-preview")
        start = gr.Button("Start", variant="primary", elem_id=f"vv-{verb}-start")
        every = gr.Button("Start for all clips", elem_id=f"vv-{verb}-all", elem_classes="vv-all")
    _part("when")

    def ask(request: gr.Request, *values: Any) -> str:
        return _ask(house, verb, dict(zip(names, values[:-1], strict=True)), values[-1], request)

    for button, kind in ((preview, "preview"), (start, "one"), (every, "all")):
        js = f"(...values) => [...values.slice(0, -1), vivaeBench.wish({json.dumps(kind)})]"
        button.click(
            ask,
            [*settings.values(), wish],
            keys,
            js=js,
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=None,
        ).success(None, keys, None, js="keys => vivaeBench.asked(keys)")


def _ask(house: House, verb: str, settings: Settings, wish: str, request: gr.Request) -> str:
    """Queue what is wished; the keys of the jobs. What cannot be done is said, and the rest is done."""
    room = room_of(request.request.scope) if request.request is not None else None
    if room is None:
        raise gr.Error("You were away for long: load the page anew.", print_exception=False)
    try:
        told = json.loads(wish)
        clips: Sequence[str | None] = [str(key) for key in told["clips"]] or [None]
        preview = None if told["preview"] is None else float(told["preview"])
        if preview is not None and not math.isfinite(preview):
            raise ValueError("no time")
        points = list(map(dict, told["points"]))
        picks = told["picks"]
        settings |= {
            "style": str(picks["style"]),
            "second": str(picks["second"]),
            "normal": list(map(str, picks["normal"])),
        }
    except (ValueError, KeyError, TypeError):
        raise gr.Error("The page sent something unreadable: load it anew.", print_exception=False) from None
    keys, problems = [], []
    for clip in clips:
        try:
            keys.append(house.ask(room, verb, settings, clip, preview=preview, points=points).key)
        except VivaeError as error:
            problems.append(str(error))
    if problems and not keys:
        raise gr.Error(_sentence(problems[0]), duration=8, print_exception=False, title="That cannot be done")
    for problem in problems:
        gr.Warning(_sentence(problem))
    return " ".join(keys)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _part(name: str, **data: str) -> None:
    attributes = "".join(f' data-{key}="{value}"' for key, value in {"part": name, **data}.items())
    gr.HTML(
        f'<div class="vv-part"{attributes}></div>',
        # The script may come later than the part: it starts by itself then.
        js_on_load='typeof vivaeBench === "undefined" || vivaeBench.start()',
        apply_default_css=False,
    )


def _note(text: str) -> None:
    gr.HTML(f'<p class="vv-note">{text}</p>', js_on_load=None)


def _choices(named: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(label, value) for value, label in named.items()]


def _compress() -> Settings:
    _note("Smaller files that every player shows; or the pure VAE codec.")
    aim = gr.Radio(_choices(AIMS), value="quality", label="Aim for")
    fields = {
        "quality": gr.Slider(0, 100, 50, step=1, label="Quality: 0 small, 100 good"),
        "size": gr.Number(1.0, label="Size of the file, MB", visible=False),
        "bitrate": gr.Number(300, label="Rate, kbit/s", visible=False),
        "ratio": gr.Number(100, label="Times smaller than raw video", visible=False),
        "target_vmaf": gr.Slider(20, 99, 90, step=1, label="VMAF of the whole clip", visible=False),
    }
    aim.change(
        lambda chosen: [gr.update(visible=name == chosen) for name in fields],
        aim,
        list(fields.values()),
        show_progress="hidden",
        api_visibility="private",
    )
    container = gr.Radio(_choices(KINDS), value=".mp4", label="Kind of file")
    speed = gr.Slider(0, 10, 6, step=1, label="Speed: 0 smallest file, 10 quickest")
    grain = gr.Checkbox(False, label="Take noise out, and let players put grain like it back")
    tune = gr.Radio(
        _choices(GIVEN_BACK),
        value="",
        label="Given back where vivae decodes the file, slowly; players show it plain",
    )
    return {"aim": aim, **fields, "container": container, "speed": speed, "grain": grain, "tune": tune}


def _enhance() -> Settings:
    _note("Noise, traces of compression, darkness, blur and too few pixels, undone in one pass.")
    auto = gr.Checkbox(True, label="Measure first, and do what that advises")
    denoise = gr.Radio(
        [("Only as advised", "no"), ("As measured", "auto"), ("By strength", "strength")],
        value="no",
        label="Noise",
    )
    sigma = gr.Slider(1, 60, 15, step=1, label="Deviation of the noise, of 255", visible=False)
    denoise.change(
        lambda chosen: gr.update(visible=chosen == "strength"),
        denoise,
        sigma,
        show_progress="hidden",
        api_visibility="private",
    )
    also = gr.CheckboxGroup(
        [("Traces of compression", "deblock"), ("Darkness", "light"), ("Soft focus", "deblur")], label="Undo as well"
    )  # fmt: skip
    scale = gr.Radio([("1×", 1), ("2×", 2), ("3×", 3), ("4×", 4)], value=1, label="Wider and higher")
    rate = gr.Radio([("1×", 1), ("2×", 2), ("4×", 4)], value=1, label="Frames a second")
    preset = gr.Radio(
        [("Fast", "fast"), ("Best, up to four times slower", "best")], value="fast", label="Effort"
    )
    return {
        "auto": auto,
        "denoise": denoise,
        "sigma": sigma,
        "also": also,
        "scale": scale,
        "rate": rate,
        "preset": preset,
    }


def _stylize() -> Settings:
    _note("The colours of a picture, or its strokes, without flicker. Put in an image to use it as a style.")
    _part("styles", styles=" ".join(styles()))
    mode = gr.Radio([("Colour and tone", "photo"), ("Painted", "art")], value="photo", label="Take over")
    strength = gr.Slider(0, 1, 1, step=0.05, label="Strength")
    return {"mode": mode, "strength": strength}


def _segment() -> Settings:
    _note("Objects cut out of the video: point at one, draw a box around it, or let vivae find what moves.")
    find = gr.Radio(_choices(FINDS), value="point", label="Find")
    find.change(None, find, None, js="tool => vivaeBench.use(tool)", api_visibility="private")
    form = gr.Radio(_choices(FORMS), value="overlay", label="Result")
    return {"find": find, "form": form}


def _generate() -> Settings:
    _note("New video out of a generator's prior: from nothing, or going on from the chosen clip.")
    generators = list_models("generator")
    label = (
        "Generator" if generators else "Generator: none is in this package, so only two clips can be joined"
    )
    way = gr.Radio(_choices(WAYS), value="nothing", label="Begin")
    model = gr.Dropdown(generators, value=next(iter(generators), None), label=label)
    with gr.Column(elem_classes="vv-other"):
        gr.HTML('<p class="vv-label">The other clip</p>', js_on_load=None)
        _part("second")
    frames = gr.Number(0, precision=0, label="New frames (0: as many as suits the model)")
    variations = gr.Slider(1, 9, 1, step=1, label="Variations, beside each other")
    rows = gr.Slider(1, 8, 4, step=1, label="Directions, one a row", visible=False)
    seed = gr.Number(0, precision=0, label="Seed: the same one gives the same video")
    way.change(
        lambda chosen: [
            gr.update(visible=chosen != "between"),
            gr.update(visible=chosen != "along"),
            gr.update(visible=chosen in ("nothing", "continue")),
            gr.update(visible=chosen == "along"),
            gr.update(visible=chosen != "between"),
        ],
        way,
        [model, frames, variations, rows, seed],
        show_progress="hidden",
        api_visibility="private",
    )
    way.change(None, way, None, js="way => { document.body.dataset.vvWay = way; }", api_visibility="private")
    return {
        "way": way, "model": model, "frames": frames, "variations": variations, "rows": rows, "seed": seed
    }  # fmt: skip


def _detect() -> Settings:
    _note(
        "Learn what is usual from ordinary footage of a camera that stands still; find what is not, in the chosen clip."
    )
    gr.HTML('<p class="vv-label">Ordinary footage</p>', js_on_load=None)
    _part("normal")
    steps = gr.Slider(50, 2000, USUAL_STEPS, step=50, label="Steps of the training: more are slower")
    false_alarms = gr.Number(1, label="False alarms tolerated in an hour")
    return {"steps": steps, "false_alarms": false_alarms}


def _report() -> Settings:
    _note("One page that makes a video plain: shots, what stands out, curves over time, technical data.")
    surprise = gr.Checkbox(True, label="Bits over time by the model (the slowest part)")
    summary = gr.Number(0, label="Also a summary clip of so many seconds (0: none)")
    return {"surprise": surprise, "summary": summary}


TABS: tuple[tuple[str, str, Callable[[], Settings]], ...] = (
    ("Compress", "compress", _compress),
    ("Enhance", "enhance", _enhance),
    ("Style", "stylize", _stylize),
    ("Segment", "segment", _segment),
    ("Generate", "generate", _generate),
    ("Detect", "detect", _detect),
    ("Report", "report", _report),
)
