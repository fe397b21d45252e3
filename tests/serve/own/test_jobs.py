"""Jobs on our own wire: listed, watched, cancelled, tried again, forgotten; the queue of the operator."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.serve.own.conftest import ECHO, error_of, make

NO_JOB = "00000000-0000-4000-8000-000000000000"


def events(client: httpx.Client, job: str, last: str | None = None) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield id, kind and data of the events of a job."""
    headers = {} if last is None else {"Last-Event-ID": last}
    with client.stream("GET", f"/jobs/{job}/events", headers=headers) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        told: dict[str, str] = {}
        for line in reply.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                told[name] = value
            elif "event" in told:
                yield told["id"], told["event"], json.loads(told["data"])
                told = {}


def test_a_stream_tells_everything_with_previews_where_they_were_asked_for(own: httpx.Client) -> None:
    job = own.post("/imagine", json={"prompt": "a red car", "seed": 5, "steps": 4, "preview": True}).json()["id"]
    told = list(events(own, job))
    kinds = [kind for _, kind, _ in told]
    assert kinds[0] == "queued"
    assert kinds[-1] == "done"
    assert {"started", "step", "kept"} <= set(kinds)
    boots = {id.partition("-")[0] for id, _, _ in told}
    numbers = [int(id.partition("-")[2]) for id, _, _ in told]
    assert len(boots) == 1
    assert numbers == list(range(1, len(told) + 1))
    shown = [data["preview"] for _, kind, data in told if kind == "step" and "preview" in data]
    assert shown
    head, _, body = shown[-1].partition(",")
    assert head == "data:image/png;base64"
    assert max(Image.open(io.BytesIO(base64.b64decode(body))).size) <= 256
    assert told[-1][2]["artifacts"] == [data["artifact"] for _, kind, data in told if kind == "kept"]


def test_without_preview_no_event_has_one(own: httpx.Client) -> None:
    job = own.post("/imagine", json=ECHO | {"seed": 51}).json()["id"]
    assert not any("preview" in data for _, _, data in events(own, job))


def test_a_client_that_comes_back_gets_what_it_missed(own: httpx.Client) -> None:
    job = own.post("/imagine", json=ECHO | {"seed": 52}).json()["id"]
    whole = list(events(own, job))
    rest = list(events(own, job, whole[1][0]))
    assert [id for id, _, _ in rest] == [id for id, _, _ in whole[2:]]
    assert [kind for _, kind, _ in rest] == [kind for _, kind, _ in whole[2:]]
    assert own.get(f"/jobs/{job}/events", headers={"Last-Event-ID": whole[-1][0]}).status_code == 204


@pytest.mark.parametrize("last", ["0badb007-3", "nonsense", "", "0badb007-99999999999", "-1"])
def test_after_another_life_of_the_server_the_record_comes_first(own: httpx.Client, last: str) -> None:
    job = make(own, seed=53)["id"]
    told = list(events(own, job, last))
    assert told[0][1] == "job"
    assert told[0][2]["status"] == "done"
    assert told[-1][1] == "done"


def test_jobs_are_listed_by_status_in_pages(own: httpx.Client, other: httpx.Client) -> None:
    jobs = [make(other, seed=k)["id"] for k in range(3)]
    listed, end = set[str](), time.monotonic() + 10
    while not set(jobs) <= listed and time.monotonic() < end:  # the last one's end may just be being written down
        listed = {job["id"] for job in other.get("/jobs", params={"status": "done"}).json()["data"]}
    assert set(jobs) <= listed
    pages = [other.get("/jobs", params={"limit": 1, "offset": k}).json()["data"][0]["id"] for k in range(3)]
    assert pages == [job["id"] for job in other.get("/jobs", params={"limit": 3}).json()["data"]]
    assert not set(jobs) & {job["id"] for job in own.get("/jobs", params={"limit": 200}).json()["data"]}
    for query in ({"limit": 0}, {"limit": 201}, {"offset": -1}, {"offset": 10**30}, {"status": "x"}, {"page": 2}):
        assert error_of(other.get("/jobs", params=query), 400)["param"] == next(iter(query))


def test_a_job_is_cancelled_tried_again_and_forgotten(own: httpx.Client, server: Any) -> None:
    own.post("/queue/pause")
    try:
        job = own.post("/imagine", json=ECHO | {"seed": 55}).json()["id"]
        error_of(own.delete(f"/jobs/{job}"), 409, "conflict")
        error_of(own.post(f"/jobs/{job}/retry"), 409, "conflict")
        held = own.get("/account").json()["held"]
        assert own.post(f"/jobs/{job}/cancel").json()["status"] == "cancelled"
        assert own.get("/account").json()["held"] < held
        assert own.get("/queue").json()["paused"] is True
    finally:
        own.post("/queue/resume")
    reply = own.post(f"/jobs/{job}/retry")
    assert reply.status_code == 202
    new = server.done(reply.json()["id"])
    assert new["status"] == "done"
    assert new["request"]["seed"] == 55
    assert own.delete(f"/jobs/{job}").json() == {"id": job, "removed": True}
    error_of(own.get(f"/jobs/{job}"), 404, "not_found")


@pytest.mark.parametrize("id", [NO_JOB, "x", "1' OR '1'='1", "..%2f..%2fetc", "%00", "%ff", "a" * 5000])
@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")]
)
def test_a_job_that_is_not_there(own: httpx.Client, id: str, method: str, rest: str) -> None:
    reply = own.request(method, f"/jobs/{id}{rest}")
    assert reply.status_code in (404, 405), reply.text
    error_of(reply, reply.status_code)


def test_a_quiet_stream_says_that_it_is_there(own: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, with a shorter silence: what the server's own 15 s would take too long for a test."""
    import asyncio

    from fantascope.serve.hub import Event
    from fantascope.serve.limits import Streams
    from fantascope.serve.own import jobs
    from fantascope.serve.people import Caller

    monkeypatch.setattr(jobs, "ALIVE", 0.05)

    class Desk:
        class hub:  # noqa: N801
            boot = "abcd"

            @staticmethod
            def last(job: str) -> None:
                return None

    class Server:
        desk, streams = Desk, Streams(1)

        @staticmethod
        async def events(*_: object) -> Any:
            yield Event(1, "started", {})
            await asyncio.sleep(0.2)
            yield Event(2, "step", {"step": 1})

    class Job:
        id, ended = "x", False

    caller = Caller("ann", "free")

    async def collect() -> list[str]:
        return [text async for text in jobs._stream(None, Server, caller, Job, 0, False)]  # type: ignore[arg-type]

    told = asyncio.run(collect())
    assert told[0].startswith("id: abcd-1\nevent: started\n")
    assert ": still here\n\n" in told
    assert told[-1].startswith("id: abcd-2\nevent: step\n")
    Server.streams.check("ann")


def test_the_queue_is_the_operators(other: httpx.Client) -> None:
    for method, path in (("GET", "/queue"), ("POST", "/queue/pause"), ("POST", "/queue/resume")):
        error_of(other.request(method, path), 403, "access_denied")


def test_a_paused_queue_begins_nothing(own: httpx.Client, server: Any) -> None:
    assert own.post("/queue/pause").json()["paused"] is True
    try:
        job = own.post("/imagine", json=ECHO | {"seed": 56}).json()["id"]
        time.sleep(0.5)
        assert own.get(f"/jobs/{job}").json()["status"] == "queued"
        assert own.get("/queue").json()["queued"] + own.get("/queue").json()["running"] >= 1
    finally:
        own.post("/queue/resume")
    assert server.done(job)["status"] == "done"


def test_hanging_up_on_a_stream_is_no_bug(server: Any) -> None:
    before = server.log.read_text().count("a bug of ours")
    with server.client() as client:
        for _ in range(3):
            job = client.post("/v1/fantascope/imagine", json={"prompt": "a whale", "n": 4, "steps": 30}).json()["id"]
            with client.stream("GET", f"/v1/fantascope/jobs/{job}/events") as stream:
                next(stream.iter_lines())
            client.post(f"/v1/fantascope/jobs/{job}/cancel")
        time.sleep(1)
    assert server.log.read_text().count("a bug of ours") == before
