"""What the browser asks for beside Gradio, under /v/: uploads, media with ranges, the state of a room, jobs' fates."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from vivae.app.web import frames
from vivae.app.web.guard import room_of
from vivae.app.web.house import House, check_disk
from vivae.app.web.rooms import Clip, Room
from vivae.errors import InputError, VivaeError
from vivae.vae.zoo import styles

MIME = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".mkv": "video/webm",
}
KINDS = {".js": "text/javascript", ".css": "text/css"}
ALONE = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data: blob:; frame-ancestors 'self'"
)
"""A page that was made of a visitor's file can do nothing here but show itself."""
Handler = Callable[[Request], Awaitable[Response]]


def routes(house: House) -> list[Route]:
    """All of them."""

    async def state(request: Request) -> Response:
        told = await run_in_threadpool(house.state, _room(request))
        return JSONResponse(told, headers={"cache-control": "no-store"})

    async def upload(request: Request) -> Response:
        room = _room(request)
        expected = int(request.headers.get("content-length") or 0)
        if expected > house.limits.upload:
            raise _too_large(house)
        check_disk(room.folder, expected)
        clip = room.admit(request.query_params.get("name", ""), house.limits)
        try:
            await _save(request, clip, house)
        except BaseException:
            room.clips.pop(clip.key, None)
            clip.path.unlink(missing_ok=True)
            raise
        house.received(room, clip)
        return JSONResponse(clip.public(), 201)

    async def remove_clip(request: Request) -> Response:
        await run_in_threadpool(house.remove_clip, _room(request), request.path_params["key"])
        return JSONResponse({})

    async def clip_file(request: Request) -> Response:
        clip = _room(request).clip(request.path_params["key"])
        path = {"view": clip.view, "thumbnail": clip.thumbnail}.get(request.path_params["what"])
        return _media(path)

    async def clip_page(request: Request) -> Response:
        clip = _room(request).ready(request.path_params["key"])
        return HTMLResponse(frames.source_page(clip.title, clip.facts, f"/v/clips/{clip.key}"))

    async def first_mask(request: Request) -> Response:
        told = await request.json()
        try:
            time, points = float(told["time"]), list(map(dict, told["points"]))
        except (KeyError, TypeError, ValueError):
            raise InputError("the page sent something unreadable: load it anew") from None
        picture = await run_in_threadpool(
            house.point, _room(request), request.path_params["key"], time, points
        )
        return Response(picture, media_type="image/png")

    async def fate(request: Request) -> Response:
        room, what = _room(request), request.path_params["what"]
        job = house.job(room, request.path_params["key"])
        act = {"pause": house.jobs.pause, "resume": house.jobs.resume, "cancel": house.jobs.cancel}.get(what)
        if act is None:
            raise HTTPException(404)
        await run_in_threadpool(act, job)
        return JSONResponse({})

    async def remove_job(request: Request) -> Response:
        await run_in_threadpool(house.jobs.drop, house.job(_room(request), request.path_params["key"]))
        return JSONResponse({})

    async def job_view(request: Request) -> Response:
        job = house.job(_room(request), request.path_params["key"])
        return _media(job.views.get(request.path_params["what"]))

    async def job_page(request: Request) -> Response:
        room = _room(request)
        job = house.job(room, request.path_params["key"])
        if job.state != "done":
            raise InputError("that job has not ended well")
        if job.view.get("kind") == "page":
            page = await run_in_threadpool((job.folder / job.view["page"]).read_text, "utf-8")
            return HTMLResponse(page, headers={"content-security-policy": ALONE})
        base = f"/v/jobs/{job.key}/view/"
        if job.view.get("kind") == "video":
            return HTMLResponse(frames.video_page(job.title, job.facts, base + "after"))
        clip = room.clip(job.clip)
        before = base + "before" if "before" in job.views else f"/v/clips/{clip.key}/view"
        facts = clip.facts | {"frames": job.frames}
        return HTMLResponse(frames.compare_page(job.title, facts, before, base + "after"))

    async def job_file(request: Request) -> Response:
        room = _room(request)
        job = house.job(room, request.path_params["key"])
        number = request.path_params["number"]
        files = await run_in_threadpool(house.files, job, room)
        if number >= len(files):
            raise HTTPException(404)
        name, path = files[number]
        return FileResponse(path, filename=name, media_type="application/octet-stream")

    async def job_all(request: Request) -> Response:
        room = _room(request)
        job = house.job(room, request.path_params["key"])
        if job.state != "done":
            raise InputError("that job has not ended well")
        path = await run_in_threadpool(house.everything, job, room)
        return FileResponse(path, filename=f"{job.verb}.zip", media_type="application/zip")

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        body = frames.asset(name)
        if body is None or Path(name).suffix not in KINDS:
            raise HTTPException(404)
        return Response(body, media_type=KINDS[Path(name).suffix])

    async def style(request: Request) -> Response:
        return _media(styles().get(request.path_params["name"]))

    return [
        Route("/v/room", _told(state)),
        Route("/v/clips", _told(upload), methods=["POST"]),
        Route("/v/clips/{key}", _told(remove_clip), methods=["DELETE"]),
        Route("/v/clips/{key}/mask", _told(first_mask), methods=["POST"]),
        Route("/v/clips/{key}/page", _told(clip_page)),
        Route("/v/clips/{key}/{what}", _told(clip_file)),
        Route("/v/jobs/{key}", _told(remove_job), methods=["DELETE"]),
        Route("/v/jobs/{key}/page", _told(job_page)),
        Route("/v/jobs/{key}/all", _told(job_all)),
        Route("/v/jobs/{key}/files/{number:int}", _told(job_file)),
        Route("/v/jobs/{key}/view/{what}", _told(job_view)),
        Route("/v/jobs/{key}/{what}", _told(fate), methods=["POST"]),
        Route("/v/assets/{name}", _told(asset)),
        Route("/v/styles/{name}", _told(style)),
    ]


async def _save(request: Request, clip: Clip, house: House) -> None:
    """The body into the clip's place, no more of it than is allowed."""
    with clip.path.open("xb") as file:
        async for block in request.stream():
            clip.size += len(block)
            if clip.size > house.limits.upload:
                raise _too_large(house)
            await asyncio.to_thread(file.write, block)
    if clip.size == 0:
        raise InputError(f"'{clip.title}' is empty")


def _too_large(house: House) -> InputError:
    return InputError(
        f"the file is larger than the {house.limits.upload / 1e6:,.0f} MB that are taken here: use the command line"
    )


def _room(request: Request) -> Room:
    room = room_of(request.scope)
    if room is None:
        raise HTTPException(410, "You were away for long: load the page anew.")
    return room


def _media(path: Path | None) -> Response:
    if path is None or not path.is_file():
        raise HTTPException(404)
    kind = MIME.get(path.suffix.lower()) or ("image/png" if path.suffix == ".png" else "image/jpeg")
    return FileResponse(path, media_type=kind, headers={"cache-control": "private, max-age=3600"})


def _told(handler: Handler) -> Handler:
    """Problems as one sentence in JSON."""

    async def answering(request: Request) -> Response:
        try:
            return await handler(request)
        except VivaeError as error:
            return _sentence(422, str(error))
        except HTTPException as error:
            return _sentence(error.status_code, error.detail)
        except ClientDisconnect:
            return _sentence(400, "The upload was broken off.")
        except OSError as error:
            return _sentence(507, f"The server cannot store it: {error.strerror}.")

    return answering


def _sentence(status: int, text: Any) -> Response:
    return JSONResponse({"error": str(text)}, status)
