"""A client of our own wire on the server that all tests share, and somebody else's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

WIRE = "/v1/fantascope"
ECHO: dict[str, Any] = {"model": "echo", "prompt": "an echo"}


def png(width: int = 64, height: int = 64, seed: int = 0, **save: Any) -> bytes:
    """Return a picture of noise."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG", **save)
    return file.getvalue()


def error_of(reply: httpx.Response, status: int, code: str = "") -> dict[str, Any]:
    """Return the error of a reply, which has the one form that errors have."""
    assert reply.status_code == status, reply.text
    body = reply.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert {"code", "status", "message", "param", "hint"} <= set(error)
    assert error["status"] == status
    assert not code or error["code"] == code, error
    return error


@pytest.fixture(scope="session")
def own(server: Any) -> Iterator[httpx.Client]:
    """The operator."""
    with server.client() as client:
        client.base_url = f"{server.url}{WIRE}"
        yield client


@pytest.fixture(scope="session")
def other(server: Any, own: httpx.Client) -> Iterator[httpx.Client]:
    """Somebody who does not run the server."""
    assert own.post("/users", json={"name": "own-other", "plan": "pro"}).status_code == 201
    token = own.post("/users/own-other/tokens", json={"label": "test"}).json()["token"]
    with server.client(token) as client:
        client.base_url = f"{server.url}{WIRE}"
        yield client


def make(client: httpx.Client, task: str = "imagine", **fields: Any) -> dict[str, Any]:
    """Make something and wait for it."""
    reply = client.post(f"/{task}?wait=true", json=ECHO | fields)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found
