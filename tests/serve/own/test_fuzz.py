"""A short walk of the fuzzer over our own wire; `python bench/fuzz.py` walks all of it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from fantascope.request import REQUESTS

pytest.importorskip("schemathesis")
BENCH = Path(__file__).parents[3] / "bench" / "fuzz.py"
SECONDS = 10.0
LONG = ("POST /jobs", "POST /judge", "POST /prompt/explain")
"""Operations for which the generator takes long to understand the schema; so it does for most tasks."""


@pytest.mark.slow
def test_no_operation_fails_whatever_is_sent(server: Any) -> None:
    fuzzer = runpy.run_path(str(BENCH))["Fuzzer"](server.url, server.token)
    tasks = [f"POST /{task}{rest}" for task in REQUESTS if task != "upscale" for rest in ("", "/quote")]
    found = fuzzer.run(each=2, start=7, without=[*LONG, *tasks], within=SECONDS)
    assert found.wrong == {}
    assert found.errors == 0
    assert sum(found.tried.values()) >= 40
