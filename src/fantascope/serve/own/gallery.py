"""The caller's pictures: listed, handed in, fetched, traced, described, made again, removed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi import Request as Http
from starlette.responses import JSONResponse, Response

from fantascope.errors import NotFound
from fantascope.gallery import Entry
from fantascope.receipt import Receipt
from fantascope.replay import replayable
from fantascope.serve.kit import Server, caller_of, found_or_404, off, server_of
from fantascope.serve.own.asked import ForceQuery, GalleryQuery, LifeQuery, SideQuery, TopQuery, WaitQuery
from fantascope.serve.own.document import BINARY, PICTURES, header, job_extra, replies, takes_file
from fantascope.serve.own.jobs import MAKING, answered, checked_disconnect
from fantascope.serve.own.packed import PackedRoute
from fantascope.serve.own.shapes import (
    Attributed,
    DescribedShape,
    Entries,
    EntryShape,
    Finished,
    JobShape,
    Link,
    Removed,
    Tree,
    TreeNode,
)
from fantascope.serve.own.wire import ID, PREFIX, checked_id, read_file
from fantascope.serve.people import Caller

router = APIRouter(prefix=f"{PREFIX}/gallery", route_class=PackedRoute)

IF_NONE_MATCH = {"parameters": [header("If-None-Match", {"type": "string"}, "ETag of what the client has")]}
UNCHANGED: dict[int | str, Any] = {304: {"description": "The client has it."}}


def shown(entry: Entry) -> EntryShape:
    """Return an entry as it is on the wire: without its place on the disk."""
    facts = asdict(entry)
    del facts["path"]
    return EntryShape(**facts)


async def found(http: Http, caller: Caller, id: str) -> Entry:
    """Return the caller's entry of an id.

    Raises:
        NotFound: there is none, or it is another's.
    """
    checked_id(id, ID, "picture")
    gallery = server_of(http).studio_of(caller).gallery
    return await off(lambda: found_or_404(lambda: gallery.entry(id)))


@router.get("", response_model=Entries, responses=replies(404), operation_id="list_gallery")
async def listed(http: Http, query: Annotated[GalleryQuery, Query()], caller: Caller = Depends(caller_of)) -> Entries:
    """List pictures, newest first; masks are left out."""
    gallery = server_of(http).studio_of(caller).gallery
    if query.before is not None:
        checked_id(query.before, ID, "picture")
    told = query.filters()
    rows = await off(lambda: found_or_404(lambda: gallery.list(query.limit, query.before, **vars(told))))
    return Entries(data=[shown(entry) for entry in rows])


@router.post(
    "",
    status_code=201,
    response_model=EntryShape,
    responses=replies(507),
    operation_id="upload",
    openapi_extra=takes_file(),
)
async def upload(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Hand in a picture, as the body or as the one file of a form."""
    server, data = server_of(http), await read_file(http)
    id = await off(lambda: server.take(caller, data))
    entry = shown(await found(http, caller, id))
    return JSONResponse(entry.model_dump(mode="json"), 201, {"Location": f"{PREFIX}/gallery/{id}"})


@router.get("/{id}", response_model=EntryShape, responses=replies(404), operation_id="get_picture")
async def one(http: Http, id: str, caller: Caller = Depends(caller_of)) -> EntryShape:
    """Return what is known of a picture, named by its id, the first digits of it, or its receipt's id."""
    return shown(await found(http, caller, id))


@router.get(
    "/{id}/file",
    response_class=Response,
    responses=replies(404, media=PICTURES) | UNCHANGED,
    operation_id="get_file",
    openapi_extra=IF_NONE_MATCH,
)
async def file(http: Http, id: str, caller: Caller = Depends(caller_of)) -> Response:
    """Return the file of a picture, its bytes as they were kept."""
    entry = await found(http, caller, id)
    tag = f'"{entry.id[7:]}"'
    headers = {"ETag": tag, "Cache-Control": "private, max-age=31536000, immutable"}
    if _has(http, tag):
        return Response(status_code=304, headers=headers)
    gallery = server_of(http).studio_of(caller).gallery
    artifact = await off(lambda: gallery.get(entry.id))
    headers["Content-Disposition"] = f'inline; filename="{entry.id[7:23]}{artifact.suffix}"'
    return Response(artifact.data, media_type=artifact.media_type, headers=headers)


@router.get(
    "/{id}/thumbnail",
    response_class=Response,
    responses=replies(404, media={"image/webp": BINARY}) | UNCHANGED,
    operation_id="get_thumbnail",
    openapi_extra=IF_NONE_MATCH,
)
async def thumbnail(
    http: Http, id: str, query: Annotated[SideQuery, Query()], caller: Caller = Depends(caller_of)
) -> Response:
    """Return a small WebP of a picture."""
    entry = await found(http, caller, id)
    tag = f'"{entry.id[7:]}-{query.side}"'
    headers = {"ETag": tag, "Cache-Control": "private, max-age=31536000"}
    if _has(http, tag):
        return Response(status_code=304, headers=headers)
    gallery = server_of(http).studio_of(caller).gallery
    return Response(
        await off(lambda: gallery.thumbnail(entry.id, query.side)), media_type="image/webp", headers=headers
    )


def _has(http: Http, tag: str) -> bool:
    """Say whether the client has what this tag names."""
    told = [one.strip().removeprefix("W/") for one in http.headers.get("if-none-match", "").split(",")]
    return tag in told or "*" in told


@router.get("/{id}/receipt", response_model=Receipt, responses=replies(404), operation_id="get_receipt")
async def receipt(http: Http, id: str, caller: Caller = Depends(caller_of)) -> Response:
    """Return the record of how a picture was made."""
    return JSONResponse((await _receipt(http, caller, id)).dump())


async def _receipt(http: Http, caller: Caller, id: str) -> Receipt:
    entry = await found(http, caller, id)
    gallery = server_of(http).studio_of(caller).gallery
    return await off(lambda: gallery.receipt(entry.id))


@router.get("/{id}/history", response_model=Tree, responses=replies(404), operation_id="get_history")
async def history(http: Http, id: str, caller: Caller = Depends(caller_of)) -> Tree:
    """Return the tree that a picture belongs to: what it was made from, and everything made from that."""
    from fantascope.reports.tree import root_of, tree

    entry = await found(http, caller, id)
    gallery = server_of(http).studio_of(caller).gallery

    def work() -> Tree:
        root = root_of(gallery, entry.id)
        nodes = list(tree(gallery, root))
        rows = [
            TreeNode(
                id=node.id,
                parent=nodes[node.parent].id if node.parent is not None else None,
                depth=node.depth,
                task=node.task,
                done=node.done,
            )
            for node in nodes
        ]
        parents = [] if entry.given else list(gallery.receipt(entry.id).parents)
        return Tree(id=entry.id, root=root, parents=parents, children=gallery.children(entry.id), data=rows)

    return await off(work)


@router.get("/{id}/link", response_model=Link, responses=replies(404), operation_id="get_link")
async def link(
    http: Http, reply: Response, id: str, query: Annotated[LifeQuery, Query()], caller: Caller = Depends(caller_of)
) -> Link:
    """Return an address of a picture that works without a token for a while."""
    reply.headers["Cache-Control"] = "no-store"
    entry = await found(http, caller, id)
    return Link(url=server_of(http).link(http, caller, entry.id, query.seconds), expires_in=query.seconds)


@router.get("/{id}/attribute", response_model=Attributed, responses=replies(404), operation_id="attribute")
async def attribute(
    http: Http, id: str, query: Annotated[TopQuery, Query()], caller: Caller = Depends(caller_of)
) -> Attributed:
    """List the training drawings that the things in a picture look most like, with author and licence."""
    from fantascope.provenance.attribution import MEANING
    from fantascope.reports.attribute import attribution_of

    server, entry = server_of(http), await found(http, caller, id)
    data = await _bytes(server, caller, entry.id)
    seen = await off(lambda: attribution_of(data, server.studio.settings, query.top))
    told = {"id": entry.id, "things": seen.rows(), "origin": seen.origin, "means": MEANING, "ledger": seen.ledger}
    return Attributed(**told, calibrated_on=seen.calibrated_on)


@router.get("/{id}/describe", response_model=DescribedShape, responses=replies(404), operation_id="describe")
async def describe(http: Http, id: str, caller: Caller = Depends(caller_of)) -> DescribedShape:
    """Say in four prompts what a picture may show, the likeliest first."""
    from fantascope.reports.pictured import BETTER, look

    server, entry = server_of(http), await found(http, caller, id)
    data = await _bytes(server, caller, entry.id)
    return DescribedShape(id=entry.id, better=BETTER, **await off(lambda: look(data)))


async def _bytes(server: Server, caller: Caller, id: str) -> bytes:
    gallery = server.studio_of(caller).gallery
    return (await off(lambda: gallery.get(id))).data


@router.post(
    "/{id}/again",
    status_code=202,
    response_model=JobShape,
    responses=MAKING | {200: {"model": Finished, "description": "Done, for who waited."}},
    operation_id="again",
    openapi_extra=job_extra(),
)
async def again(
    http: Http, id: str, query: Annotated[WaitQuery, Query()], caller: Caller = Depends(caller_of)
) -> Response:
    """Run the record of a picture once more, as a job. Its picture has the recorded pixels, or the job fails with
    `replay_differs`, names the first thing that differs, and nothing is kept or charged."""
    checked_disconnect(http)
    recorded = await _receipt(http, caller, id)
    if recorded.request.get("task") == "sheet":
        raise NotFound("This is a contact sheet: make its pictures again instead.", param="id")
    server, entry = server_of(http), await found(http, caller, id)
    job = await server.submit(http, caller, replayable(recorded), again=entry.id)
    return await answered(http, caller, job, query.wait)


@router.delete("/{id}", response_model=Removed, responses=replies(404, 409, 507), operation_id="remove_picture")
async def remove(
    http: Http, id: str, query: Annotated[ForceQuery, Query()], caller: Caller = Depends(caller_of)
) -> Removed:
    """Remove a picture with its receipt and prompt; the ledger keeps what was charged.

    Raises:
        HasChildren: others were made from it; `force=true` removes it all the same.
    """
    entry = await found(http, caller, id)
    gallery = server_of(http).studio_of(caller).gallery

    return Removed(id=await off(lambda: gallery.remove(entry.id, force=query.force)))
