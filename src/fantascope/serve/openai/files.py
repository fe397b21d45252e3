"""Routes of files: the caller's pictures in the gallery, under names that this wire knows."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from fastapi import Request as Http
from starlette.responses import Response

from fantascope.artifact import SUFFIXES
from fantascope.errors import FantascopeError, InvalidPicture, NotFound
from fantascope.gallery.records import Entry
from fantascope.serve.fetch import FieldError
from fantascope.serve.kit import caller_of, off, read_form, server_of
from fantascope.serve.openai.fields import Fields, missing
from fantascope.serve.openai.uploads import artifact_of, bodies, file_id
from fantascope.serve.people import Caller

router = APIRouter(prefix="/v1", include_in_schema=False)

GIVEN, MADE = "vision", "assistants_output"
"""Purposes of pictures handed in, and of pictures made here."""
MOST = 10_000


@router.post("/files")
async def upload(http: Http, caller: Caller = Depends(caller_of)) -> dict[str, Any]:
    """Keep a picture."""
    server = server_of(http)
    values, files = await read_form(http)
    fields, sent = Fields(values, form=True), bodies(files, "file")
    if not sent:
        raise missing("file")
    if len(sent) > 1:
        raise FieldError(f"One file is taken; {len(sent)} are sent.", "file")
    purpose = fields.text("purpose")
    if purpose is None:
        raise missing("purpose")
    if purpose != GIVEN:
        raise FieldError(f"Files are pictures here: 'purpose' is {GIVEN}, not {purpose[:40]!r}.", "purpose")
    if fields.given("expires_after"):
        raise FieldError("Files stay until they are deleted.", "expires_after", "unsupported_value")

    def kept() -> Entry:
        try:
            name = server.take(caller, sent[0])
        except InvalidPicture as error:
            error.param = "file"
            raise
        return server.studio_of(caller).gallery.entry(name)

    return _told(await off(kept))


@router.get("/files")
async def files(http: Http, caller: Caller = Depends(caller_of)) -> dict[str, Any]:
    """List pictures, newest first: those handed in (`purpose` vision) and those made here (assistants_output)."""
    server, asked = server_of(http), Fields({name: [value] for name, value in http.query_params.items()}, form=True)
    limit = asked.whole("limit", 1, MOST, MOST)
    order = asked.choice("order", ("asc", "desc")) or "desc"
    purpose, after = asked.text("purpose"), asked.text("after")

    def listed() -> list[Entry]:
        if purpose not in (None, GIVEN, MADE):
            return []
        given = None if purpose is None else purpose == GIVEN
        gallery = server.studio_of(caller).gallery
        before = None if after is None else _entry(gallery, after, "after").id
        if order == "desc":
            return gallery.list(limit + 1, before, given=given)
        every = gallery.list(MOST, given=given)[::-1]
        ids = [entry.id for entry in every]
        begin = 0 if before is None else ids.index(before) + 1 if before in ids else len(every)
        return every[begin : begin + limit + 1]

    found = await off(listed)
    data = [_told(entry) for entry in found[:limit]]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return {"object": "list", "data": data, "has_more": len(found) > limit, **ends}


@router.get("/files/{name}")
async def file(http: Http, name: str, caller: Caller = Depends(caller_of)) -> dict[str, Any]:
    """Return what is known of a file.

    Raises:
        NotFound: the caller has no such file.
    """
    server = server_of(http)
    return _told(await off(lambda: _entry(server.studio_of(caller).gallery, name)))


@router.get("/files/{name}/content")
async def content(http: Http, name: str, caller: Caller = Depends(caller_of)) -> Response:
    """Return the file itself.

    Raises:
        NotFound: the caller has no such file.
    """
    server = server_of(http)

    def got() -> tuple[bytes, str]:
        gallery = server.studio_of(caller).gallery
        found = gallery.get(_entry(gallery, name).id)
        return found.data, found.media_type

    data, media = await off(got)
    return Response(data, media_type=media)


@router.delete("/files/{name}")
async def delete(http: Http, name: str, caller: Caller = Depends(caller_of)) -> dict[str, Any]:
    """Delete a file, also where pictures were made from it: those cannot be made again then.

    Raises:
        NotFound: the caller has no such file.
    """
    server = server_of(http)

    def gone() -> None:
        gallery = server.studio_of(caller).gallery
        gallery.remove(_entry(gallery, name).id, force=True)

    await off(gone)
    return {"id": name, "object": "file", "deleted": True}


def _entry(gallery: Any, name: str, param: str = "id") -> Entry:
    """Return a file of the caller's by its name on this wire."""
    try:
        entry: Entry = gallery.entry(artifact_of(name, param))
    except FantascopeError as error:
        if error.status not in (400, 404):
            raise
        raise NotFound(f"No such File object: {name[:100]}", param=param) from None
    return entry


def _told(entry: Entry) -> dict[str, Any]:
    name = file_id(entry.id)
    return {
        "id": name,
        "object": "file",
        "bytes": entry.size,
        "created_at": int(entry.kept.timestamp()),
        "filename": f"{name[5:21]}{SUFFIXES.get(entry.media_type, '.bin')}",
        "purpose": GIVEN if entry.given else MADE,
        "status": "processed",
        "expires_at": None,
    }
