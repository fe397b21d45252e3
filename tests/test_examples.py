"""Every example runs, one after another in one home as a reader runs them: what one teaches the next finds."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from tests.homes import lend

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def readers_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lend(tmp_path_factory.mktemp("reader"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(
    path: Path, readers_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANTASCOPE_HOME", str(readers_home))
    monkeypatch.setattr("sys.argv", [str(path), "quick"])
    monkeypatch.setattr("sys.path", [*sys.path])
    variables = runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().out
    assert said or "picture" in variables
