"""Requests become jobs; jobs are watched, cancelled, tried again; the operator pauses the queue."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from anyio import CancelScope
from fastapi import APIRouter, Depends, Query
from fastapi import Request as Http
from starlette.responses import JSONResponse, Response, StreamingResponse

from fantascope.artifact import Artifact
from fantascope.errors import InvalidValue, UnknownName
from fantascope.request import REQUESTS, Request
from fantascope.serve.hub import ENDS, Event
from fantascope.serve.job import Job
from fantascope.serve.kit import Server, caller_of, off, preview_png, server_of
from fantascope.serve.operations import operator_of
from fantascope.serve.own.asked import JobsQuery, PriorityBody, WaitQuery
from fantascope.serve.own.document import COMPONENTS, header, job_extra, replies, takes, task_body
from fantascope.serve.own.packed import PackedRoute
from fantascope.serve.own.schema import schema_of
from fantascope.serve.own.shapes import Finished, Jobs, JobShape, QueueShape, Quoted, Removed, Tasks, TaskShape
from fantascope.serve.own.wire import (
    MULTIPART,
    PREFIX,
    build,
    checked_id,
    content_type,
    read_body,
    read_object,
    read_request,
)
from fantascope.serve.people import Caller

router = APIRouter(prefix=PREFIX, route_class=PackedRoute)

MAKING = replies(402, 403, 404, 409, 422, 501, 502, 507)
JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LAST = re.compile(r"([0-9a-f]{4,32})-(\d{1,9})", re.ASCII)
WAIT = re.compile(r"wait(?:\s*=\s*\"?(\d{1,5})\"?)?", re.ASCII)
ON_DISCONNECT = ("cancel", "continue")
ALIVE = 15.0
"""Seconds after which a stream says that it is still there."""
OVER = 999_999_999
"""Number of the one event of a job that had ended before anybody watched."""
KINDS = ["job", "queued", "started", "step", "kept", *ENDS]
STREAM: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "description": "each event of the stream",
            "properties": {
                "id": {"type": "string", "description": "BOOT-N: the N-th event in this life of the server"},
                "event": {"enum": KINDS},
                "data": {"type": "string", "contentMediaType": "application/json"},
            },
            "required": ["id", "event", "data"],
        }
    }
}


@router.get("/tasks", response_model=Tasks, responses=replies(), operation_id="list_tasks")
async def tasks() -> Tasks:
    """List the tasks, with the JSON schema of the request of each."""
    return Tasks(data=[_task(name, cls) for name, cls in REQUESTS.items()])


def _task(name: str, cls: type[Request]) -> TaskShape:
    about = (cls.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " ")
    return TaskShape(task=name, about=about, path=f"{PREFIX}/{name}", request=schema_of(cls))


def _add(name: str, cls: type[Request]) -> None:
    """Add the two routes of a task."""

    async def make(http: Http, query: Annotated[WaitQuery, Query()], caller: Caller = Depends(caller_of)) -> Response:
        return await accepted(http, caller, await read_request(http, caller, cls), query.wait)

    async def quote(http: Http, caller: Caller = Depends(caller_of)) -> Quoted:
        return await _quoted(server_of(http), caller, await read_request(http, caller, cls))

    about = (cls.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " ")
    router.add_api_route(
        f"/{name}",
        make,
        methods=["POST"],
        status_code=202,
        response_model=JobShape,
        responses=MAKING | {200: {"model": Finished, "description": "Done, for who waited."}},
        summary=about,
        operation_id=name,
        openapi_extra=job_extra(task_body(cls)),
    )
    router.add_api_route(
        f"/{name}/quote",
        quote,
        methods=["POST"],
        response_model=Quoted,
        responses=MAKING,
        summary=f"What `{name}` would cost: it is resolved and judged, and nothing is painted, held or charged.",
        operation_id=f"quote_{name}",
        openapi_extra={"requestBody": {"required": True, "content": task_body(cls)}},
    )


for _name, _cls in REQUESTS.items():
    _add(_name, _cls)


async def _quoted(server: Server, caller: Caller, request: Request) -> Quoted:
    from fantascope.reports.quote import quoted

    studio = server.studio_of(caller)

    def work() -> dict[str, Any]:
        return quoted(studio, request, studio.gallery.balance(caller.account))

    return Quoted(**await off(work))


async def accepted(http: Http, caller: Caller, request: Request, wait: bool) -> Response:
    """Make a job of a request; answer with it, or once it is done where the client waits."""
    checked_disconnect(http)
    return await answered(http, caller, await server_of(http).submit(http, caller, request), wait)


async def answered(http: Http, caller: Caller, job: Job, wait: bool) -> Response:
    """Answer with a job: at once, or once it is done where the client waits.

    Raises:
        FantascopeError: what the job failed with, to who waited.
    """
    server, within = server_of(http), _within(http, wait)
    place = {"Location": f"{PREFIX}/jobs/{job.id}"}
    if within == 0:
        return JSONResponse(JobShape(**job.public()).model_dump(mode="json"), 202, place)
    try:
        done, kept = await asyncio.wait_for(server.made(http, caller, job), within)
    except TimeoutError:
        late = await off(lambda: server.desk.get(caller, job.id))
        return JSONResponse(JobShape(**late.public()).model_dump(mode="json"), 202, place)
    body = done.public() | {"results": [_result(http, server, caller, artifact) for artifact in kept]}
    told = Finished(**body).model_dump(mode="json")
    return JSONResponse(told, 200, place | {"Preference-Applied": "wait"})


def checked_disconnect(http: Http) -> None:
    """Refuse a word for what is to be done when the client hangs up that means nothing.

    Raises:
        InvalidValue: names the header.
    """
    said = http.headers.get("x-on-disconnect")
    if said is not None and said.lower() not in ON_DISCONNECT:
        raise InvalidValue(f"It is {' or '.join(ON_DISCONNECT)}, not {said[:40]!r}.", param="X-On-Disconnect")


def _within(http: Http, wait: bool) -> float | None:
    """Return how many seconds a client waits: 0 not at all, None until it is done."""
    for preference in http.headers.get("prefer", "").split(","):
        found = WAIT.fullmatch(preference.strip().lower())
        if found is not None:
            return None if found[1] is None else float(found[1])
    return None if wait else 0.0


def _result(http: Http, server: Server, caller: Caller, artifact: Artifact) -> dict[str, Any]:
    url = server.link(http, caller, artifact.id)
    facts = {"id": artifact.id, "media_type": artifact.media_type, "size": len(artifact.data), "url": url}
    return facts | {"receipt": artifact.receipt}


@router.post(
    "/jobs",
    status_code=202,
    response_model=JobShape,
    responses=MAKING | {200: {"model": Finished, "description": "Done, for who waited."}},
    operation_id="submit_job",
    openapi_extra=job_extra({"application/json": {"schema": {"$ref": COMPONENTS + "AnyRequest"}}}),
)
async def submit(http: Http, query: Annotated[WaitQuery, Query()], caller: Caller = Depends(caller_of)) -> Response:
    """Accept a request, whose `task` says which, as a job."""
    if content_type(http) == MULTIPART:
        raise InvalidValue("A form has no task: post it to the address of the task, as /v1/fantascope/vary.")
    body = await read_object(http)
    task = body.get("task")
    if task is None:
        raise InvalidValue("task is missing.", param="task", hint=f"One of {', '.join(REQUESTS)}.")
    if not isinstance(task, str) or task not in REQUESTS:
        raise UnknownName("task", str(task)[:80], REQUESTS)
    return await accepted(http, caller, await build(http, caller, REQUESTS[task], body), query.wait)


@router.get("/jobs", response_model=Jobs, responses=replies(), operation_id="list_jobs")
async def listed(http: Http, query: Annotated[JobsQuery, Query()], caller: Caller = Depends(caller_of)) -> Jobs:
    """List your jobs, newest first."""
    desk = server_of(http).desk
    found = await off(lambda: desk.list(caller, status=query.status, limit=query.limit, offset=query.offset))
    return Jobs(data=[JobShape(**job.public()) for job in found])


@router.get("/jobs/{id}", response_model=JobShape, responses=replies(404), operation_id="get_job")
async def one(http: Http, id: str, caller: Caller = Depends(caller_of)) -> JobShape:
    """Return a job."""
    desk = server_of(http).desk
    checked_id(id, JOB_ID, "job")
    return JobShape(**(await off(lambda: desk.get(caller, id))).public())


@router.patch(
    "/jobs/{id}",
    response_model=JobShape,
    responses=replies(404, 409),
    operation_id="change_job",
    openapi_extra=takes(PriorityBody),
)
async def change(http: Http, id: str, caller: Caller = Depends(caller_of)) -> JobShape:
    """Give a job that waits another priority. Its id stays, and going back gives it its old place again."""
    desk = server_of(http).desk
    checked_id(id, JOB_ID, "job")
    body = await read_body(http, PriorityBody)
    return JobShape(**(await off(lambda: desk.move(caller, id, body.priority))).public())


@router.post("/jobs/{id}/cancel", response_model=JobShape, responses=replies(404), operation_id="cancel_job")
async def cancel(http: Http, id: str, caller: Caller = Depends(caller_of)) -> JobShape:
    """Cancel a job. What was kept stays kept and paid, the rest is refunded; one that ended stays as it is."""
    desk = server_of(http).desk
    checked_id(id, JOB_ID, "job")
    return JobShape(**(await off(lambda: desk.cancel(caller, id))).public())


@router.post(
    "/jobs/{id}/retry",
    status_code=202,
    response_model=JobShape,
    responses=MAKING,
    operation_id="retry_job",
)
async def retry(http: Http, id: str, caller: Caller = Depends(caller_of)) -> Response:
    """Make a new job of one that failed or was cancelled."""
    desk = server_of(http).desk
    checked_id(id, JOB_ID, "job")
    job = await off(lambda: desk.retry(caller, id))
    place = {"Location": f"{PREFIX}/jobs/{job.id}"}
    return JSONResponse(JobShape(**job.public()).model_dump(mode="json"), 202, place)


@router.delete("/jobs/{id}", response_model=Removed, responses=replies(404, 409), operation_id="remove_job")
async def remove(http: Http, id: str, caller: Caller = Depends(caller_of)) -> Removed:
    """Forget a job that ended, with its prompt; its pictures stay in the gallery."""
    desk = server_of(http).desk
    checked_id(id, JOB_ID, "job")
    await off(lambda: desk.remove(caller, id))
    return Removed(id=id)


@router.get(
    "/jobs/{id}/events",
    response_class=StreamingResponse,
    responses=replies(404, media=STREAM, about="Server-sent events until the job ends.")
    | {204: {"description": "Nothing more will come."}},
    operation_id="watch_job",
    openapi_extra={"parameters": [header("Last-Event-ID", {"type": "string"}, "id of the last event that came")]},
)
async def events(http: Http, id: str, caller: Caller = Depends(caller_of)) -> Response:
    """Watch a job: `queued`, `started`, `step`, `kept`, and at the end `done`, `failed` or `cancelled`.

    A client that comes back with `Last-Event-ID` gets what it missed. Where that is not known any more, as after a
    restart of the server, a `job` event with the job's record comes first, then what follows.
    """
    server = server_of(http)
    checked_disconnect(http)
    checked_id(id, JOB_ID, "job")
    job = await off(lambda: server.desk.get(caller, id))
    boot, last = server.desk.hub.boot, server.desk.hub.last(id)
    asked = http.headers.get("last-event-id")
    known = LAST.fullmatch((asked or "").strip())
    after = int(known[2]) if known is not None and known[1] == boot else 0
    over = after == OVER if last is None else last.kind in ENDS and after == last.n
    if job.ended and over:
        return Response(status_code=204)
    server.streams.check(caller.account)
    lost = asked is not None and not (0 < after <= (last.n if last is not None else 0))
    stream = _stream(http, server, caller, job, 0 if lost else after, lost)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(http: Http, server: Server, caller: Caller, job: Job, after: int, lost: bool) -> AsyncIterator[str]:
    """Yield the events of a job as text; where the client's last one is not known, its record first."""
    boot, alone = server.desk.hub.boot, server.desk.hub.last(job.id) is None and job.ended
    with server.streams.one(caller.account):
        if lost:
            yield said(f"{boot}-0", "job", _record(job.public()))
        async with aclosing(server.events(http, caller, job, after)) as told:
            coming: asyncio.Future[Event] = asyncio.ensure_future(anext(told))
            try:
                while True:
                    await asyncio.wait({coming}, timeout=ALIVE)
                    if not coming.done():
                        yield ": still here\n\n"
                        continue
                    try:
                        event = coming.result()
                    except StopAsyncIteration:
                        return
                    yield said(f"{boot}-{OVER if alone else event.n}", event.kind, await _facts(event))
                    coming = asyncio.ensure_future(anext(told))
            finally:
                coming.cancel()
                with CancelScope(shield=True):  # who hung up is not waited for, but the generator has to stand still
                    await asyncio.wait({coming})


def _record(facts: dict[str, Any]) -> dict[str, Any]:
    return JobShape(**facts).model_dump(mode="json")


async def _facts(event: Event) -> dict[str, Any]:
    if event.kind in ENDS:
        return _record(event.data)
    if event.preview is None:
        return event.data
    pngs = await off(lambda: [preview_png(event.preview, k) for k in range(len(event.preview))])
    shown = ["data:image/png;base64," + base64.b64encode(png).decode() for png in pngs]
    return event.data | {"preview": shown[0]} | ({"previews": shown} if len(shown) > 1 else {})


def said(id: str, kind: str, data: dict[str, Any]) -> str:
    """Return a server-sent event."""
    return f"id: {id}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


@router.get("/queue", response_model=QueueShape, responses=replies(403), operation_id="get_queue")
async def queue(http: Http, caller: Caller = Depends(operator_of)) -> QueueShape:
    """Say how many jobs of everybody wait and run. For the operator."""
    return await _queue(server_of(http))


async def _queue(server: Server) -> QueueShape:
    counts = await off(server.desk.counts)
    return QueueShape(paused=server.desk.paused, queued=counts["queued"], running=counts["running"])


@router.post("/queue/pause", response_model=QueueShape, responses=replies(403), operation_id="pause_queue")
async def pause(http: Http, caller: Caller = Depends(operator_of)) -> QueueShape:
    """Begin no more jobs, also after a restart, and give the engines' memory back. For the operator."""
    server = server_of(http)
    await off(server.desk.pause)
    return await _queue(server)


@router.post("/queue/resume", response_model=QueueShape, responses=replies(403), operation_id="resume_queue")
async def resume(http: Http, caller: Caller = Depends(operator_of)) -> QueueShape:
    """Go on. For the operator."""
    server = server_of(http)
    await off(server.desk.resume)
    return await _queue(server)
