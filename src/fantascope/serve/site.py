"""The studio in a browser: its files, and the way in and out of it."""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Request as Http
from pydantic import BaseModel
from starlette.responses import JSONResponse, RedirectResponse, Response

from fantascope.errors import AccessDenied, InvalidValue, NotAuthorised, NotFound
from fantascope.serve.kit import MARK, off, read_json, server_of
from fantascope.serve.options import LOOPBACK
from fantascope.serve.sessions import LIFE

router = APIRouter(include_in_schema=False)

PAGE = Path(__file__).parent / "page"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy of the page: nothing but its own files runs, and nothing is fetched from elsewhere."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}
NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,40}/){0,3}[A-Za-z0-9_-]{1,40}\.(?:html|css|js|json|svg|LICENSE)", re.ASCII)
MOST_TOKEN = 200
LEAST_PACKED = 1000
"""Bytes from which on a file is packed: it has no secret in it that its length could tell."""


class CodeQuery(BaseModel):
    """What a login link says."""

    code: str = ""


@router.get("/")
async def index(http: Http) -> Response:
    """Return the page. It is for everybody; what it shows needs a session."""
    return await page_file(http, "index.html")


@router.get("/style.css")
async def style(http: Http) -> Response:
    """Return the style of the page."""
    return await page_file(http, "style.css")


@router.get("/icon.svg")
async def icon(http: Http) -> Response:
    """Return the icon of the page."""
    return await page_file(http, "icon.svg")


@router.get("/js/{path:path}")
async def script(http: Http, path: str) -> Response:
    """Return a script of the page."""
    return await page_file(http, f"js/{path}")


@router.get("/css/{path:path}")
async def part_of_style(http: Http, path: str) -> Response:
    """Return the style of a part of the page."""
    return await page_file(http, f"css/{path}")


@router.get("/lang/{path:path}")
async def catalogue(http: Http, path: str) -> Response:
    """Return sentences of the server in a language of the page."""
    return await page_file(http, f"lang/{path}")


@router.get("/vendor/{path:path}")
async def library(http: Http, path: str) -> Response:
    """Return a library of the page, or its licence."""
    return await page_file(http, f"vendor/{path}")


async def page_file(http: Http, name: str) -> Response:
    """Return a file of the page; the browser asks each time whether it changed.

    Raises:
        NotFound: there is none of this name, or the page is switched off.
    """
    _there(http)
    data = await off(lambda: page_bytes(name))
    if data is None:
        raise NotFound("There is no such address.")
    headers = _headers(http) | {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if len(data) > LEAST_PACKED and "gzip" in http.headers.get("accept-encoding", ""):
        whole = data
        data = await off(lambda: _packed(whole))
        headers["Content-Encoding"] = "gzip"
    headers["ETag"] = tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    told = [one.strip().removeprefix("W/") for one in http.headers.get("if-none-match", "").split(",")]
    if tag in told or "*" in told:
        return Response(status_code=304, headers={k: v for k, v in headers.items() if k != "Content-Encoding"})
    return Response(data, headers=headers | {"Content-Type": KINDS[Path(name).suffix]})


def _headers(http: Http) -> dict[str, str]:
    """Return the headers of every reply here; browsers complain of some where the line is not safe."""
    return HEADERS | {"Cross-Origin-Opener-Policy": "same-origin"} if _safe(http) else HEADERS


def _safe(http: Http) -> bool:
    """Say whether a browser takes the line for safe: TLS, or this machine."""
    return http.url.scheme == "https" or (http.url.hostname or "").strip("[]") in LOOPBACK


@lru_cache(128)
def _packed(data: bytes) -> bytes:
    """Return a file of the page as it goes over the line."""
    return gzip.compress(data, mtime=0)


def _there(http: Http) -> None:
    """Pass where this server has the page.

    Raises:
        NotFound: it is switched off.
    """
    if not server_of(http).options.page:
        raise NotFound("There is no such address.")


def page_bytes(name: str) -> bytes | None:
    """Return the bytes of a file of the page, or None where there is none; no name leads out of its folder."""
    if NAME.fullmatch(name) is None:
        return None
    path = PAGE / name
    if not path.is_file() or not path.resolve().is_relative_to(PAGE.resolve()):
        return None
    return path.read_bytes()


@router.get("/login")
async def login(http: Http, query: Annotated[CodeQuery, Query()]) -> Response:
    """Open the session of a link, once, and show the page; with a link that is no good, the page asks for a token."""
    _there(http)
    server = server_of(http)
    try:
        value = await off(lambda: server.sessions.redeem(query.code))
    except NotAuthorised:
        return RedirectResponse("/?login=again", 303, _headers(http) | {"Cache-Control": "no-store"})
    return _with_cookie(http, RedirectResponse("/", 303, _headers(http) | {"Cache-Control": "no-store"}), value)


@router.get("/session")
async def session(http: Http) -> Response:
    """Say whose session this is; `account` is null where there is none, which is no error."""
    _there(http)
    server = server_of(http)
    value = http.cookies.get(server.sessions.cookie, "")
    try:
        account = (await off(lambda: server.sessions.caller(value))).account
    except NotAuthorised:
        account = None
    return JSONResponse({"account": account}, headers=_headers(http) | {"Cache-Control": "no-store"})


@router.post("/session")
async def open_session(http: Http) -> Response:
    """Open a session with a token.

    Raises:
        AccessDenied: it was not the page that asked.
        NotAuthorised: the token is no good.
    """
    _there(http)
    _from_page(http)
    server, token = server_of(http), (await read_json(http)).get("token")
    if not isinstance(token, str) or not 0 < len(token) <= MOST_TOKEN:
        raise InvalidValue(f"token is a text of at most {MOST_TOKEN} characters.", param="token")
    caller = await off(lambda: server.people.caller(f"Bearer {token}"))
    value = await off(lambda: server.sessions.begin(caller))
    reply = JSONResponse({"account": caller.account}, 201, _headers(http) | {"Cache-Control": "no-store"})
    return _with_cookie(http, reply, value)


@router.post("/logout")
async def logout(http: Http) -> Response:
    """Close the session.

    Raises:
        AccessDenied: it was not the page that asked.
    """
    _there(http)
    _from_page(http)
    server = server_of(http)
    value = http.cookies.get(server.sessions.cookie, "")
    await off(lambda: server.sessions.end(value))
    # pictures are kept by the browser under addresses that the next person there may ask for
    clear = {"Cache-Control": "no-store"}
    if _safe(http):
        clear["Clear-Site-Data"] = '"cache"'
    reply = JSONResponse({"out": True}, headers=_headers(http) | clear)
    reply.delete_cookie(server.sessions.cookie, **_flags(http))
    return reply


def _from_page(http: Http) -> None:
    """Pass where the header is there that no page elsewhere can send.

    Raises:
        AccessDenied: it is not.
    """
    if http.headers.get(MARK) != "1":
        raise AccessDenied(f"The header {MARK}: 1 is needed.", param=MARK)


def _with_cookie(http: Http, reply: Response, value: str) -> Response:
    reply.set_cookie(server_of(http).sessions.cookie, value, max_age=LIFE, **_flags(http))
    return reply


def _flags(http: Http) -> dict[str, Any]:
    """Return what a session's cookie is allowed: no script reads it, no other site sends it."""
    url = server_of(http).options.public_url or ""
    secure = http.url.scheme == "https" or url.startswith("https:")
    return {"path": "/", "httponly": True, "samesite": "strict", "secure": secure}
