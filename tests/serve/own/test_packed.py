"""JSON is sent as gzip to who takes it, and to nobody where something could be guessed by it."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest
from tests.serve.own.conftest import ECHO, WIRE, make

from fantascope.serve.own.packed import LEAST, takes_gzip


def raw(server: Any, path: str, accepted: str | None, method: str = "GET") -> tuple[httpx.Response, bytes]:
    """Return a reply and its bytes as they came."""
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    with server.client() as client, client.stream(method, f"{WIRE}{path}", headers=headers) as reply:
        return reply, b"".join(reply.iter_raw())


@pytest.mark.parametrize("path", ["/tasks", "/openapi.json", "/models", "/policy", "/gallery?limit=200"])
def test_long_answers_are_packed_and_the_same(own: httpx.Client, server: Any, path: str) -> None:
    make(own)
    plain, body = raw(server, path, "identity")
    packed, small = raw(server, path, "br;q=1.0, gzip;q=0.8")
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert gzip.decompress(small) == body
    assert int(packed.headers["content-length"]) == len(small)
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    assert len(small) < len(body)


def test_the_tasks_take_a_tenth(server: Any) -> None:
    body, small = raw(server, "/tasks", "identity")[1], raw(server, "/tasks", "gzip")[1]
    assert len(small) * 8 < len(body)


def test_short_answers_posts_addresses_streams_and_files_are_not(own: httpx.Client, server: Any) -> None:
    job = make(own)
    picture = job["artifacts"][0]
    link, _ = raw(server, f"/gallery/{picture}/link", "gzip")
    assert link.headers["cache-control"] == "no-store"
    for path in ("/account", f"/gallery/{picture}/link", f"/gallery/{picture}/file", f"/gallery/{picture}/thumbnail"):
        assert "content-encoding" not in raw(server, path, "gzip")[0].headers, path
    events, stream = raw(server, f"/jobs/{job['id']}/events", "gzip")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in events.headers and b"event: done" in stream
    waited = own.post("/imagine?wait=true", json=ECHO | {"n": 4}, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in waited.headers and len(waited.content) > LEAST


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("gzip", True), ("GZIP", True), ("deflate, gzip", True), ("*", True), ("gzip;q=0.1", True), ("gzip; q=1", True),
        ("", False), ("identity", False), ("gzip;q=0", False), ("gzip;q=0.000", False), ("*;q=0", False),
        ("gzip;q=0, *", False), ("xgzip", False), ("gzip2", False), ("br", False), ("*;q=0, gzip", True),
    ],
)  # fmt: skip
def test_who_takes_gzip(accepted: str, taken: bool) -> None:
    assert takes_gzip(accepted) is taken
