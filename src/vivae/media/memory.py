"""Memory that a codec has freed, given back to the system.

Encoders take thousands of blocks of many sizes from several threads. When they end, glibc keeps what they had in the
arenas of threads that are gone, and the next encoder takes as much again: after a few, a process holds several times
what any of them needed.
"""

import ctypes
from collections.abc import Callable
from functools import cache


@cache
def _trim() -> Callable[[int], int] | None:
    """glibc's `malloc_trim`; other systems' allocators have nothing of the kind, and need it less."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return found


def release_freed() -> None:
    """Give back what is free. Takes milliseconds: to be called after an encoder has ended, not for each frame."""
    trim = _trim()
    if trim is not None:
        trim(0)
