"""The two pages that `bench/studio.py` compares: how each is started, and what somebody does on it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tools import HERE, PROMPT, environment

TOKEN = "token-of-the-bench-studio"
PATIENCE = 180.0
WEIGHT = """() => {
  const all = performance.getEntries().filter((one) => "transferSize" in one);
  return [all.reduce((sum, one) => sum + one.transferSize, 0), all.length];
}"""
"""Bytes and files that came over the line so far."""


class Server:
    """A server in a process of its own. `seconds` is how long it took until it answered."""

    box: str
    enter: str
    finished: str
    url: str
    seconds: float
    process: subprocess.Popen[str]

    def link(self) -> str:
        """Return the address by which somebody new comes in."""
        return self.url

    def one_picture(self, page: Any) -> int:
        """Ask for one picture; return how many clicks that takes."""
        return 0

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)


class Studio(Server):
    """`fantascope studio` with a home."""

    box, enter = "#im-prompt", "Control+Enter"
    finished = ".im-kept img"

    def __init__(self, place: Path) -> None:
        words = [sys.executable, "-m", "fantascope", "studio", "--no-browser", "--json", "--port", "0"]
        since = time.perf_counter()
        with (place / "studio.log").open("a") as log:
            self.process = subprocess.Popen(
                words, env=environment(place, FANTASCOPE_TOKEN=TOKEN), stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit((place / "studio.log").read_text())
        self.seconds = time.perf_counter() - since
        told = json.loads(line)
        self.url, self.login = str(told["url"]), str(told["login"])

    def client(self) -> httpx.Client:
        """Return an HTTP client of whoever runs it."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.Client(base_url=f"{self.url}/v1/fantascope", headers=headers, timeout=PATIENCE)

    def link(self) -> str:
        login, self.login = self.login, ""
        if login:
            return login
        with self.client() as client:
            return str(client.post("/account/login").raise_for_status().json()["url"])

    def one_picture(self, page: Any) -> int:
        page.locator(".im-settings button", has_text="1").and_(page.get_by_role("button", name="1", exact=True)).click()
        return 1


class Demo(Server):
    """Gradio's plain demo of an exported checkpoint."""

    box, enter = "textarea", "Enter"
    finished = 'img[src*="/file="]'

    def __init__(self, python: Path, folder: Path, place: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        words = [str(python), str(HERE / "gradio_demo.py"), str(folder), str(port)]
        quiet = environment(place, GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=str(place / "gradio"))
        since = time.perf_counter()
        with (place / "demo.log").open("a") as log:
            self.process = subprocess.Popen(words, env=quiet, stdout=log, stderr=log, text=True)
        self.url = f"http://127.0.0.1:{port}/"
        while True:
            try:
                httpx.get(self.url, timeout=30).raise_for_status()
                break
            except httpx.HTTPError:
                if self.process.poll() is not None or time.perf_counter() - since > PATIENCE:
                    raise SystemExit((place / "demo.log").read_text()) from None
                time.sleep(0.02)
        self.seconds = time.perf_counter() - since


@contextmanager
def page_of(browser: Any, server: Server) -> Iterator[Any]:
    """Yield a page of somebody whom the browser does not know; other hosts do not answer."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(PATIENCE * 1000)
    host = server.url.rstrip("/")
    context.route(lambda url: not url.startswith((host, "data:", "blob:")), lambda route: route.abort())
    try:
        yield context.new_page()
    finally:
        context.close()


def visit(browser: Any, server: Server, *, one: bool) -> dict[str, float]:
    """Come to the page, put a prompt in and wait for a finished picture.

    Args:
        browser: Playwright's.
        server: Where.
        one: Ask for one picture where the page would make more.

    Returns:
        Seconds from the start of the navigation until the prompt can be written (`interactive`) and until a finished
        picture is shown (`picture`); `clicks` and `keys` beside the prompt; `kilobytes` and `files` until it can be
        written.
    """
    with page_of(browser, server) as page:
        link = server.link()
        since = time.perf_counter()
        page.goto(link, wait_until="commit")
        box = page.locator(server.box).first
        page.wait_for_function("place => document.querySelector(place)?.disabled === false", arg=server.box)
        clicks = 0
        if not box.evaluate("box => document.activeElement === box"):
            box.click()
            clicks += 1
        page.keyboard.insert_text(PROMPT)
        page.wait_for_function(
            "([place, text]) => document.querySelector(place).value === text", arg=[server.box, PROMPT]
        )
        interactive = time.perf_counter() - since
        weight, files = page.evaluate(WEIGHT)
        clicks += server.one_picture(page) if one else 0
        page.keyboard.press(server.enter)
        page.wait_for_function(
            "place => [...document.querySelectorAll(place)].some((one) => one.complete && one.naturalWidth > 0)",
            arg=server.finished,
        )
        picture = time.perf_counter() - since
    return {
        "interactive": interactive,
        "picture": picture,
        "clicks": clicks,
        "keys": 1,
        "kilobytes": weight / 1000,
        "files": files,
    }
