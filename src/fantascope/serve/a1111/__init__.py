"""The wire of the A1111 web UI: `/sdapi/v1/*`, and `/controlnet/*` of its best known extension."""

from __future__ import annotations

from fastapi import APIRouter

from fantascope.serve.a1111.control import router as controlnet_routes
from fantascope.serve.a1111.lists import router as listing_routes
from fantascope.serve.a1111.painting import router as painting_routes
from fantascope.serve.a1111.replies import error_reply
from fantascope.serve.a1111.tools import router as tool_routes

router = APIRouter(include_in_schema=False)
for part in (painting_routes, tool_routes, listing_routes, controlnet_routes):
    router.include_router(part)

__all__ = ["error_reply", "router"]
