"""Jobs on a real server: accepted once, done once, whatever dies."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import Running

from fantascope import Gallery

ECHO: dict[str, Any] = {"task": "imagine", "model": "echo", "prompt": "an echo"}
SLOW: dict[str, Any] = {"task": "imagine", "prompt": "a red apple", "n": 8, "seed": 5}


def submit(client: httpx.Client, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    reply = client.post("/v1/fantascope/jobs", json=body, headers=headers)
    assert reply.status_code == 202, reply.text
    found: dict[str, Any] = reply.json()
    return found


def until(condition: Any, patience: float = 30.0) -> Any:
    end = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)
    return found


@pytest.fixture
def client(server: Any) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def test_a_job_is_done_and_its_pictures_are_those_of_the_studio(server: Any, client: httpx.Client) -> None:
    job = server.done(submit(client, ECHO | {"n": 3, "seed": 9})["id"])
    assert job["status"] == "done"
    assert len(job["artifacts"]) == 3
    assert job["request"]["seed"] == 9
    assert job["error"] is None


def test_a_key_gives_the_same_job_again_and_no_other(server: Any, client: httpx.Client) -> None:
    first = submit(client, ECHO | {"seed": 1}, **{"Idempotency-Key": "once"})
    again = submit(client, ECHO | {"seed": 1}, **{"Idempotency-Key": "once"})
    assert again["id"] == first["id"]
    other = client.post("/v1/fantascope/jobs", json=ECHO | {"seed": 2}, headers={"Idempotency-Key": "once"})
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "conflict"
    before = client.get("/v1/fantascope/account").json()["used"]
    server.done(first["id"])
    submit(client, ECHO | {"seed": 1}, **{"Idempotency-Key": "once"})
    assert client.get("/v1/fantascope/account").json()["used"] <= before + 1


def test_a_key_of_one_account_means_nothing_for_another(server: Any, client: httpx.Client) -> None:
    with server.client(server.user("kay")) as other:
        mine = submit(client, ECHO, **{"Idempotency-Key": "ours"})
        theirs = submit(other, ECHO, **{"Idempotency-Key": "ours"})
        assert mine["id"] != theirs["id"]
        assert other.get(f"/v1/fantascope/jobs/{mine['id']}").status_code == 404
        assert client.get(f"/v1/fantascope/jobs/{theirs['id']}").status_code == 404
        assert other.post(f"/v1/fantascope/jobs/{mine['id']}/cancel").status_code == 404
        assert mine["id"] not in {job["id"] for job in other.get("/v1/fantascope/jobs").json()["data"]}


def test_a_refused_request_is_no_job_and_costs_nothing(server: Any, client: httpx.Client) -> None:
    before = client.get("/v1/fantascope/account").json()
    reply = client.post("/v1/fantascope/jobs", json=ECHO | {"prompt": "a nude child"})
    assert reply.status_code == 403
    assert reply.json()["error"]["verdict"]["rule"]
    after = client.get("/v1/fantascope/account").json()
    assert (after["used"], after["held"]) == (before["used"], before["held"])


def test_who_has_too_little_is_told_before_anything_waits(server: Any) -> None:
    with server.client(server.user("poor", "free")) as poor:
        reply = poor.post("/v1/fantascope/jobs", json=ECHO | {"n": 16})
        assert reply.status_code == 402
        assert "15" in reply.json()["error"]["message"]
        assert poor.get("/v1/fantascope/jobs").json()["data"] == []


def test_cancelling_keeps_what_was_made_and_refunds_the_rest(server: Any) -> None:
    with server.client(server.user("canceller")) as client:
        job = submit(client, SLOW | {"n": 24})
        until(lambda: client.get(f"/v1/fantascope/jobs/{job['id']}").json()["artifacts"])
        gone = client.post(f"/v1/fantascope/jobs/{job['id']}/cancel").json()
        assert gone["status"] == "cancelled"
        until(lambda: client.get("/v1/fantascope/account").json()["held"] == 0)
        time.sleep(1)
        kept = client.get(f"/v1/fantascope/jobs/{job['id']}").json()["artifacts"]
        account = client.get("/v1/fantascope/account").json()
        assert 1 <= len(kept) < 24
        assert account["used"] == pytest.approx(len(kept) * job["quote"] / 24)
        retried = client.post(f"/v1/fantascope/jobs/{job['id']}/retry")
        assert retried.status_code == 202
        client.post(f"/v1/fantascope/jobs/{retried.json()['id']}/cancel")


def test_a_job_that_waits_moves_up_and_keeps_its_id_also_over_a_kill(tmp_path: Path) -> None:
    line = Running(tmp_path / "line", "--rate", "0", "--workers", "1", "--paused")
    try:
        with line.client() as client:
            jobs = [submit(client, ECHO | {"seed": k})["id"] for k in range(5)]
            late, slow = jobs[4], jobs[1]
            place = "/v1/fantascope/jobs/"
            moved = client.patch(place + late, json={"priority": "high"})
            assert moved.status_code == 200 and moved.json()["id"] == late and moved.json()["priority"] == "high"
            assert client.patch(place + slow, json={"priority": "low"}).json()["priority"] == "low"
            assert client.patch(place + jobs[2], json={"priority": "low"}).status_code == 200
            assert client.patch(place + jobs[2], json={"priority": "normal"}).json()["priority"] == "normal"
            for body in ({"priority": "urgent"}, {}, {"priority": "low", "n": 2}, {"priority": 1}):
                assert client.patch(place + late, json=body).status_code == 400, body
            assert client.patch(place + "0" * 8, json={"priority": "low"}).status_code == 404
            with line.client(line.user("stranger")) as other:
                assert other.patch(place + late, json={"priority": "low"}).status_code == 404
            held = client.get("/v1/fantascope/account").json()["held"]
        line.kill()
        line.start()
        with line.client() as client:
            assert client.get("/v1/fantascope/account").json()["held"] == held > 0
            assert client.get(place + late).json()["priority"] == "high"
            client.post("/v1/fantascope/queue/resume")
            done = {job: line.done(job) for job in jobs}
            made = [done[job]["artifacts"][0] for job in jobs]
            kept = [client.get(f"/v1/fantascope/gallery/{one}").json()["kept"] for one in made]
            order = sorted(range(1, 5), key=lambda k: kept[k])  # the first had a worker already
            assert order == [4, 2, 3, 1]
            assert done[late]["priority"] == "high"
            assert client.patch(place + late, json={"priority": "low"}).status_code == 409
    finally:
        line.kill()


@pytest.mark.slow
def test_paused_jobs_wait_also_over_a_restart_and_then_go_on(fresh: Any) -> None:
    with fresh.client() as client:
        assert client.post("/v1/fantascope/queue/pause").json()["paused"]
        jobs = [submit(client, ECHO | {"seed": k})["id"] for k in range(20)]
        time.sleep(0.5)
        assert {client.get(f"/v1/fantascope/jobs/{job}").json()["status"] for job in jobs} == {"queued"}
        assert client.get("/v1/fantascope/account").json()["held"] > 0
    fresh.kill()
    fresh.start()
    with fresh.client() as client:
        time.sleep(0.5)
        assert {client.get(f"/v1/fantascope/jobs/{job}").json()["status"] for job in jobs} == {"queued"}
        assert not client.post("/v1/fantascope/queue/resume").json()["paused"]
        assert {fresh.done(job)["status"] for job in jobs} == {"done"}
        account = client.get("/v1/fantascope/account").json()
        assert (account["used"], account["held"]) == (20, 0)


def test_killed_in_the_middle_a_job_ends_as_if_nothing_had_been(fresh: Any) -> None:
    with fresh.client() as client:
        straight = fresh.done(submit(client, SLOW)["id"])["artifacts"]
        job = submit(client, SLOW)["id"]
        until(lambda: len(client.get(f"/v1/fantascope/jobs/{job}").json()["artifacts"]) >= 2)
        half = client.get(f"/v1/fantascope/jobs/{job}").json()["artifacts"]
    fresh.kill()
    fresh.start()
    done = fresh.done(job)
    assert done["status"] == "done"
    assert len(done["artifacts"]) == 8
    assert done["artifacts"][: len(half)] == half
    assert fresh.stop() == 0
    with Gallery.open(fresh.home / "gallery") as gallery:
        assert not list(gallery.verify())
        pixels = [[gallery.receipt(one).pixels_sha256 for one in made] for made in (straight, done["artifacts"])]
        assert pixels[0] == pixels[1]
        balance = gallery.balance("local")
        assert (balance.used, balance.held) == (16, 0)


@pytest.mark.slow
def test_stopping_lets_short_work_end_and_long_work_go_on_later(fresh: Any) -> None:
    with fresh.client() as client:
        job = submit(client, SLOW | {"n": 24})["id"]
        until(lambda: client.get(f"/v1/fantascope/jobs/{job}").json()["artifacts"])
    fresh.options = (*fresh.options, "--grace", "1")
    since = time.monotonic()
    assert fresh.stop() == 0
    assert time.monotonic() - since < 40
    fresh.start()
    assert fresh.done(job, patience=120)["status"] == "done"
    with fresh.client() as client:
        account = client.get("/v1/fantascope/account").json()
        assert account["held"] == 0


def test_one_server_works_on_one_home(server: Any) -> None:
    command = [sys.executable, "-m", "fantascope", "serve", "--port", "0", "--json"]
    ended = subprocess.run(
        command, env={"FANTASCOPE_HOME": str(server.home), "PATH": ""}, capture_output=True, text=True
    )
    assert ended.returncode != 0
    assert "Another server works on the jobs" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
