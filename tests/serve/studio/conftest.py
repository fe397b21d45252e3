"""The studio as people start it, in a process of its own with a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import TOKEN, Running
from tests.serve.studio.hands import Visitor, visitor
from tests.serve.studio.pages import browser

MARK = {"X-Fantascope": "1"}


class Studio(Running):
    """A `fantascope studio` that runs. What was printed as its login link is `login`."""

    login: str

    def start(self) -> None:
        """Start it on the port it had before, or on a free one, and wait until it answers."""
        port = self.url.rpartition(":")[2] or "0"
        command = [
            sys.executable,
            "-m",
            "fantascope",
            "studio",
            "--no-browser",
            "--json",
            "--port",
            port,
            *self.options,
        ]
        own = {
            "FANTASCOPE_HOME": str(self.home),
            "FANTASCOPE_TOKEN": TOKEN,
            "HF_HUB_OFFLINE": "1",
            "PYTHONWARNINGS": "",
        }
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, env=os.environ | own | self.env, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the studio did not start: {self.log.read_text()[-3000:]}"
        told = json.loads(line)
        self.url, self.login = told["url"], told["login"]

    def enter(self, token: str = TOKEN) -> httpx.Client:
        """Return a client that has logged in with a token as the page does, and sends nothing but its cookie."""
        with httpx.Client(base_url=self.url, headers=MARK) as first:
            first.post("/session", json={"token": token}).raise_for_status()
            return httpx.Client(base_url=self.url, timeout=60, headers=MARK, cookies=first.cookies)


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One studio for all tests that do not kill it."""
    running = Studio(tmp_path_factory.mktemp("studio") / "home")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    """One browser for all tests of a file."""
    with browser() as made:
        yield made


@pytest.fixture
def seen(chrome: Any, studio: Studio) -> Iterator[Visitor]:
    """The operator, new to this browser."""
    with visitor(chrome, studio.url, TOKEN) as made:
        yield made


@pytest.fixture
def own_studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio of this test alone."""
    running = Studio(tmp_path / "served")
    yield running
    if running.process is not None and running.process.poll() is None:
        running.kill()


@pytest.fixture(scope="session")
def cookie_name(studio: Studio) -> str:
    """Return the name of the cookie of the studio of all tests."""
    with httpx.Client(base_url=studio.url, headers=MARK) as client:
        client.post("/session", json={"token": TOKEN}).raise_for_status()
        return cookie(client)[0]


def cookie(client: httpx.Client) -> tuple[str, str]:
    """Return name and value of the one cookie that a client has."""
    (found,) = client.cookies.jar
    assert found.value is not None
    return found.name, found.value


def picture(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """Paint with the echo model and wait; return what came of it."""
    body = {"prompt": "a cat", "model": "echo", "seed": 1, **fields}
    made: dict[str, Any] = client.post("/v1/fantascope/imagine?wait=true", json=body).raise_for_status().json()
    return made
