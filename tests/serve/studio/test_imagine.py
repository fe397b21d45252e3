"""Imagine and the page of a picture in a real browser, on the real server and the embedded checkpoint."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.serve.conftest import TOKEN
from tests.serve.studio.conftest import MARK, Studio

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium here")]

API = "/v1/fantascope"
SETTLED = 600
"""Milliseconds after which colours that change with the theme stand still."""
AXE = Path(__file__).parent / "vendor/axe.min.js"
PROMPT = "oil painting of a red car and an automobile, warm light, zorgblat"
MARKS = """() => [...document.querySelectorAll('.im-back mark')].map((one) => [one.className, one.textContent])"""
OVERLAY = """() => {
  const [back, text] = [document.querySelector('.im-back'), document.querySelector('#im-prompt')];
  text.scrollTop = 1e6;
  text.dispatchEvent(new Event('scroll'));
  return [back.scrollHeight, text.scrollHeight, back.scrollTop, text.scrollTop, back.clientWidth, text.clientWidth];
}"""
REFUSED = "a red car on the grass in the style of Greg Rutkowski"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


class Visit:
    """Somebody at the page, in a browser of their own; what went wrong and what was asked is noted."""

    def __init__(self, browser: Any, studio: Studio, **options: Any) -> None:
        self.url = studio.url
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.context = browser.new_context(locale="en", **options)
        mark = MARK | {"Origin": studio.url}
        assert self.context.request.post(f"{studio.url}/session", data={"token": TOKEN}, headers=mark).ok
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", lambda one: self.hosts.add(urlsplit(one.url).netloc))
        self.go("imagine")
        self.page.wait_for_selector("#im-prompt")

    def _said(self, line: Any) -> None:
        # A status of 403 is what the server answers to a refused prompt; the browser notes it by itself.
        if line.type == "error" and "403" not in line.text:
            self.errors.append(line.text)

    def go(self, path: str) -> None:
        self.page.goto(f"{self.url}/#/{path}")

    def write(self, text: str) -> None:
        self.page.fill("#im-prompt", text)

    def painted(self, count: int = 1) -> None:
        """Wait until so many runs are done."""
        self.until(f"document.querySelectorAll('[data-status=\"done\"]').length >= {count}", 60.0)

    def until(self, true: str, patience: float = 20.0) -> None:
        """Wait until an expression is true. The page's own rules forbid what Playwright's waiting does."""
        end = time.monotonic() + patience
        while not self.page.evaluate(true):
            assert time.monotonic() < end, true
            self.page.wait_for_timeout(40)

    def paint(self) -> None:
        self.page.locator(".im-paint .primary").click()

    def pictures(self) -> list[str]:
        """Return the ids of the pictures of the newest run."""
        return [
            one.get_attribute("data-picture") for one in self.page.locator(".im-run").first.locator(".im-cell").all()
        ]

    def serious(self) -> list[str]:
        """Return what axe finds that is serious or worse."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:160]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@pytest.fixture
def visit(browser: Any, studio: Studio) -> Iterator[Callable[..., Visit]]:
    made: list[Visit] = []

    def start(**options: Any) -> Visit:
        made.append(Visit(browser, studio, **options))
        return made[-1]

    yield start
    for one in made:
        one.context.close()
        assert one.errors == []
        assert one.hosts <= {urlsplit(one.url).netloc, ""}  # "": data and blob addresses


@pytest.fixture
def client(studio: Studio) -> Iterator[httpx.Client]:
    with studio.client() as found:
        yield found


@pytest.fixture(scope="module")
def car(studio: Studio) -> str:
    """The id of a picture of a car that is there already."""
    with studio.client() as found:
        body = {"prompt": "a red car", "seed": 7}
        return str(found.post(f"{API}/imagine?wait=true", json=body, timeout=60).json()["artifacts"][0])


def test_the_prompt_is_coloured_as_it_is_typed(visit: Callable[..., Visit]) -> None:
    one = visit()
    one.write("🚗🚗 " + PROMPT)
    one.page.wait_for_selector(".im-back .im-part-lighting")
    marks = one.page.evaluate(MARKS)
    texts = {kind: "".join(text for names, text in marks if kind in names.split()) for kind in ("im-part-lighting",)}
    assert texts == {"im-part-lighting": "warm light"}  # also behind characters of two code units
    assert any("im-strange-read" in names and "automobile" in text for names, text in marks)
    assert any("im-strange-untaught" in names and text == "zorgblat" for names, text in marks)
    assert "is read as a car" in re.sub(r"\s+", " ", one.page.inner_text(".im-notes"))
    has = {chip.inner_text() for chip in one.page.locator(".im-has").all()}
    lacks = {chip.inner_text() for chip in one.page.locator(".im-lacks").all()}
    assert {"subject", "medium", "lighting", "colour"} <= has and {"artist", "website"} <= lacks
    assert len(has) + len(lacks) == 9
    one.page.get_by_role("button", name="lighting: warm light").click()
    assert one.page.evaluate("getSelection().toString()") == "warm light"


def test_the_colours_wrap_and_scroll_as_the_text_does(visit: Callable[..., Visit]) -> None:
    one = visit(viewport={"width": 390, "height": 700})
    one.write("\n".join(f"{PROMPT} beside a house on the grass {'wide' * k}" for k in range(14)))
    one.page.wait_for_selector(".im-back .im-part")
    back, text, moved, scrolled, wide, width = one.page.evaluate(OVERLAY)
    assert (back, wide) == (text, width)
    assert moved == scrolled > 50
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_from_words_to_pictures_with_previews_and_back_after_a_refresh(
    visit: Callable[..., Visit], client: httpx.Client
) -> None:
    one = visit()
    one.write("a red car")
    one.page.keyboard.press("Control+e")
    one.page.wait_for_selector(".im-expanded")
    expanded = one.page.input_value("#im-prompt")
    assert expanded.startswith("a red car, ")
    one.page.get_by_role("button", name="Take it back").click()
    assert one.page.input_value("#im-prompt") == "a red car"
    one.page.keyboard.press("Control+e")
    one.until(f"document.querySelector('#im-prompt').value === {json.dumps(expanded)}")
    one.page.locator(".im-count", has_text="2").click()
    one.until("document.querySelector('.im-price')?.textContent.startsWith('2 credits')")
    one.page.focus("#im-prompt")
    one.page.keyboard.press("Control+Enter")
    one.until("document.querySelectorAll('.im-preview').length === 2")
    shown = [image.get_attribute("src") for image in one.page.locator(".im-preview").all()]
    assert all(src and src.startswith("data:image/png") for src in shown) and shown[0] != shown[1]
    assert "of 20" in one.page.inner_text(".im-run-facts")
    one.painted()
    made = one.pictures()
    job = next(job for job in client.get(f"{API}/jobs").json()["data"] if job["artifacts"] == made)
    assert (job["request"]["said"], job["request"]["prompt"], job["n"]) == ("a red car", expanded, 2)
    one.page.reload()
    one.page.wait_for_selector("#im-prompt")
    assert one.page.input_value("#im-prompt") == expanded
    assert one.pictures() == made
    assert one.page.inner_text(".im-count[aria-pressed=true]") == "2"


def test_a_run_goes_on_over_a_refresh_and_can_be_cancelled(visit: Callable[..., Visit], client: httpx.Client) -> None:
    one = visit()
    one.write("a yellow bird beside a house")
    one.page.get_by_label("How many, another number").fill("16")
    one.page.keyboard.press("Tab")
    one.paint()
    one.page.wait_for_selector(".im-preview")
    one.page.reload()
    one.page.wait_for_selector(".im-preview")
    assert one.page.locator(".im-cell").count() == 16
    one.page.get_by_role("button", name="Cancel").click()
    one.page.wait_for_selector('[data-status="cancelled"]')
    newest = client.get(f"{API}/jobs?limit=1").json()["data"][0]
    assert newest["status"] == "cancelled" and newest["request"]["prompt"] == "a yellow bird beside a house"
    assert "Cancelled: " in one.page.inner_text(".im-run")


def test_vary_compare_and_the_page_of_a_picture_by_keyboard(visit: Callable[..., Visit], client: httpx.Client) -> None:
    one = visit(viewport={"width": 1600, "height": 1000})
    one.page.locator(".im-count", has_text="2").click()
    few = one.page.locator("option", has_text="four steps").first.inner_text()
    one.page.get_by_label("Model").select_option(label=few)
    one.write("a red car")
    one.page.focus("#im-prompt")
    one.page.keyboard.press("Control+Enter")
    one.painted()
    first = one.pictures()[0]
    one.page.locator(".im-cell").first.focus()
    one.page.keyboard.press("v")
    one.painted(2)
    varied = one.pictures()
    assert sorted(client.get(f"{API}/gallery/{first}/history").json()["children"]) == sorted(varied)
    receipt = client.get(f"{API}/gallery/{varied[0]}/receipt").json()
    asked = {name: receipt["request"][name] for name in ("task", "amount", "model")}
    assert asked == {"task": "vary", "amount": "subtle", "model": "embedded-few"}  # what its picture was painted with
    assert receipt["parents"] == [first]

    one.page.locator(".im-cell").first.focus()
    for key in (" ", "ArrowRight", " ", "x"):
        one.page.keyboard.press(key)
    over = one.page.locator("dialog .im-top")
    assert over.evaluate("(one) => one.style.clipPath") == "inset(0px 0px 0px 50%)"
    one.page.keyboard.press("ArrowRight")  # the line has the focus
    assert over.evaluate("(one) => one.style.clipPath") == "inset(0px 0px 0px 51%)"
    one.page.get_by_role("tab", name="Flip").click()
    assert over.evaluate("(one) => getComputedStyle(one).visibility") == "hidden"
    one.page.locator(".im-flip button").click()
    assert over.evaluate("(one) => getComputedStyle(one).visibility") == "visible"
    one.page.keyboard.press("Escape")

    one.page.locator(".im-cell").first.focus()
    one.page.keyboard.press("Enter")
    one.page.wait_for_selector(".pi-verdict.pi-holds")
    assert one.page.evaluate("location.hash") == f"#/picture/{varied[0]}"
    told = one.page.inner_text(".pi-side")
    assert str(receipt["request"]["seed"]) in told and "Apache License 2.0" in told and "Signed by" in told
    assert receipt["policy"][:16] in told
    tree = one.page.locator(".pi-node")
    assert tree.count() == 3 and one.page.locator(".pi-node[aria-current]").count() == 1
    one.page.get_by_role("region", name="Nearest training drawings").scroll_into_view_if_needed()
    one.page.wait_for_selector(".pi-near li")
    near = client.get(f"{API}/gallery/{varied[0]}/attribute?top=1").json()["things"][0]["near"][0]
    assert near["author"] in one.page.inner_text(".pi-near")
    one.page.keyboard.press("1")
    assert one.page.inner_text(".pi-scale") == "100 %"
    assert one.page.evaluate("document.querySelector('.pi-sheet').getBoundingClientRect().width") == 512


def test_a_refusal_says_its_rule_marks_the_words_and_offers_what_is_allowed(
    visit: Callable[..., Visit], client: httpx.Client
) -> None:
    one = visit()
    before = len(client.get(f"{API}/refusals").json()["data"])
    one.write(REFUSED)
    one.page.wait_for_selector(".im-rewordings .button")
    marked = "".join(text for names, text in one.page.evaluate(MARKS) if "im-refused" in names.split())
    assert marked == "Greg Rutkowski"
    assert len(client.get(f"{API}/refusals").json()["data"]) == before  # typing logs no refusal
    one.paint()
    one.page.wait_for_selector(".error-note")
    logged = client.get(f"{API}/refusals").json()["data"]
    assert len(logged) == before + 1
    why, _, told = logged[0]["reason"].partition(" Rule ")
    assert one.page.inner_text(".error-message") == why
    assert "fantascope" not in one.page.inner_text(".error-note"), "no command of a terminal"
    assert told.startswith("artist/living") and "Rule artist/living" in one.page.inner_text(".error-note")
    one.page.get_by_role("button", name="Appeal").click()
    one.page.get_by_label("Why this should be allowed").fill("It is for a school.")
    one.page.get_by_role("button", name="Send the appeal").click()
    one.page.get_by_text("The appeal was sent.").wait_for()
    assert client.get(f"{API}/refusals").json()["data"][0]["appeal"] == "It is for a school."
    one.page.locator(".im-rewordings .button").first.click()
    allowed = one.page.input_value("#im-prompt")
    assert allowed == "a red car on the grass, epic fantasy oil painting"
    assert client.post(f"{API}/judge", json={"text": allowed}).json()["allowed"]
    one.page.wait_for_selector(".error-note", state="detached")


def test_a_dropped_picture_is_described_and_varied(
    visit: Callable[..., Visit], client: httpx.Client, car: str, tmp_path: Path
) -> None:
    (tmp_path / "car.png").write_bytes(client.get(f"{API}/gallery/{car}/file").content)
    one = visit()
    with one.page.expect_file_chooser() as chosen:
        one.page.get_by_role("button", name="From a picture").click()
    chosen.value.set_files(tmp_path / "car.png")
    reading = one.page.locator(".im-reading").first
    reading.wait_for()
    text = client.get(f"{API}/gallery/{car}/describe").json()["readings"][0]["prompt"]
    assert reading.inner_text() == text
    reading.click()
    one.until(f"document.querySelector('#im-prompt').value === {json.dumps(text)}")
    one.go(f"imagine?from={car}")
    one.page.locator(".im-dropped").get_by_label("Strength").first.fill("0.3")
    one.page.locator(".im-count", has_text="1").evaluate("(button) => button.click()")
    one.page.get_by_role("button", name="Paint variations").click()
    one.painted()
    receipt = client.get(f"{API}/gallery/{one.pictures()[0]}/receipt").json()
    assert (receipt["request"]["strength"], receipt["request"]["prompt"]) == (0.3, text)


def test_nothing_serious_stands_in_the_way_of_anybody(visit: Callable[..., Visit], car: str) -> None:
    one = visit()
    one.write(PROMPT + ", by Greg Rutkowski")
    one.page.wait_for_selector(".im-rewordings .button")
    for fold in one.page.locator(".im-fold summary").all():
        fold.click()
    found = {"light": one.serious()}
    one.page.emulate_media(color_scheme="dark")
    one.page.wait_for_timeout(SETTLED)
    found["dark"] = one.serious()
    one.go(f"picture/{car}")
    one.page.wait_for_selector(".pi-verdict")
    one.page.locator(".pi-more summary").click()
    found["picture, dark"] = one.serious()
    one.page.emulate_media(color_scheme="light")
    one.page.wait_for_timeout(SETTLED)
    found["picture, light"] = one.serious()
    assert not any(found.values()), found
