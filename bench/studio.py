"""The studio's page against Gradio's plain demo of the same checkpoint, in a headless Chromium; and its own figures.

Both are used alike: the prompt is put in at once, what else is clicked or pressed is counted, and the clock stops when
a finished picture is on the screen. Ours paints four pictures of 512x512 where nothing is said, so one picture is asked
for apart, by one more click; the peer paints one of 128x128. Both are started anew in each round, in turn; the first
start of ours compiles its graphs and is shown apart. Requests to other hosts are refused for both.

Gradio lives in an environment of its own that lends torch and diffusers from this one, and is left out without it:

    python -m venv gradio-venv
    python -c 'import site; print(site.getsitepackages()[0])' > gradio-venv/lib/python3.*/site-packages/shared.pth
    gradio-venv/bin/pip install gradio==6.31.0

python bench/studio.py [--gradio gradio-venv/bin/python] [--rounds 3] [--parts gradio,preview,memory] [--pictures 200]
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from studio_inside import memory, preview
from studio_pages import Demo, Studio, visit
from tools import exported, home, paired, warn_if_busy

PARTS = ("gradio", "preview", "memory")
STUDIO, ONE, DEMO = "studio, 4 pictures of 512", "studio, 1 picture of 512", "Gradio demo, 1 of 128"
Row = dict[str, float]


def compare(browser: Any, rounds: int, gradio: Path | None) -> None:
    """Start each server in each round, measure a cold and warm visits, and print medians and ratios."""
    cold: dict[str, list[Row]] = {}
    warm: dict[str, list[Row]] = {}
    with home() as place, ExitStack() as stack:
        folder = stack.enter_context(exported()) if gradio else place
        for turn in range(rounds + 1):
            first = turn == 0
            for name in (STUDIO, ONE, DEMO):
                if name == DEMO and (gradio is None or first):
                    continue
                with Demo(gradio, folder, place) if gradio and name == DEMO else Studio(place) as server:
                    found = visit(browser, server, one=name == ONE)
                    started = {
                        "usable": server.seconds + found["interactive"],
                        "picture": server.seconds + found["picture"],
                    }
                    cold.setdefault(f"{name}, first ever" if first else name, []).append(found | started)
                    if not first:
                        warm.setdefault(name, []).extend(visit(browser, server, one=name == ONE) for _ in range(2))
                if first:
                    break
    table("process start, then the page (seconds)", cold, ("usable", "picture", "clicks", "keys"))
    told = ("interactive", "picture", "clicks", "keys", "kilobytes", "files")
    table("a visit of a server that is warm, from the start of the navigation (seconds)", warm, told)


def table(title: str, rows: dict[str, list[Row]], columns: tuple[str, ...]) -> None:
    """Print medians of every row, and how many times the last one takes the time of the others."""
    print(f"\n{title}; medians of {max(len(found) for found in rows.values())}")
    print(f"  {'':<38}" + "".join(f"{name:>13}" for name in columns))
    for name, found in rows.items():
        print(f"  {name:<38}" + "".join(f"{statistics.median(row[one] for row in found):13.2f}" for one in columns))
    for name in (STUDIO, ONE) if DEMO in rows else ():
        for one in columns[:2]:
            ours, theirs = ([row[one] for row in rows[which]] for which in (name, DEMO))
            print(f"  {DEMO} / {name}, {one}: {paired(ours, theirs)}")


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gradio", type=Path, help="the Python of an environment that has Gradio")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    asked = parser.parse_args()
    parts = asked.parts.split(",")
    if not set(parts) <= set(PARTS):
        parser.error(f"parts are {', '.join(PARTS)}")
    if asked.gradio is None and "gradio" in parts:
        print("Gradio is left out: --gradio says where it is")
    warn_if_busy()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=asked.chromium, args=["--no-sandbox"])
        try:
            if "gradio" in parts:
                compare(browser, asked.rounds, asked.gradio)
            if {"preview", "memory"} & set(parts):
                with home() as place, Studio(place) as server:
                    if "preview" in parts:
                        preview(browser, server)
                    if "memory" in parts:
                        memory(browser, server, asked.pictures)
        finally:
            browser.close()


if __name__ == "__main__":
    main()
