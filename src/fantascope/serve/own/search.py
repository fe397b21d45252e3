"""The caller's pictures that look like one: a picture of theirs, or a file that is not kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi import Request as Http

from fantascope.gallery.index import Filters
from fantascope.serve.kit import DECODERS, caller_of, off, server_of
from fantascope.serve.own.asked import LikeQuery, SearchQuery
from fantascope.serve.own.document import replies, takes_file
from fantascope.serve.own.gallery import found, shown
from fantascope.serve.own.packed import PackedRoute
from fantascope.serve.own.shapes import Alikes, AlikeShape
from fantascope.serve.own.wire import PREFIX, read_file
from fantascope.serve.people import Caller

router = APIRouter(prefix=f"{PREFIX}/gallery", route_class=PackedRoute)

LOOKING = 2.0
"""Seconds that a search looks at pictures that were not looked at before; what is left is said."""


@router.get("/search", response_model=Alikes, responses=replies(404, 507), operation_id="search_like")
async def like(http: Http, query: Annotated[LikeQuery, Query()], caller: Caller = Depends(caller_of)) -> Alikes:
    """Find the pictures that look most like one of yours, nearest first; itself and masks are left out."""
    filters = query.filters()
    entry = await found(http, caller, query.like)
    return await _searched(http, caller, entry.id, query, filters)


@router.post(
    "/search", response_model=Alikes, responses=replies(507), operation_id="search_file", openapi_extra=takes_file()
)
async def file(http: Http, query: Annotated[SearchQuery, Query()], caller: Caller = Depends(caller_of)) -> Alikes:
    """Find the pictures that look most like a file, nearest first. The file is not kept."""
    filters = query.filters()
    return await _searched(http, caller, await read_file(http), query, filters)


async def _searched(http: Http, caller: Caller, asked: bytes | str, query: SearchQuery, filters: Filters) -> Alikes:
    from fantascope.reports.alike import Pixels, alike, small
    from fantascope.reports.likeness import read_pixels

    studio = server_of(http).studio_of(caller)

    def work() -> Alikes:
        picture: Pixels | str
        if isinstance(asked, str):
            picture = asked
        else:
            with DECODERS:
                picture = small(read_pixels(asked))
        seen = alike(studio.gallery, studio.settings, picture, query.limit, seconds=LOOKING, filters=filters)
        rows = [AlikeShape(**shown(entry).model_dump(), distance=distance) for entry, distance in seen.found]
        return Alikes(data=rows, unseen=seen.unseen, model=seen.model)

    return await off(work)
