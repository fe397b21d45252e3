"""A real server in a process of its own, with a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.homes import lend

TOKEN = "fs-token-of-the-operator-in-tests"
START = 40.0


class Running:
    """A server that runs. `kill` and `start` make it die and come back with the same home."""

    def __init__(self, home: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.home, self.options, self.env = lend(home), options, env or {}
        self.token, self.url = TOKEN, ""
        self.log = home.parent / f"{home.name}.log"
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            sys.executable,
            "-m",
            "fantascope",
            "serve",
            "--port",
            "0",
            "--json",
            "--token",
            TOKEN,
        ]
        environ = (
            os.environ | {"FANTASCOPE_HOME": str(self.home), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": ""} | self.env
        )
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, *self.options], env=environ, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the server did not start: {self.log.read_text()[-3000:]}"
        self.url = json.loads(line)["url"]

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self._over()

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._over()

    def _over(self) -> int:
        assert self.process is not None and self.process.stdout is not None
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    def client(self, token: str | None = TOKEN, **more: Any) -> httpx.Client:
        """Return an HTTP client of this server."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, **more)

    def user(self, name: str, plan: str = "pro") -> str:
        """Add a person, beside the running server, and return their token."""
        command = [sys.executable, "-m", "fantascope", "serve", "users", "add", name, "--plan", plan, "--json"]
        environ = os.environ | {"FANTASCOPE_HOME": str(self.home)}
        out = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
        return str(json.loads(out)["token"])

    def done(self, job: str, token: str = TOKEN, patience: float = 60.0) -> dict[str, Any]:
        """Wait until a job ends, and return it."""
        end = time.monotonic() + patience
        with self.client(token) as client:
            while True:
                found: dict[str, Any] = client.get(f"/v1/fantascope/jobs/{job}").raise_for_status().json()
                if found["status"] in ("done", "failed", "cancelled"):
                    return found
                assert time.monotonic() < end, found
                time.sleep(0.05)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all tests that do not kill it."""
    running = Running(tmp_path_factory.mktemp("serve") / "home", "--rate", "0")
    yield running
    running.stop()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Running]:
    """A server of this test alone."""
    running = Running(tmp_path / "served", "--rate", "0")
    yield running
    if running.process is not None and running.process.poll() is None:
        running.kill()
