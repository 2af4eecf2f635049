"""Guard, routes and Gradio's page put together and served by uvicorn."""

import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import uvicorn
from fastapi import FastAPI

from vivae.app.web.guard import Guard
from vivae.app.web.house import House
from vivae.app.web.page import build, head, theme
from vivae.app.web.rooms import Limits
from vivae.app.web.routes import routes


def run(
    listener: socket.socket,
    root: Path,
    limits: Limits,
    names: frozenset[str] | None,
    token: str | None,
    slots: int,
    threads: int | None,
    ready: Callable[[], None],
    until: threading.Event | None,
) -> None:
    """Serve on a bound socket until a signal comes or `until` is set; then end all jobs."""
    house = House(root, limits, slots, threads)
    warm = threading.Thread(target=house.jobs.warm, daemon=True)
    warm.start()
    for noisy in ("httpx", "asyncio", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    base = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    base.router.routes.extend(routes(house))
    app = gr.mount_gradio_app(
        base,
        build(house),
        "/",
        ssr_mode=False,
        theme=theme(),
        head=head(),
        footer_links=[],
        show_error=True,
        max_file_size="1kb",
    )
    guarded = Guard(app, house.rooms, names, token)
    config = uvicorn.Config(
        guarded, log_level="warning", access_log=False, timeout_graceful_shutdown=2, server_header=False
    )
    server = _Server(config, ready, until)
    warm.join()
    house.open()
    try:
        server.run(sockets=[listener])
    finally:
        house.close()


class _Server(uvicorn.Server):
    """Says when it answers, and ends with an event."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], until: threading.Event | None
    ) -> None:
        super().__init__(config)
        self._ready, self._until = ready, until

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        if self._until is not None and self._until.is_set():
            self.should_exit = True
        return await super().on_tick(counter)
