"""What every wire needs: who asks, what they sent, a job made of it, and what came of that."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from anyio import to_thread
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Http

from fantascope.artifact import Artifact
from fantascope.errors import AccessDenied, InvalidValue, NotFound
from fantascope.request import TEXT, Request
from fantascope.serve.desk import Desk
from fantascope.serve.fair import PRIORITIES, Priority
from fantascope.serve.hub import Event
from fantascope.serve.job import Job
from fantascope.serve.limits import Rate, Streams
from fantascope.serve.links import LIFE, Links
from fantascope.serve.options import Options
from fantascope.serve.people import Caller, People
from fantascope.serve.sessions import Sessions
from fantascope.serve.watching import finished, watch
from fantascope.studio import Studio

log = logging.getLogger(__name__)

MARK = "X-Fantascope"
"""Header that the page in a browser sends with everything: a page elsewhere cannot, so nothing is done in its name."""
PAGE_API = "/v1/fantascope/"
"""Where a session's cookie is as good as a token."""
MOST_FIELDS = 256
MOST_FILES = 32
LARGE = 2**18
"""Bytes of JSON that are read in a thread, so that nobody waits for them."""
MOST_KEY = 255
"""Longest idempotency key, in characters."""

DECODERS = threading.Semaphore(2)
"""Pictures that are decoded at a time: a large one takes hundreds of megabytes."""

TEXT_A_REQUEST = 1000
"""Characters of text whose judging counts as one request: reading 32 000 of them takes a processor some seconds."""

T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """The parts of a server, for its routes: `http.app.state.server`."""

    studio: Studio
    people: People
    desk: Desk
    links: Links
    rate: Rate
    options: Options
    sessions: Sessions
    streams: Streams

    def studio_of(self, caller: Caller) -> Studio:
        """Return the caller's studio; its gallery holds what is theirs."""
        return self.people.studio(caller)

    async def submit(
        self, http: Http, caller: Caller, request: Request, part: str = "", again: str | None = None
    ) -> Job:
        """Accept a request as a job, with the idempotency key and priority that the headers name.

        Args:
            part: Which of several jobs of one HTTP request this is: their keys must differ.
            again: As `Desk.submit` says.

        Raises:
            FantascopeError: as `Desk.submit` says.
        """
        self.counted(caller, request)
        key, priority = key_of(http), priority_of(http)
        key = f"{key}/{part}" if key is not None and part else key
        job = await off(lambda: self.desk.submit(caller, request, key=key, priority=priority, again=again))
        self.noted(caller, request, job)
        return job

    def counted(self, caller: Caller, request: Request) -> None:
        """Count the words of a request, whose judging takes time; raises `TooMany`."""
        long = sum(len(text) for _, text in request.walk(TEXT))
        self.rate.take(caller.account, long / TEXT_A_REQUEST)

    def noted(self, caller: Caller, request: Request, job: Job) -> None:
        """Log what somebody wrote, where that was asked for."""
        if self.options.log_prompts:
            said = [[name, text] for name, text in request.walk(TEXT)]
            log.info(json.dumps({"job": job.id, "account": caller.account, "task": request.task, "said": said}))

    async def make(self, http: Http, caller: Caller, request: Request) -> tuple[Job, list[Artifact]]:
        """Accept a request, wait until it is done, and return the job and its pictures in their order.

        Who hangs up is not waited for: the job goes on, or is cancelled where `X-On-Disconnect: cancel` says so.

        Raises:
            FantascopeError: as `Desk.submit` and `watching.finished` say.
            ClientDisconnect: nobody is there any more.
        """
        return await self.made(http, caller, await self.submit(http, caller, request))

    async def made(self, http: Http, caller: Caller, job: Job) -> tuple[Job, list[Artifact]]:
        """Do what `make` does, for a job that was accepted already."""
        waiting = asyncio.ensure_future(finished(self.desk, caller, job.id))
        gone = asyncio.ensure_future(_gone(http))
        try:
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                await self.left(http, caller, job)
                raise ClientDisconnect
            done = waiting.result()
        finally:
            waiting.cancel()
            gone.cancel()
        return done, await off(lambda: self.pictures(caller, done))

    async def events(self, http: Http, caller: Caller, job: Job, after: int = 0) -> AsyncGenerator[Event, None]:
        """Yield what happens to a job until it ends; where the client hangs up first, do as `make` does."""
        whole = False
        try:
            async with aclosing(watch(self.desk, caller, job.id, after)) as events:
                async for event in events:
                    yield event
            whole = True
        finally:
            if not whole:
                await self.left(http, caller, job)

    async def left(self, http: Http, caller: Caller, job: Job) -> None:
        """Do what is to be done about a job whose client hung up."""
        if http.headers.get("x-on-disconnect", "").lower() == "cancel":
            await asyncio.shield(off(lambda: self.desk.cancel(caller, job.id)))

    def pictures(self, caller: Caller, job: Job) -> list[Artifact]:
        """Return what a job kept, in order."""
        gallery = self.studio_of(caller).gallery
        return [gallery.get(job.artifacts[index]) for index in sorted(job.artifacts)]

    def take(self, caller: Caller, data: bytes, *, task: str | None = None) -> str:
        """Keep a picture that a caller sent, after it was found safe to decode, and return its id.

        Raises:
            InvalidPicture: it is no picture, is broken, or too large once decoded.
        """
        with DECODERS:
            return self.studio_of(caller).gallery.ingest(data, task=task).id

    def link(self, http: Http, caller: Caller, artifact: str, life: int = LIFE) -> str:
        """Return an absolute address of a picture that works without a token for `life` seconds."""
        return self.base(http) + self.links.path(caller.account, artifact, life)

    def base(self, http: Http) -> str:
        """Return the address of this server, as a client that asks knows it."""
        base = self.options.public_url or f"{http.url.scheme}://{http.headers.get('host', self.options.host)}"
        return base.rstrip("/")


def server_of(http: Http) -> Server:
    """Return the server that a request came to."""
    found: Server = http.app.state.server
    return found


async def caller_of(http: Http) -> Caller:
    """Return who sent a request, and count it: the dependency of every route that is not open to all.

    Raises:
        NotAuthorised: no good token, and no session of a browser where one is taken.
        AccessDenied: a page elsewhere asks in the name of a session.
        TooMany: too many requests in a minute.
    """
    server = server_of(http)
    told, value = http.headers.get("authorization"), http.cookies.get(server.sessions.cookie)
    if told is None and value is not None and http.url.path.startswith(PAGE_API):
        _from_here(http)
        caller = await off(lambda: server.sessions.caller(value))
    else:
        caller = await off(lambda: server.people.caller(told))
    server.rate.take(caller.account)
    http.state.account = caller.account
    return caller


def _from_here(http: Http) -> None:
    """Pass what only our own page can send: a browser adds the cookie to what other pages ask, too.

    Raises:
        AccessDenied: another page may have asked.
    """
    if http.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise AccessDenied("A session is for the page of this server alone.", hint="Send a token.")
    if http.method not in ("GET", "HEAD") and http.headers.get(MARK) != "1":
        raise AccessDenied(f"With a session, the header {MARK}: 1 is needed.", param=MARK)


async def off(work: Callable[[], T]) -> T:
    """Do what waits for disks or locks in a thread."""
    return await to_thread.run_sync(work, abandon_on_cancel=False)


async def read_json(http: Http) -> dict[str, Any]:
    """Return the object in a JSON body; an empty body is an empty object.

    Raises:
        InvalidValue: it is no JSON, no object, nested too deeply, or has a number or name twice that JSON has not.
    """
    body = await http.body()
    if not body.strip():
        return {}
    try:
        read = partial(json.loads, body, parse_constant=_no_constant)
        found = await off(read) if len(body) > LARGE else read()
    except RecursionError:
        raise InvalidValue("The body is nested too deeply.") from None
    except ValueError as error:
        raise InvalidValue(f"The body is no JSON: {str(error)[:200]}.") from None
    if not isinstance(found, dict):
        raise InvalidValue(f"The body is a JSON object, not {type(found).__name__}.")
    return found


async def read_form(http: Http) -> tuple[dict[str, list[str]], dict[str, list[bytes]]]:
    """Return the fields and the files of a multipart (or urlencoded) body, each name with its values in order.

    Raises:
        InvalidValue: it is malformed, or has too many parts.
    """
    from starlette.exceptions import HTTPException

    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("multipart/form-data", "application/x-www-form-urlencoded"):
        raise InvalidValue("The body is multipart/form-data.", hint="Content-Type: multipart/form-data; boundary=…")
    fields: dict[str, list[str]] = {}
    files: dict[str, list[bytes]] = {}
    try:
        async with http.form(
            max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=server_of(http).options.most_bytes
        ) as form:
            for name, value in form.multi_items():
                if isinstance(value, str):
                    fields.setdefault(name, []).append(value)
                else:
                    files.setdefault(name, []).append(await value.read())
    except HTTPException as error:
        raise InvalidValue(f"The body cannot be read: {error.detail}") from None
    except (ValueError, KeyError, AssertionError, UnicodeDecodeError):
        raise InvalidValue("The body cannot be read as multipart/form-data.") from None
    return fields, files


def key_of(http: Http) -> str | None:
    """Return the idempotency key of a request.

    Raises:
        InvalidValue: it is too long.
    """
    key = http.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= MOST_KEY:
        raise InvalidValue(f"An idempotency key has 1 to {MOST_KEY} characters.", param="Idempotency-Key")
    return key


def priority_of(http: Http) -> Priority:
    """Return the priority that a request asks for.

    Raises:
        InvalidValue: there is no such priority.
    """
    asked = http.headers.get("x-priority", "normal")
    for priority in PRIORITIES:
        if asked == priority:
            return priority
    raise InvalidValue(f"A priority is {', '.join(PRIORITIES)}, not {asked[:40]!r}.", param="X-Priority")


def preview_png(preview: Any, index: int = 0) -> bytes:
    """Return one picture of a preview `(count, h, w, 3)` uint8 as a PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(preview[index]).save(file, "PNG")
    return file.getvalue()


def found_or_404(work: Callable[[], T]) -> T:
    """Return what `work` returns; an id that is too short or fits several is simply not found."""
    try:
        return work()
    except InvalidValue as error:
        raise NotFound(error.message, param="id") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


async def _gone(http: Http) -> None:
    """Return when the client has hung up."""
    while (await http.receive())["type"] != "http.disconnect":
        continue
