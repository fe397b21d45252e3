"""One studio on the echo engine for a module, one on the embedded checkpoint for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.homes import lend
from tests.tasks.drawn import one

from fantascope import Artifact, Imagine, Settings, Studio


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio(Settings(home=tmp_path_factory.mktemp("home"), threads=1, model="echo")) as studio:
        yield studio


@pytest.fixture(scope="module")
def rings(studio: Studio) -> Artifact:
    """A picture of the echo engine, 256 pixels a side."""
    return one(studio, Imagine(prompt="a pink elephant on a blue background", seed=7))


@pytest.fixture(scope="session")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """The embedded checkpoint on the graph engine."""
    with Studio(Settings(home=lend(tmp_path_factory.mktemp("painter")), threads=1)) as studio:
        yield studio


@pytest.fixture(scope="session")
def elephant(painter: Studio) -> Artifact:
    """A painted picture, 512 pixels a side."""
    return one(painter, Imagine(prompt="a pink elephant on a blue background", seed=7, engine="graph"))
