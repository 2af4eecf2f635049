"""Who may ask, and for what: the token, the cookie that opens a visitor's room, and the few addresses of Gradio in use.

Gradio's own ways to put files in and to get them out are shut: uploads and results go through `routes`, which know
whose they are.
"""

import hashlib
import hmac
from collections.abc import MutableMapping
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from vivae.app.web.rooms import Room, Rooms

ROOM_COOKIE, TOKEN_COOKIE = "vivae_room", "vivae_token"
GRADIO = (
    "/config",
    "/theme.css",
    "/assets/",
    "/static/",
    "/svelte/",
    "/favicon.ico",
    "/manifest.json",
    "/gradio_api/run/",
    "/gradio_api/queue/",
    "/gradio_api/heartbeat/",
    "/gradio_api/startup-events",
    "/gradio_api/app_id",
    "/gradio_api/info",
    "/gradio_api/cancel",
    "/gradio_api/reset",
)
"""What of Gradio a browser needs to show the page and to send settings."""
SMALL = 1_000_000
"""Bytes of a request that is no upload."""
HEADERS = {
    "content-security-policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
ASKING = """<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>vivae</title>
<style>
body { display: grid; place-content: center; min-height: 90vh; font: 16px/1.5 system-ui, sans-serif; }
input, button { font: inherit; padding: .4em .7em; }
</style>
<form>
<h1>vivae</h1>
WRONG
<p><label>Token <input name="token" type="password" autofocus></label> <button>Enter</button></p>
</form>
"""
Scope = MutableMapping[str, Any]


class Guard:
    """Before everything else (ASGI). names: hosts to answer to, None for any; token: what to know, None for nothing."""

    def __init__(self, app: Any, rooms: Rooms, names: frozenset[str] | None, token: str | None) -> None:
        self._app, self._rooms, self._names = app, rooms, names
        self._mark = None if token is None else _mark(token)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            elif scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path, method = scope["path"], scope["method"]
        host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
        if self._names is not None and host.strip("[]") not in self._names:
            # A page elsewhere may have made its own name point here.
            await _answer(send, 421, "This server answers to its own address only.")
            return
        cookies = _cookies(headers.get("cookie", ""))
        # Browsers send cookies to every port of a host: two servers must not take each other's.
        port = scope["server"][1]
        known = cookies.get(f"{TOKEN_COOKIE}_{port}", "")
        if self._mark is not None and not hmac.compare_digest(known, self._mark):
            await self._ask_for_token(scope, send)
            return
        if not (path == "/" or path.startswith(("/v/", *GRADIO))):
            await _answer(send, 404, "There is nothing here.")
            return
        upload = method == "POST" and path == "/v/clips"
        if not upload and int(headers.get("content-length") or 0) > SMALL:
            await _answer(send, 413, "That is too much.")
            return
        asker = headers.get("sec-fetch-site", "same-origin")
        if method not in ("GET", "HEAD") and asker not in ("same-origin", "none"):
            await _answer(send, 403, "That was asked from another site.")
            return
        room = self._rooms.find(cookies.get(f"{ROOM_COOKIE}_{port}"))
        more: list[tuple[bytes, bytes]] = []
        if room is None and path == "/":
            room = self._rooms.new()
            more = [_cookie(f"{ROOM_COOKIE}_{port}", room.key)]
        scope.setdefault("state", {})["room"] = room
        await self._app(scope, receive if upload else _counted(receive), _with_headers(send, more))

    async def _ask_for_token(self, scope: Scope, send: Any) -> None:
        assert self._mark is not None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if given and hmac.compare_digest(_mark(given), self._mark):
            where = [(b"location", b"/"), _cookie(f"{TOKEN_COOKIE}_{scope['server'][1]}", self._mark)]
            await _answer(send, 303, "", where)
            return
        wrong = "<p>That was not it.</p>" if given else ""
        await _answer(send, 401, ASKING.replace("WRONG", wrong), kind="text/html")


def room_of(scope: Scope) -> Room | None:
    """The room that the guard has found for a request."""
    return scope.get("state", {}).get("room")


def _mark(token: str) -> str:
    return hashlib.sha256(f"vivae {token}".encode()).hexdigest()


def _cookies(text: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(text).items()}
    except CookieError:
        return {}


def _cookie(name: str, value: str) -> tuple[bytes, bytes]:
    return b"set-cookie", f"{name}={value}; Path=/; HttpOnly; SameSite=Strict".encode()


def _with_headers(send: Any, more: list[tuple[bytes, bytes]]) -> Any:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            extra = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in present]
            message["headers"] = [*message["headers"], *extra, *more]
        await send(message)

    return sending


def _counted(receive: Any) -> Any:
    """A body without a length is cut off, too."""
    count = 0

    async def receiving() -> Any:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        return {"type": "http.disconnect"} if count > SMALL else message

    return receiving


async def _answer(
    send: Any,
    status: int,
    text: str,
    headers: list[tuple[bytes, bytes]] | None = None,
    kind: str = "text/plain",
) -> None:
    body = text.encode() if kind == "text/html" else escape(text).encode()
    most = [
        (b"content-type", f"{kind}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    sending = _with_headers(send, headers or [])
    await sending({"type": "http.response.start", "status": status, "headers": most})
    await sending({"type": "http.response.body", "body": body})
