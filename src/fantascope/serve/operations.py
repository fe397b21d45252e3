"""Routes for those who run the server, and the addresses of pictures that need no token."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi import Request as Http
from starlette.responses import JSONResponse, Response

from fantascope.errors import AccessDenied, Stopping
from fantascope.serve.kit import caller_of, found_or_404, off, server_of
from fantascope.serve.people import Caller

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> JSONResponse:
    """Say that the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def readyz(http: Http) -> JSONResponse:
    """Say whether jobs are taken: the databases answer, and the server is not about to stop.

    Raises:
        Stopping: not yet, or no more.
    """
    if not http.app.state.ready:
        raise Stopping("Not ready.")
    server = server_of(http)
    await off(server.desk.counts)
    await off(lambda: server.studio.gallery.balance(server.studio.settings.user))
    return JSONResponse({"status": "paused" if server.desk.paused else "ready"})


async def operator_of(caller: Caller = Depends(caller_of)) -> Caller:
    """Return the caller, who runs this server.

    Raises:
        AccessDenied: somebody else.
    """
    if not caller.operator:
        raise AccessDenied("This is for the operator of the server.")
    return caller


@router.get("/metrics")
async def metrics(http: Http, caller: Caller = Depends(operator_of)) -> Response:
    """Return counters in Prometheus' text format."""
    text = await off(http.app.state.metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/files/{name}")
async def file(http: Http, name: str) -> Response:
    """Return a picture by its signed address.

    Raises:
        NotFound: it was not signed here, or the picture is gone.
        AccessDenied: the address has expired.
    """
    server, asked = server_of(http), http.query_params
    account = asked.get("for", "")
    server.links.check(account, name, asked.get("until", ""), asked.get("sig", ""))
    gallery = server.studio.gallery.of(account)
    found = await off(lambda: found_or_404(lambda: gallery.get("sha256:" + name)))
    return Response(found.data, media_type=found.media_type, headers={"Cache-Control": "private, max-age=3600"})
