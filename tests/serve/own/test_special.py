"""A server of our own wire with options: hosts it fetches from, a limit of requests; and what it is after a crash."""

from __future__ import annotations

import http.server
import json
import sqlite3
import threading
from collections.abc import Iterator

import httpx
import pytest
from tests.serve.conftest import Running
from tests.serve.own.conftest import ECHO, WIRE, error_of, make, png
from tests.serve.own.test_jobs import events

RATE = 120
PICTURE = png(256, 256, 11)


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Another server, with one picture and a way to somewhere else."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/away" else 200)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(PICTURE)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def special(host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("special") / "home", "--rate", str(RATE), "--fetch-host", host)
    yield running
    running.kill()


@pytest.fixture
def client(special: Running) -> Iterator[httpx.Client]:
    with special.client() as client:
        client.base_url = f"{special.url}{WIRE}"
        yield client


def test_a_host_that_is_listed_is_asked_and_no_other(client: httpx.Client, host: str) -> None:
    body = ECHO | {"strength": 0.5}
    reply = client.post("/vary?wait=true", json=body | {"picture": f"http://{host}/a.png"})
    assert reply.status_code == 200, reply.text
    assert client.get("/gallery", params={"given": "true"}).json()["data"][0]["width"] == 256
    for url in (f"http://{host}/away", "http://127.0.0.1:1/a.png", f"http://{host}@127.0.0.1:1/", f"http://u@{host}/"):
        assert error_of(client.post("/vary", json=body | {"picture": url}), 400)["param"] == "picture"


def test_a_record_that_gives_other_pixels_keeps_and_charges_nothing(client: httpx.Client, special: Running) -> None:
    """The recorded hash is changed behind the server's back: what is painted then is something else."""
    made = make(client, seed=3)["artifacts"][0]
    before, entries = client.get("/account").json()["left"], client.get("/gallery").json()
    with sqlite3.connect(special.home / "gallery" / "gallery.db") as database:
        body = client.get(f"/gallery/{made}/receipt").json() | {"pixels_sha256": "0" * 64}
        database.execute("UPDATE receipts SET body = ? WHERE artifact = ?", (json.dumps(body), made))
    database.close()
    error = error_of(client.post(f"/gallery/{made}/again?wait=true"), 409, "replay_differs")
    assert "hash of the pixels" in error["message"]
    assert client.get("/gallery").json() == entries
    assert client.get("/account").json()["left"] == before
    job = client.get("/jobs", params={"status": "failed"}).json()["data"][0]
    again = client.post(f"/jobs/{job['id']}/retry").json()["id"]
    assert list(events(client, again))[-1][2]["error"]["code"] == "replay_differs"


def test_who_asks_too_often_is_told_when_to_come_back(client: httpx.Client) -> None:
    replies: list[httpx.Response] = []
    while not replies or replies[-1].status_code == 200:
        replies.append(client.get("/account"))
        assert len(replies) <= RATE
    error_of(replies[-1], 429, "too_many")
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 10


def test_a_job_that_ended_in_another_life_has_its_end_once(special: Running) -> None:
    special.kill()
    special.start()
    with special.client() as client:
        client.base_url = f"{special.url}{WIRE}"
        job = client.get("/jobs", params={"status": "done"}).json()["data"][0]["id"]
        told = list(events(client, job, "0badb007-4"))
        assert [kind for _, kind, _ in told] == ["job", "done"]
        last = {"Last-Event-ID": told[-1][0]}
        assert client.get(f"/jobs/{job}/events", headers=last).status_code == 204
