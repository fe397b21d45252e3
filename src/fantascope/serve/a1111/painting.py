"""`txt2img`, `img2img`, and what is asked while they paint: `progress`, `interrupt`, `skip`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from fastapi import Request as Http
from starlette.responses import Response

import fantascope.serve.a1111.infotext as infotext
import fantascope.serve.a1111.options as options
import fantascope.serve.a1111.pictures as pictures
import fantascope.serve.a1111.styles as styles
import fantascope.serve.a1111.translate as translate
import fantascope.serve.a1111.units as units
from fantascope.artifact import Artifact
from fantascope.errors import NotFound, Unsupported
from fantascope.request import Control, Request
from fantascope.serve.a1111.bodies import Img2Img, Painting, Txt2Img, read
from fantascope.serve.a1111.options import Wish
from fantascope.serve.a1111.pictures import Given, Size
from fantascope.serve.a1111.replies import encoded, painted, reply
from fantascope.serve.a1111.runs import Board, board_of, body_of, made, stop, told
from fantascope.serve.a1111.translate import Plan
from fantascope.serve.job import Job
from fantascope.serve.kit import Server, caller_of, off, server_of
from fantascope.serve.people import Caller

router = APIRouter(prefix="/sdapi/v1")


@router.post("/txt2img")
async def txt2img(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Paint pictures from a prompt."""
    body = read(Txt2Img, infotext.filled(await body_of(http)))
    server, board = server_of(http), board_of(http)
    wish = await _wish(server, board, caller, body)
    plan = await off(lambda: _txt2img(server, caller, body, wish, _previews(http, board, caller, wish)))
    return await _paint(http, caller, body, plan, "scripts_txt2img")


@router.post("/img2img")
async def img2img(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Paint over a picture, or a part of it."""
    body = read(Img2Img, infotext.filled(await body_of(http)))
    server, board = server_of(http), board_of(http)
    wish = await _wish(server, board, caller, body)
    plan = await off(lambda: _img2img(server, caller, body, wish, _previews(http, board, caller, wish)))
    return await _paint(http, caller, body, plan, "scripts_img2img")


@router.get("/progress")
async def progress(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Say how far the caller's run is."""
    board = board_of(http)
    pictured = http.query_params.get("skip_current_image", "false").lower() not in ("true", "1", "yes", "on")
    if pictured:
        board.watch(caller)
    run = board.current(caller)
    found = await told(server_of(http), run, pictured)
    shown = run.preview if run is not None and pictured else None
    return reply(found | {"current_image": encoded(shown) if shown is not None else None})


@router.post("/interrupt")
async def interrupt(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """End the caller's run; what it has painted by then is sent and kept."""
    run = board_of(http).current(caller)
    if run is not None:
        await stop(server_of(http), caller, run)
    return reply({})


@router.post("/skip")
async def skip(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """End the picture that is being painted, where no other comes after it.

    Raises:
        Unsupported: others come after it; they are one job.
    """
    run = board_of(http).current(caller)
    if run is not None and run.total > 1:
        raise Unsupported(
            f"The {run.total} pictures of this run are one job, of which none can be left out.",
            hint="POST /sdapi/v1/interrupt ends the run.",
        )
    if run is not None:
        await stop(server_of(http), caller, run)
    return reply(None)


async def _wish(server: Server, board: Board, caller: Caller, body: Painting) -> Wish:
    """Return what options come to, and keep those that a request says are to stay."""
    studio, kept = server.studio_of(caller), board.options.get(caller.account, {})

    def work() -> tuple[dict[str, Any], Wish]:
        specs = studio.specs
        override = options.check(body.override_settings or {}, specs)
        return override, options.wish_of(kept, override, specs, studio.settings.model)

    override, wish = await off(work)
    if override and body.override_settings_restore_afterwards is False:
        board.options.setdefault(caller.account, {}).update(override)
    return wish


def _previews(http: Http, board: Board, caller: Caller, wish: Wish) -> bool:
    """Say whether steps are shown: as options say, else to whom looks. A retry by its key must be the same request."""
    if wish.previews is not None:
        return wish.previews
    return "idempotency-key" not in http.headers and board.watches(caller)


def _texts(server: Server, body: Painting) -> tuple[str, str]:
    known = styles.styles_in(server.studio.settings.home)
    return styles.styled(body.prompt or "", body.negative_prompt or "", body.styles or (), known)


def _txt2img(server: Server, caller: Caller, body: Txt2Img, wish: Wish, preview: bool) -> Plan:
    translate.check(body)
    on, texts = units.units_of(body.alwayson_scripts), _texts(server, body)
    translate.txt2img(body, texts, wish, (), preview)  # before a picture is kept for it
    controls = _controls(server, caller, on, wish, translate.size_of(body, wish.spec), None)
    return translate.txt2img(body, texts, wish, controls, preview)


def _img2img(server: Server, caller: Caller, body: Img2Img, wish: Wish, preview: bool) -> Plan:
    translate.check(body)
    if not body.init_images:
        raise NotFound("Init image not found", param="init_images")
    if len(body.init_images) > 1:
        raise Unsupported("One picture a request: init_images has several.", param="init_images")
    on, texts = units.units_of(body.alwayson_scripts), _texts(server, body)
    start = pictures.opened(body.init_images[0], "init_images")
    plan, size = translate.img2img(body, texts, wish, start, _take(server, caller), preview)
    return plan(_controls(server, caller, on, wish, size, start))


def _controls(
    server: Server, caller: Caller, on: list[Any], wish: Wish, size: Size, start: Given | None
) -> tuple[Control, ...]:
    specs = server.studio_of(caller).specs
    return units.controls_of(on, wish.spec, specs, size, start, _take(server, caller))


def _take(server: Server, caller: Caller) -> pictures.Take:
    return lambda data, task: server.take(caller, data, task=task)


async def _paint(http: Http, caller: Caller, body: Painting, plan: Plan, what: str) -> Response:
    """Have a plan made, both passes, and answer."""
    server, board = server_of(http), board_of(http)
    count = getattr(plan.request, "n", None) or 1
    more = 0 if plan.second is None else count * plan.second.jobs
    with board.run(caller, what, count, more) as run:

        async def make(request: Request) -> tuple[list[Job], list[Artifact]]:
            job, found = await made(server, http, caller, run, request)
            return ([] if job is None else [job]), found

        jobs, first = await make(plan.request)
        artifacts = first
        for k, one in enumerate(first if plan.second is not None else ()):
            assert plan.second is not None and one.receipt is not None
            seed = int(one.receipt.request["seed"])
            then, found = await make(plan.second.enlarge(one.id, seed))
            if found and plan.second.over is not None:
                after, found = await make(plan.second.paint(found[0].id, seed))
                then += after
            jobs, artifacts = jobs + then, [*artifacts[:k], *(found or [one]), *artifacts[k + 1 :]]
        return reply(painted(body, plan.text, jobs, artifacts, first, run.stopped))
