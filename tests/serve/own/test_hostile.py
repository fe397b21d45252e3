"""What a stranger, a vandal or a broken client sends: answered with an error of ours, never with a crash."""

from __future__ import annotations

import io
import json
import socket
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.serve.conftest import TOKEN
from tests.serve.own.conftest import ECHO, WIRE, error_of, make, png

GIGABYTE = 2**30
INJECTIONS = ["'; DROP TABLE artifacts; --", '" OR 1=1 --', "%' OR '1'='1", "1); DELETE FROM tokens; --", "\\", "%_"]


class Reply:
    """Status, headers and body of a reply on a socket."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0] else 0
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}


def raw(url: str, *parts: bytes, more: Iterable[bytes] = (), patience: float = 15.0) -> Reply:
    """Send bytes as they are, `more` as long as the server takes them, and read until it has answered or hung up."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=patience) as link:
        for part in chain(parts, more):
            try:
                link.sendall(part)
            except OSError:
                break  # it was cut
        got = b""
        try:
            while not _whole(got) and (more := link.recv(65536)):
                got += more
        except OSError:
            pass
    return Reply(got)


def _whole(got: bytes) -> bool:
    head, mark, body = got.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    return bool(mark) and bool(lengths) and len(body) >= lengths[0]


def head(url: str, path: str, *lines: str, method: str = "POST", host: str = "") -> bytes:
    named = host or urlsplit(url).netloc
    told = [f"{method} {WIRE}{path} HTTP/1.1", f"Host: {named}", f"Authorization: Bearer {TOKEN}", *lines]
    return "\r\n".join([*told, "", ""]).encode("latin-1")


def alive(client: httpx.Client) -> None:
    assert client.get("/account").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"bearer{TOKEN}",
        f"Token {TOKEN}",
        "Basic !!!",
        "Basic Og==",
        "Bearer fs-" + "A" * 43,
        "Bearer " + "x" * 20_000,
        "Bearer ' OR '1'='1",
    ],
)
def test_no_good_token_no_answer(server: Any, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    with server.client(None) as client:
        for method, path in (("GET", "/account"), ("POST", "/imagine"), ("GET", "/openapi.json"), ("GET", "/jobs?x=1")):
            reply = client.request(method, f"{WIRE}{path}", headers=headers)
            error = error_of(reply, 401, "not_authorised")
            assert reply.headers["www-authenticate"].startswith("Bearer")
            assert TOKEN not in json.dumps(error)


def test_a_token_is_good_until_it_expires(own: httpx.Client, server: Any) -> None:
    own.post("/users", json={"name": "own-brief", "plan": "pro"})
    token = own.post("/users/own-brief/tokens", json={"days": 2e-5}).json()["token"]
    with server.client(token) as brief:
        assert brief.get(f"{WIRE}/account").status_code == 200
        time.sleep(1.8)
        error_of(brief.get(f"{WIRE}/account"), 401, "not_authorised")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"--\r\n"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b\r\nno header"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\nx',
        ),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\xff\r\n--b--\r\n',
        ),
        ("multipart/form-data; boundary=" + "b" * 5000, b"--b--"),
        ("multipart/form-data; boundary=\xe9", b"--\xe9--"),
    ],
)
def test_forms_that_are_none(own: httpx.Client, kind: str, body: bytes) -> None:
    for path in ("/vary", "/gallery", "/verify"):
        error_of(own.post(path, content=body, headers={b"Content-Type": kind.encode("latin-1")}), 400)
    alive(own)


def test_forms_with_too_much_in_them(own: httpx.Client) -> None:
    error_of(own.post("/vary", files=[("picture", ("a.png", png()))] * 2, data={"prompt": "x"}), 400)
    error_of(own.post("/vary", files=[(f"f{k}", ("a", b"x")) for k in range(40)]), 400)
    error_of(own.post("/vary", files={"picture": ("a.png", png())}, data={f"f{k}": "x" for k in range(300)}), 400)
    error_of(own.post("/vary", files={"prompt": ("a.png", png())}), 400, "unknown_name")
    error_of(own.post("/jobs", files={"picture": ("a.png", png())}), 400)
    error_of(own.post("/gallery", files=[("file", ("a.png", png()))] * 2), 400)


def test_a_gigabyte_that_is_announced_is_refused_at_once(server: Any, own: httpx.Client) -> None:
    for path in ("/gallery", "/imagine", "/verify"):
        began = time.monotonic()
        reply = raw(server.url, head(server.url, path, f"Content-Length: {GIGABYTE}", "Content-Type: image/png"))
        assert reply.status == 413
        assert json.loads(reply.body)["error"]["code"] == "too_large"
        assert reply.headers["connection"] == "close"
        assert time.monotonic() - began < 5
    alive(own)


def test_a_gigabyte_in_chunks_is_cut_at_the_limit(server: Any, own: httpx.Client) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        block = b"\0" * 2**20
        while sent < GIGABYTE:
            sent += len(block)
            yield b"100000\r\n" + block + b"\r\n"

    head_ = head(server.url, "/gallery", "Transfer-Encoding: chunked", "Content-Type: image/png")
    reply = raw(server.url, head_, more=chunks())
    assert reply.status in (413, 0)  # 0: it was cut before the answer was read
    assert sent <= 64 * 2**20 * 1.5 + 2**24
    alive(own)


def bomb(width: int, height: int, rows: int) -> bytes:
    """Return a PNG that claims to be so large, with few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    data = zlib.compress(b"\0" * ((width // 8 + 1) * rows), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_pictures_that_grow_when_they_are_opened(own: httpx.Client, server: Any) -> None:
    pid = server.process.pid
    before = _resident(pid)
    text = io.BytesIO()
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", "A" * 2**24, zip=True)
    Image.new("RGB", (8, 8)).save(text, "PNG", pnginfo=info)
    for data in (
        bomb(60_000, 60_000, 60_000),
        bomb(60_000, 60_000, 1),
        bomb(8193, 1, 1),
        text.getvalue(),
        b"PK\3\4" * 99,
    ):
        error_of(own.post("/gallery", content=data), 400, "invalid_picture")
        error_of(own.post("/vary", files={"picture": ("a.png", data)}, data=ECHO), 400, "invalid_picture")
    error_of(own.post("/verify", content=bomb(60_000, 60_000, 1)), 400, "invalid_picture")
    assert _resident(pid) - before < 400 * 2**20
    alive(own)


def _resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096


def test_a_body_that_never_comes_is_given_up(tmp_path: Any) -> None:
    """Its own server, in this process: with less patience than the 20 s that a server has."""
    import threading

    import uvicorn

    from fantascope.serve.app import _refused
    from fantascope.serve.limits import Bodies

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            continue
        raise AssertionError("the body came")

    config = uvicorn.Config(Bodies(app, 1000, 0.3, _refused), port=0, http="h11", log_level="critical", lifespan="off")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.02)
    url = f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    reply = raw(url, head(url, "/imagine", "Content-Length: 100"), b'{"prompt"')
    assert reply.status == 408
    assert json.loads(reply.body)["error"]["code"] == "too_slow"
    running.should_exit = True
    thread.join(10)


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 2"),
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: 2, 3",),
        ("Content-Length: -1",),
        ("Content-Length: +2",),
        ("Content-Length: 0x2",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        ("X: a\nContent-Length: 3",),
        ("X\0: a",),
    ],
)
def test_two_ways_to_say_where_a_request_ends(server: Any, own: httpx.Client, lines: tuple[str, ...]) -> None:
    """What follows must never be taken for another request of the same connection."""
    hidden = head(server.url, "/queue/pause")
    reply = raw(server.url, head(server.url, "/judge", *lines) + b"0\r\n\r\n" + hidden)
    assert reply.status in (400, 501), reply.body
    time.sleep(0.1)
    assert own.get("/queue").json()["paused"] is False


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:7860", "a b", "\xe9"]
)
def test_another_name_for_this_server(server: Any, host: str) -> None:
    reply = raw(server.url, head(server.url, "/account", method="GET", host=host))
    assert reply.status == 400
    assert json.loads(reply.body)["error"]["param"] == "Host"


@pytest.mark.parametrize("host", ["LOCALHOST", "127.0.0.1:1", "[::1]", "[::1]:7860"])
def test_names_of_this_server(server: Any, host: str) -> None:
    assert raw(server.url, head(server.url, "/account", method="GET", host=host)).status == 200


def test_no_name_for_this_server(server: Any) -> None:
    assert raw(server.url, f"GET {WIRE}/account HTTP/1.1\r\n\r\n".encode()).status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"prompt":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"prompt":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"controls":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"prompt": "a", "parameters": ' + b'{"a":' * 800 + b"1" + b"}" * 800 + b"}",
        b"[]",
        b"null",
        b'"text"',
        b"1",
        b"{",
        b'{"prompt": NaN}',
        b'{"prompt": "a", "seed": ' + b"9" * 5000 + b"}",
        b'{"prompt": "a", "guidance": 1e999}',
        b'{"prompt": "a", "guidance": -Infinity}',
        b'{"prompt": "a\\u0000b"}',
        b'{"prompt": "a\\ud800b"}',
        b'{"prompt": "a", "model": "\\udfff"}',
        b'{"prompt": "a", "\\udfff": 1}',
        b'{"prompt": "a", "controls": [{"kind": "\\ud83d", "picture": "abcdef"}]}',
        b'{"prompt": "a", "model": "\\u0000"}',
        b'{"prompt": "\xff\xfe"}',
        b"\xff\xfe{\x00}\x00",
        b"\x00",
        b"<xml/>",
        b'{"prompt": "a", "prompt": 1}',
    ],
)
def test_bodies_that_are_no_request(own: httpx.Client, body: bytes) -> None:
    for path in ("/imagine", "/jobs", "/imagine/quote", "/annotate", "/judge", "/prompt/explain", "/users"):
        error_of(own.post(path, content=body), 400)
    alive(own)


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_text_is_a_command_to_the_database(own: httpx.Client, other: httpx.Client, text: str) -> None:
    mine = make(other, seed=90)["artifacts"][0]
    entries = other.get("/gallery", params={"limit": 200}).json()
    for path in ("/jobs/", "/gallery/", "/models/", "/adapters/", "/users/"):
        client = own if path == "/users/" else other
        assert client.patch(path + text, json={}).status_code in (404, 405)
        assert client.get(path + text.replace("/", "")).status_code in (404, 405)
    found = other.get("/gallery", params={"text": text})
    assert found.status_code == 200
    assert found.json()["data"] == []
    for query in ({"model": text}, {"before": text}):
        assert other.get("/gallery", params=query).status_code in (200, 404)
    for query in ({"seed": text}, {"limit": text}, {"given": text}, {text: "1"}):
        error_of(other.get("/gallery", params=query), 400)
    error_of(other.get("/jobs", params={"status": text}), 400)
    error_of(own.post("/users", json={"name": text, "plan": "pro"}), 400)
    error_of(own.post("/users", json={"name": "x", "plan": text}), 400)
    assert own.post("/users/own-other/tokens", json={"label": text}).status_code == 201
    job = other.post("/imagine?wait=true", json=ECHO | {"prompt": text}, headers={"Idempotency-Key": text})
    assert job.status_code == 200
    assert other.get(f"/gallery/{job.json()['artifacts'][0]}").json()["prompt"] == text
    assert other.delete(f"/gallery/{job.json()['artifacts'][0]}").status_code == 200
    assert other.get("/gallery", params={"limit": 200}).json() == entries
    assert other.get(f"/gallery/{mine}").status_code == 200


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "..\\..\\x", "/etc/passwd", "x\0.png", "a" * 5000, "con", ".."]
)
def test_names_of_files_mean_nothing(own: httpx.Client, server: Any, name: str) -> None:
    before = {path for path in server.home.parent.rglob("*") if "gallery" not in path.parts}
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + name.encode() + b'"\r\n\r\n'
    reply = own.post(
        "/gallery",
        content=body + png(40, 40, 4) + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert reply.status_code in (201, 400)
    assert {path for path in server.home.parent.rglob("*") if "gallery" not in path.parts} == before


@pytest.mark.parametrize(
    "path",
    [
        "/gallery/..%2f..%2f..%2fetc%2fpasswd/file",
        "/gallery/%2e%2e/file",
        "/gallery/sha256:..%5c/file",
        "/gallery/%00/file",
    ],
)
def test_no_path_leads_out_of_the_gallery(own: httpx.Client, path: str) -> None:
    error_of(own.get(path), 404)


def test_headers_of_jobs_are_checked(own: httpx.Client) -> None:
    assert error_of(own.post("/imagine", json=ECHO, headers={"X-Priority": "now"}), 400)["param"] == "X-Priority"
    for path in ("/imagine", "/jobs"):
        headers = {"X-On-Disconnect": "explode"}
        assert (
            error_of(own.post(path, json=ECHO | {"task": "imagine"}, headers=headers), 400)["param"]
            == "X-On-Disconnect"
        )
    error_of(own.post("/imagine", json=ECHO, headers={"Idempotency-Key": "k" * 256}), 400)
    error_of(own.post("/imagine", json=ECHO, headers={"Idempotency-Key": ""}), 400)


def test_methods_that_are_not_there(own: httpx.Client) -> None:
    reply = own.put("/imagine", json=ECHO)
    error_of(reply, 405)
    assert "POST" in reply.headers["allow"]


def test_who_hangs_up_can_end_the_job(own: httpx.Client, server: Any) -> None:
    own.post("/queue/pause")
    try:
        for header, ends in (("cancel", "cancelled"), ("continue", "queued")):
            body = json.dumps(ECHO | {"seed": 95, "prompt": f"a teapot, {header}"}).encode()
            lines = (f"Content-Length: {len(body)}", "Prefer: wait", f"X-On-Disconnect: {header}")
            where = urlsplit(server.url)
            with socket.create_connection((where.hostname, where.port)) as link:
                link.sendall(head(server.url, "/imagine", *lines) + body)
                end = time.monotonic() + 10
                while not (job := _waiting(own, f"a teapot, {header}")) and time.monotonic() < end:
                    time.sleep(0.05)
            assert job
            end = time.monotonic() + 5
            while (status := own.get(f"/jobs/{job}").json()["status"]) != ends and time.monotonic() < end:
                time.sleep(0.05)
            assert status == ends
    finally:
        own.post("/queue/resume")


def _waiting(own: httpx.Client, prompt: str) -> str:
    jobs = own.get("/jobs", params={"limit": 5}).json()["data"]
    return next((job["id"] for job in jobs if job["request"]["prompt"] == prompt), "")
