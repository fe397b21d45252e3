"""The conversation of the slides in a browser: what is said, what is touched, and that nothing else is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.serve.conftest import TOKEN
from tests.serve.studio.hands import Visitor, drop, visitor
from tests.serve.studio.pages import chromium

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium() is None, reason="no chromium is here")]

FIRST = "an astronaut walking through a galaxy of sunflowers"
TURNS = ("change the astronaut to a cat", "change the sunflowers to roses", "add a moon in the background")
SEED = "3"
API = "/v1/fantascope"


@dataclass
class Talk:
    """The conversation as it was held on the page: its pictures, and what each turn showed when it came."""

    ids: list[str]
    proofs: list[str]
    checks: list[str]
    previews: int = 0


WATCH = """window.previews = new Set(); new MutationObserver(() => {
  const shown = document.querySelector(".cv-wait .progress-preview");
  if (shown) window.previews.add(shown.src);
}).observe(document.body, { subtree: true, childList: true, attributes: true });"""
"""Counts the previews that a page shows while it paints."""


def place(page: Any) -> str:
    """Return the id of the picture that the conversation is open at."""
    return str(page.evaluate("location.hash")).removeprefix("#/converse").removeprefix("/")


def arrive(page: Any, before: str) -> str:
    """Wait until the conversation went on from a picture, and return the next."""
    page.wait_for_function(
        "(before) => /sha256:[0-9a-f]{64}$/.test(location.hash) && !location.hash.endsWith(before || '#')", arg=before
    )
    page.wait_for_selector(f"#turn-{place(page)[7:19]}.is-last")
    return place(page)


def line(page: Any) -> Any:
    """Return the line where the next turn is said."""
    return page.get_by_role("textbox", name="Say what to change")


def say(page: Any, words: str) -> str:
    """Say what to change, and return the picture that comes of it."""
    before = place(page)
    line(page).fill(words)
    line(page).press("Enter")
    return arrive(page, before)


@pytest.fixture(scope="module")
def talk(chrome: Any, studio: Any) -> Talk:
    """Hold the conversation of the slides, by what the page offers."""
    with visitor(chrome, studio.url, TOKEN) as seen:
        page = seen.at("converse")
        page.get_by_role("textbox", name="What the first picture shows").fill(FIRST)
        page.get_by_text("Options", exact=True).click()
        page.get_by_label("Seed", exact=True).fill(SEED)
        page.get_by_role("button", name="Paint it").click()
        told = Talk([arrive(page, "")], [], [])
        page.get_by_text("Options of the next turn").click()
        page.get_by_label("Seed", exact=True).fill(SEED)
        page.get_by_text("Options of the next turn").click()
        page.evaluate(WATCH)
        for words in TURNS:
            told.ids.append(say(page, words))
            last = page.locator(".cv-turn.is-last")
            last.locator(".cv-outline path").first.wait_for(state="attached")
            told.proofs.append(last.locator(".cv-hash code").inner_text())
            last.get_by_role("button", name="Check it here").click()
            last.get_by_text("Compared in this page").wait_for()
            told.checks.append(last.locator(".cv-proof [role=status]").inner_text())
        told.previews = page.evaluate("window.previews.size")
    return told


@pytest.fixture(scope="module")
def client(studio: Any) -> Iterator[httpx.Client]:
    """What the server says of the same pictures."""
    with studio.client() as found:
        yield found


def test_the_page_holds_the_conversation_of_the_slides(talk: Talk, client: httpx.Client) -> None:
    tree = client.get(f"{API}/gallery/{talk.ids[-1]}/history").json()
    assert [row["id"] for row in tree["data"]] == talk.ids
    assert [row["done"] for row in tree["data"]] == [f"imagine: {FIRST}", *(f"edit: {words}" for words in TURNS)]
    assert talk.previews > len(TURNS)
    receipts = [client.get(f"{API}/gallery/{id}/receipt").json() for id in talk.ids]
    assert [receipt["request"]["seed"] for receipt in receipts] == [int(SEED)] * 4
    assert [receipt["parents"] for receipt in receipts] == [[], *([id] for id in talk.ids[:-1])]


def test_the_proof_that_is_shown_is_the_receipts_and_holds_in_the_page(talk: Talk, client: httpx.Client) -> None:
    for id, parent, proof, check in zip(talk.ids[1:], talk.ids[:-1], talk.proofs, talk.checks, strict=True):
        kept = client.get(f"{API}/gallery/{id}/receipt").json()["kept"]
        assert proof == kept["after"] == kept["before"]
        before, after, mask = (pixels(client, one) for one in (parent, id, kept["mask"]))
        outside = mask[..., 0] == 0
        assert (before[outside] == after[outside]).all()
        assert f"{outside.sum():,} pixels outside, 0 differ" in check
        assert "SHA-256, computed in this page, is the recorded one" in check


def pixels(client: httpx.Client, id: str) -> Any:
    """Return a picture of the gallery, `(H, W, 3)` uint8."""
    data = client.get(f"{API}/gallery/{id}/file").content
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_a_check_in_the_page_sees_a_pixel_that_differs(seen: Visitor, talk: Talk) -> None:
    page = seen.at(f"converse/{talk.ids[1]}")
    found = page.evaluate(
        """async () => {
          const { compare, leftAlone } = await import("/js/converse/region.js");
          const picture = () => new ImageData(new Uint8ClampedArray(4 * 64).fill(255), 8, 8);
          const [before, after, touched] = [picture(), picture(), new Uint8Array(64)];
          touched.fill(1, 0, 32);
          after.data[4 * 3] = 0;
          const inside = compare(before, after, touched);
          const same = await leftAlone(after, touched, after, before, [0, 0], 0, 0);
          after.data[4 * 40 + 1] = 254;
          const other = await leftAlone(after, touched, after, before, [0, 0], 0, 0);
          return { inside, outside: compare(before, after, touched), changed: same !== other };
        }"""
    )
    assert found == {
        "inside": {"outside": 32, "differing": 0},
        "outside": {"outside": 32, "differing": 1},
        "changed": True,
    }


def test_before_and_after_and_the_outline(seen: Visitor, talk: Talk) -> None:
    page = seen.at(f"converse/{talk.ids[3]}")
    last = page.locator(".cv-turn.is-last")
    last.locator(".cv-outline path").first.wait_for(state="attached")
    assert talk.ids[3] in last.locator(".cv-picture img").get_attribute("src")
    last.get_by_role("button", name="Before").click()
    assert talk.ids[2] in last.locator(".cv-picture img").get_attribute("src")
    last.get_by_role("button", name="After").click()
    last.get_by_label("Outline what was touched").uncheck()
    assert last.locator(".cv-outline").count() == 0


def test_any_picture_shows_its_whole_conversation(seen: Visitor, talk: Talk) -> None:
    page = seen.at(f"converse/{talk.ids[2]}")
    page.locator(".cv-turn.is-last").wait_for()
    assert page.locator(".cv-said span[aria-hidden]").all_inner_texts() == [FIRST, *TURNS[:2]]
    tree = page.get_by_role("navigation", name="All turns of this conversation")
    assert tree.locator("a span").all_inner_texts()[:4] == [FIRST, *TURNS]
    assert tree.locator("a[aria-current]").inner_text() == TURNS[1]
    tree.locator("a[aria-current]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert arrive(page, talk.ids[2]) == talk.ids[3]


def test_three_readings_and_one_of_them_is_done(seen: Visitor, talk: Talk, client: httpx.Client) -> None:
    page = seen.at(f"converse/{talk.ids[0]}")
    line(page).fill("make it nicer")
    line(page).press("Enter")
    offered = page.get_by_role("group", name="Did you mean").get_by_role("button")
    offered.first.wait_for()
    assert offered.count() == 3
    assert line(page).input_value() == "make it nicer"
    words = offered.first.inner_text()
    offered.first.click()
    made = arrive(page, talk.ids[0])
    request = client.get(f"{API}/gallery/{made}/receipt").json()["request"]
    assert (request["instruction"], request["picture"]) == (words, talk.ids[0])
    assert line(page).input_value() == ""


def test_undo_redo_and_a_branch(seen: Visitor, talk: Talk, client: httpx.Client) -> None:
    page = seen.at(f"converse/{talk.ids[1]}")
    page.get_by_role("button", name="Undo").click()
    assert arrive(page, talk.ids[1]) == talk.ids[0]
    page.get_by_role("button", name="Redo").click()
    assert arrive(page, talk.ids[0]) == talk.ids[1]
    line(page).press("Control+z")
    assert arrive(page, talk.ids[1]) == talk.ids[0]
    page.go_back()
    arrive(page, talk.ids[0])
    page.get_by_role("button", name=f"Branch from here: {FIRST}").click()
    assert arrive(page, talk.ids[1]) == talk.ids[0]
    assert page.get_by_role("button", name="Undo").is_disabled()
    made = say(page, "make it night")
    tree = client.get(f"{API}/gallery/{made}/history").json()["data"]
    assert {row["id"] for row in tree if row["parent"] == talk.ids[0]} >= {talk.ids[1], made}
    first = page.locator(".cv-turn").first
    assert TURNS[0] in first.locator(".cv-forks").inner_text()


def test_again_with_another_seed(seen: Visitor, talk: Talk, client: httpx.Client) -> None:
    page = seen.at(f"converse/{talk.ids[3]}")
    page.get_by_role("button", name=f"Do it again with another seed: {TURNS[2]}").click()
    page.wait_for_function("(ids) => !ids.some((id) => location.hash.endsWith(id))", arg=talk.ids)
    made = arrive(page, talk.ids[2])
    receipt = client.get(f"{API}/gallery/{made}/receipt").json()
    assert receipt["parents"] == [talk.ids[2]]
    assert receipt["request"]["instruction"] == TURNS[2]
    assert receipt["request"]["seed"] != int(SEED)


def test_a_draft_and_a_running_job_outlive_a_refresh(seen: Visitor, talk: Talk, client: httpx.Client) -> None:
    page = seen.at(f"converse/{talk.ids[0]}")
    client.post(f"{API}/queue/pause").raise_for_status()
    try:
        line(page).fill("remove the sunflowers")
        line(page).press("Enter")
        page.get_by_text("Waiting its turn").wait_for()
        line(page).fill("half a thought")
        page.reload()
        page.get_by_text("Waiting its turn").wait_for()
        assert line(page).input_value() == "half a thought"
    finally:
        client.post(f"{API}/queue/resume").raise_for_status()
    made = arrive(page, talk.ids[0])
    assert client.get(f"{API}/gallery/{made}/receipt").json()["request"]["instruction"] == "remove the sunflowers"
    assert line(page).input_value() == "half a thought"


def test_a_job_is_cancelled_and_tried_again(seen: Visitor, talk: Talk, client: httpx.Client) -> None:
    page = seen.at(f"converse/{talk.ids[1]}")
    client.post(f"{API}/queue/pause").raise_for_status()
    try:
        line(page).fill("make the cat red")
        line(page).press("Enter")
        page.locator(".is-pending").get_by_role("button", name="Cancel").click()
        page.get_by_text("Cancelled. Nothing was kept.").wait_for()
    finally:
        client.post(f"{API}/queue/resume").raise_for_status()
    page.get_by_role("button", name="Try again").click()
    made = arrive(page, talk.ids[1])
    assert client.get(f"{API}/gallery/{made}/receipt").json()["request"]["instruction"] == "make the cat red"


def test_it_begins_with_a_picture_from_elsewhere(seen: Visitor, client: httpx.Client) -> None:
    page = seen.at("converse")
    file = io.BytesIO()
    Image.new("RGB", (256, 256), (40, 60, 160)).save(file, "PNG")
    drop(page, ".cv-start", ("blue.png", "image/png", file.getvalue()))
    given = arrive(page, "")
    page.get_by_label("What the picture shows now").fill("a blue background")
    made = say(page, "add a moon")
    request = client.get(f"{API}/gallery/{made}/receipt").json()["request"]
    assert (request["picture"], request["before"]) == (given, "a blue background")


def test_what_a_rule_refuses_is_said_with_its_reason(seen: Visitor, talk: Talk) -> None:
    page = seen.at(f"converse/{talk.ids[0]}")
    line(page).fill("change the astronaut to a swastika")
    line(page).press("Enter")
    note = page.locator(".cv-composer .error-note")
    note.wait_for()
    assert "refused" in note.inner_text().lower()
    note.get_by_role("button", name="Appeal").wait_for()


def test_a_picture_that_is_not_there(seen: Visitor) -> None:
    page = seen.at(f"converse/sha256:{'0' * 64}")
    page.get_by_text("There is no such picture in your gallery.").wait_for()


@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious(chrome: Any, studio: Any, talk: Talk, width: int) -> None:
    size = {"width": width, "height": 900}
    with visitor(chrome, studio.url, TOKEN, viewport=size, locale="es-ES") as seen:
        for theme in ("light", "dark"):
            seen.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            page = seen.at(f"converse/{talk.ids[3]}")
            page.locator(".cv-turn.is-last .cv-hash").wait_for()
            assert not seen.seen()
            assert seen.wide() <= 0
        seen.at("converse")
        assert not seen.seen()
