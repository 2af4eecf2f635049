"""What every benchmark has in common: where it ran, on which clips, what is kept, and how its tables look.

A benchmark measures clip by clip and keeps each clip's raw figures in its own JSON file; one that was interrupted goes
on where it stopped. `results.json` holds all of it, `results.md` the tables. What is measured is the business of
`vivae.tasks`.
"""

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import av
import torch

from vivae import __version__
from vivae.errors import InputError
from vivae.measure.clip import Clip, file_hash, load_clip
from vivae.media import atomic_path

PACKAGES = (
    "torch",
    "numpy",
    "av",
    "opencv-python-headless",
    "constriction",
    "safetensors",
    "scipy",
    "imageio-ffmpeg",
)
EVAL_CLIPS = ("basketball", "blocks", "bunny", "carphone", "foreman", "hd_flower", "hd_lab", "road")
DAVIS_CLIPS = ("blackswan", "breakdance", "car-shadow", "libby")
APART = frozenset({"bunny"})
"""Computer-made: reported, but not in the mean."""

Record = dict[str, Any]
Cell = float | int | str | None


@dataclass(frozen=True, slots=True)
class BenchClip:
    """A clip of the evaluation set."""

    name: str
    path: Path
    in_mean: bool

    def load(self, frames: int) -> Clip:
        return load_clip(self.path, frames=frames)


def evaluation_clips(data: str | os.PathLike[str], only: Iterable[str] = ()) -> list[BenchClip]:
    """The clips of `data/eval` and the four DAVIS sequences of `data/segment/davis`.

    only: names of those wanted, all without. Raises InputError for a clip that is missing.
    """
    root = Path(data)
    paths = {name: root / "eval" / f"{name}.mkv" for name in EVAL_CLIPS}
    paths |= {name: root / "segment" / "davis" / f"{name}.mkv" for name in DAVIS_CLIPS}
    wanted = list(only) or list(paths)
    for name in wanted:
        if name not in paths:
            raise InputError(f"there is no evaluation clip '{name}': choose from {', '.join(paths)}")
        if not paths[name].is_file():
            raise InputError(f"the evaluation clip '{paths[name]}' is missing: give the folder with --data")
    return [BenchClip(name, paths[name], name not in APART) for name in wanted]


def environment(threads: int) -> Record:
    """Where and with what figures were taken: enough to take them again."""
    return {
        "vivae": __version__,
        "commit": _commit(),
        # Folders by their own names: where they lie says nothing to others.
        "command": " ".join(Path(word).name if Path(word).is_absolute() else word for word in sys.argv),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": threads,
        "packages": {name: _version(name) for name in PACKAGES},
        "ffmpeg_libraries": {
            name: ".".join(map(str, version)) for name, version in av.library_versions.items()
        },
    }


def cpu_name() -> str:
    """As the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


class Records:
    """Raw figures in a folder, one file a key; a figure is taken only once for one set of circumstances."""

    def __init__(self, folder: Path, circumstances: Record) -> None:
        self._folder = folder / "points"
        self._circumstances = circumstances
        self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str, source: Path | None, measure: Callable[[], Any]) -> Record:
        """The record of `key`: read if it is there and was taken under these circumstances, else measured.

        source: the data file it depends on; its SHA-256 is one of the circumstances.
        """
        path = self._folder / f"{key}.json"
        under = self._circumstances | ({} if source is None else {"data_sha256": file_hash(source)})
        mark = hashlib.sha256(json.dumps(under, sort_keys=True).encode()).hexdigest()
        if path.is_file():
            found: Record = json.loads(path.read_text("utf-8"))
            if found.get("mark") == mark:
                return dict(found["figures"])
        figures: Record = as_json(measure())
        write_json(path, {"mark": mark, "under": under, "figures": figures})
        return figures


def as_json(value: Any) -> Any:
    """Dataclasses, paths and NaN as JSON has them."""
    if is_dataclass(value) and not isinstance(value, type):
        return as_json(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, Path):
        return value.name
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def write_json(path: Path, value: Any) -> None:
    """Whole or not at all."""
    with atomic_path(path, force=True) as part:
        part.write_text(json.dumps(as_json(value), indent=1, allow_nan=False) + "\n", "utf-8")


def write_text(path: Path, text: str) -> None:
    """Whole or not at all."""
    with atomic_path(path, force=True) as part:
        part.write_text(text, "utf-8")


def mean_of(rows: Mapping[str, Sequence[Cell]], names: Iterable[str]) -> list[Cell]:
    """Column by column over the named rows; a column with a gap or a text has none."""
    chosen = [rows[name] for name in names]
    return [_mean(column) for column in zip(*chosen, strict=True)]


def markdown_table(
    columns: Sequence[str],
    rows: Mapping[str, Sequence[Cell]],
    digits: Sequence[int],
    apart: Iterable[str] = APART,
    mean: bool = True,
) -> str:
    """One line a row and their mean last, over the rows that are not `apart`; those follow the mean.

    mean: without it all rows are alike, as where they are not clips.
    """
    if not mean:
        apart = ()
    apart_rows = [name for name in rows if name in set(apart)]
    main = [name for name in rows if name not in apart_rows]
    lines = [_line(columns), _line(["---", *["---:"] * (len(columns) - 1)])]
    lines += [_line([name, *_cells(rows[name], digits)]) for name in main]
    if mean and len(main) > 1:
        means = _cells(mean_of(rows, main), digits)
        lines.append(_line(["**mean**", *(f"**{cell}**" if cell != "-" else cell for cell in means)]))
    lines += [_line([f"*{name}* (not in the mean)", *_cells(rows[name], digits)]) for name in apart_rows]
    return "\n".join(lines) + "\n"


def provenance(where: Record) -> str:
    """One paragraph below a table."""
    packages = ", ".join(f"{name} {version}" for name, version in where["packages"].items() if version)
    return (
        f"`{where['command']}`, vivae {where['vivae']} at commit {where['commit'] or 'unknown'}, on {where['cpu']} "
        f"({where['cpu_capability']}), {where['threads']} threads; Python {where['python']}, {packages}.\n"
    )


def _mean(column: Sequence[Cell]) -> Cell:
    numbers = [cell for cell in column if isinstance(cell, int | float)]
    return sum(numbers) / len(numbers) if numbers and len(numbers) == len(column) else None


def _cells(values: Sequence[Cell], digits: Sequence[int]) -> list[str]:
    return [
        "-" if value is None else value if isinstance(value, str) else f"{value:.{places}f}"
        for value, places in zip(values, digits, strict=True)
    ]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Of the checkout that this code runs from, with a plus sign where files differ from it; None when installed."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        head, changed = (
            subprocess.run(
                ["git", "-C", root, *words], capture_output=True, text=True, check=True
            ).stdout.strip()
            for words in (
                ["rev-parse", "--short=12", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no"],
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")
