"""The router of our own wire."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from fantascope.serve.kit import caller_of
from fantascope.serve.own.accounts import router as accounts
from fantascope.serve.own.catalogue import router as catalogue
from fantascope.serve.own.document import document
from fantascope.serve.own.gallery import router as gallery
from fantascope.serve.own.jobs import router as jobs
from fantascope.serve.own.lessons import router as lessons
from fantascope.serve.own.packed import PackedRoute
from fantascope.serve.own.search import router as search
from fantascope.serve.own.wire import PREFIX, known_query
from fantascope.serve.own.words import router as words

router = APIRouter(route_class=PackedRoute, dependencies=[Depends(caller_of), Depends(known_query)])
for _part in (jobs, lessons, search, gallery, words, catalogue, accounts):
    router.include_router(_part)


@router.get(f"{PREFIX}/openapi.json", include_in_schema=False)
async def openapi() -> JSONResponse:
    """Return the OpenAPI document of these routes."""
    return JSONResponse(_document())


@cache
def _document() -> dict[str, Any]:
    from fantascope import __version__

    return document(router, __version__)
