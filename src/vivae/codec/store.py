"""Coded shots kept on disk until their file is whole, so that an interrupted encoding goes on where it was.

A store belongs to one job: the same source, span, model and settings. What was kept under other circumstances, or was
cut short, counts as absent.
"""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

from vivae.codec.layer import Layer
from vivae.codec.shot import Base, Coded
from vivae.media.atomic import atomic_path
from vivae.media.av1 import Av1Settings, Unit


class ShotStore:
    """Coded shots by what was asked for, in a folder beside the output. circumstances: all that they depend on."""

    def __init__(self, folder: Path, circumstances: str) -> None:
        self.folder = folder
        self._mark = hashlib.sha256(circumstances.encode()).hexdigest()

    def get(self, wanted: str) -> Coded | None:
        """What was kept for this request, if it is whole."""
        path = self._path(wanted)
        try:
            head, _, body = path.read_bytes().partition(b"\n")
            told = json.loads(head)
            sizes = [size for size, _, _ in told["units"]]
            if told["check"] != hashlib.sha256(body).hexdigest() or sum(sizes) != len(body):
                return None
            units, at = [], 0
            for size, position, key in told["units"]:
                units.append(Unit(body[at : at + size], position, key))
                at += size
            settings = Av1Settings(**told["base"]["settings"])
            layer = None if told["layer"] is None else Layer(**told["layer"])
            return Coded(Base(settings, told["base"]["shrink"]), tuple(units), layer)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, wanted: str, coded: Coded) -> None:
        """Keep a coded shot."""
        body = b"".join(unit.data for unit in coded.units)
        told = {
            "base": asdict(coded.base),
            "layer": None if coded.layer is None else asdict(coded.layer),
            "units": [(len(unit.data), unit.position, unit.key) for unit in coded.units],
            "check": hashlib.sha256(body).hexdigest(),
        }
        self.folder.mkdir(exist_ok=True)
        with atomic_path(self._path(wanted), force=True) as part:
            part.write_bytes(json.dumps(told).encode() + b"\n" + body)

    def remove(self) -> None:
        """Nothing is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, wanted: str) -> Path:
        return self.folder / (hashlib.sha256(f"{self._mark} {wanted}".encode()).hexdigest()[:32] + ".shot")
