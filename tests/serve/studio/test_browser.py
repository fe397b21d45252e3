"""The studio as people use it: Chromium on a real server and the embedded checkpoint."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.serve.conftest import TOKEN
from tests.serve.studio.pages import Tab, chromium, tab
from tests.serve.studio.test_page import MOST_FIRST

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium() is None, reason="no chromium is here")]

PROMPT = "oil painting of a red car, warm light"
PLACES = ("imagine", "converse", "canvas", "library", "jobs", "account")
PICTURE = 'main img[src*="/thumbnail"]'
SLOW = "a blue house with a red door, " * 3
"""Words of a job that takes a while."""
SENT = """async fields => {
  const { submit } = await import("/js/api.js"), { track } = await import("/js/store.js");
  window.ended = track(await submit("imagine", fields));
}"""
"""A job of the page, as a view makes one."""
CANVAS = """async () => {
  const { write, list } = await import("/js/canvas/saves.js"), { newProject } = await import("/js/canvas/project.js");
  await write(newProject(64, 64, "of fay"), { all: true });
  if ((await list()).length !== 1) throw new Error("nothing was kept");
}"""
"""A canvas that the browser keeps."""


@pytest.fixture
def visitor(chrome: Any, studio: Any) -> Iterator[Tab]:
    """Somebody new, who has logged in with a token of their own."""
    with tab(chrome, studio.url) as made:
        enter(made, TOKEN)
        yield made


def enter(made: Tab, token: str) -> None:
    """Log in by pasting a token."""
    made.page.goto(made.url + "/")
    made.page.get_by_label("Token").fill(token)
    made.page.get_by_role("button", name="Open the studio").click()
    made.page.wait_for_selector(".frame")


def paint(made: Tab, prompt: str) -> None:
    """Write a prompt and paint it."""
    made.go("imagine")
    made.page.locator("main textarea").first.fill(prompt)
    made.page.keyboard.press("Control+Enter")


def test_first_visit_to_first_picture(chrome: Any, studio: Any) -> None:
    with studio.client() as client:
        link = client.post("/v1/fantascope/account/login").json()["url"]
    with tab(chrome, studio.url) as made:
        page = made.page
        page.goto(link)
        page.wait_for_selector("main textarea")
        assert page.url == studio.url + "/", "the code is not in the address any more"
        assert "Three steps" in page.inner_text("main")
        page.wait_for_load_state("networkidle")
        told = "performance.getEntries().reduce((sum, one) => sum + (one.transferSize || 0), 0)"
        assert 50_000 < page.evaluate(told) <= MOST_FIRST
        paint(made, PROMPT)
        page.wait_for_selector(PICTURE, timeout=60_000)
        page.wait_for_function(f"() => [...document.querySelectorAll('{PICTURE}')].some(one => one.naturalWidth > 0)")
        assert page.evaluate("document.cookie") == "", "no script reads the session"
        made.quiet()
        assert not made.seen()


def test_who_has_no_session_pastes_a_token(chrome: Any, studio: Any) -> None:
    with tab(chrome, studio.url) as made:
        page = made.page
        page.goto(studio.url + "/login?code=used")
        page.wait_for_selector("text=This link was used")
        assert not made.seen()
        made.quiet()
        page.get_by_label("Token").fill("fs-" + "A" * 43)
        page.get_by_role("button", name="Open the studio").click()
        page.wait_for_selector("text=This token is not good here.")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Open the studio").click()
        page.wait_for_selector(".frame")
        assert "login=again" not in page.url
        page.get_by_role("button", name="Log out").click()
        page.wait_for_selector(".login")
        page.reload()
        page.wait_for_selector(".login")
        assert all("401" in one for one in made.wrong), made.wrong


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1600])
def test_every_place_is_in_order(visitor: Tab, studio: Any, width: int, theme: str) -> None:
    with studio.client() as client:  # a picture without words has a name for who cannot see it, too
        seen = np.full((512, 512, 4), 255, np.uint8)
        whole = "data:image/png;base64," + base64.b64encode(_png(seen[..., :3])).decode()
        seen[200:300, 200:300, 3] = 0
        body = {"picture": whole, "mask": "data:image/png;base64," + base64.b64encode(_png(seen)).decode()}
        erased = client.post("/v1/fantascope/erase?wait=true", json=body).json()
        assert not client.get(f"/v1/fantascope/gallery/{erased['artifacts'][0]}").json()["prompt"]
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    findings: dict[str, Any] = {}
    for place in PLACES:
        visitor.go(place)
        visitor.page.wait_for_timeout(300)
        assert visitor.page.locator(".frame nav a[aria-current=page]").count() == 1
        found = visitor.seen()
        if found or visitor.wide() > 0:
            findings[place] = (found, visitor.wide())
    assert not findings
    visitor.quiet()


def test_a_refresh_in_the_middle_of_a_job(visitor: Tab) -> None:
    page = visitor.page
    visitor.go("imagine")
    page.evaluate(SENT, {"prompt": SLOW, "n": 6, "seed": 3, "preview": True, "steps": 40})
    page.wait_for_selector(".tray-count")
    page.reload()
    page.wait_for_selector(".tray-count")
    page.get_by_role("button", name=re.compile("What is happening")).click()
    page.wait_for_selector(".tray-list >> text=a blue house")
    page.wait_for_selector(".tray-job img.progress-preview", timeout=60_000)
    assert not visitor.seen()
    page.get_by_role("button", name="Cancel").first.click()
    page.wait_for_selector(".tray-job >> text=cancelled")
    visitor.quiet()


def test_a_server_that_dies_and_comes_back_under_an_open_page(chrome: Any, own_studio: Any) -> None:
    with tab(chrome, own_studio.url) as made:
        page = made.page
        page.goto(own_studio.login)
        page.wait_for_selector("main textarea")
        page.evaluate(SENT, {"prompt": SLOW, "n": 3, "seed": 5, "steps": 30})
        page.wait_for_selector(".tray-count")
        own_studio.kill()
        page.wait_for_selector("text=The server does not answer. Nothing is lost")
        page.locator("main textarea").first.fill("typed while it is away")
        own_studio.start()
        page.wait_for_selector("text=The server does not answer. Nothing is lost", state="detached")
        ended = page.evaluate("window.ended")
        assert ended["status"] == "done"
        assert len(set(ended["artifacts"])) == 3
        assert page.locator("main textarea").first.input_value() == "typed while it is away"
        assert page.evaluate("fetch('/v1/fantascope/account').then(one => one.status)") == 200
        assert not made.elsewhere
        assert all("ERR_" in one for one in made.wrong), made.wrong


def test_keys_reach_every_place(visitor: Tab) -> None:
    page = visitor.page
    visitor.go("imagine")
    page.wait_for_selector("main textarea")
    page.locator("main").focus()
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open] kbd")
    assert not visitor.seen("document.querySelector('dialog')")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")
    for keys, place in (("gl", "library"), ("gj", "jobs"), ("ga", "account"), ("gv", "canvas"), ("gi", "imagine")):
        page.locator("main").focus()
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_function(f"() => location.hash === '#/{place}'")
    page.locator("main textarea").first.click()
    page.keyboard.type("g j?")
    assert page.evaluate("location.hash") == "#/imagine", "keys are letters while one writes"
    page.go_back()
    page.wait_for_function("() => location.hash.startsWith('#/canvas')")
    page.keyboard.press("Tab")
    visitor.quiet()


def test_who_goes_back_finds_the_place_as_they_left_it(visitor: Tab) -> None:
    page = visitor.page
    page.set_viewport_size({"width": 390, "height": 500})
    visitor.go("imagine")
    page.evaluate("() => { document.querySelector('main').style.minHeight = '3000px'; window.scrollTo(0, 400); }")
    page.wait_for_function("() => scrollY === 400")
    page.wait_for_timeout(100)  # the event of the scrolling
    page.get_by_role("link", name="Jobs").click()
    page.wait_for_function("() => location.hash === '#/jobs' && scrollY === 0")
    page.go_back()
    page.wait_for_function("() => location.hash === '#/imagine' && scrollY === 400")
    page.go_forward()
    page.wait_for_function("() => location.hash === '#/jobs'")
    visitor.quiet()


def test_an_address_that_is_none_says_so(visitor: Tab) -> None:
    visitor.go("nowhere/<b>x")
    visitor.page.wait_for_selector("text=There is nothing here")
    assert visitor.page.locator("main b").count() == 0
    visitor.page.get_by_role("button", name="Go to Imagine").click()
    visitor.page.wait_for_selector("main textarea")
    visitor.quiet()


def test_language_and_theme_are_kept(visitor: Tab) -> None:
    page = visitor.page
    page.get_by_label("Language").select_option("es")
    page.wait_for_selector("nav >> text=Biblioteca")
    assert page.evaluate("document.documentElement.lang") == "es"
    page.get_by_role("button", name=re.compile("Tema")).click()
    page.get_by_role("button", name=re.compile("Tema: claro")).click()
    page.reload()
    page.wait_for_selector("nav >> text=Biblioteca")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(20, 24, 22)", "what was chosen goes before what the system is"
    page.emulate_media(color_scheme="dark")
    page.evaluate("import('/js/app.js').then(one => one.setTheme('light'))")
    assert page.evaluate(ground) == "rgb(246, 245, 242)"
    page.evaluate("import('/js/app.js').then(one => one.setTheme('auto'))")
    assert page.evaluate(ground) == "rgb(20, 24, 22)"
    visitor.quiet()


FORMS = """async () => {
  const { html, render } = await import("/js/lib.js"), { schemas } = await import("/js/api.js");
  const { SchemaForm, fieldsOf } = await import("/js/parts.js");
  const all = await schemas(), main = document.querySelector("main"), values = window.values = {};
  main.replaceChildren();
  const draw = () => render(html`<div class="page">${Object.keys(all).map((task) => html`
    <section key=${task} id=${task}><h2>${task}</h2><${SchemaForm} task=${task} value=${values[task] || {}}
      onChange=${(next) => { values[task] = next; draw(); }} /></section>`)}</div>`, main);
  draw();
  const titles = ({ request }) => fieldsOf(request).map((field) => field.title);
  return Object.fromEntries(Object.entries(all).map(([task, one]) => [task, titles(one)]));
}"""
"""Draws the form of every task, and returns the titles of their fields."""


def test_every_task_has_a_form_without_a_word_of_code_for_it(visitor: Tab) -> None:
    page = visitor.page
    visitor.go("jobs")
    told = page.evaluate(FORMS)
    page.wait_for_selector("#annotate .field")
    assert len(told) >= 11
    for task, titles in told.items():
        shown = page.eval_on_selector_all(
            f"#{task} label, #{task} legend, #{task} .label", "all => all.map(one => one.textContent.trim())"
        )
        assert set(titles) <= set(shown), task
    assert not visitor.seen()
    form = page.locator("#imagine")
    form.get_by_label("Prompt", exact=True).fill("a cat")
    form.get_by_label("Count").fill("3")
    form.get_by_label("Steps").fill("7")
    form.get_by_label("Format").select_option(label="webp")
    form.get_by_label("Private").check(force=True)
    form.locator("fieldset", has_text="Adapters").get_by_role("button", name="Add").click()
    form.get_by_role("slider", name="Weight").fill("1.5")
    adapter = {"name": "", "weight": 1.5}
    want = {"prompt": "a cat", "n": 3, "steps": 7, "format": "webp", "private": True, "adapters": [adapter]}
    assert page.evaluate("window.values.imagine") == want
    form.get_by_label("Count").fill("")
    form.get_by_role("button", name="Remove").click()
    left = {"prompt": "a cat", "steps": 7, "format": "webp", "private": True}
    assert page.evaluate("window.values.imagine") == left, "what is taken back is the server's to choose again"
    visitor.quiet()


def test_what_is_no_picture_is_not_taken(visitor: Tab) -> None:
    told = visitor.page.evaluate(
        """async () => {
          const { checkFiles } = await import("/js/parts.js");
          const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
          const large = { name: "large.png", size: 500 * 2 ** 20 };
          const files = [new File(["words"], "text.png", { type: "image/png" }),
            new File(["<svg onload='x'/>"], "a.svg"), new File([], "empty.png"), large, new File([png], "good.dat")];
          const many = [...Array(300)].map((_, k) => new File([png], `${k}.png`));
          const said = async list => (await checkFiles(list)).map(one => [one.name, one.type]);
          return [await said(files), (await said(many)).length];
        }"""
    )
    assert told == [[["good.dat", "image/png"]], 20]
    notes = visitor.page.inner_text(".toasts")
    for words in ("300 files at once", "large.png has 500 MiB", "empty.png is empty", "a.svg is no picture"):
        assert words in notes
    visitor.quiet()


def test_a_browsers_storage_that_is_full_stops_nothing(visitor: Tab) -> None:
    visitor.page.evaluate(
        "() => { Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }; }"
    )
    assert visitor.page.evaluate("import('/js/store.js').then(one => one.remember('some', 1))") is False
    paint(visitor, PROMPT)
    visitor.page.wait_for_selector(PICTURE, timeout=60_000)
    visitor.quiet()


def test_two_people_in_one_browser_are_apart(chrome: Any, studio: Any) -> None:
    with tab(chrome, studio.url) as made:
        enter(made, studio.user("fay"))
        made.page.evaluate("import('/js/store.js').then(one => one.remember('secret', 'of fay'))")
        made.page.evaluate(CANVAS)
        made.page.evaluate(SENT, {"prompt": PROMPT, "model": "echo", "n": 1})
        made.page.wait_for_function("async () => (await import('/js/store.js')).jobs.list()[0].status === 'done'")
        made.page.get_by_role("button", name="Log out").click()
        made.page.wait_for_selector(".login")
        enter(made, studio.user("gus"))
        made.go("imagine")
        assert made.page.evaluate(
            """async () => {
              const { recall, me, jobs } = await import("/js/store.js"), { list } = await import("/js/canvas/saves.js");
              return [recall("secret"), await list(), me.account, jobs.list().length];
            }"""
        ) == [None, [], "gus", 0]
        assert made.page.locator(PICTURE).count() == 0
        made.quiet()
