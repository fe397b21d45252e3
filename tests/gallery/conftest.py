from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gallery.helpers import MEMORY, Clock

from fantascope.gallery import Gallery


@pytest.fixture
def clock() -> Clock:
    return Clock(2026, 11, 23, 7, 3)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        yield Path(place) / "pictures"


@pytest.fixture
def gallery(folder: Path, clock: Clock) -> Iterator[Gallery]:
    with Gallery.open(folder, plan="free", clock=clock) as opened:
        yield opened
