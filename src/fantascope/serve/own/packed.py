"""Answers in JSON are sent as gzip to whoever takes it.

Compression lets who can read lengths guess what stands beside text that they choose themselves (BREACH). So only
answers to GET are compressed, and those hold nothing to guess: a token and a login address are told in answers to POST,
a signed address of a picture in an answer that says `no-store`; a session is a cookie and stands in no body. Streams
are sent as they come.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request as Http
from fastapi.routing import APIRoute
from starlette.responses import Response, StreamingResponse

from fantascope.serve.kit import LARGE, off

LEAST = 1024
"""Bytes from which it is worth it."""
LEVEL = 5
GZIP = re.compile(r"(?:gzip|\*)\s*(?:;\s*q\s*=\s*(\d(?:\.\d{0,3})?))?", re.IGNORECASE | re.ASCII)


class PackedRoute(APIRoute):
    """A route whose answers to GET are compressed, where they are JSON, long, and may be stored."""

    def get_route_handler(self) -> Callable[[Http], Coroutine[Any, Any, Response]]:
        """Return the handler of the route."""
        handler = super().get_route_handler()

        async def packed(http: Http) -> Response:
            reply = await handler(http)
            if http.method == "GET" and reply.media_type == "application/json":
                await _pack(http, reply)
            return reply

        return packed


async def _pack(http: Http, reply: Response) -> None:
    if isinstance(reply, StreamingResponse) or "no-store" in reply.headers.get("cache-control", ""):
        return
    reply.headers.add_vary_header("Accept-Encoding")
    body = bytes(reply.body)
    if len(body) < LEAST or not takes_gzip(http.headers.get("accept-encoding", "")):
        return
    small = await off(lambda: _small(body)) if len(body) > LARGE else _small(body)
    reply.body = small
    reply.headers["Content-Encoding"], reply.headers["Content-Length"] = "gzip", str(len(small))


def _small(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)


def takes_gzip(accepted: str) -> bool:
    """Say whether an Accept-Encoding header allows gzip; what is named with `q=0` is refused."""
    told = {}
    for part in accepted.split(","):
        found = GZIP.fullmatch(part.strip())
        if found is not None:
            told[part.strip()[:1] == "*"] = float(found[1] or 1)
    return told.get(False, told.get(True, 0.0)) > 0
