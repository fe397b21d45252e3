"""The OpenAPI document: whole, true and for who has a token; and the addresses of tasks."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.serve.own.conftest import WIRE, error_of

from fantascope.request import REQUESTS

ALL = {"400", "401", "429", "503"}


@pytest.fixture(scope="module")
def document(own: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = own.get("/openapi.json").json()
    return found


def test_it_is_for_who_has_a_token(server: Any) -> None:
    with server.client(None) as nobody:
        error_of(nobody.get(f"{WIRE}/openapi.json"), 401, "not_authorised")
        for path in ("/openapi.json", "/docs", "/redoc"):
            assert nobody.get(path).status_code == 404


def test_every_route_is_in_it_and_says_how_it_fails(document: dict[str, Any]) -> None:
    told = {(method.upper(), path) for path, row in document["paths"].items() for method in row}
    assert len(told) >= 67
    for path, row in document["paths"].items():
        for method, operation in row.items():
            assert set(operation["responses"]) >= ALL, (method, path)
            assert any(status.startswith("2") for status in operation["responses"])
            assert "HTTPValidationError" not in json.dumps(operation)
            for status, reply in operation["responses"].items():
                if status >= "400":
                    ref = reply["content"]["application/json"]["schema"]["$ref"]
                    assert ref == "#/components/schemas/Error"
            if "requestBody" in operation:
                assert {"408", "413"} <= set(operation["responses"])
            if "{id}" in path or "{name}" in path:
                assert "404" in operation["responses"]
    assert document["security"] == [{"bearer": []}]
    names = [operation["operationId"] for row in document["paths"].values() for operation in row.values()]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def refs(part: Any) -> Any:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            for value in part.values():
                yield from refs(value)
        elif isinstance(part, list):
            for value in part:
                yield from refs(value)

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(refs(document)) <= known


def test_tasks_have_addresses_of_their_own(document: dict[str, Any]) -> None:
    for name in REQUESTS:
        assert {f"{WIRE}/{name}", f"{WIRE}/{name}/quote"} <= set(document["paths"])
    first = {path.split("/")[3] for path in document["paths"]} - set(REQUESTS)
    assert not first & set(REQUESTS)
    named = [operation["operationId"] for row in document["paths"].values() for operation in row.values()]
    assert len(named) == len(set(named)), "a task is called like another operation"


def test_routes_are_counted_under_their_whole_path(own: httpx.Client, server: Any) -> None:
    own.get("/account")
    with server.client() as client:
        assert 'route="/v1/fantascope/account"' in client.get("/metrics").text


def test_bounds_and_bodies_are_in_it(document: dict[str, Any]) -> None:
    limit = next(p for p in document["paths"][f"{WIRE}/jobs"]["get"]["parameters"] if p["name"] == "limit")
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"]) == (1, 200)
    fill = document["paths"][f"{WIRE}/fill"]["post"]["requestBody"]["content"]
    assert set(fill) == {"application/json", "multipart/form-data"}
    assert fill["multipart/form-data"]["schema"]["properties"]["mask"]["format"] == "binary"
    prompt = document["components"]["schemas"]["Imagine"]["properties"]["prompt"]
    assert (prompt["minLength"], prompt["maxLength"]) == (1, 32_000)
    one_of = document["components"]["schemas"]["AnyRequest"]["oneOf"]
    assert len(one_of) == len(REQUESTS)
