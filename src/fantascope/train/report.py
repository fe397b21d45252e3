"""What a training did, as a Markdown table and a curve, read from the `log.jsonl` that `fit` keeps."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from PIL import Image, ImageDraw

from fantascope.errors import NotFound

SIZE = (640, 320)
EDGE = 40


def read_log(run: Path) -> list[dict[str, Any]]:
    """Read a run's events. Where a killed run repeated steps, the later row counts.

    Raises:
        NotFound: The folder holds no log.
    """
    path = run / "log.jsonl"
    if not path.is_file():
        raise NotFound(f"{run} holds no training: there is no {path.name}.", param="run")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return sorted({row["step"]: row for row in rows}.values(), key=lambda row: int(row["step"]))


def table(run: Path, lines: int = 10) -> str:
    """A Markdown table of `lines` rows spread over the run, every figure a mean since the row before."""
    rows = read_log(run)
    names = [name for name in rows[-1] if name not in ("step", "time")]
    count = min(lines, len(rows))
    ends = [math.ceil(len(rows) * (k + 1) / count) for k in range(count)]
    out = [f"| step | {' | '.join(names)} |", "|" + "---|" * (len(names) + 1)]
    for start, end in zip([0, *ends], ends, strict=False):
        part = rows[start:end]
        means = (fmean(row[name] for row in part if name in row) for name in names)
        out.append(f"| {part[-1]['step']} | {' | '.join(f'{mean:.4g}' for mean in means)} |")
    return "\n".join(out) + "\n"


def write_report(runs: Sequence[Path], out: Path, sheets: int = 6) -> Path:
    """Write `out/report.md` with tables, curves and the pictures painted on the way; return its path.

    Args:
        runs: Folders of runs, each with a log.
        out: Folder, made if missing. Files of an older report in it are replaced.
        sheets: At most so many sheets of a run are shown, spread over it.

    Raises:
        NotFound: A folder holds no training.
    """
    tables = {run: table(run) for run in runs}
    out.mkdir(parents=True, exist_ok=True)
    lines = ["# Training report", ""]
    for number, run in enumerate(runs):
        rows, stem = read_log(run), f"{number:02d}-{run.name}"
        seconds = rows[-1]["time"] - rows[0]["time"]
        lines += [f"## {run.name}", "", f"{int(rows[-1]['step'])} steps, {seconds / 60:.0f} minutes between the first "]
        lines[-1] += "and the last line of the log, pauses included."
        lines += ["", tables[run]]
        for name in (name for name in rows[-1] if name not in ("step", "time")):
            curve(run, name).save(out / f"{stem}-{name}.png")
            lines += [f"![{name}]({stem}-{name}.png)"]
        painted = sorted((run / "pictures").glob("*.png"))
        count = min(sheets, len(painted))
        for path in (painted[math.ceil(len(painted) * (k + 1) / count) - 1] for k in range(count)):
            shutil.copyfile(path, out / f"{stem}-{path.name}")
            lines += ["", f"After {int(path.stem)} steps:", "", f"![pictures]({stem}-{path.name})"]
        lines += [""]
    (out / "report.md").write_text("\n".join(lines), "utf-8")
    return out / "report.md"


def curve(run: Path, name: str = "loss", *, log: bool = True) -> Image.Image:
    """Draw one figure of a run over its steps; with `log` the vertical axis is, where all values are positive."""
    rows = [row for row in read_log(run) if name in row]
    steps, values = [float(row["step"]) for row in rows], [float(row[name]) for row in rows]
    log = log and min(values) > 0
    heights = [math.log(value) for value in values] if log else values
    low, high = min(heights), max(heights)
    width, height = SIZE
    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((EDGE, EDGE / 2, width - EDGE / 2, height - EDGE), outline="gray")
    points = [
        (
            EDGE + (width - 1.5 * EDGE) * step / steps[-1],
            height - EDGE - (height - 1.5 * EDGE) * ((value - low) / (high - low) if high > low else 0.5),
        )
        for step, value in zip(steps, heights, strict=True)
    ]
    draw.line(points, fill=(48, 100, 225), width=2)
    draw.text((EDGE, height - EDGE + 8), f"{name} over steps, to {int(steps[-1])}", fill="black")
    draw.text((4, EDGE / 2), f"{max(values):.3g}", fill="black")
    draw.text((4, height - EDGE - 12), f"{min(values):.3g}", fill="black")
    return picture
