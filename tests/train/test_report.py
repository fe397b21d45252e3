"""Reports are made of the log, and repeated steps count once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from fantascope.errors import NotFound
from fantascope.train.report import curve, read_log, table, write_report


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


def test_a_report_shows_every_figure_and_the_pictures_painted(tmp_path: Path) -> None:
    run, out = tmp_path / "base", tmp_path / "report"
    (run / "pictures").mkdir(parents=True)
    rows = [{"step": step, "loss": 10 / step, "rate": 30.0, "time": 60.0 * step} for step in (20, 40, 60)]
    (run / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for step in range(8):
        Image.new("RGB", (4, 4), (step, 0, 0)).save(run / "pictures" / f"{step:07d}.png")
    page = write_report([run], out, sheets=2).read_text("utf-8")
    shown = [line.split("(")[1].rstrip(")") for line in page.splitlines() if line.startswith("![")]
    assert shown == ["00-base-loss.png", "00-base-rate.png", "00-base-0000003.png", "00-base-0000007.png"]
    assert all((out / name).is_file() for name in shown)
    assert "60 steps, 40 minutes" in page
    with pytest.raises(NotFound):
        write_report([run, tmp_path], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        table(tmp_path)
