"""Ways into the studio in a browser, and what a session may do."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import TOKEN
from tests.serve.studio.conftest import MARK, cookie, picture

from fantascope.errors import NotAuthorised
from fantascope.serve.people import Caller, People
from fantascope.serve.sessions import CODE_LIFE, LIFE, Sessions
from fantascope.settings import Settings
from fantascope.studio import Studio

ACCOUNT = "/v1/fantascope/account"


class Clock:
    """A clock that a test sets."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[Callable[[], Sessions], People, Clock]]:
    """How sessions are opened again as after a restart, people, and the clock."""
    clock = Clock()
    with Studio(Settings(home=tmp_path / "home")) as studio:
        people = People(studio, TOKEN)
        yield lambda: Sessions(people, studio.settings.keys, clock), people, clock


def test_a_login_link_works_once(studio: Any) -> None:
    with httpx.Client(base_url=studio.url) as client:
        first = client.get(studio.login)
        assert first.status_code == 303
        assert first.headers["location"] == "/"
        said = first.headers["set-cookie"]
        assert "HttpOnly" in said
        assert "samesite=strict" in said.lower()
        assert first.headers["cache-control"] == "no-store"
        assert client.get(ACCOUNT).json()["operator"] is True
    with httpx.Client(base_url=studio.url) as other:
        second = other.get(studio.login)
        assert (second.status_code, second.headers["location"]) == (303, "/?login=again")
        assert not other.cookies
        assert other.get(ACCOUNT).status_code == 401


def test_a_code_is_good_for_five_minutes(parts: Any) -> None:
    make, people, clock = parts
    sessions = make()
    late, good = sessions.code(people.operator), sessions.code(people.operator)
    clock.now += CODE_LIFE - 1
    assert sessions.caller(sessions.redeem(good)) == people.operator
    clock.now += 1
    with pytest.raises(NotAuthorised):
        sessions.redeem(late)


def test_a_session_ends_after_its_time_or_when_it_is_closed_and_not_by_a_restart(parts: Any) -> None:
    make, people, clock = parts
    value, other = make().begin(people.operator), make().begin(people.operator)
    assert make().caller(value) == people.operator
    make().end(other)
    with pytest.raises(NotAuthorised):
        make().caller(other)
    assert make().caller(value) == people.operator
    clock.now += LIFE
    with pytest.raises(NotAuthorised):
        make().caller(value)


def test_only_hashes_are_kept_and_only_the_owner_reads_them(parts: Any, tmp_path: Path) -> None:
    make, people, _ = parts
    value = make().begin(people.operator)
    file = tmp_path / "home" / "keys" / "sessions.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert value.removeprefix("op.") not in file.read_text()
    file.write_text("{broken")
    with pytest.raises(NotAuthorised):
        make().caller(value)
    file.write_text(json.dumps({"no": "number"}))
    assert make().caller(make().begin(people.operator)) == people.operator


def test_a_person_who_is_shut_out_has_no_session_left(parts: Any) -> None:
    make, people, _ = parts
    people.register.add("ann", "pro")
    ann = Caller("ann", "pro")
    value, other = make().begin(ann), make().begin(ann)
    assert make().caller(value) == ann
    make().end(other)
    with pytest.raises(NotAuthorised):
        make().caller(other)
    assert make().caller(value) == ann
    people.register.change("ann", disabled=True)
    with pytest.raises(NotAuthorised):
        make().caller(value)


def test_the_operator_as_a_person_who_is_shut_out_has_no_session_left(parts: Any) -> None:
    make, people, _ = parts
    value = make().begin(people.operator)
    people.register.add(people.operator.account, people.operator.plan, operator=True)
    assert make().caller(value) == people.operator
    people.register.change(people.operator.account, disabled=True)
    with pytest.raises(NotAuthorised):
        make().caller(value)


def test_a_session_that_is_closed_in_another_persons_name_stays(parts: Any) -> None:
    make, people, _ = parts
    people.register.add("ann", "pro")
    people.register.add("bob", "pro")
    ann, bob = make().begin(Caller("ann", "pro")), make().begin(Caller("bob", "pro"))
    make().end(ann.partition(".")[0] + "." + bob.partition(".")[2])
    assert make().caller(ann).account == "ann"
    assert make().caller(bob).account == "bob"


FORGED = (
    "",
    "op.",
    "op." + "A" * 43,
    "0" * 16 + ".fs-" + "A" * 43,
    TOKEN,
    f"op.{TOKEN}",
    "op." + "A" * 5000,
    '{"account": "local"}',
)


@pytest.mark.parametrize("value", FORGED)
def test_a_forged_cookie_opens_nothing(studio: Any, cookie_name: str, value: str) -> None:
    with httpx.Client(base_url=studio.url, cookies={cookie_name: value}) as client:
        reply = client.get(ACCOUNT)
        assert reply.status_code == 401
        assert reply.json()["error"]["code"] == "not_authorised"
        assert client.post("/logout", headers=MARK).status_code == 200


def test_a_token_that_is_no_good_opens_no_session(studio: Any) -> None:
    with httpx.Client(base_url=studio.url, headers=MARK) as client:
        for token, status in (("fs-" + "A" * 43, 401), ("", 400), (7, 400), ("A" * 5000, 400)):
            reply = client.post("/session", json={"token": token})
            assert reply.status_code == status, token
            assert "set-cookie" not in reply.headers


def test_what_another_page_asks_in_the_name_of_a_session_is_refused(studio: Any) -> None:
    with studio.enter() as client:
        name, value = cookie(client)
    with httpx.Client(base_url=studio.url, cookies={name: value}) as other:
        before = other.get("/v1/fantascope/jobs").json()["data"]
        body = {"task": "imagine", "prompt": "a cat", "model": "echo"}
        for method, path in (("POST", "/jobs"), ("DELETE", "/gallery/123456"), ("PATCH", "/users/ann")):
            reply = other.request(method, "/v1/fantascope" + path, content=json.dumps(body))
            assert reply.status_code == 403, path
            assert reply.json()["error"]["code"] == "access_denied"
        for site in ("cross-site", "same-site"):
            assert other.get(ACCOUNT, headers={"Sec-Fetch-Site": site}).status_code == 403
            told = MARK | {"Sec-Fetch-Site": site}
            assert other.post("/v1/fantascope/jobs", json=body, headers=told).status_code == 403
        assert other.post("/session", json={"token": TOKEN}).status_code == 403
        assert other.post("/logout").status_code == 403
        assert other.get("/v1/fantascope/jobs").json()["data"] == before
        assert other.get(ACCOUNT, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_a_session_is_no_token_of_the_other_wires(studio: Any) -> None:
    with studio.enter() as client:
        assert client.get(ACCOUNT).status_code == 200
        assert client.get("/v1/models").status_code == 401
        assert client.post("/v1/images/generations", json={"prompt": "a cat"}).status_code == 401
        assert client.get("/sdapi/v1/options").status_code == 401
        assert client.get("/metrics").status_code == 401


def test_under_tls_the_cookie_goes_over_nothing_else(tmp_path: Path) -> None:
    from fastapi.testclient import TestClient

    from fantascope.serve.app import create_app
    from fantascope.serve.options import Options

    with Studio(Settings(home=tmp_path / "home"), files=False) as made:
        app = create_app(made, Options(token=TOKEN))
        for base, secure in (("https://localhost", True), ("http://localhost", False)):
            client = TestClient(app, base_url=base, headers=MARK)
            said = client.post("/session", json={"token": TOKEN}).headers["set-cookie"]
            assert ("; secure" in said.lower()) is secure
            assert ("; httponly" in said.lower()) and ("samesite=strict" in said.lower())
            client.close()


def test_two_people_see_what_is_theirs(studio: Any) -> None:
    ann, bob = (studio.enter(studio.user(name)) for name in ("ann", "bob"))
    with ann, bob:
        made = picture(ann, prompt="a secret of ann")
        (id,) = made["artifacts"]
        assert ann.get(ACCOUNT).json()["account"] == "ann"
        assert bob.get(ACCOUNT).json()["account"] == "bob"
        for path in (f"/gallery/{id}", f"/gallery/{id}/file", f"/gallery/{id}/thumbnail", f"/jobs/{made['id']}"):
            assert ann.get("/v1/fantascope" + path).status_code == 200
            assert bob.get("/v1/fantascope" + path).status_code == 404
        assert bob.get("/v1/fantascope/gallery").json()["data"] == []
        assert ann.get("/v1/fantascope/users").status_code == 403


def test_who_logs_out_is_out(studio: Any) -> None:
    token = studio.user("carl")
    with studio.enter(token) as client:
        name, value = cookie(client)
        assert client.get(ACCOUNT).status_code == 200
        out = client.post("/logout")
        assert out.status_code == 200
        assert out.headers["clear-site-data"] == '"cache"', "pictures of who was here are not shown to the next"
        assert not client.cookies
    with httpx.Client(base_url=studio.url, cookies={name: value}) as client:
        assert client.get(ACCOUNT).status_code == 401
    with studio.client(token) as client:
        assert client.get(ACCOUNT).status_code == 200, "the token that was pasted is still theirs"


def test_a_session_outlives_the_server(own_studio: Any) -> None:
    token = own_studio.user("dora")
    with own_studio.enter() as operator, own_studio.enter(token) as dora:
        own_studio.kill()
        own_studio.start()
        assert operator.get(ACCOUNT).json()["operator"] is True
        assert dora.get(ACCOUNT).json()["account"] == "dora"


def test_a_link_for_another_device_is_of_the_one_who_asked(studio: Any) -> None:
    with studio.client(studio.user("emma")) as client:
        made = client.post("/v1/fantascope/account/login").raise_for_status().json()
    assert made["expires_in"] == CODE_LIFE
    assert made["url"].startswith(studio.url)
    with httpx.Client() as other:
        assert other.get(made["url"]).status_code == 303
        assert other.get(studio.url + ACCOUNT).json()["account"] == "emma"
