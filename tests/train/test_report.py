"""Reports are made of the log, and repeated steps count once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fantascope.errors import NotFound
from fantascope.train.report import curve, read_log, table


def test_table_and_curve(tmp_path: Path) -> None:
    rows = [{"step": step, "loss": 10 / step, "rate": 30.0, "time": 0.0} for step in (20, 40, 60, 40, 60, 80)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert [row["step"] for row in read_log(tmp_path)] == [20, 40, 60, 80]
    assert table(tmp_path, 2).splitlines() == [
        "| step | loss | rate |",
        "|---|---|---|",
        "| 40 | 0.375 | 30 |",
        "| 80 | 0.1458 | 30 |",
    ]
    assert curve(tmp_path).size == (640, 320)
    assert curve(tmp_path, "rate").size == (640, 320)


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        table(tmp_path)
