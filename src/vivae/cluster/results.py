"""What the results of a run over an archive are called and where they lie, and what is removed from there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vivae.cluster.manifest import Row
from vivae.cluster.sources import FILES, Item
from vivae.errors import InputError, OutputError
from vivae.media.atomic import output_error
from vivae.media.source import IMAGE_SUFFIXES

SUFFIXES: dict[str, str | None] = {
    "compress": "",
    "decompress": "",
    "enhance": "",
    "stylize": "",
    "reconstruct": "",
    "segment": None,
    "encode": ".safetensors",
    "shots": ".csv",
    "report": ".html",
    "detect score": ".csv",
}
"""The verbs that work on archives, and how their results end. Empty: as the source, where that can be written. None: a
folder of images, except for an overlay, which is a video."""
_NO_FOLDERS = FILES | {suffix for suffix in SUFFIXES.values() if suffix}
VIDEO_RESULTS = (".mp4", ".mkv", ".webm")
_LEFTOVER = re.compile(r"\.(.+)\.[0-9a-z_]{8}\.part(\..+)?")
"""Names of what `vivae.media.atomic` and the verbs write beside a result until it is whole."""
NAMED = frozenset({"shots", "report", "detect score"})
"""Their results speak of the file by name, so equal files have unequal results."""


def suffix_of(verb: str, chosen: str | None, settings: Mapping[str, Any]) -> Callable[[Item], str]:
    """How the result of an item ends. chosen: by the user. Raises InputError."""
    usual = SUFFIXES[verb] if chosen is None else chosen
    options = settings.get("options", {})
    if usual is None:
        if options.get("form") != "overlay":
            return lambda item: ""
        usual = ""
    if chosen is None and verb == "compress" and options.get("codec") == "latent":
        usual = ".vva"
    if usual and not usual.startswith("."):
        raise InputError(f"a suffix begins with a point: .{usual}")

    def suffix(item: Item) -> str:
        own = item.path.suffix.lower()
        if own in IMAGE_SUFFIXES and verb != "compress":
            return usual or ".png"
        return usual or (own if own in VIDEO_RESULTS else VIDEO_RESULTS[0])

    return suffix


def made_folder(folder: Path) -> Path:
    """The real path of the output folder, made if it is not there. Raises OutputError."""
    if folder.suffix.lower() in _NO_FOLDERS and not folder.is_dir():
        raise OutputError(f"'{folder}' looks like a file, and many results need a folder: give one with -o")
    try:
        folder.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise OutputError(f"cannot write '{folder}': the folder '{folder.parent}' does not exist") from None
    except FileExistsError:
        raise OutputError(
            f"'{folder}' is a file, and many results need a folder: give another name"
        ) from None
    except OSError as error:
        raise output_error(error, folder) from error
    return folder.resolve()


def remove_leftovers(folder: Path, rows: Iterable[Row]) -> None:
    """What processes that were killed have left of these rows' results, on whom nobody works any more."""
    ours = {str(Path(row.output).with_name(Path(row.output).stem[:80])) for row in rows}
    for path in list(folder.rglob(".*.part*")):
        match = _LEFTOVER.fullmatch(path.name)
        if match and str(path.with_name(match[1])) in ours:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
