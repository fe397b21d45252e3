"""From a plan to pictures: its jobs, one stage after the other, answered at once or told of on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, cast

from fastapi import Request as Http
from starlette.responses import JSONResponse, Response, StreamingResponse

from fantascope.artifact import Artifact
from fantascope.errors import FantascopeError
from fantascope.request import Format
from fantascope.serve.hub import Event
from fantascope.serve.job import Job
from fantascope.serve.kit import Server, off, server_of
from fantascope.serve.openai import answers
from fantascope.serve.openai.asked import Asked
from fantascope.serve.openai.plan import Plan
from fantascope.serve.openai.replies import Blocked, error_reply
from fantascope.serve.openai.rules import Size
from fantascope.serve.openai.uploads import Sent
from fantascope.serve.people import Caller
from fantascope.serve.watching import finished

NAMES = {"generation": "image_generation", "edit": "image_edit", "variation": "image_edit"}
"""Route -> the beginning of its events' names."""


@dataclass(frozen=True)
class Order:
    """A body that was understood: who sent it, what it asks for, what is done, and the pictures it brought."""

    http: Http
    caller: Caller
    asked: Asked
    plan: Plan
    given: tuple[Size, ...] = ()

    @property
    def server(self) -> Server:
        """Where it came."""
        return server_of(self.http)


def order(http: Http, caller: Caller, asked: Asked, plan: Plan, given: Sequence[Sent] = ()) -> Order:
    """Return an order."""
    return Order(http, caller, asked, plan, tuple(one.size for one in given))


async def answer(order: Order) -> Response:
    """Do it, and answer with the pictures, or with a stream of events.

    Raises:
        FantascopeError: as the studio says; before a stream has begun it is an answer like any other.
    """
    if order.asked.stream:
        with _known_as(order.asked):
            job = await order.server.submit(order.http, order.caller, order.plan.first)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(order, job), media_type="text/event-stream", headers=headers)
    with _known_as(order.asked):
        job, pictures = await order.server.make(order.http, order.caller, order.plan.first)
        pictures = await _finished(order, pictures)
    return JSONResponse(await off(lambda: _reply(order, job, pictures)))


async def _finished(order: Order, pictures: list[Artifact]) -> list[Artifact]:
    """Do what is done with pictures after they were painted; each is a job of its own."""
    for number, stage in enumerate(order.plan.stages):
        pictures = await _stage(order, number, stage, pictures)
    return pictures


async def _stage(order: Order, number: int, stage: Callable[[str], Any], pictures: list[Artifact]) -> list[Artifact]:
    http, caller, server = order.http, order.caller, order.server
    jobs = [await server.submit(http, caller, stage(picture.id), f"{number}.{k}") for k, picture in enumerate(pictures)]
    done = await asyncio.gather(*(server.made(http, caller, job) for job in jobs), return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return [kept for _, found in cast("list[tuple[Job, list[Artifact]]]", done) for kept in found]


def _reply(order: Order, job: Job, pictures: Sequence[Artifact]) -> dict[str, Any]:
    asked, server = order.asked, order.server
    sizes = [answers.size_of(picture) for picture in pictures]
    prompt = answers.revised(asked, job.request)
    links = [
        server.link(order.http, order.caller, picture.id) if asked.replied == "url" else None for picture in pictures
    ]
    data = [answers.image(picture, prompt, link) for picture, link in zip(pictures, links, strict=True)]
    usage = answers.used(asked.prompt, order.given, sizes, server.studio.settings)
    told = answers.common(asked, pictures[0], sizes[0])
    return {"created": int(job.created.timestamp()), "data": data, **told, "usage": usage.told()}


async def _events(order: Order, job: Job) -> AsyncIterator[bytes]:
    """Tell of a job: pictures of the work in progress, then each picture; or of the error that ended it."""
    name, asked = NAMES[order.asked.route], order.asked
    moments = answers.Moments(asked.partial)
    try:
        with _known_as(asked):
            async with aclosing(order.server.events(order.http, order.caller, job)) as events:
                async for happened in events:
                    if _shows(happened) and moments.now(happened.data["step"], happened.data["steps"]):
                        yield await off(lambda seen=happened: _partial(order, name, seen, moments.count - 1))  # type: ignore[misc]
            done = await finished(order.server.desk, order.caller, job.id)
            pictures = await off(lambda: order.server.pictures(order.caller, done))
            pictures = await _finished(order, pictures)
        for picture in pictures:
            yield await off(lambda one=picture: _completed(order, name, done, one))  # type: ignore[misc]
    except FantascopeError as error:
        yield answers.event("error", {"type": "error", **error_reply(error)[1]})


def _shows(happened: Event) -> bool:
    """Say whether an event has a preview of the first picture."""
    return happened.kind == "step" and happened.preview is not None and happened.data["index"] == 0


def _partial(order: Order, name: str, happened: Event, number: int) -> bytes:
    asked, request = order.asked, order.plan.first
    form: Format = asked.format or "png"
    wanted = asked.size
    if wanted is None:
        wanted = order.given[0] if order.given else None
    if wanted is None:
        sides = getattr(request, "width", None), getattr(request, "height", None)
        spec = order.server.studio.specs.get(asked.known.spec or order.server.studio.settings.model)
        if None not in sides:
            wanted = cast(Size, sides)
        elif spec is not None:
            wanted = spec.defaults.width, spec.defaults.height
    data, size = answers.shown(happened.preview[0], wanted, form)
    kind = f"{name}.partial_image"
    told: dict[str, Any] = {
        "type": kind,
        "b64_json": answers.coded(data),
        "partial_image_index": number,
        "created_at": int(time.time()),
        "background": asked.background,
        "output_format": form,
        "quality": answers.QUALITIES.get(asked.quality, asked.quality),
        "size": f"{size[0]}x{size[1]}",
    }
    return answers.event(kind, told)


def _completed(order: Order, name: str, job: Job, picture: Artifact) -> bytes:
    asked, size = order.asked, answers.size_of(picture)
    kind = f"{name}.completed"
    told = {
        "type": kind,
        **answers.image(picture, answers.revised(asked, job.request), None),
        "created_at": int(time.time()),
        **answers.common(asked, picture, size),
        "usage": answers.used(asked.prompt, order.given, [size], order.server.studio.settings).told(),
    }
    return answers.event(kind, told)


@contextmanager
def _known_as(asked: Asked) -> Iterator[None]:
    """Let a refusal be known by the code that clients of the model know."""
    try:
        yield
    except FantascopeError as error:
        if error.code == "policy_refused" and asked.rules.replied == "b64_json":
            raise Blocked(error) from error
        raise
