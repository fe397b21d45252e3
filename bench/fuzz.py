"""Walk every operation of our own HTTP API with data that fits its document, and data that does not.

    python bench/fuzz.py --each 60 --seed 1

It starts a server with a home of its own, fills it with a few pictures and jobs, and sends to each operation of
/v1/fantascope/openapi.json that many requests that fit and that many that do not (schemathesis). Half of them name
things that are there. Checked of every reply: no status of 500 or more, a status that the document names, and a body
that fits its schema. It prints the requests tried for each status, the 5xx found, and what else is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

TOKEN = "fs-token-of-the-operator-of-the-fuzzer"
WIRE = "/v1/fantascope"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SMALL = {"n": 2, "steps": 3, "width": 256, "height": 256}
"""Fields that make work: what fits is cut to this, so that a run is spent on requests, not on painting."""
FINE = ("adapters", "clip_skip", "controls", "device", "engine", "grammar", "network", "precision", "sampler")
FINE += ("schedule", "turns", "upscale", "width", "height", "before", "said")
"""Fields of which most values go together with few others."""
SLOW = 20.0
"""Seconds a request may take."""


@dataclass
class Found:
    """What came of it."""

    statuses: Counter[int] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def errors(self) -> int:
        """Replies with a status of 500 or more."""
        return sum(count for status, count in self.statuses.items() if status >= 500)


class Fuzzer:
    """Fuzzes a server that runs.

    Args:
        url: Its address.
        token: Of the operator.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url, self.session = url, requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"
        document = self.session.get(f"{url}{WIRE}/openapi.json", timeout=SLOW).json()
        self.schema = schemathesis.openapi.from_dict(document)
        self.schema.config.update(base_url=url)
        self.real = self._fill()
        self.picture = self.session.get(f"{url}{WIRE}/gallery/{self.real['/gallery'][0]}/file", timeout=SLOW).content

    def _fill(self) -> dict[str, list[str]]:
        """Make a few things, and return what names them by the parameter of a path."""
        made, jobs = [], []
        for model, prompt in (("echo", "a cat"), ("echo", "a dog"), ("embedded", "a red car")):
            job = self._post("/imagine?wait=true", {"prompt": prompt, "model": model, "seed": 1})
            jobs.append(job["id"])
            made += job["artifacts"]
        kid = self._post("/vary?wait=true", {"picture": made[-1], "strength": 0.3, "prompt": "a red car"})
        refused = self.session.post(
            f"{self.url}{WIRE}/imagine", json={"prompt": "a nude photo of a woman"}, timeout=SLOW
        )
        assert refused.status_code == 403, refused.text
        refusals = [one["id"] for one in self.session.get(f"{self.url}{WIRE}/refusals", timeout=SLOW).json()["data"]]
        self._post("/users", {"name": "fuzz-ann", "plan": "pro"})
        token = self._post("/users/fuzz-ann/tokens", {"label": "fuzz"})
        return {
            "/gallery": [*made, kid["artifacts"][0]],
            "/jobs": [*jobs, kid["id"]],
            "/refusals": refusals,
            "/users": ["fuzz-ann"],
            "/tokens": [token["id"]],
            "/models": ["embedded", "echo"],
            "/adapters": ["none"],
        }

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        reply = self.session.post(f"{self.url}{WIRE}{path}", json=body, timeout=60)
        assert reply.status_code < 300, reply.text
        return reply.json()

    def run(
        self, each: int, start: int, only: str = "", *, without: Collection[str] = (), within: float | None = None
    ) -> Found:
        """Send `each` requests of both kinds to every operation.

        Args:
            start: Seed.
            only: Part of the names of operations, as `POST /imagine`.
            without: Names that are left out.
            within: Seconds after which no other operation is begun.
        """
        found, began = Found(), time.perf_counter()
        operations = [operation.ok() for operation in self.schema.get_all_operations()]
        random.Random(start).shuffle(operations)
        for one in operations:
            name = f"{one.method.upper()} {one.path.removeprefix(WIRE)}"
            if only not in name or name in {*without, "POST /queue/pause"}:
                continue
            if within is not None and time.perf_counter() - began > within:
                break
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                self._walk(one, name, mode, each, start, found)
        found.seconds = time.perf_counter() - began
        return found

    def _walk(self, operation: Any, name: str, mode: GenerationMode, each: int, start: int, found: Found) -> None:
        @seed(start)
        @settings(
            max_examples=each,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), luck=st.integers(0, 2**32 - 1))
        def send(case: Any, luck: int) -> None:
            self._aim(case, random.Random(luck))
            try:
                reply = case.call(session=self.session, timeout=SLOW)
            except requests.exceptions.InvalidHeader:
                return  # no HTTP client can send it
            except requests.exceptions.RequestException as error:
                found.wrong.setdefault(f"{name}: {type(error).__name__}", f"{case.as_curl_command()[:400]} {error}")
                return
            found.statuses[reply.status_code] += 1
            found.tried[name] += 1
            try:
                case.validate_response(reply, checks=CHECKS)
            except FailureGroup as group:
                for failure in group.exceptions:
                    self._note(found, name, failure, case, reply)
            except Failure as failure:
                self._note(found, name, failure, case, reply)

        try:
            send()
        except Exception as error:  # the generator's own: an operation without data that does not fit
            if type(error).__name__ not in ("Unsatisfiable", "FailedHealthCheck"):
                raise

    def _note(self, found: Found, name: str, failure: Any, case: Any, reply: Any) -> None:
        told = f"{name}: {type(failure).__name__} {reply.status_code}"
        body = reply.content[:300].decode("utf-8", "replace")
        command = case.as_curl_command()[:600]
        found.wrong.setdefault(told, f"{getattr(failure, 'message', failure)}\n    {command}\n    {body}")

    def _aim(self, case: Any, rng: random.Random) -> None:
        """Let half of the requests name what is there, and let none paint for long."""
        path, named = case.operation.path, dict(case.path_parameters or {})
        for key in named:
            place = "/tokens" if "/tokens/{id}" in path and key == "id" else f"/{path.split('/')[3]}"
            if rng.random() < 0.5 and self.real.get(place):
                named[key] = rng.choice(self.real[place])
        if named:
            case.path_parameters = named
        if case.headers and rng.random() < 0.8:  # else a few keys of all requests would be the same
            case.headers.pop("Idempotency-Key", None)
        body = case.body
        if not isinstance(body, dict):
            return
        for key, most in SMALL.items():
            if isinstance(body.get(key), (int, float)) and not isinstance(body[key], bool) and body[key] > most:
                body[key] = most
        if "model" in body or "prompt" in body:
            body["model"] = rng.choice(["echo", "echo", "echo", "embedded", body.get("model")])
        if rng.random() < 0.6:  # what fits its schema alone seldom fits together
            for key in FINE:
                body.pop(key, None)
        for key in ("picture", "mask", "file"):
            if isinstance(body.get(key), str) and rng.random() < 0.7:
                body[key] = rng.choice(self.real["/gallery"])
            elif isinstance(body.get(key), bytes) and rng.random() < 0.7:
                body[key] = self.picture


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """Run a server with an empty home, and give its address."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "fantascope", "serve", "--port", "0", "--json", "--rate", "0"]
        environ = os.environ | {"FANTASCOPE_HOME": home, "HF_HUB_OFFLINE": "1"}
        with (Path(home) / "log").open("w") as log:
            process = subprocess.Popen(
                [*command, "--token", TOKEN, "--waiting", "100000", *options],
                env=environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield json.loads(line)["url"]
        finally:
            process.terminate()
            process.wait(60)
            told = (Path(home) / "log").read_text()
            if "Traceback" in told:
                print("…" + told[told.index("Traceback") :][-4000:], file=sys.stderr)


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--each", type=int, default=60, help="requests of each kind to each operation")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--only", default="", help="part of an operation's name, as 'POST /imagine'")
    told = words.parse_args()
    with serving() as url:
        found = Fuzzer(url, TOKEN).run(told.each, told.seed, told.only)
    for name, why in found.wrong.items():
        print(f"{name}\n    {why}")
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(found.statuses.items()))
    print(f"{sum(found.tried.values())} requests to {len(found.tried)} operations in {found.seconds:.0f} s: {statuses}")
    print(f"{found.errors} replies of 5xx, {len(found.wrong)} kinds of failure")
    return 1 if found.wrong or found.errors else 0


if __name__ == "__main__":
    sys.exit(main())
