"""A process of the local engine: `python -m vivae.cluster.worker PIPE`. Not for people."""

import logging
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import FrameType

from vivae.cluster.work import Task, perform

EVERY_SECONDS = 0.25
"""How often progress is told."""


def serve(pipe: Connection) -> None:
    """Do the tasks that come through the pipe until it ends."""
    # Ctrl-C reaches the whole group of processes; who ends and when is for the run to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    logging.getLogger("vivae").propagate = False
    call, threads = pipe.recv()
    tasks: SimpleQueue[Task | None] = SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, tasks), daemon=True).start()
    while (task := tasks.get()) is not None:
        told = [0.0]

        def progress(done: int, total: int | None, told: list[float] = told) -> None:
            if time.monotonic() - told[0] > EVERY_SECONDS:
                told[0] = time.monotonic()
                pipe.send((done, total))

        pipe.send(perform(call, task, threads, progress))


def _receive(pipe: Connection, tasks: "SimpleQueue[Task | None]") -> None:
    try:
        while True:
            tasks.put(pipe.recv())
    except (EOFError, OSError):
        tasks.put(None)
        # Without the run nobody waits for what is being done: stop it as Ctrl-C would, also if the run was killed.
        os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        serve(Connection(int(sys.argv[1])))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
