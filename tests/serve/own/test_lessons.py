"""Lessons on a real server: photos in, an adapter out, once, its owner's alone, whatever dies meanwhile."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import Running
from tests.serve.own.conftest import WIRE, error_of, png

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from tests.engines import tiny
from tests.personal.test_photos import drawing

SHORT: dict[str, Any] = {
    "kind": "robot",
    "base": "small",
    "licence": "CC0-1.0",
    "consent": "I drew them",
    "steps": 4,
    "batch": 2,
    "save": 2,
    "pictures": 2,
    "samples": 2,
    "class_pictures": 3,
    "class_batch": 1,
    "companions": 0,
}
LONG = SHORT | {"steps": 2000, "save": 5, "pictures": 2000, "samples": 1}


def started(home: Path) -> Running:
    """A server whose catalogue has a tiny model that can be taught."""
    models = home / "models"
    models.mkdir(parents=True)
    spec = tiny.spec_of(tiny.embedded(), "embedded", name="small")
    (models / "small.json").write_text(spec.model_dump_json(), "utf-8")
    return Running(home, "--rate", "0", env={"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"})


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = started(tmp_path_factory.mktemp("school") / "home")
    yield running
    running.stop()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Running]:
    """A server of this test alone."""
    running = started(tmp_path / "school")
    yield running
    if running.process is not None and running.process.poll() is None:
        running.kill()


def client_of(server: Running, token: str | None = None) -> httpx.Client:
    client = server.client() if token is None else server.client(token)
    client.base_url = f"{server.url}{WIRE}"
    return client


@pytest.fixture
def client(school: Running) -> Iterator[httpx.Client]:
    with client_of(school) as client:
        yield client


@pytest.fixture(scope="module")
def ann(school: Running) -> Iterator[httpx.Client]:
    with client_of(school, school.user("ann")) as client:
        yield client


@pytest.fixture(scope="module")
def bob(school: Running) -> Iterator[httpx.Client]:
    with client_of(school, school.user("bob")) as client:
        yield client


def photo(seed: int) -> bytes:
    file = io.BytesIO()
    drawing(seed).save(file, "PNG")
    return file.getvalue()


def handed(client: httpx.Client, count: int = 3) -> list[str]:
    """Hand photos in, and return their ids."""
    return [client.post("/gallery", content=photo(seed)).raise_for_status().json()["id"] for seed in range(count)]


def teach(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    body = SHORT | {"photos": handed(client)} | fields
    reply = client.post("/personalise", json=body)
    assert reply.status_code == 202, reply.text
    job: dict[str, Any] = reply.json()
    return job


def ended(client: httpx.Client, job: str) -> dict[str, Any]:
    return until(lambda: found if (found := of(client, job))["status"] in ("done", "failed", "cancelled") else None)


def of(client: httpx.Client, job: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/jobs/{job}").raise_for_status().json()
    return found


def until(condition: Any, patience: float = 900.0) -> Any:
    end = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.15)
    return found


def learning(client: httpx.Client, job: str, step: int = 1) -> dict[str, Any] | None:
    """Return a job that has learnt so many steps, None before."""
    found = of(client, job)
    assert found["status"] in ("queued", "running"), found
    told = found["progress"]
    return found if told is not None and told["stage"] == "learning" and told["step"] >= step else None


def folders(server: Running) -> list[Path]:
    place = server.home / "jobs" / "lessons"
    return sorted(path for path in place.iterdir() if (path / "photos").exists()) if place.is_dir() else []


def test_from_photos_to_an_adapter_watched_all_the_way(school: Running, ann: httpx.Client) -> None:
    before = ann.get("/account").json()["used"]
    job = teach(ann, name="pomo", people="Nobody, a drawing")
    assert job["task"] == "personalise" and job["quote"] > 0 and job["request"]["photos"][0].startswith("sha256:")
    seen: list[tuple[str, dict[str, Any]]] = []
    with ann.stream("GET", f"/jobs/{job['id']}/events") as stream:
        kind = ""
        for line in stream.iter_lines():
            kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
            if line.startswith("data: "):
                seen.append((kind, json.loads(line.removeprefix("data: "))))
    steps = [data for kind, data in seen if kind == "step"]
    learnt = [data for data in steps if data["stage"] == "learning"]
    assert {data["step"] for data in learnt} == {1, 2, 3, 4} and all(data["steps"] == 4 for data in learnt)
    assert all(isinstance(data["loss"], float) for data in learnt)
    assert [data["sheet"] for data in learnt if "preview" in data][-1:] == [4]
    kind, done = seen[-1]
    assert kind == "done" and done["taught"]["name"] == "pomo" and done["taught"]["kind"] == "adapter"
    assert done["artifacts"] == [done["taught"]["samples"]]
    assert ann.get(f"/gallery/{done['artifacts'][0]}/receipt").json()["request"]["task"] == "sheet"
    adapter = ann.get("/adapters/pomo").json()
    assert adapter["owner"] == "ann" and adapter["trigger"] == ["pomo"] and "Nobody, a drawing" in adapter["consent"]
    account = ann.get("/account").json()
    assert account["used"] - before == pytest.approx(job["quote"]) and account["held"] == 0
    made = ann.post(
        "/imagine?wait=true", json={"prompt": "a pomo robot", "model": "small", "adapters": [{"name": "pomo"}]}
    )
    assert made.status_code == 200, made.text
    assert not folders(school)
    assert ann.get(f"/jobs/{job['id']}/lesson").json()["taught"]["name"] == "pomo"
    assert ann.delete(f"/jobs/{job['id']}").status_code == 200
    assert not list((school.home / "jobs" / "lessons").iterdir())


def test_an_adapter_is_its_owners_until_it_is_shared(
    ann: httpx.Client, bob: httpx.Client, client: httpx.Client
) -> None:
    assert ended(ann, teach(ann, name="zorbo", samples=0)["id"])["status"] == "done"
    names = [one["name"] for one in bob.get("/adapters").json()["data"]]
    assert "zorbo" not in names
    error_of(bob.get("/adapters/zorbo"), 404)
    error_of(bob.delete("/adapters/zorbo"), 404)
    asked = {"prompt": "a robot", "model": "small", "adapters": [{"name": "zorbo"}]}
    error = error_of(bob.post("/imagine", json=asked), 400, "unknown_name")
    assert "zorbo" not in error.get("nearest", [])
    taken = error_of(bob.post("/personalise", json=SHORT | {"photos": handed(bob), "name": "zorbo"}), 400)
    assert taken["param"] == "name" and "ann" not in taken["message"]
    error_of(bob.post("/adapters/zorbo/share"), 403)
    assert client.get("/adapters/zorbo").json()["owner"] == "ann"
    assert client.post("/adapters/zorbo/share").json()["owner"] == ""
    assert "zorbo" in [one["name"] for one in bob.get("/adapters").json()["data"]]
    assert bob.post("/imagine?wait=true", json=asked).status_code == 200
    error_of(bob.delete("/adapters/zorbo"), 403)
    error_of(ann.delete("/adapters/zorbo"), 403)
    assert client.delete("/adapters/zorbo").json() == {"id": "zorbo", "removed": True}
    error_of(client.get("/adapters/zorbo"), 404)


def test_a1111_lists_show_nothing_of_others(school: Running, ann: httpx.Client, bob: httpx.Client) -> None:
    assert ended(ann, teach(ann, name="wumbo", samples=0)["id"])["status"] == "done"
    for one, there in ((ann, True), (bob, False)):
        found = httpx.get(f"{school.url}/sdapi/v1/loras", headers=one.headers).raise_for_status().json()
        assert ("wumbo" in [row["name"] for row in found]) == there
    assert ann.delete("/adapters/wumbo").status_code == 200


def test_bad_input_changes_nothing(school: Running, ann: httpx.Client, bob: httpx.Client) -> None:
    good = handed(bob)
    theirs = ann.post("/gallery", content=png(200, 200, seed=77)).json()["id"]
    small = bob.post("/gallery", content=png(20, 20, seed=5)).json()["id"]
    before = bob.get("/account").json()
    asked = SHORT | {"photos": good, "name": "moki"}
    for change, status, param in (
        ({"photos": []}, 400, "photos"),
        ({"photos": good * 100}, 400, "photos"),
        ({"photos": [*good, small]}, 400, "photos"),
        ({"photos": [*good, theirs]}, 404, None),
        ({"photos": ["/etc/passwd"]}, 400, "photos"),
        ({"kind": ""}, 400, "class"),
        ({"kind": "spaceship of theseus"}, 400, "class"),
        ({"name": ""}, 400, "name"),
        ({"name": "cat"}, 400, "name"),
        ({"name": "small"}, 400, "name"),
        ({"licence": ""}, 403, "licence"),
        ({"consent": "  "}, 403, "consent"),
        ({"captions": ["one"]}, 400, "captions"),
        ({"steps": 0}, 400, "steps"),
        ({"steps": "4"}, 400, "steps"),
        ({"method": "magic"}, 400, "method"),
        ({"method": "dreambooth"}, 403, "method"),
        ({"tokens": 4}, 400, "tokens"),
        ({"base": "nothing"}, 400, None),
        ({"colour": "red"}, 400, "colour"),
        ({"kind": "robot", "people": "a nude child"}, 403, None),
    ):
        error = error_of(bob.post("/personalise", json=asked | change), status)
        assert param is None or error["param"] == param, (change, error)
    form = {name: str(value) for name, value in asked.items() if name != "photos"}
    files = [("photos", ("a.png", b"no picture at all", "image/png"))]
    error_of(bob.post("/personalise", data=form, files=files), 400, "invalid_picture")
    after = bob.get("/account").json()
    assert (after["used"], after["held"]) == (before["used"], before["held"])
    assert [job["task"] for job in bob.get("/jobs").json()["data"]].count("personalise") == 0 and not folders(school)


def test_each_photo_gets_its_verdict_before_anything_is_made(school: Running, bob: httpx.Client) -> None:
    shots = handed(bob, 2)
    small = bob.post("/gallery", content=png(20, 20, seed=5)).json()["id"]
    asked = SHORT | {"photos": [*shots, shots[0], small], "name": "", "kind": "rbot", "consent": ""}
    found = bob.post("/personalise/check", json=asked).raise_for_status().json()
    assert [one["verdict"] for one in found["photos"]] == ["good", "good", "same", "small"] and not found["ok"]
    assert {one["param"] for one in found["problems"]} == {"photos", "name", "class", "consent"}
    assert str(school.home) not in json.dumps(found)
    good = bob.post("/personalise/check", json=SHORT | {"photos": shots, "name": "moki"}).json()
    assert good["ok"] and good["credits"] > 0 and good["lesson"]["rank"] == 16 and not good["problems"]
    told = bob.get("/personalise").json()
    assert told["ready"] and {"small", "embedded"} <= {one["name"] for one in told["bases"]}
    assert all("dreambooth" not in one["methods"] for one in told["bases"])


def test_a_form_with_files_teaches(bob: httpx.Client) -> None:
    form = {name: str(value) for name, value in SHORT.items()} | {"name": "lumo", "samples": "0"}
    files = [("photos", (f"{seed}.png", photo(seed), "image/png")) for seed in range(2)]
    reply = bob.post("/personalise", data=form, files=files)
    assert reply.status_code == 202, reply.text
    assert ended(bob, reply.json()["id"])["taught"]["name"] == "lumo"
    assert bob.delete("/adapters/lumo").status_code == 200


def test_a_cancelled_lesson_leaves_nothing(school: Running, bob: httpx.Client, ann: httpx.Client) -> None:
    before = bob.get("/account").json()
    job, after_it = teach(bob, name="gribo", **_only(LONG)), teach(ann, name="nimbo", samples=0)
    until(lambda: learning(bob, job["id"]))
    assert of(ann, after_it["id"])["status"] == "queued"  # one lesson at a time, and pictures go on beside it
    made = ann.post("/imagine?wait=true", json={"model": "echo", "prompt": "an echo"})
    assert made.status_code == 200
    error_of(ann.get(f"/jobs/{job['id']}/lesson"), 404)
    error_of(ann.get(f"/jobs/{job['id']}/sheet?step=5"), 404)
    curve = bob.get(f"/jobs/{job['id']}/lesson").json()["curve"]
    assert curve and curve[0]["loss"] > 0
    assert bob.post(f"/jobs/{job['id']}/cancel").json()["status"] == "cancelled"
    assert ended(ann, after_it["id"])["status"] == "done"
    until(lambda: not folders(school))
    account = bob.get("/account").json()
    assert (account["used"], account["held"]) == (before["used"], 0)
    assert bob.get("/adapters/gribo").status_code == 404
    assert ann.delete("/adapters/nimbo").status_code == 200


def _only(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if SHORT.get(name) != value}


def test_a_name_is_spoken_for_while_its_lesson_waits(school: Running, ann: httpx.Client, bob: httpx.Client) -> None:
    job = teach(ann, name="trilo", **_only(LONG))
    taken = error_of(bob.post("/personalise", json=SHORT | {"photos": handed(bob), "name": "trilo"}), 400)
    assert taken["param"] == "name"
    key = {"Idempotency-Key": "lesson-1"}
    body = SHORT | {"photos": handed(bob), "name": "quado", "samples": 0}
    first, again = (bob.post("/personalise", json=body, headers=key).json()["id"] for _ in range(2))
    assert first == again
    assert ann.post(f"/jobs/{job['id']}/cancel").json()["status"] == "cancelled"
    assert ended(bob, first)["status"] == "done"
    assert bob.delete("/adapters/quado").status_code == 200


@pytest.mark.slow
def test_paused_a_lesson_stands_still_and_ends_in_the_same_bytes(alone: Running) -> None:
    fields = SHORT | {"steps": 40, "save": 5, "pictures": 40, "name": "pomo", "samples": 0, "dropout": 0.1}
    with client_of(alone) as client:
        assert ended(client, teach(client, **fields)["id"])["status"] == "done"
        whole = client.get("/adapters/pomo").json()["sha256"]
        assert client.delete("/adapters/pomo").status_code == 200
        job = teach(client, **fields)["id"]
        until(lambda: learning(client, job, 7))
        client.post("/queue/pause")
        until(lambda: of(client, job)["status"] == "queued")
        time.sleep(0.5)
        assert of(client, job)["status"] == "queued"
        client.post("/queue/resume")
        assert ended(client, job)["status"] == "done"
        assert client.get("/adapters/pomo").json()["sha256"] == whole


@pytest.mark.slow
def test_killed_in_the_middle_it_ends_in_the_same_bytes_once(alone: Running) -> None:
    fields = SHORT | {"steps": 50, "save": 10, "pictures": 50, "name": "pomo", "samples": 2, "dropout": 0.1}
    with client_of(alone) as client:
        straight = ended(client, teach(client, **fields)["id"])
        whole, paid = client.get("/adapters/pomo").json()["sha256"], client.get("/account").json()["used"]
        assert straight["status"] == "done" and client.delete("/adapters/pomo").status_code == 200
        job = teach(client, **fields)["id"]
        until(lambda: learning(client, job, 23))
    alone.kill()
    alone.start()
    with client_of(alone) as client:
        first = until(lambda: learning(client, job))["progress"]["step"]
        done = ended(client, job)
        assert first > 20 and done["status"] == "done" and done["taught"]["name"] == "pomo"
        assert client.get("/adapters/pomo").json()["sha256"] == whole
        account = client.get("/account").json()
        assert account["used"] == pytest.approx(2 * paid) and account["held"] == 0
        assert [one["name"] for one in client.get("/adapters").json()["data"]] == ["pomo"]
    assert not folders(alone)


@pytest.mark.slow
def test_stopping_does_not_wait_for_a_lesson_and_it_goes_on_later(alone: Running) -> None:
    with client_of(alone) as client:
        job = teach(client, name="pomo", **_only(LONG | {"steps": 40, "samples": 0}))["id"]
        until(lambda: learning(client, job, 12))
    assert alone.stop() == 0
    alone.start()
    with client_of(alone) as client:
        assert until(lambda: learning(client, job))["progress"]["step"] > 5
        assert ended(client, job)["status"] == "done"


@pytest.mark.slow
def test_a_lesson_whose_name_was_taken_fails_and_goes_on_where_it_stopped(alone: Running) -> None:
    with client_of(alone) as client:
        assert ended(client, teach(client, name="zorbo", samples=0)["id"])["status"] == "done"
        job = teach(client, name="pomo", **_only(LONG | {"steps": 30, "save": 5, "samples": 1}))["id"]
        until(lambda: learning(client, job))
        record = (alone.home / "adapters" / "zorbo.json").read_text("utf-8")
        (alone.home / "adapters" / "pomo.json").write_text(record.replace('"name": "zorbo"', '"name": "pomo"'), "utf-8")
        failed = ended(client, job)
        assert failed["status"] == "failed" and failed["error"]["param"] == "name"
        assert client.get("/account").json()["held"] == 0 and len(folders(alone)) == 1
        assert str(alone.home) not in json.dumps(failed)
        assert client.delete("/adapters/pomo").status_code == 200
        again = client.post(f"/jobs/{job}/retry").json()["id"]
        assert ended(client, again)["status"] == "done"
        with client.stream("GET", f"/jobs/{again}/events") as stream:
            told = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
        assert not [one for one in told if one.get("stage") == "learning" and one["step"] < 30], "it learnt anew"
        assert client.get("/adapters/pomo").json()["owner"] == "local"
        assert not folders(alone)
