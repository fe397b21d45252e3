"""A real browser on a real studio, which notes what must not happen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

AXE = Path(__file__).with_name("vendor") / "axe.min.js"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Return where a Chromium is, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Tab:
    """A tab, with what went wrong in it. `quiet` fails unless nothing did.

    Attributes:
        page: Playwright's.
        wrong: What the console and the scripts complained of.
        elsewhere: Requests that left the host.
    """

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.wrong: list[str] = []
        self.elsewhere: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.text} ({message.location.get('url', '')})")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def go(self, path: str) -> None:
        """Go to a place of the page, and wait until it is there."""
        self.page.evaluate("path => { location.hash = '#/' + path; }", path)
        self.page.wait_for_function(
            "() => document.querySelector('main') && !document.querySelector('main > p[role=status]')"
        )

    def quiet(self) -> None:
        """Fail where something was complained of, or asked elsewhere."""
        assert not self.wrong
        assert not self.elsewhere

    def seen(self, what: str = "document") -> list[str]:
        """Return serious findings of axe-core on what is shown now, each with the elements it means."""
        self.page.evaluate(
            AXE.read_text("utf-8") + "; null"
        )  # in the page's world, past its policy, as an extension is
        found = self.page.evaluate(f"axe.run({what}, {{ resultTypes: ['violations'] }})")
        return [
            f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:4]]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]

    def wide(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wide


@contextmanager
def browser() -> Iterator[Any]:
    """Yield a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield made
        finally:
            made.close()


@contextmanager
def tab(browser: Any, url: str, **options: Any) -> Iterator[Tab]:
    """Yield a tab of somebody whom the browser does not know yet."""
    told = {"viewport": {"width": 1024, "height": 768}, "locale": "en-GB", **options}
    context = browser.new_context(**told)
    context.set_default_timeout(30_000)
    try:
        yield Tab(context.new_page(), url)
    finally:
        context.close()
