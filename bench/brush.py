"""How long a frame takes while the brush paints: the canvas of the studio in a headless Chromium, on its real server.

A fast zigzag is drawn with the mouse over a canvas of SIDE pixels that lies under a picture, a mask and a scribble. For
each frame in which something was painted: the milliseconds of all work of the page (pointer events, painting the layer,
showing it), timed with `performance.now()`, and the time between frames that the browser gave. A browser may put
drawing off until after the script: a pixel of the screen's canvas is read at the end of each frame, so that it is done.

python bench/brush.py [SIDE] [--chromium PATH]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tools import environment, warn_if_busy

LIMIT = 16.0
"""Milliseconds of a frame."""

LINES, STEPS = 20, 12
"""Lines of the zigzag, and moves of the mouse in each: some 40 px of the screen in a frame, as a fast hand does."""

WATCH = """() => {
  const { desk } = fantascope, { board } = desk, rows = [];
  const screen = board.base.getNativeCanvasElement().getContext("2d"), { moved, flush } = board;
  screen.getImageData(0, 0, 1, 1);
  let work = 0, last = performance.now(), painted = false;
  const timed = (what) => {
    const from = performance.now();
    what();
    work += performance.now() - from;
  };
  board.moved = (event) => timed(() => moved.call(board, event));
  board.flush = () => {
    timed(() => { flush.call(board); screen.getImageData(0, 0, 1, 1); });
    painted = true;
  };
  const frame = (now) => {
    if (painted) rows.push([work, now - last]);
    work = 0; painted = false; last = now;
    window.watching = requestAnimationFrame(frame);
  };
  window.watching = requestAnimationFrame(frame);
  window.watched = () => {
    cancelAnimationFrame(window.watching);
    Object.assign(board, { moved, flush });
    return rows;
  };
}"""

REPAINT = """() => {
  const { board } = fantascope.desk, screen = board.base.getNativeCanvasElement().getContext("2d");
  board.rough = true;
  return Array.from({ length: 9 }, () => {
    const from = performance.now();
    board.paint(null);
    screen.getImageData(0, 0, 1, 1);
    return performance.now() - from;
  });
}"""
"""Showing all of the canvas again, as when it is panned."""

LAYERS = """() => {
  const { desk } = fantascope, { raster } = desk.active;
  const image = new ImageData(raster.width, raster.height), data = new Uint32Array(image.data.buffer);
  let seed = 1;
  for (let i = 0; i < data.length; i += 1) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    data[i] = seed | 0xff000000;
  }
  raster.fill(image);
  for (const kind of ["mask", "sketch", "paint"]) desk.newLayer(kind);
}"""


def measure(url: str, login: str, side: int, chromium: str) -> list[dict[str, Any]]:
    """Paint with each brush and return the figures of its frames."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        page.goto(login)
        page.goto(f"{url}/#/canvas")
        page.get_by_label("Width, pixels").fill(str(side))
        page.get_by_label("Height, pixels").fill(str(side))
        page.get_by_role("button", name="Create").click()
        page.wait_for_selector(".canvas-stage canvas")
        page.evaluate(LAYERS)
        found = []
        for name, brush in (
            ("hard, 24 px", {"size": 24, "softness": 0}),
            ("soft, 120 px", {"size": 120, "softness": 0.8}),
            ("soft, 256 px", {"size": 256, "softness": 1}),
        ):
            page.evaluate("(brush) => fantascope.desk.setBrush(brush)", brush)
            page.evaluate("fantascope.desk.saver.on = false")
            page.wait_for_timeout(400)
            rows = stroke(page)
            work, gaps = [row[0] for row in rows], [row[1] for row in rows]
            found.append(
                {
                    "brush": name,
                    "side": side,
                    "frames": len(rows),
                    "work_median_ms": round(statistics.median(work), 2),
                    "work_p95_ms": round(sorted(work)[int(0.95 * len(work))], 2),
                    "work_max_ms": round(max(work), 2),
                    "frame_median_ms": round(statistics.median(gaps), 2),
                    "frame_p95_ms": round(sorted(gaps)[int(0.95 * len(gaps))], 2),
                    "within_16_ms": round(sum(one <= LIMIT for one in work) / len(work), 3),
                }
            )
        found.append({"side": side, "whole_repaint_median_ms": round(statistics.median(page.evaluate(REPAINT)), 2)})
        browser.close()
        return found


def stroke(page: Any) -> list[list[float]]:
    """Draw a zigzag over the whole canvas, and return work and gap of every frame that painted."""
    box = page.locator(".canvas-stage").bounding_box()
    assert box is not None
    left, top, right, bottom = (
        box["x"] + 130,
        box["y"] + 40,
        box["x"] + box["width"] - 130,
        box["y"] + box["height"] - 40,
    )
    page.evaluate(WATCH)
    page.mouse.move(left, top)
    page.mouse.down()
    for k in range(1, LINES + 1):
        page.mouse.move(right if k % 2 else left, top + (bottom - top) * k / LINES, steps=STEPS)
    rows: list[list[float]] = page.evaluate("watched()")
    page.mouse.up()
    page.wait_for_timeout(200)
    return rows


def main() -> None:
    """Start a studio with a home of its own, measure, and print a line of JSON for each brush."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", nargs="?", type=int, default=2048)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    asked = parser.parse_args()
    warn_if_busy()
    with tempfile.TemporaryDirectory() as place, (Path(place) / "log").open("w") as log:
        words = [sys.executable, "-m", "fantascope", "studio", "--no-browser", "--json", "--port", "0"]
        process = subprocess.Popen(words, env=environment(Path(place)), stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            for row in measure(told["url"], told["login"], asked.side, asked.chromium):
                print(json.dumps(row))
        finally:
            process.terminate()
            process.wait(60)


if __name__ == "__main__":
    main()
