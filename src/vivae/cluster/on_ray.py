"""The engine on a Ray cluster: every file is a Ray task, and is done again elsewhere when its node is lost.

All machines see the same files under the same names (NFS or the like) and have the same vivae. A task that is done
twice does no harm: results are written beside their place and renamed into it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from vivae import __version__
from vivae.cluster.processes import Event, Started
from vivae.cluster.work import Call, Outcome, Task, perform
from vivae.codec.ahead import helped_by
from vivae.errors import InputError, UnsupportedError

RETRIES = 4
"""How often a task is begun anew after the loss of its node or process."""
AHEAD = 2
"""Tasks handed to the cluster, over those that it can do at a time."""
_SECONDS = 1.0
"""Between looks at what is done."""


class RayEngine:
    """Runs tasks on the cluster at `address` ("auto" for the one of this machine), or on one of its own without.

    jobs: at a time; of a given cluster all its processors unless said. threads: processors for each.
    """

    def __init__(self, jobs: int | None, threads: int, address: str | None) -> None:
        need_ray()
        self.jobs, self.threads, self.address = jobs, threads, address

    @contextmanager
    def helping(self) -> Iterator[None]:
        """For work on a single file: the cluster codes its shots."""
        processors = (self.jobs or os.cpu_count() or 1) * self.threads
        with connected(self.address, processors), helped_by(partial(help_with, self.threads)):
            yield

    def run(self, call: Call, tasks: Sequence[Task]) -> Iterator[Event]:
        """As `Processes.run`; tasks tell of no progress."""
        with connected(self.address, (self.jobs or 1) * self.threads):
            import ray

            at_once = self.jobs or max(1, int(ray.cluster_resources().get("CPU", 1)) // self.threads)
            do = ray.remote(_do).options(num_cpus=self.threads, max_retries=RETRIES)
            waiting = iter(tasks)
            pending: dict[Any, Task] = {}
            try:
                while True:
                    while len(pending) < (at_once if self.jobs else AHEAD * at_once):
                        task = next(waiting, None)
                        if task is None:
                            break
                        pending[do.remote(call, task, self.threads, __version__)] = task
                        yield Started(task, f"task {len(pending)}")
                    if not pending:
                        return
                    ready, _ = ray.wait(list(pending), timeout=_SECONDS)
                    for reference in ready:
                        yield _outcome(reference, pending.pop(reference))
            finally:
                for reference in pending:
                    ray.cancel(reference)
                if pending:  # let them remove what they have begun to write
                    ray.wait(list(pending), num_returns=len(pending), timeout=10 * _SECONDS)


@contextmanager
def connected(address: str | None, processors: int) -> Iterator[None]:
    """A connection to a Ray cluster; without an address to one on this machine, that ends with the block.

    A connection that the caller has made already is used, and left as it is. Raises InputError where nobody answers.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A cluster of our own yields to others no more than processes of our own do.
    os.environ.setdefault("RAY_worker_niceness", "0")
    own = {"num_cpus": processors, "include_dashboard": False} if address is None else {"address": address}
    with _our_signals():
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **own)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"there is no Ray cluster at '{address}': {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _our_signals() -> Iterator[None]:
    """Ray ends the process on a termination signal; ours lets it tidy up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _do(call: Call, task: Task, threads: int, version: str) -> Outcome:
    """On a node."""
    if version != __version__:
        reason = f"a node has vivae {__version__}, and the run is of {version}: install the same everywhere"
        return Outcome(task.number, None, reason, fault=True)
    if not task.source.exists():
        reason = (
            f"'{task.source}' is not there on node {os.uname().nodename}: "
            "the archive and the results must lie on storage that all machines share"
        )
        return Outcome(task.number, None, reason)
    with helped_by(partial(help_with, threads)):
        return perform(call, task, threads, _quiet)


def help_with(threads: int, function: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[Any]:
    """`vivae.codec.ahead.Helpers` of the cluster: a task for each argument; the results in order.

    What waits for them gives its processors back meanwhile.
    """
    import ray

    do = ray.remote(function).options(num_cpus=threads, max_retries=RETRIES)
    references = [do.remote(argument) for argument in arguments]
    for reference in references:
        yield ray.get(reference)


def _quiet(done: int, total: int | None) -> None:
    """Progress is not sent over the network."""


def _outcome(reference: Any, task: Task) -> Outcome:
    import ray

    try:
        found = ray.get(reference)
        assert isinstance(found, Outcome)
        return found
    except ray.exceptions.RayError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = f"it was lost {1 + RETRIES} times, or could not be begun: {lines[-1] if lines else error!r}"
        return Outcome(task.number, None, reason, fault=True)


def need_ray() -> None:
    """Raises UnsupportedError where Ray is not installed."""
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise UnsupportedError(
            "Ray is not installed: pip install 'vivae[cluster]', or use --engine local"
        ) from error
