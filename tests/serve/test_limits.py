"""How much a real server takes, and how long it waits."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send
from tests.serve.conftest import TOKEN, Running

from fantascope.serve.limits import Bodies


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with little patience."""
    options = (
        "--patience",
        "1",
        "--rate",
        "120",
        "--waiting",
        "3",
        "--most-bytes",
        "100000",
        "--streams",
        "2",
        "--paused",
        "--log-prompts",
    )
    running = Running(tmp_path_factory.mktemp("strict") / "home", *options)
    yield running
    running.stop()


def connect(server: Running) -> socket.socket:
    place = urlsplit(server.url)
    assert place.hostname is not None
    connection = socket.create_connection((place.hostname, place.port))
    connection.settimeout(15)
    return connection


def answered(connection: socket.socket) -> bytes:
    said = b""
    while part := connection.recv(65536):
        said += part
    return said


def test_a_head_that_drips_is_hung_up_on(strict: Running) -> None:
    since = time.monotonic()
    with connect(strict) as connection:
        try:
            for byte in b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" * 10:
                connection.send(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            pass
    assert time.monotonic() - since < 8


def test_a_second_head_that_drips_is_hung_up_on(strict: Running) -> None:
    with connect(strict) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        said = b""
        while not said.endswith(b'{"status":"ok"}'):
            said += connection.recv(65536)
        connection.sendall(b"GET /heal")
        since = time.monotonic()
        assert answered(connection) == b""
        assert time.monotonic() - since < 8


@pytest.mark.parametrize("bytes_a_second", [0, 20])
def test_a_body_that_does_not_come_is_refused(strict: Running, bytes_a_second: int) -> None:
    with connect(strict) as connection:
        connection.sendall(
            b"POST /v1/fantascope/imagine HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"
        )
        try:
            for _ in range(10 * bytes_a_second):
                connection.send(b"x")
                time.sleep(1 / bytes_a_second)
        except OSError:
            pass
        said = b""
        try:
            said = answered(connection)
        except ConnectionResetError:
            assert bytes_a_second > 0
    assert b"408" in said.partition(b"\r\n")[0] or (bytes_a_second > 0 and said == b"")


@pytest.mark.parametrize("held", ["before it is read", "while it is read"])
def test_a_server_that_is_held_up_does_not_blame_the_client(held: str) -> None:
    read: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if held == "before it is read":
            time.sleep(0.5)
        read.append((await receive())["body"])

    async def ask() -> None:
        came = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def receive() -> Message:
            await came.wait()
            return {"type": "http.request", "body": b"a cat", "more_body": False}

        async def send(message: Message) -> None:
            raise AssertionError(message)

        loop.call_later(0.05, came.set)
        if held == "while it is read":
            loop.call_later(0.04, time.sleep, 0.5)
        bodies = Bodies(app, most=1000, patience=0.2, refuse=lambda scope, error: JSONResponse(error.message, 408))
        await bodies({"type": "http", "headers": []}, receive, send)

    asyncio.run(ask())
    assert read == [b"a cat"]


def test_more_bytes_than_are_taken_are_refused_before_they_are_read(strict: Running) -> None:
    with strict.client() as client:
        reply = client.post("/v1/fantascope/imagine", content=b"x" * 200_000)
    assert reply.status_code == 413
    assert "100000" in reply.json()["error"]["message"]


def test_jobs_that_wait_are_counted(strict: Running) -> None:
    token = strict.user("waiter")
    with strict.client(token) as client:
        for k in range(3):
            assert client.post("/v1/fantascope/imagine", json={"prompt": f"a cat {k}"}).status_code == 202
        full = client.post("/v1/fantascope/imagine", json={"prompt": "a cat"})
        assert full.status_code == 429
        assert int(full.headers["Retry-After"]) >= 1
        first = client.get("/v1/fantascope/jobs").json()["data"][0]["id"]
        assert client.post(f"/v1/fantascope/jobs/{first}/cancel").json()["status"] == "cancelled"
        assert client.post("/v1/fantascope/imagine", json={"prompt": "a cat"}).status_code == 202
        assert client.get("/v1/fantascope/account").json()["held"] == 3


def test_who_asks_too_often_is_told_when_to_come_back(strict: Running) -> None:
    token, waits = strict.user("hasty"), []
    with strict.client(token) as client, strict.client(strict.user("calm")) as calm:
        for _ in range(90):
            reply = client.get("/v1/fantascope/account")
            if reply.status_code == 429:
                waits.append(int(reply.headers["Retry-After"]))
        assert waits, "60 in a burst are allowed, 90 are not"
        assert max(waits) <= 2
        assert calm.get("/v1/fantascope/account").status_code == 200


def test_the_log_shows_what_people_wrote_only_where_it_was_told_to(strict: Running, server: Running) -> None:
    for running in (strict, server):
        with running.client() as client:
            client.post(
                "/v1/fantascope/imagine", json={"prompt": "a whispering teapot", "model": "echo"}
            ).raise_for_status()
            client.get("/v1/fantascope/account").raise_for_status()
    assert "a whispering teapot" in strict.log.read_text()
    assert "teapot" not in server.log.read_text()


def test_paths_of_this_machine_stay_here(strict: Running) -> None:
    with strict.client(strict.user("curious")) as client:
        picture: Any = {"prompt": "a cat", "model": "echo", "controls": [{"kind": "canny", "picture": "/etc/passwd"}]}
        reply = client.post("/v1/fantascope/imagine", json=picture)
        assert reply.status_code in (400, 404)
        assert str(strict.home) not in reply.text
        assert "root:" not in reply.text


def test_an_account_has_so_many_streams_open_and_gets_one_back_when_it_closes_one(strict: Running) -> None:
    with strict.client() as client:
        job = client.post("/v1/fantascope/imagine", json={"model": "echo", "prompt": "watched"}).json()["id"]
        path = f"/v1/fantascope/jobs/{job}/events"
        with client.stream("GET", path) as first:
            told = first.iter_lines()  # kept: a response whose lines nobody can read any more is hung up
            assert first.status_code == 200 and next(told)
            with client.stream("GET", path) as second:
                also = second.iter_lines()
                assert next(also)
                refused = client.get(path)
                assert refused.status_code == 429 and "2 may be" in refused.json()["error"]["message"]
                assert int(refused.headers["retry-after"]) >= 1
        end = time.monotonic() + 30
        while True:
            with client.stream("GET", path) as again:
                if again.status_code == 200:
                    break
            assert time.monotonic() < end, "what was closed still counts"
            time.sleep(0.2)
        assert client.post(f"/v1/fantascope/jobs/{job}/cancel").status_code == 200
