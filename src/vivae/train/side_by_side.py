"""What prepares a batch, on as many threads as the networks have: OpenCV and FFmpeg let go of the interpreter."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

A = TypeVar("A")
B = TypeVar("B")


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="batch")


def side_by_side(work: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """`work` of each item, in order. Raises what `work` raises."""
    threads = torch.get_num_threads()
    return [work(item) for item in items] if threads == 1 else list(_pool(threads).map(work, items))
