"""Lessons: a subject is taught from photos, as a job; and the adapters that come of it, each its owner's."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi import Request as Http
from pydantic import Field
from starlette.responses import Response

from fantascope.adapter import find_adapter
from fantascope.errors import AccessDenied, FantascopeError, NotFound, UnknownName
from fantascope.personal.asked import METHODS, MOST_SENT, NOT_OF_LESSONS, Personalise
from fantascope.serve.kit import Server, caller_of, key_of, off, priority_of, server_of
from fantascope.serve.lessons import LEARNING
from fantascope.serve.operations import operator_of
from fantascope.serve.own.asked import WaitQuery
from fantascope.serve.own.catalogue import NAME, adapter_shape
from fantascope.serve.own.document import job_extra, replies, task_body
from fantascope.serve.own.jobs import JOB_ID, MAKING, answered, checked_disconnect
from fantascope.serve.own.replies import error_reply
from fantascope.serve.own.schema import schema_of
from fantascope.serve.own.shapes import AdapterShape, ErrorFacts, Finished, JobShape, Removed, Shape
from fantascope.serve.own.wire import PREFIX, checked_id, read_request
from fantascope.serve.people import Caller
from fantascope.serve.places import nowhere, unplaced
from fantascope.spec import Spec

router = APIRouter(prefix=PREFIX)

PNG: dict[str, dict[str, Any]] = {"image/png": {"schema": {"type": "string", "format": "binary"}}}


class BaseShape(Shape):
    """A model that can be taught."""

    name: str
    title: str
    least: int = Field(description="least side of a photo, pixels")
    native: int = Field(description="side from which on a photo is not enlarged, pixels")
    methods: dict[str, dict[str, Any]] = Field(description="method: what fills the fields that are not given")


class LessonsShape(Shape):
    """What a lesson takes here."""

    ready: bool = Field(description="whether what trains is installed")
    default: str = Field(description="base of a lesson that names none")
    most: int = Field(description="most photos")
    bases: list[BaseShape]
    request: dict[str, Any] = Field(description="JSON schema, draft 2020-12")


class PhotoShape(Shape):
    """What was found of a photo."""

    photo: int = Field(description="its number in the request, from 0")
    verdict: str = Field(description="good, enlarged; left out: same, alike; refused: small, broken, refused, person")
    text: str


class CheckedShape(Shape):
    """What was found of photos and words. Nothing was made, held or charged."""

    ok: bool = Field(description="whether nothing is in the way")
    photos: list[PhotoShape]
    notes: list[str]
    problems: list[ErrorFacts] = Field(description="what would be refused, each as an `error`")
    credits: float | None = Field(description="what it would cost: its sample pictures; the training is free")
    lesson: dict[str, Any] | None = Field(description="every option filled in, None where that cannot be")


class PointShape(Shape):
    step: int
    loss: float


class LessonShape(Shape):
    """How a lesson goes. Curve and sheets go with its folder when it is over."""

    id: str
    learning: bool = Field(description="whether the training itself is at work, not what comes before or after")
    curve: list[PointShape] = Field(description="loss by step, few points")
    sheets: list[int] = Field(description="steps of which there is a sheet of fixed prompts")
    taught: dict[str, Any] | None


class StepQuery(Shape):
    step: int = Field(ge=0, le=10**7 - 1, description="of which to show the sheet")


@router.get("/personalise", response_model=LessonsShape, responses=replies(), operation_id="lesson_options")
async def options(http: Http, caller: Caller = Depends(caller_of)) -> LessonsShape:
    """Say what a lesson takes, which models can be taught, and the defaults of each by method."""
    studio = server_of(http).studio_of(caller)

    def work() -> LessonsShape:
        from fantascope.personal.enrol import installed

        found = (_base(spec, caller.operator) for spec in studio.specs.values())
        bases = [one for one in found if one.methods]
        named = {"default": studio.settings.model, "most": MOST_SENT, "request": schema_of(Personalise)}
        return LessonsShape(ready=installed(), bases=bases, **named)

    return await off(work)


def _base(spec: Spec, operator: bool) -> BaseShape:
    from fantascope.personal.lesson import defaults_of

    allowed = [name for name in METHODS if operator or name != "dreambooth"]
    told = {name: found for name in allowed if (found := defaults_of(spec, name))}
    native = spec.sizes.native
    return BaseShape(name=spec.name, title=spec.title, least=native // 2, native=native, methods=told)


@router.post(
    "/personalise",
    status_code=202,
    response_model=JobShape,
    responses=MAKING | {200: {"model": Finished, "description": "Done, for who waited."}},
    operation_id="personalise",
    openapi_extra=job_extra(task_body(Personalise)),
)
async def personalise(
    http: Http, query: Annotated[WaitQuery, Query()], caller: Caller = Depends(caller_of)
) -> Response:
    """Teach a model a subject from a few photos, as a job; what comes of it is an adapter of yours."""
    checked_disconnect(http)
    key, priority = key_of(http), priority_of(http)
    asked: Any = await read_request(http, caller, Personalise)
    server = server_of(http)
    server.counted(caller, asked)
    job = await off(lambda: server.desk.teach(caller, asked, key=key, priority=priority))
    server.noted(caller, asked, job)
    return await answered(http, caller, job, query.wait)


@router.post(
    "/personalise/check",
    response_model=CheckedShape,
    responses=MAKING,
    operation_id="check_lesson",
    openapi_extra={"requestBody": {"required": True, "content": task_body(Personalise)}},
)
async def check(http: Http, caller: Caller = Depends(caller_of)) -> CheckedShape:
    """Say of each photo whether it will do, and what else would be refused; what the words mean is judged when the
    lesson is handed in."""
    asked: Any = await read_request(http, caller, Personalise)
    server = server_of(http)
    server.counted(caller, asked)
    return await off(lambda: _checked(server, caller, asked))


def _checked(server: Server, caller: Caller, asked: Personalise) -> CheckedShape:
    found = server.desk.examine(caller, asked)
    home = server.studio.settings.home
    photos = [PhotoShape(photo=k, verdict=verdict, text=text) for k, (_, verdict, text) in enumerate(found.findings)]
    names = Personalise.model_fields.keys()
    lesson = (
        None
        if found.lesson is None
        else {one: getattr(found.lesson, one) for one in names if one not in NOT_OF_LESSONS}
    )
    return CheckedShape(
        ok=not found.problems,
        photos=photos,
        notes=[nowhere(note, home) for note in found.notes],
        problems=[_problem(problem, server) for problem in found.problems],
        credits=found.credits,
        lesson=lesson,
    )


def _problem(problem: FantascopeError, server: Server) -> ErrorFacts:
    _, body = error_reply(unplaced(problem, server.studio.settings.home))
    return ErrorFacts(**body["error"])


@router.get("/jobs/{id}/lesson", response_model=LessonShape, responses=replies(404), operation_id="get_lesson")
async def lesson(http: Http, id: str, caller: Caller = Depends(caller_of)) -> LessonShape:
    """Say how a lesson goes: the loss so far, and of which steps there are sheets."""
    desk = server_of(http).desk
    checked_id(id, JOB_ID, "job")

    def work() -> LessonShape:
        job = desk.get(caller, id)
        curve = [PointShape(step=step, loss=loss) for step, loss in desk.lessons.curve(id)]
        learning = job.progress is not None and job.progress.get("stage") == LEARNING
        return LessonShape(id=id, learning=learning, curve=curve, sheets=desk.lessons.sheets(id), taught=job.taught)

    return await off(work)


@router.get(
    "/jobs/{id}/sheet",
    response_class=Response,
    responses=replies(404, media=PNG),
    operation_id="get_lesson_sheet",
)
async def sheet(
    http: Http, id: str, query: Annotated[StepQuery, Query()], caller: Caller = Depends(caller_of)
) -> Response:
    """Return a sheet of fixed prompts that a lesson painted on its way. It was judged, and is not sealed or kept."""
    desk = server_of(http).desk
    checked_id(id, JOB_ID, "job")

    def work() -> bytes:
        desk.get(caller, id)
        return desk.lessons.sheet(id, query.step)

    data = await off(work)
    return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


@router.post(
    "/adapters/{name}/share", response_model=AdapterShape, responses=replies(403, 404), operation_id="share_adapter"
)
async def share(http: Http, name: str, caller: Caller = Depends(operator_of)) -> AdapterShape:
    """Let everybody of this server use an adapter that is somebody's. For the operator."""
    from fantascope.engines.adapters.collection import change_adapter

    settings = server_of(http).studio.settings
    checked_id(name, NAME, "adapter")
    return adapter_shape(await off(lambda: _found(lambda: change_adapter(name, settings, owner=""), name)), settings)


@router.delete("/adapters/{name}", response_model=Removed, responses=replies(403, 404), operation_id="remove_adapter")
async def remove(http: Http, name: str, caller: Caller = Depends(caller_of)) -> Removed:
    """Remove an adapter of yours with its file; what was painted with it stays. Shared ones the operator removes."""
    from fantascope.engines.adapters.collection import remove_adapter

    settings = server_of(http).studio_of(caller).settings
    checked_id(name, NAME, "adapter")

    def work() -> None:
        found = _found(lambda: find_adapter(name, settings.adapters, settings.sees), name)
        if not caller.operator and found.owner != caller.account:
            raise AccessDenied(f"The adapter {name!r} is everybody's; who runs the server can remove it.", param="name")
        remove_adapter(name, settings)

    await off(work)
    return Removed(id=name)


def _found(work: Any, name: str) -> Any:
    try:
        return work()
    except UnknownName:
        raise NotFound(f"There is no adapter {name!r}.", param="name", hint="GET /v1/fantascope/adapters") from None
