"""Memory that was freed: given back to the system after an encoder, kept for the next picture between networks.

Encoders take thousands of blocks of many sizes from several threads. When they end, glibc keeps what they had in the
arenas of threads that are gone, and the next encoder takes as much again: after a few, a process holds several times
what any of them needed.
"""

import ctypes
from collections.abc import Callable
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's mallopt."""
KEPT_BYTES = 512 << 20
LARGEST_BYTES = 32 << 20
"""The most that glibc takes: what is larger goes back whenever it is freed."""


@cache
def _glibc(name: str) -> Callable[..., int] | None:
    """A function of glibc's allocator; other systems' have nothing of the kind, and need it less."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None
    return found


def release_freed() -> None:
    """Give back what is free. Takes milliseconds: to be called after an encoder has ended, not for each frame."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def keep_freed() -> None:
    """From here on, keep what pictures and features have freed for those that follow.

    Networks take and free the same megabytes for every frame; having each page of them cleared anew by the system takes
    a tenth of the time.
    """
    option = _glibc("mallopt")
    if option is not None:
        option(M_MMAP_THRESHOLD, LARGEST_BYTES)
        option(M_TRIM_THRESHOLD, KEPT_BYTES)
