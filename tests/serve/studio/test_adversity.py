"""What happens to people: a wrong clock, pasted markup, a book as a prompt, files without number, a full disk."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.serve.conftest import TOKEN
from tests.serve.studio.canvases import Canvas, easel
from tests.serve.studio.conftest import MARK, picture
from tests.serve.studio.hands import Visitor, drop
from tests.serve.studio.pages import chromium, tab

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium() is None, reason="no chromium is here")]

API = "/v1/fantascope"
DAY = 24 * 3600.0
MARKUP = "<img src=x onerror='window.harmed=1'><b>a red car</b><script>window.harmed=1</script>{{7*7}}<!--"
PASTE = """([place, html, text]) => {
  const box = document.querySelector(place), data = new DataTransfer();
  data.setData("text/html", html);
  data.setData("text/plain", text);
  box.focus();
  if (box.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: data }))) {
    document.execCommand("insertText", false, text);
  }
}"""
"""Pastes as a browser does: who handles the event may, and else a textarea takes the plain text."""


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_a_day_off(chrome: Any, studio: Any, days: int) -> None:
    with studio.client() as client:
        link = client.post(f"{API}/account/login").json()["url"]
    with tab(chrome, studio.url, timezone_id="UTC", locale="en-GB") as made:
        page = made.page
        page.clock.install(time=datetime.now(UTC) + timedelta(days=days))
        page.goto(link)
        page.wait_for_selector("main textarea")
        off = page.evaluate("Date.now()") / 1000 - time.time()
        assert abs(off - days * DAY) < 120, "the clock is wrong indeed"
        made.go("imagine")
        page.locator("main textarea").first.fill("oil painting of a red car, warm light")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector('main img[src*="/thumbnail"]', timeout=60_000)
        made.go("jobs")
        created = page.locator(".jb-job").first.inner_text()
        assert datetime.now(UTC).strftime("%b %-d, %Y") in created, "the server's day is said, not the browser's"
        page.reload()
        page.wait_for_selector(".jb-job")
        made.go("library")
        page.get_by_text("Filters", exact=True).click()
        page.get_by_label("From day").fill(datetime.now(UTC).strftime("%Y-%m-%d"))
        page.wait_for_selector(".lb-tile")
        ((left,),) = [[one["expires"] for one in page.context.cookies() if one["httpOnly"]]]
        assert 29 * DAY < left - time.time() < 31 * DAY
        made.quiet()


def test_a_sessions_cookie_lasts_by_the_browsers_own_clock(studio: Any) -> None:
    with httpx.Client(base_url=studio.url, headers=MARK) as client:
        told = client.post("/session", json={"token": TOKEN}).raise_for_status().headers["set-cookie"].lower()
    assert "max-age=2592000" in told and "expires=" not in told, (
        "a date would be compared with a clock that may be wrong"
    )


def test_three_hundred_files_at_once_on_the_library(seen: Visitor, chrome: Any) -> None:
    page = seen.at("library")
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.method) if one.method != "GET" else None)
    drop(page, ".lb", *((f"{k}.txt", "text/plain", b"words " * 2000) for k in range(300)))
    page.wait_for_selector(".toast >> text=300 files at once")
    page.get_by_text("This is not a PNG, JPEG or WebP picture.").wait_for()
    assert len(asked) == 1, "one file is checked, and the rest is not sent"
    assert "only the first is taken" in page.inner_text(".toasts")
    assert page.locator(".toast").count() <= 4
    page.get_by_role("tab", name="Pictures").click()
    page.wait_for_selector(".lb-filters")


def test_many_files_on_the_canvas_are_bounded_too(chrome: Any, studio: Any) -> None:
    with easel(chrome, studio.url, TOKEN) as opened:
        it = opened(64, 64)
        png = bytes.fromhex("89504e470d0a1a0a")
        drop(it.page, ".canvas", *((f"{k}.png", "image/png", png) for k in range(300)))
        it.page.wait_for_selector(".toast >> text=300 files at once")
        assert len(it.layers()) == 1, "what is no picture adds no layer"


def test_pasted_markup_is_text_in_the_prompt(seen: Visitor) -> None:
    page = seen.at("imagine")
    page.wait_for_selector("#im-prompt")
    page.evaluate(PASTE, ["#im-prompt", MARKUP, MARKUP])
    assert page.locator("#im-prompt").input_value() == MARKUP
    page.wait_for_selector(".im-back mark")
    page.wait_for_timeout(300)
    assert page.inner_text(".im-back").rstrip("\u200b") == MARKUP
    page.get_by_label("How many").first.get_by_role("button", name="1", exact=True).click()
    page.keyboard.press("Control+Enter")
    page.wait_for_selector('[data-status="done"], .error-note, .im-refusal', timeout=60_000)
    page.reload()
    page.wait_for_selector("#im-prompt")
    assert page.evaluate("window.harmed") is None
    assert page.locator("main b:text-is('a red car'), main script, main img[src=x]").count() == 0


def test_pasted_markup_is_text_in_a_conversation(seen: Visitor, studio: Any) -> None:
    with studio.client() as client:
        first = picture(client, prompt="a red car", model="embedded", steps=4)["artifacts"][0]
    page = seen.at(f"converse/{first}")
    page.wait_for_selector(".cv-line textarea")
    page.evaluate(PASTE, [".cv-line textarea", MARKUP, MARKUP])
    assert page.locator(".cv-line textarea").input_value() == MARKUP
    page.keyboard.press("Enter")
    page.wait_for_selector(".error-note, .cv-line textarea:placeholder-shown", timeout=60_000)
    page.reload()
    page.wait_for_selector(".cv-composer")
    assert page.evaluate("window.harmed") is None
    assert page.locator("main b:text-is('a red car'), main script, main img[src=x]").count() == 0


def test_a_prompt_of_a_hundred_kilobytes(seen: Visitor) -> None:
    page = seen.at("imagine")
    page.wait_for_selector("#im-prompt")
    book = ("a red car beside a blue house, " * 3400)[:100_000]
    page.evaluate(PASTE, ["#im-prompt", "", book])
    assert page.locator("#im-prompt").input_value() == book, "nothing is cut off in silence"
    page.keyboard.type(" and a tree")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".error-note", timeout=20_000)
    assert re.search(r"32[.,]?000", page.inner_text(".error-note")), "it is said how long a prompt may be"
    assert page.locator(".im-back mark").count() == 0, "so long a prompt is not coloured"
    assert page.locator("#im-prompt").input_value() == book + " and a tree"
    page.reload()
    page.wait_for_selector("#im-prompt")
    assert page.locator("#im-prompt").input_value() == book + " and a tree", "it is there after a refresh"
    page.locator("#im-prompt").fill("a red car")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector('[data-status="done"]', timeout=60_000)


NOISE = """(seed) => {
  const { desk } = fantascope, { raster } = desk.active, { width, height } = raster;
  const image = new ImageData(width, height), words = new Uint32Array(image.data.buffer);
  for (let i = 0; i < words.length; i += 1) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    words[i] = seed | 0xff000000;
  }
  raster.fill(image);
  desk.changed();
}"""
"""Pixels that cannot be packed."""


def limit(it: Canvas, size: int | None) -> None:
    """Let the browser keep so many bytes for the studio; None takes that back."""
    told = {"origin": it.url} if size is None else {"origin": it.url, "quotaSize": size}
    it.line = getattr(it, "line", None) or it.context.new_cdp_session(it.page)
    it.line.send("Storage.overrideQuotaForOrigin", told)


def test_a_disk_that_is_full_indeed(chrome: Any, studio: Any) -> None:
    with easel(chrome, studio.url, TOKEN) as opened:
        it = opened(1024, 1024, before=lambda it: limit(it, 1_500_000))
        it.tool("b", size=90, softness=0.6)
        it.drag((100, 100), (800, 700))
        it.kept()
        it.page.evaluate(NOISE, 1)
        it.page.locator(".toast.bad").wait_for()
        assert it.js("fantascope.desk.state.kind") == "full"
        it.drag((100, 700), (800, 100))
        before = it.hashes()
        with it.page.expect_download() as coming:
            it.page.locator(".toast.bad").get_by_role("button", name="Save as a file").click()
        assert coming.value.suggested_filename.endswith(".fantascope")
        limit(it, None)
        it.js("fantascope.desk.saver.now()")
        it.kept()
        it.page.reload()
        it.ready()
        assert it.hashes() == before, "it is kept as soon as there is room"


def wait_for_job(it: Canvas) -> str:
    """Wait until the server has the project's job and paints, and return its id."""
    it.until("fantascope.desk.project.job && fantascope.desk.maker.state.kind === 'painting'")
    found: str = it.js("fantascope.desk.project.job.id")
    return found


def masked(it: Canvas) -> None:
    """Paint a ground, and mark a box on it."""
    it.tool("b", size=200, softness=0.9, colour="#27ae60")
    it.drag((100, 420), (420, 430))
    it.tool("r")
    it.drag((150, 140), (360, 340))
    it.page.locator('[data-tool="rect"]').click()
    it.page.get_by_role("button", name="Selection to mask").click()
    it.page.keyboard.press("Escape")


@pytest.mark.parametrize("refresh", [False, True])
def test_a_server_that_is_killed_under_a_canvas_that_fills(chrome: Any, own_studio: Any, refresh: bool) -> None:
    with easel(chrome, own_studio.url, TOKEN) as opened:
        it = opened()
        masked(it)
        it.make("Fill the mask", "a red apple", wait=False, steps=60)
        job = wait_for_job(it)
        own_studio.kill()
        it.page.get_by_text("The server does not answer").first.wait_for()
        it.tool("b", size=20, colour="#2f6fd0")
        it.drag((30, 30), (90, 40))  # one goes on painting meanwhile
        before = it.hashes()
        it.kept()
        own_studio.start()
        if refresh:
            it.page.reload()
            it.ready()
            assert it.hashes() == before
        it.page.get_by_role("button", name="Accept").wait_for(timeout=90_000)
        assert it.js("fantascope.desk.pending.pending.job") == job, "the job that had begun was taken up"
        left = it.hashes()
        assert {name: left[name] for name in before} == before, "nothing is lost"
        with own_studio.client() as client:
            told = client.get(f"{API}/jobs/{job}").json()
            assert (told["status"], len(told["artifacts"])) == ("done", 1)
            assert len(client.get(f"{API}/jobs?limit=50").json()["data"]) == 1, "and made once"
        it.page.keyboard.press("Control+z")  # the result goes as one step
        it.until("!fantascope.desk.pending")
        assert it.hashes() == before
        assert all("ERR_" in one for one in it.errors), it.errors
        it.errors.clear()


def test_erasing_changes_the_mask_alone(chrome: Any, studio: Any) -> None:
    with easel(chrome, studio.url, TOKEN) as opened:
        it = opened()
        masked(it)
        before = it.flat()
        it.make("Erase the mask", None)
        after = it.flat()
        inside = (slice(139, 341), slice(149, 361))
        changed = (before != after).any(axis=2)
        assert changed[inside].any()
        changed[inside] = False
        assert not changed.any()
        receipt = it.context.request.get(f"{it.url}{API}/gallery/{it.result()}/receipt").json()
        assert receipt["request"]["task"] == "erase" and receipt["kept"] is not None
        assert it.js("fantascope.desk.project.layers.some((one) => one.kind === 'mask' && one.visible)") is False
        it.page.get_by_role("button", name="Discard").click()
        it.until("!fantascope.desk.pending")
        assert (it.flat() == before).all()


def test_back_and_forward_over_a_canvas(chrome: Any, studio: Any) -> None:
    with easel(chrome, studio.url, TOKEN) as opened:
        it = opened()
        it.tool("b", size=30)
        it.drag((50, 50), (300, 300))
        first, place = it.hashes(), it.page.url
        it.page.goto(f"{it.url}/#/imagine")
        it.page.wait_for_selector("#im-prompt")
        it.page.locator("#im-prompt").fill("a half")
        it.page.go_back()
        it.ready()
        assert it.page.url == place and it.hashes() == first
        assert it.js("fantascope.desk.history.canUndo"), "steps are kept over another page, too"
        it.page.go_back()
        it.page.get_by_text("Recent projects").wait_for()
        for _ in range(2):
            it.page.go_forward()
        it.page.wait_for_selector("#im-prompt")
        assert it.page.locator("#im-prompt").input_value() == "a half"
        for way in ("back", "forward") * 5:  # as fast as somebody can
            it.page.evaluate(f"history.{way}()")
        it.page.wait_for_timeout(1000)  # which of them the browser drops is its own affair
        it.page.goto(place)
        it.ready()
        assert it.page.url == place and it.hashes() == first


def test_a_job_that_ended_keeps_no_pictures_of_its_steps(seen: Visitor) -> None:
    page = seen.at("imagine")
    page.wait_for_selector("#im-prompt")
    told = page.evaluate(
        """async () => {
          const { submit } = await import("/js/api.js"), { jobs, track } = await import("/js/store.js");
          const job = await submit("imagine", { prompt: "a red car", n: 2, steps: 8, preview: true });
          let most = 0;
          const timer = setInterval(() => { most = Math.max(most, JSON.stringify(jobs.get(job.id)).length); }, 5);
          const ended = await track(job);
          clearInterval(timer);
          return [ended.status, most, JSON.stringify(jobs.get(job.id)).length];
        }"""
    )
    status, most, left = told
    assert status == "done" and most > 10_000 > left
