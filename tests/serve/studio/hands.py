"""What somebody does on the pages of the studio: come in, drop files, and leave with nothing wrong."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.serve.studio.pages import Tab, tab

FAILED = "Failed to load resource"
"""What the browser itself says of every reply from 400 on; the page shows those, and tests look at that."""


class Visitor(Tab):
    """A tab of somebody who is logged in."""

    def quiet(self) -> None:
        """Fail where something was complained of, or asked elsewhere; replies from 400 on are none of that."""
        self.wrong = [one for one in self.wrong if not one.startswith(FAILED)]
        super().quiet()

    def at(self, place: str) -> Any:
        """Open a place of the page anew, and return Playwright's page."""
        self.page.goto(f"{self.url}/#/{place}")
        self.page.wait_for_selector("main h1, main h2")
        return self.page


@contextmanager
def visitor(browser: Any, url: str, token: str, **options: Any) -> Iterator[Visitor]:
    """Yield the tab of somebody with a token, whom the browser does not know yet; nothing may go wrong in it."""
    with tab(
        browser, url, **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options}
    ) as first:
        made = Visitor(first.page, url)
        reply = made.page.context.request.post(
            f"{url}/session", data={"token": token}, headers={"X-Fantascope": "1", "Origin": url}
        )
        assert reply.ok, reply.text()
        yield made
        made.quiet()


def drop(page: Any, place: str, *files: tuple[str, str, bytes]) -> None:
    """Drop files, each with name, kind and bytes, on the element of a selector."""
    told = [{"name": name, "type": kind, "data": base64.b64encode(data).decode()} for name, kind, data in files]
    page.evaluate(
        """([place, files]) => {
          const data = new DataTransfer();
          for (const one of files) {
            const bytes = Uint8Array.from(atob(one.data), (letter) => letter.charCodeAt(0));
            data.items.add(new File([bytes], one.name, { type: one.type }));
          }
          const target = document.querySelector(place);
          for (const kind of ["dragenter", "dragover", "drop"]) {
            target.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data }));
          }
        }""",
        [place, told],
    )
