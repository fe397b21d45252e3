"""Accounts, users and tokens, refusals and appeals on our own wire."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.serve.own.conftest import ECHO, WIRE, error_of, make

OPERATOR = [
    ("GET", "/users"),
    ("POST", "/users"),
    ("PATCH", "/users/own-other"),
    ("GET", "/users/own-other/tokens"),
    ("POST", "/users/own-other/tokens"),
    ("DELETE", "/users/own-other/tokens/0123456789abcdef"),
    ("POST", "/users/own-other/topup"),
    ("GET", "/queue"),
    ("POST", "/queue/pause"),
    ("POST", "/queue/resume"),
    ("GET", "/appeals"),
    ("POST", "/refusals/01234567/decide"),
]


@pytest.mark.parametrize(("method", "path"), OPERATOR)
def test_what_is_for_the_operator(other: httpx.Client, method: str, path: str) -> None:
    error_of(other.request(method, path), 403, "access_denied")


def test_a_person_from_beginning_to_end(own: httpx.Client, server: Any) -> None:
    made = own.post("/users", json={"name": "own-ann", "plan": "free"})
    assert made.status_code == 201
    assert made.json() | {"created": ""} == {
        "name": "own-ann",
        "plan": "free",
        "operator": False,
        "disabled": False,
        "created": "",
    }
    assert error_of(own.post("/users", json={"name": "own-ann", "plan": "pro"}), 400)["param"] == "name"
    error_of(own.post("/users", json={"name": "x", "plan": "none"}), 400, "unknown_name")
    assert "own-ann" in [one["name"] for one in own.get("/users").json()["data"]]
    reply = own.post("/users/own-ann/tokens", json={"label": "laptop", "days": 2})
    assert reply.headers["cache-control"] == "no-store"
    token = reply.json()
    assert token["token"].startswith("fs-")
    listed = own.get("/users/own-ann/tokens").json()["data"]
    assert [(one["id"], one["label"]) for one in listed] == [(token["id"], "laptop")]
    assert "token" not in listed[0]
    with server.client(token["token"]) as ann:
        assert ann.get(f"{WIRE}/account").json()["plan"] == "free"
        assert own.patch("/users/own-ann", json={"plan": "pro"}).json()["plan"] == "pro"
        assert own.post("/users/own-ann/topup", json={"credits": 115, "note": "bill 1"}).json()["left"] > 115
        assert own.post("/users/local/topup", json={"credits": 1000}).json()["operator"] is True
        assert "topup" in [line["kind"] for line in ann.get(f"{WIRE}/ledger").json()["data"]]
        assert own.patch("/users/own-ann", json={"disabled": True}).json()["disabled"] is True
        error_of(ann.get(f"{WIRE}/account"), 401, "not_authorised")
        own.patch("/users/own-ann", json={"disabled": False})
        assert ann.get(f"{WIRE}/account").status_code == 200
        error_of(own.delete(f"/users/own-other/tokens/{token['id']}"), 404)
        assert own.delete(f"/users/own-ann/tokens/{token['id']}").json()["revoked"] is not None
        error_of(ann.get(f"{WIRE}/account"), 401, "not_authorised")


def test_plans_and_limits(own: httpx.Client, other: httpx.Client) -> None:
    told = other.get("/plans").json()
    plans = {plan["name"]: plan for plan in told["data"]}
    assert list(plans) == ["local", "free", "standard", "pro"]
    assert plans["free"]["allowance"] == 15 and plans["free"]["rollover"] is None
    assert plans["free"]["topups"] == [{"credits": 115, "months": 12}] and plans["free"]["strictness"] == "strict"
    assert plans["standard"]["rollover"] == {"credits": 250, "months": 1}
    mine = other.get("/account").json()
    assert (plans[mine["plan"]]["terms"], plans[mine["plan"]]["allowance"]) == (mine["terms"], mine["allowance"])
    assert told["limits"]["jobs"] == 256 and told["limits"]["body_bytes"] == 64 * 2**20
    for name in plans:
        assert own.post("/users", json={"name": f"on-{name}", "plan": name}).status_code == 201


def test_a_ledger_is_of_one_account_and_adds_up(other: httpx.Client) -> None:
    before = other.get("/account").json()
    make(other, seed=70, n=2)
    after = other.get("/account").json()
    assert before["left"] - after["left"] == pytest.approx(2)
    assert sum(part["credits"] for part in after["expiring"]) == pytest.approx(after["left"])
    lines = other.get("/ledger", params={"limit": 200}).json()["data"]
    assert "account" not in lines[0]
    assert [line["kind"] for line in lines if line["kind"] == "charge"]


def test_a_refusal_is_appealed_against_and_decided(own: httpx.Client, other: httpx.Client) -> None:
    error_of(other.post("/imagine", json=ECHO | {"prompt": "a nude photo of a woman"}), 403, "policy_refused")
    refusal = other.get("/refusals").json()["data"][0]
    assert refusal["text"] == "a nude photo of a woman"
    assert refusal["id"] not in [one["id"] for one in own.get("/refusals").json()["data"]]
    error_of(own.post(f"/refusals/{refusal['id']}/appeal", json={"why": "not mine"}), 404)
    error_of(own.post(f"/refusals/{refusal['id']}/decide", json={"verdict": "allow", "why": "nobody asked"}), 400)
    said = other.post(f"/refusals/{refusal['id']}/appeal", json={"why": "life drawing class"}).json()
    assert said["appeal"] == "life drawing class"
    assert refusal["id"] in [one["id"] for one in own.get("/appeals").json()["data"]]
    made = own.post(f"/refusals/{refusal['id']}/decide", json={"verdict": "uphold", "why": "no"}).json()
    assert (made["allow"], made["refusal"]) == (False, refusal["id"])
    assert made["signature"]
    error_of(other.post("/imagine", json=ECHO | {"prompt": "a nude photo of a woman"}), 403, "policy_refused")
    assert error_of(own.post("/refusals/01234567/decide", json={"verdict": "maybe", "why": "x"}), 400)["param"]
