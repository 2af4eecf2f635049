"""`segment`: objects cut out of video; see `first_mask` for the mask of one frame."""

from vivae.tasks.prompts import first_mask

__all__ = ["first_mask"]
