"""Routes of pictures: generations, edits, variations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends
from fastapi import Request as Http
from starlette.responses import Response

from fantascope.serve.fetch import FieldError
from fantascope.serve.kit import Server, caller_of, off, read_form, read_json, server_of
from fantascope.serve.openai.asked import Asked, model_of, read
from fantascope.serve.openai.fields import Fields
from fantascope.serve.openai.plan import (
    Plan,
    plan_edit,
    plan_generation,
    plan_variation,
    smaller,
    understands,
)
from fantascope.serve.openai.rules import RULES
from fantascope.serve.openai.table import Table, read_table
from fantascope.serve.openai.uploads import Sent, bodies, is_old, referred, shrunk, take_mask, take_pictures
from fantascope.serve.openai.work import answer, order
from fantascope.serve.people import Caller
from fantascope.spec import Spec, find_spec

router = APIRouter(prefix="/v1", include_in_schema=False)


@router.post("/images/generations")
async def generations(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Paint pictures of a prompt."""
    fields = Fields(await read_json(http))
    server = server_of(http)

    def planned() -> tuple[Asked, Plan]:
        table, specs = _known(server)
        asked = read(fields, "generation", model_of(fields, "generation", table, specs))
        return asked, plan_generation(asked, _spec(asked, server, specs), table)

    asked, plan = await off(planned)
    return await answer(order(http, caller, asked, plan))


@router.post("/images/edits")
async def edits(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Edit pictures: multipart with files, or JSON with `images` and `mask` by address or file id."""
    server = server_of(http)
    if http.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        body = await read_json(http)
        fields = Fields(body)
        pictures, masks = await off(lambda: _referred(server, caller, body))
    else:
        values, files = await read_form(http)
        fields = Fields(values, form=True)
        pictures, masks = bodies(files, "image"), bodies(files, "mask")
        if bodies(files, "markup"):
            raise FieldError("'markup' is about an overlay that guides an edit, which is not used here.", "markup")
    if len(masks) > 1:
        raise FieldError(f"One mask is taken; {len(masks)} are sent.", "mask")

    def planned() -> tuple[Asked, Plan, list[Sent]]:
        table, specs = _known(server)
        known = model_of(fields, "edit", table, specs, newer=len(pictures) > 1 or not all(map(is_old, pictures)))
        asked = read(fields, "edit", known)
        taken = take_pictures(server, caller, pictures, asked.rules)
        mask = take_mask(server, caller, masks[0], taken[0]) if masks else None
        asked, taken, mask = _smaller(server, caller, asked, taken, mask)
        resolve = server.studio_of(caller).resolve
        return asked, plan_edit(asked, _spec(asked, server, specs), table, taken, mask, understands(resolve)), taken

    asked, plan, taken = await off(planned)
    return await answer(order(http, caller, asked, plan, taken))


@router.post("/images/variations")
async def variations(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Paint pictures like the one that is sent."""
    server = server_of(http)
    values, files = await read_form(http)
    fields, pictures = Fields(values, form=True), bodies(files, "image")

    def planned() -> tuple[Asked, Plan, list[Sent]]:
        table, specs = _known(server)
        asked = read(fields, "variation", model_of(fields, "variation", table, specs))
        if len(pictures) > 1:
            raise FieldError(f"One picture is varied; {len(pictures)} are sent.", "image")
        taken = take_pictures(server, caller, pictures, asked.rules)
        asked, taken, _ = _smaller(server, caller, asked, taken, None)
        return asked, plan_variation(asked, _spec(asked, server, specs), table, taken[0]), taken

    asked, plan, taken = await off(planned)
    return await answer(order(http, caller, asked, plan, taken))


def _known(server: Server) -> tuple[Table, dict[str, Spec]]:
    return read_table(server.studio.settings.home), server.studio.specs


def _spec(asked: Asked, server: Server, specs: dict[str, Spec]) -> Spec:
    name = asked.known.spec if asked.known.spec is not None else server.studio.settings.model
    return find_spec(name, specs)


def _smaller(
    server: Server, caller: Caller, asked: Asked, taken: Sequence[Sent], mask: str | None
) -> tuple[Asked, list[Sent], str | None]:
    """Bring a picture, and its mask, to the smaller size that is asked for."""
    size = smaller(asked, taken[0]) if len(taken) == 1 else None
    if size is None:
        return asked, list(taken), mask
    small = shrunk(server, caller, taken[0].id, size)
    less = shrunk(server, caller, mask, size, mask=True).id if mask is not None else None
    return replace(asked, size=size), [small], less


def _referred(server: Server, caller: Caller, body: Mapping[str, Any]) -> tuple[list[bytes], list[bytes]]:
    """Return the pictures and the mask that a JSON body names."""
    most = RULES["gpt-image"].bytes
    named = body.get("images")
    if named is None:
        named = body.get("image")
    many = named if isinstance(named, list) else [] if named is None else [named]
    if len(many) > RULES["gpt-image"].pictures:
        raise FieldError(f"{len(many)} pictures are named; {RULES['gpt-image'].pictures} are taken.", "images")
    mask = body.get("mask")
    pictures = [referred(server, caller, one, "images", most) for one in many]
    return pictures, [] if mask is None else [referred(server, caller, mask, "mask", most)]
