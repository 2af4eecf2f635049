"""The verbs as `vivae --help` shows them: in groups, in the order people meet them, each with an example.

One table serves the help, the line that a usage error prints, and the tests, which parse and run the examples.
"""

from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup

EXAMPLES = {
    "First steps": {
        "demo": "vivae demo tour/",
        "info": "vivae info clip.mp4",
        "doctor": "vivae doctor",
        "serve": "vivae serve --port 7860",
    },
    "Smaller files": {
        "compress": "vivae compress clip.mp4 -o small.mp4 --ratio 100",
        "decompress": "vivae decompress small.mp4 -o shown.mkv",
    },
    "Better and other pictures": {
        "enhance": "vivae enhance clip.mp4 -o better.mp4 --denoise auto --scale 2",
        "stylize": "vivae stylize clip.mp4 --style starry -o styled.mp4",
        "segment": "vivae segment clip.mp4 -o masks/ --auto",
        "generate": "vivae generate -o new.mp4 --frames 40 --seed 1",
    },
    "What is in a video": {
        "report": "vivae report film.mp4 -o film.html --summary 20",
        "shots": "vivae shots film.mp4 -o shots.csv",
        "search": "vivae search still.png films/",
        "detect fit": "vivae detect fit normal_clips/ -o street.safetensors",
        "detect score": "vivae detect score street.safetensors today.mp4 -o today.csv --report",
    },
    "The model": {
        "reconstruct": "vivae reconstruct clip.mp4 -o through.mkv --quality 80",
        "encode": "vivae encode clip.mp4 -o latents.safetensors",
        "decode": "vivae decode latents.safetensors -o back.mp4",
        "train": "vivae train tiny --data my_videos/ --minutes 10",
        "tune": "vivae tune tiny --data my_videos/ --trials 20 --minutes 2",
        "export": "vivae export base --onnx base.onnx",
    },
    "Measuring": {
        "bench vae": "vivae bench vae --data DIR -o benchmarks/vae",
        "bench codec": "vivae bench codec --data DIR -o benchmarks/curves --clip foreman",
        "bench enhance": "vivae bench enhance --data DIR -o benchmarks/enhance",
        "bench stylize": "vivae bench stylize --data DIR --style painting.jpg -o benchmarks/stylize",
        "bench detect": "vivae bench detect --data DIR -o benchmarks/detect",
        "bench shots": "vivae bench shots --data DIR -o benchmarks/shots",
        "bench segment": "vivae bench segment --data DIR -o benchmarks/segment",
        "bench generate": "vivae bench generate --data DIR -o benchmarks/generate",
        "bench cluster": "vivae bench cluster --data DIR -o benchmarks/cluster --jobs 1 --jobs 2",
        "bench search": "vivae bench search --data DIR -o benchmarks/search",
    },
}


class Verbs(TyperGroup):
    """The root of the command line: gives every verb its example, its group and its place in the list."""

    def __init__(self, **attributes: Any):
        super().__init__(**attributes)
        examples = {verb: example for group in EXAMPLES.values() for verb, example in group.items()}
        for verb, command in every_verb(self):
            if verb in examples:
                command.epilog = f"Example: `{examples[verb]}`"
        panels = {verb.split()[0]: panel for panel, group in EXAMPLES.items() for verb in group}
        for name, child in self.commands.items():
            child.rich_help_panel = panels.get(name)  # type: ignore[attr-defined]
        place = {name: number for number, name in enumerate(panels)}
        last = len(place)  # a verb without an example
        self.commands = dict(sorted(self.commands.items(), key=lambda item: place.get(item[0], last)))


def every_verb(group: TyperGroup, prefix: str = "") -> Iterator[tuple[str, TyperCommand]]:
    """`compress`, `bench vae`, ... with their commands."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from every_verb(command, f"{prefix}{name} ")
        elif isinstance(command, TyperCommand):
            yield prefix + name, command


def example_of(command: object) -> str | None:
    """The example of a verb's command, as it is typed."""
    before, mark, example = (getattr(command, "epilog", None) or "").partition("Example: ")
    return example.strip("`") if mark and not before else None
