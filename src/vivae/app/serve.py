"""`serve`: the web app, on this machine and for this machine unless told otherwise."""

import fcntl
import importlib.util
import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vivae.errors import InputError, UnsupportedError

logger = logging.getLogger(__name__)

PREFIX = "vivae-web-"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    token: str | None = None,
    jobs: int = 1,
    threads: int | None = None,
    max_upload: float = 1e9,
    max_minutes: float = 30.0,
    max_pixels: float = 4096 * 2304,
    idle_minutes: float = 60.0,
    folder: str | os.PathLike[str] | None = None,
    ready: Callable[[str], None] = logger.info,
    until: threading.Event | None = None,
) -> dict[str, Any]:
    """Serve the web app until it is interrupted, or until the event `until` is set.

    host, port: where to listen; port 0 takes a free one. Other hosts than this machine's own need a token.
    token: what visitors must know; they give it once, as ?token=... or on a page that asks for it.
    jobs: how many run at a time. threads: of each; the processor's cores shared out, unless said.
    max_upload: bytes of a file; max_minutes: of a video; max_pixels: of a frame. idle_minutes: after so long without a
    sign of a visitor their files are removed. folder: where uploads and results lie meanwhile; the system's place for
    temporary files unless said.
    ready: called with the address once it answers.

    Nothing is asked of the network, and nothing stays behind: all files lie in a folder that is removed at the end.
    Returns the address that was served. Raises InputError, UnsupportedError.
    """
    if importlib.util.find_spec("gradio") is None:
        raise UnsupportedError("the web app needs the extra 'web': pip install 'vivae[web]'")
    if host not in LOOPBACK and not token:
        raise InputError(f"serving to other machines ({host}) needs a token that visitors must know: --token")
    for name, value in (("jobs", jobs), ("max_upload", max_upload), ("max_minutes", max_minutes),
                        ("max_pixels", max_pixels), ("idle_minutes", idle_minutes)):  # fmt: skip
        if not value > 0:
            raise InputError(f"{name} must be more than 0, not {value:g}")
    if folder is not None and not Path(folder).is_dir():
        raise InputError(f"there is no folder '{folder}' for temporary files")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

    from vivae.app.web.rooms import Limits
    from vivae.app.web.server import run

    limits = Limits(
        upload=int(max_upload), seconds=60 * max_minutes, pixels=int(max_pixels), idle=60 * idle_minutes
    )
    with _listening(host, port) as listener, _own_folder(folder) as root:
        address = _address(host, listener.getsockname()[1])
        # Only where it is known by which names it is reached can others be refused.
        names = frozenset(LOOPBACK) if host in LOOPBACK else None
        run(listener, root, limits, names, token, jobs, threads, lambda: ready(address), until)
    return {"address": address}


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise InputError(
                f"cannot listen on {host}:{port} ({error.strerror}): choose another one with --port, or 0 for any"
            ) from error
        yield listener


@contextmanager
def _own_folder(parent: str | os.PathLike[str] | None) -> Iterator[Path]:
    """A folder that only this user can read, removed at the end; so are those that killed servers have left."""
    place = Path(parent or tempfile.gettempdir())
    for old in place.glob(f"{PREFIX}*"):
        _remove_if_left(old)
    root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield root
        finally:
            shutil.rmtree(root, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    try:
        if folder.stat().st_uid != os.getuid():
            return
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
