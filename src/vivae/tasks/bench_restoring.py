"""What the parts of `bench enhance` share: frames of a clip restored, and brought to sizes that every peer takes."""

import time
from collections.abc import Sequence

import numpy as np

from vivae.measure.clip import Clip
from vivae.media import Frame, Planes
from vivae.tasks.restore import Family, Plan, Restorer


def restored(frames: Sequence[Frame], plan: Plan, family: Family) -> tuple[list[Frame], float]:
    """What vivae makes of frames of one shot, and the seconds it takes."""
    started = time.perf_counter()
    marked = ((frame, not index) for index, frame in enumerate(frames))
    result = [item.frame for item in Restorer(plan, family).run(marked)]
    return result, time.perf_counter() - started


def frame_like(like: Frame, planes: Planes) -> Frame:
    return Frame(*planes, like.time, like.duration, like.color)


def cut_to(planes: Planes, width: int, height: int) -> Planes:
    y, u, v = planes
    half = (slice(height // 2), slice(width // 2))
    return (
        np.ascontiguousarray(y[:height, :width]),
        np.ascontiguousarray(u[half]),
        np.ascontiguousarray(v[half]),
    )


def even(clip: Clip) -> Clip:
    """Sides that are multiples of 4: what every filter takes."""
    picture = clip.picture
    width, height = picture.width // 4 * 4, picture.height // 4 * 4
    if (width, height) == (picture.width, picture.height):
        return clip
    frames = tuple(frame_like(frame, cut_to(frame.planes, width, height)) for frame in clip.frames)
    return Clip(
        clip.name, clip.info, type(picture)(width, height, picture.fps, picture.color, picture.sar), frames
    )
