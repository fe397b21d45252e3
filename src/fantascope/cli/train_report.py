"""`fantascope train report`: what trainings did, as a page with tables, curves and the pictures painted on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fantascope.cli.data import Json, say
from fantascope.cli.train_control import app

__all__ = ["app", "report"]


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="folders of runs")],
    out: Annotated[Path, typer.Option(help="folder for report.md and its pictures")],
    as_json: Json = False,
) -> None:
    """Write report.md about one or more runs: every figure in a table and as a curve, and the pictures painted."""
    from fantascope.train.report import write_report

    path = write_report(runs, out)
    say(as_json, "report", f"{path}: {len(runs)} runs", path=path, runs=[str(run) for run in runs])
