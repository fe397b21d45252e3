"""The application: routes of every wire, what stands before them, and how it begins and ends."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi import Request as Http
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fantascope.errors import FantascopeError, InvalidValue, NotFound, TooMany
from fantascope.serve import a1111, operations, own, site
from fantascope.serve.desk import Desk
from fantascope.serve.kit import Server
from fantascope.serve.limits import Bodies, Names, Rate, Streams
from fantascope.serve.links import Links
from fantascope.serve.metrics import Metrics
from fantascope.serve.openai import replies as openai_replies
from fantascope.serve.openai import routes as openai_routes
from fantascope.serve.options import Options
from fantascope.serve.people import People
from fantascope.serve.places import unplaced
from fantascope.serve.sessions import Sessions
from fantascope.studio import Studio

if TYPE_CHECKING:
    from fantascope.engines.load import Engines

log = logging.getLogger("fantascope.serve")

Reply = Callable[[FantascopeError], tuple[int, dict[str, Any]]]

WIRES: tuple[tuple[str, Reply], ...] = (
    ("/v1/fantascope/", own.error_reply),
    ("/v1/", openai_replies.error_reply),
    ("/sdapi/", a1111.error_reply),
    ("/controlnet/", a1111.error_reply),
)
"""How each wire says an error, by the beginning of the path; the first that fits."""


class SharedStudio(Studio):
    """The operator's studio, whose engines put requests of several people into one batch.

    Args:
        idle_memory: As in `Options`.
    """

    def __init__(self, idle_memory: int | None = None) -> None:
        super().__init__(files=False)
        self._idle_memory = idle_memory

    @cached_property
    def engines(self) -> Engines:
        """The cache of loaded weights; see `engines.together`."""
        from fantascope.engines.together import SharedEngines

        return SharedEngines(self.settings, memory=self._idle_memory)


def create_app(studio: Studio, options: Options | None = None) -> FastAPI:
    """Return the application of a studio, ready for an ASGI server. One process may run one at a time.

    Args:
        studio: The operator's; a `SharedStudio`, or nothing shares a batch.
        options: Whom it answers and how much it takes.
    """
    told = options if options is not None else Options()
    told.check()
    people = People(studio, told.token)
    database = studio.settings.database or None
    desk = Desk(studio, people, studio.settings.jobs, url=database, workers=told.workers, waiting=told.waiting)
    keys = studio.settings.keys
    rate, streams, sessions = Rate(told.rate), Streams(told.streams), Sessions(people, keys)
    server = Server(studio, people, desk, Links(keys), rate, told, sessions, streams)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        from anyio import to_thread

        to_thread.current_default_thread_limiter().total_tokens = 4 * told.workers + 40
        if told.paused:
            desk.pause()
        await to_thread.run_sync(desk.open)
        app.state.ready = True
        try:
            yield
        finally:
            app.state.ready = False
            await to_thread.run_sync(lambda: desk.close(told.grace))

    app = FastAPI(
        title="Fantascope",
        summary="Pictures from prompts, made here, and proof of where they came from.",
        version=_version(),
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # our own wire tells it to who has a token
    )
    app.state.server, app.state.ready, app.state.metrics = server, False, Metrics(desk)
    for router in (own.router, openai_routes.router, a1111.router, operations.router, site.router):
        app.include_router(router)
    for kind in (FantascopeError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _failed)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(Bodies, most=told.most_bytes, patience=told.patience, refuse=_refused)
    if told.origins:
        app.add_middleware(CORSMiddleware, allow_origins=list(told.origins), allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(Names, names=told.allowed_names, refuse=_refused)
    app.add_middleware(Watch, metrics=app.state.metrics)
    return app


class Watch:
    """ASGI middleware: counts and times every request, and logs it as one line of JSON, without what people wrote."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-content-type-options", b"nosniff")]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.asked(scope["method"], route, status, seconds)
            account = scope.get("state", {}).get("account")
            facts = {"method": scope["method"], "route": route, "status": status, "ms": round(seconds * 1000, 1)}
            log.info(json.dumps({"at": round(time.time(), 3), **facts, "account": account}))


def reply_to(path: str, error: FantascopeError) -> Response:
    """Return an error as the wire of this path says it."""
    wire = next((reply for prefix, reply in WIRES if path.startswith(prefix)), own.error_reply)
    status, body = wire(error)
    headers = {}
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(max(1, round(error.after)))
    if error.status in (408, 413):
        headers["Connection"] = "close"  # what still comes of the body is not read
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="fantascope"'
    return JSONResponse(body, status, headers)


def _refused(scope: Scope, error: FantascopeError) -> ASGIApp:
    """Refuse a body that was not read: what still comes of it is no next request, so the connection ends."""
    reply = reply_to(scope["path"], error)
    reply.headers["connection"] = "close"
    return reply


async def _failed(http: Http, error: Exception) -> Response:
    """Turn everything that was raised into the error that the wire knows."""
    home = http.app.state.server.studio.settings.home
    reply = reply_to(http.url.path, unplaced(_told(error), home))
    if isinstance(error, HTTPException) and error.headers is not None:
        reply.headers.update(error.headers)  # as Allow, of a method that is not
    return reply


async def _gone(http: Http, error: Exception) -> Response:
    """Answer nobody: the client hung up. The status is for the log and the counters alone."""
    return Response(status_code=499)


def _told(error: Exception) -> FantascopeError:
    if isinstance(error, FantascopeError):
        if error.status >= 500:
            log.error("%s: %s", error.code, error.message)
        return error
    if isinstance(error, HTTPException):
        found = NotFound("There is no such address.") if error.status_code == 404 else InvalidValue(str(error.detail))
        found.status = error.status_code  # type: ignore[misc]
        return found
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        return InvalidValue(f"{where or 'The request'}: {first['msg']}.", param=where or None)
    log.error("a bug of ours", exc_info=error)
    return FantascopeError("The server failed: this is a bug of ours.", hint="Its log says more.")


def _version() -> str:
    from fantascope import __version__

    return __version__
