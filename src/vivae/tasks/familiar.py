"""Whether a video is like what a model learned from: else its results deserve less trust."""

import json
import logging
import os
from functools import cache
from importlib import resources
from typing import Any

from vivae.errors import VivaeError
from vivae.media import open_video
from vivae.tasks.common import unwarned
from vivae.vae.familiar import bits_of_small
from vivae.vae.model import VideoVAE

logger = logging.getLogger(__name__)


def check_familiar(
    src: str | os.PathLike[str], vae: VideoVAE, notes: dict[str, Any], start: float | None = None
) -> str | None:
    """Warn in one line where the beginning of a video is unlike what `vae` learned from; also returns what is unlike.

    notes: those of the model's weights. Nothing is said of models that keep no figures of their training.
    """
    known = _shipped().get(vae.hash) or notes.get("familiar")
    if not known:
        return None
    try:
        with unwarned(), open_video(src, start=start) as reader:
            own = bits_of_small(vae, reader)
    except VivaeError:
        return None
    kinds = {"still": "looks", "moving": "moves"}
    unlike = [kinds[name] for name, limit in known.items() if getattr(own, name) > limit]
    if not unlike:
        return None
    words = " and ".join(unlike)
    logger.warning(
        "'%s' %s unlike what model '%s' learned from (out of distribution): expect less",
        src,
        words,
        vae.config.name,
    )
    return words


@cache
def _shipped() -> dict[str, dict[str, float]]:
    """By hash, of models whose weights were fixed before figures were kept in them, or were measured otherwise."""
    path = resources.files("vivae.vae") / "weights" / "familiar.json"
    found: dict[str, dict[str, float]] = json.loads(path.read_text("utf-8"))
    return found
