"""A canvas of the studio in a browser, with hands."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

API = "/v1/fantascope"
HASHES = """async () => Object.fromEntries(await Promise.all(fantascope.desk.project.layers.map(async (layer) => {
  const bytes = layer.raster ? layer.raster.pixels().data : new TextEncoder().encode(JSON.stringify(layer.people));
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [layer.name, [...sum].map((one) => one.toString(16).padStart(2, "0")).join("")];
})))"""
"""Of every layer's pixels, or its people."""

FLAT = """async () => {
  const { flattened } = await import("/js/canvas/project.js"), canvas = flattened(fantascope.desk.project);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let text = "";
  for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
  return [canvas.width, canvas.height, btoa(text)];
}"""
FULL = """() => {
  const { put } = IDBObjectStore.prototype;
  window.roomy = () => { IDBObjectStore.prototype.put = put; };
  IDBObjectStore.prototype.put = () => { throw new DOMException("no room", "QuotaExceededError"); };
}"""
"""A browser's quota cannot be made smaller from outside: what it says then is said here."""


class Canvas:
    """A page with a project, and hands."""

    def __init__(self, context: Any, url: str) -> None:
        self.context, self.url, self.errors = context, url, []
        self.page = self.opened()

    def opened(self) -> Any:
        page = self.context.new_page()
        page.set_default_timeout(30000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        return page

    def start(self, width: int = 512, height: int = 512) -> Canvas:
        self.page.goto(f"{self.url}/#/canvas")
        self.page.get_by_label("Width, pixels").fill(str(width))
        self.page.get_by_label("Height, pixels").fill(str(height))
        self.page.get_by_role("button", name="Create").click()
        self.ready()
        return self

    def ready(self, page: Any = None) -> None:
        (page or self.page).wait_for_selector(".canvas-stage canvas")
        self.until("window.fantascope?.desk?.board?.view.k > 0", page)

    def until(self, code: str, page: Any = None) -> None:
        """Wait until something is so. (The browser's own waiting needs `eval`, which the page forbids.)"""
        end = time.monotonic() + 30
        while not (page or self.page).evaluate(code):
            assert time.monotonic() < end, code
            (page or self.page).wait_for_timeout(30)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the canvas is on the screen."""
        box = self.page.locator(".canvas-stage").bounding_box()
        view = self.js("fantascope.desk.board.view")
        return box["x"] + view["x"] + x * view["k"], box["y"] + view["y"] + y * view["k"]

    def drag(self, *points: tuple[float, float], steps: int = 4) -> None:
        self.page.mouse.move(*self.at(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(*point), steps=steps)
        self.page.mouse.up()

    def tool(self, key: str, **brush: Any) -> None:
        self.page.locator(".canvas-stage").focus()
        self.page.keyboard.press(key)
        if brush:
            self.page.evaluate("(brush) => fantascope.desk.setBrush(brush)", brush)

    def js(self, code: str, *args: Any) -> Any:
        return self.page.evaluate(code, *args)

    def hashes(self) -> dict[str, str]:
        found: dict[str, str] = self.js(HASHES)
        return found

    def kept(self) -> None:
        self.until("fantascope.desk.state.kind === 'saved' && !fantascope.desk.saver.timer")

    def layers(self) -> list[str]:
        found: list[str] = self.js("fantascope.desk.project.layers.map((one) => one.name)")
        return found

    def make(self, mode: str, prompt: str | None = None, wait: bool = True, steps: int = 4) -> None:
        self.page.get_by_role("tab", name="Make").click()
        self.page.get_by_label("What to make").select_option(label=mode)
        if prompt is not None:
            self.page.get_by_label("Prompt", exact=True).fill(prompt)
        self.page.locator(".canvas-more:not([open]) summary").click()
        self.page.get_by_label("Steps", exact=True).fill(str(steps))
        self.page.get_by_role("button", name="Make", exact=True).click()
        if wait:
            self.page.get_by_role("button", name="Accept").wait_for(timeout=60000)

    def result(self) -> str:
        """Return the id of the picture that waits to be accepted."""
        found: str = self.js("fantascope.desk.pending.pending.artifact")
        return found

    def flat(self) -> np.ndarray[Any, Any]:
        """Return what is visible of pictures and paint, (H, W, 4)."""
        width, height, data = self.js(FLAT)
        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)


@contextmanager
def easel(browser: Any, url: str, token: str) -> Iterator[Callable[..., Canvas]]:
    """Yield what opens a new canvas of a size in a context of its own. Nothing may go wrong in it."""
    made: list[Canvas] = []

    def opened(
        width: int = 512, height: int = 512, before: Callable[[Canvas], Any] = lambda _: None, **options: Any
    ) -> Canvas:
        context = browser.new_context(
            **{"viewport": {"width": 1100, "height": 760}, "accept_downloads": True, **options}
        )
        reply = context.request.post(f"{url}/session", data={"token": token}, headers={"X-Fantascope": "1"})
        assert reply.ok
        made.append(Canvas(context, url))
        before(made[-1])
        return made[-1].start(width, height)

    try:
        yield opened
    finally:
        for one in made:
            one.context.close()
    for one in made:
        assert one.errors == []
