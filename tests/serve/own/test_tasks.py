"""Tasks: every request class has an address, takes pictures as ids, inline and in forms, and can be quoted."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.own.conftest import ECHO, WIRE, error_of, make, png

from fantascope.request import REQUESTS


def test_every_request_class_is_a_task_with_its_schema(own: httpx.Client) -> None:
    tasks = {one["task"]: one for one in own.get("/tasks").json()["data"]}
    assert list(tasks) == list(REQUESTS)
    for name, cls in REQUESTS.items():
        assert tasks[name]["path"] == f"{WIRE}/{name}"
        assert set(tasks[name]["request"]["properties"]) == set(cls.model_fields)
        assert tasks[name]["request"]["additionalProperties"] is False


def test_an_empty_request_of_every_task_is_answered_by_its_class(own: httpx.Client) -> None:
    for name, cls in REQUESTS.items():
        needed = [field for field, facts in cls.model_fields.items() if facts.is_required()]
        reply = own.post(f"/{name}/quote", json={})
        assert reply.status_code == 400 or (not needed and reply.status_code == 200), (name, reply.text)
        if needed:
            assert error_of(reply, 400)["param"] in needed


def test_by_default_a_job_is_accepted_and_named(own: httpx.Client, server: Any) -> None:
    reply = own.post("/imagine", json=ECHO | {"seed": 3})
    assert reply.status_code == 202
    job = reply.json()
    assert reply.headers["location"] == f"{WIRE}/jobs/{job['id']}"
    assert job["status"] in ("queued", "running", "done")
    assert server.done(job["id"])["status"] == "done"


@pytest.mark.parametrize("how", [{"params": {"wait": "true"}}, {"headers": {"Prefer": "respond-async, wait"}}])
def test_who_waits_gets_pictures_and_receipts(own: httpx.Client, how: dict[str, Any]) -> None:
    reply = own.post("/imagine", json=ECHO | {"seed": 4, "n": 2}, **how)
    assert reply.status_code == 200
    assert reply.headers["preference-applied"] == "wait"
    job = reply.json()
    assert job["status"] == "done"
    assert [one["id"] for one in job["results"]] == job["artifacts"]
    assert [one["receipt"]["request"]["seed"] for one in job["results"]] == [4, 5]
    with httpx.Client() as anybody:
        assert anybody.get(job["results"][0]["url"]).content == own.get(f"/gallery/{job['artifacts'][0]}/file").content


def test_who_waits_for_some_seconds_gets_the_job_after_them(own: httpx.Client) -> None:
    own.post("/queue/pause")
    try:
        began = time.monotonic()
        reply = own.post("/imagine", json=ECHO | {"seed": 41}, headers={"Prefer": "wait=1"})
        assert 1 <= time.monotonic() - began < 10
        assert reply.status_code == 202
        assert reply.json()["status"] == "queued"
    finally:
        assert own.post("/queue/resume").json()["paused"] is False


def test_a_job_that_fails_says_so_to_who_waits(own: httpx.Client) -> None:
    error = error_of(own.post("/annotate?wait=true", json={"kind": "pose", "document": "{}"}), 400)
    assert error["param"] == "width"
    job = own.get("/jobs", params={"limit": 1}).json()["data"][0]
    assert (job["status"], job["error"]["message"]) == ("failed", error["message"])


def upload(client: httpx.Client, data: bytes) -> str:
    reply = client.post("/gallery", content=data, headers={"Content-Type": "image/png"})
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


def test_a_picture_is_an_id_or_inline_or_a_file_of_a_form(own: httpx.Client) -> None:
    data = png(256, 256, 5)
    inline = "data:image/png;base64," + base64.b64encode(data).decode()
    fields = ECHO | {"strength": 0.5, "seed": 6}
    jobs = [
        own.post("/vary?wait=true", json=fields | {"picture": upload(own, data)}),
        own.post("/vary?wait=true", json=fields | {"picture": inline}),
        own.post("/vary?wait=true", data={k: str(v) for k, v in fields.items()}, files={"picture": ("../a.png", data)}),
    ]
    parents = [job.json()["results"][0]["receipt"]["parents"] for job in jobs]
    assert parents[0] == parents[1] == parents[2]
    assert len({job.json()["results"][0]["receipt"]["pixels_sha256"] for job in jobs}) == 1


def test_a_form_holds_several_pictures_and_those_inside_of_lists(own: httpx.Client) -> None:
    files = [("pictures", (f"{k}.png", png(256, 256, k))) for k in range(2)]
    for weights in ("[1, 2]", ["1", "2"]):
        form = {"prompt": "x", "model": "echo", "weights": weights}
        blend = own.post("/blend?wait=true", data=form, files=files)
        assert blend.status_code == 200, blend.text
        assert len(blend.json()["results"][0]["receipt"]["parents"]) == 2
        assert blend.json()["request"]["weights"] == [1, 2]
    controls = json.dumps([{"kind": "canny", "picture": "", "derive": True}])
    form = {"prompt": "x", "controls": controls}
    reply = own.post("/imagine/quote", data=form, files={"controls.0.picture": ("a.png", png(256, 256, 9))})
    assert reply.status_code == 200, reply.text
    lost = own.post("/imagine/quote", data=form, files={"controls.7.picture": ("a.png", png())})
    assert error_of(lost, 400)["param"] == "controls"


@pytest.mark.parametrize(
    "value",
    [
        "/etc/passwd",
        "../../etc/passwd",
        "file:///etc/passwd",
        "C:\\x.png",
        "picture.png",
        "",
        "part:picture:0",
        "sha256:",
    ],
)
def test_a_picture_is_never_a_file_of_the_server(own: httpx.Client, value: str) -> None:
    error = error_of(own.post("/vary", json=ECHO | {"picture": value}), 400)
    assert error["param"] == "picture"


@pytest.mark.parametrize("url", ["http://example.org/a.png", "https://127.0.0.1/a.png", "ftp://example.org/a.png"])
def test_no_address_is_fetched_unless_its_host_is_listed(own: httpx.Client, url: str) -> None:
    assert error_of(own.post("/vary", json=ECHO | {"picture": url}), 400)["param"] == "picture"


def test_a_quote_holds_and_paints_nothing(own: httpx.Client) -> None:
    before = own.get("/account").json()
    quote = own.post("/imagine/quote", json={"prompt": "a cat", "n": 4}).json()
    after = own.get("/account").json()
    assert quote["credits"] == 4
    assert quote["left_after"] == pytest.approx(before["left"] - 4)
    assert quote["energy_method"]
    assert (after["left"], after["held"]) == (before["left"], before["held"])


def test_a_quote_is_judged(own: httpx.Client) -> None:
    before = own.get("/refusals").json()
    error = error_of(own.post("/imagine/quote", json={"prompt": "a nude photo of a woman"}), 403, "policy_refused")
    assert error["verdict"]["rule"]
    assert own.get("/refusals").json() == before, "a question is no refusal"
    assert "appeal" not in (error["hint"] or "")
    asked = error_of(own.post("/imagine", json={"prompt": "a nude photo of a woman"}), 403, "policy_refused")
    assert asked["verdict"] == error["verdict"] and own.get("/refusals").json() != before


def test_jobs_take_any_task(own: httpx.Client) -> None:
    reply = own.post("/jobs?wait=true", json=ECHO | {"task": "imagine", "seed": 12})
    assert reply.json()["results"][0]["receipt"]["request"]["seed"] == 12
    assert error_of(own.post("/jobs", json=ECHO), 400)["param"] == "task"
    error_of(own.post("/jobs", json=ECHO | {"task": "imagin"}), 400, "unknown_name")
    assert error_of(own.post("/imagine", json=ECHO | {"task": "vary"}), 400)["param"] == "task"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 0}, "n"),
        ({"n": 65}, "n"),
        ({"n": "3"}, "n"),
        ({"n": True}, "n"),
        ({"n": 1.5}, "n"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"private": 1}, "private"),
        ({"prompt": ["a"]}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"wdith": 512}, "wdith"),
        ({"guidance": 1e999}, None),
        ({"width": 300}, None),
        ({"controls": [{"kind": 4, "picture": "abcdef"}]}, "controls"),
        ({"controls": [{"kind": "canny", "picture": "abcdef", "color": "red"}]}, "controls"),
        ({"adapters": {"name": "x"}}, "adapters"),
    ],
)
def test_fields_that_are_wrong_are_named(own: httpx.Client, fields: dict[str, Any], param: str | None) -> None:
    body = json.dumps(ECHO | {"model": "embedded"} | fields)
    error = error_of(own.post("/imagine", content=body), 400)
    assert param is None or error["param"] == param, error


def test_an_engine_that_cannot_is_the_requests_fault(own: httpx.Client) -> None:
    assert error_of(own.post("/imagine", json=ECHO | {"engine": "graph"}), 400, "unsupported")["param"] == "engine"


def test_the_same_request_gives_the_same_pixels_as_on_the_command_line(own: httpx.Client) -> None:
    first, second = (make(own, model="embedded", prompt="a red car", seed=2, steps=4) for _ in range(2))
    pixels = [job["results"][0]["receipt"]["pixels_sha256"] for job in (first, second)]
    assert pixels[0] == pixels[1]


def test_what_verify_says_names_no_folder_of_this_machine(server: Any) -> None:
    import fantascope

    with server.client() as client:
        job = client.post("/v1/fantascope/imagine?wait=true", json={"prompt": "a red apple", "seed": 3}).json()
        data = client.get(f"/v1/fantascope/gallery/{job['artifacts'][0]}/file").content
        said = client.post("/v1/fantascope/verify", content=data, headers={"Content-Type": "image/png"})
    assert said.json()["ok"]
    assert "MODEL_CARD.md" in said.text
    assert str(server.home) not in said.text
    assert str(Path(fantascope.__file__).parent) not in said.text
