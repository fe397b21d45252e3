"""Shared fixtures: every test has a studio home of its own and no model hub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.forks import Forks
from tests.homes import lend

os.environ["HF_HUB_OFFLINE"] = "1"

# A run must not fail by luck: the same examples every time, unless `--hypothesis-profile explore` looks for new ones,
# and no deadline, which a busy machine would miss.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh `FANTASCOPE_HOME` for every test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FANTASCOPE_HOME", str(folder))
    return folder


@pytest.fixture
def warm(home: Path) -> Path:
    """The `home` of this test, which compiles no graph that another one has compiled."""
    return lend(home)


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Runs functions in children that may be killed (`tests/forks.py`)."""
    made = Forks(tmp_path_factory.mktemp("forks") / "errors.txt")
    yield made
    made.close()


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where failing picture comparisons leave their side-by-side (`out/tests`)."""
    folder = Path(__file__).parent.parent / "out" / "tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
