"""Library, jobs and account in a browser: many pictures, checked files, what waits, what rules say, who sees what."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.serve.conftest import TOKEN
from tests.serve.studio.conftest import picture
from tests.serve.studio.hands import Visitor, drop, visitor
from tests.serve.studio.pages import chromium

from fantascope.adapter import Adapter
from fantascope.spec import Licence

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium() is None, reason="no chromium is here")]

API = "/v1/fantascope"
MANY = 64
"""More pictures than one page of the list has."""


@pytest.fixture(scope="module")
def token(studio: Any) -> str:
    """Somebody with a gallery of their own."""
    return str(studio.user("lib"))


@pytest.fixture(scope="module")
def client(studio: Any, token: str) -> Iterator[httpx.Client]:
    """The same person, without a browser."""
    with studio.client(token) as found:
        yield found


@pytest.fixture
def seen(chrome: Any, studio: Any, token: str) -> Iterator[Visitor]:
    """That person, new to this browser."""
    with visitor(chrome, studio.url, token) as made:
        yield made


@pytest.fixture
def operator(chrome: Any, studio: Any) -> Iterator[Visitor]:
    """Who runs the server."""
    with visitor(chrome, studio.url, TOKEN) as made:
        yield made


@pytest.fixture(scope="module")
def cars(client: httpx.Client) -> list[str]:
    """Many small pictures, oldest first."""
    ids: list[str] = []
    for first in range(0, MANY, 16):
        fields = {"prompt": f"a red car {first}", "n": 16, "seed": first, "width": 64, "height": 64, "upscale": 1}
        ids += picture(client, **fields)["artifacts"]
    return ids


def tiles(page: Any) -> Any:
    """Return the pictures that are shown."""
    return page.locator(".lb-tile")


def wait_for(page: Any, count: int) -> None:
    """Wait until so many pictures are shown, and no more are read."""
    page.wait_for_function(
        "(count) => document.querySelectorAll('.lb-tile').length === count"
        " && !document.querySelector('.lb-end .spinner')",
        arg=count,
    )


def test_more_comes_by_scrolling(seen: Visitor, cars: list[str]) -> None:
    page = seen.at("library")
    wait_for(page, 60)
    assert tiles(page).first.get_attribute("data-id") == cars[-1]
    page.locator(".lb-end").scroll_into_view_if_needed()
    page.get_by_text(f"That is all: {MANY} pictures.").wait_for()
    shown = page.evaluate("[...document.querySelectorAll('.lb-tile')].map((one) => one.dataset.id)")
    assert shown == cars[::-1]


def test_words_and_filters(seen: Visitor, cars: list[str]) -> None:
    page = seen.at("library")
    page.get_by_label("Search by words").fill("car 16")
    wait_for(page, 16)
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Seed").fill("17")
    wait_for(page, 1)
    page.get_by_label("Made or handed in").select_option("handed in")
    page.get_by_text("No picture fits these filters.").wait_for()
    page.reload()
    page.get_by_text("No picture fits these filters.").wait_for()
    page.get_by_label("To day").fill("2020-01-01")
    page.get_by_role("button", name="Clear the filters").click()
    wait_for(page, 60)
    page.get_by_label("From day").fill("2199-01-01")
    page.get_by_text("No picture fits these filters.").wait_for()


def test_many_are_chosen_by_keys_saved_and_removed(seen: Visitor, client: httpx.Client) -> None:
    made = [picture(client, prompt="a blue key", seed=k, width=64, height=64)["artifacts"][0] for k in range(3)]
    page = seen.at("library")
    page.get_by_label("Search by words").fill("blue key")
    wait_for(page, 3)
    tiles(page).first.locator(".picture-open").focus()
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    page.get_by_text("2 selected").wait_for()
    boxes = page.locator(".lb-box input")
    assert [box.is_checked() for box in boxes.all()] == [True, True, False]
    boxes.nth(1).click()
    page.get_by_text("1 selected").wait_for()
    boxes.nth(0).click()
    boxes.nth(0).click()
    boxes.nth(2).click(modifiers=["Shift"])
    page.get_by_text("3 selected").wait_for()
    boxes.nth(2).click()
    page.get_by_text("2 selected").wait_for()
    assert [box.is_checked() for box in boxes.all()] == [True, True, False]
    names: list[str] = []
    page.on("download", lambda one: names.append(one.suggested_filename))
    page.get_by_role("button", name="Save the files").click()
    page.get_by_text("2 files saved by the browser.").wait_for()
    page.wait_for_timeout(300)
    assert sorted(names) == sorted(f"{id[7:23]}.png" for id in made[1:])
    tiles(page).first.locator(".picture-open").focus()
    page.keyboard.press("Delete")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    wait_for(page, 1)
    left = client.get(f"{API}/gallery", params={"text": "blue key"}).json()["data"]
    assert [entry["id"] for entry in left] == made[:1]


def test_what_others_were_made_from_is_kept_until_somebody_says_otherwise(seen: Visitor, client: httpx.Client) -> None:
    parent = picture(client, prompt="a lone parent", width=64, height=64)["artifacts"][0]
    body = {"picture": parent, "model": "echo", "prompt": "a child of it"}
    client.post(f"{API}/vary?wait=true", json=body).raise_for_status()
    page = seen.at("library")
    page.get_by_label("Search by words").fill("lone parent")
    wait_for(page, 1)
    page.get_by_label("Select: a lone parent").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    warned = page.get_by_role("dialog", name="Others were made from these")
    warned.wait_for()
    assert client.get(f"{API}/gallery/{parent}").status_code == 200
    warned.get_by_role("button", name="Remove all the same").click()
    page.get_by_text("1 removed.").wait_for()
    assert client.get(f"{API}/gallery/{parent}").status_code == 404


def test_a_dropped_file_is_checked(seen: Visitor, client: httpx.Client) -> None:
    id = client.post(f"{API}/imagine?wait=true", json={"prompt": "a red rose", "seed": 7}).json()["artifacts"][0]
    data = client.get(f"{API}/gallery/{id}/file").content
    page = seen.at("library?tab=verify")
    drop(page, ".vf-drop", ("rose.png", "image/png", data))
    page.get_by_text("All that this file says holds").wait_for()
    facts = page.locator(".vf-card").inner_text()
    for words in ("Signature", "Invisible mark", "Disclosure", "trainedAlgorithmicMedia", "This very file is in"):
        assert words in facts
    page.get_by_text("Weights and their licences").click()
    assert "Apache-2.0" in page.locator(".vf-licences").inner_text()
    page.get_by_role("button", name="Find the nearest training pictures").click()
    page.locator(".vf-things li").first.wait_for()
    near = client.get(f"{API}/gallery/{id}/attribute?top=4").json()["things"][0]["near"][0]
    assert f"by {near['author']}, {near['licence']}" in page.locator(".vf-things").inner_text()
    assert not seen.seen()


def test_a_file_that_was_changed_and_one_that_says_nothing(
    seen: Visitor, cars: list[str], client: httpx.Client
) -> None:
    data = client.get(f"{API}/gallery/{cars[0]}/file").content
    at = data.index(b"a red car")
    page = seen.at("library?tab=verify")
    drop(page, ".vf-drop", ("changed.png", "image/png", data[:at] + b"A" + data[at + 1 :]))
    page.get_by_text("Something in this file does not hold").wait_for()
    assert page.locator(".vf-check.is-fails").count() > 0
    plain = io.BytesIO()
    Image.new("RGB", (40, 40), (9, 90, 40)).save(plain, "PNG")
    drop(page, ".vf-drop", ("plain.png", "image/png", plain.getvalue()))
    page.get_by_text("This file says nothing of where it came from").wait_for()
    page.get_by_role("button", name="Keep it in my gallery").click()
    page.get_by_text("This very file is in your gallery.").wait_for()
    drop(page, ".vf-drop", ("notes.png", "image/png", b"<svg onload='alert(1)'>"))
    page.locator(".error-note").wait_for()


def test_two_people_apart(chrome: Any, studio: Any, seen: Visitor, cars: list[str]) -> None:
    with visitor(chrome, studio.url, studio.user("apart", "free")) as other:
        page = other.at("library")
        page.get_by_text("Nothing here yet").wait_for()
        other.at(f"converse/{cars[0]}")
        page.get_by_text("There is no such picture in your gallery.").wait_for()
        other.at("account")
        page.get_by_text("15 credits left").wait_for()
        assert page.get_by_role("tab", name="People").count() == 0
        other.at("account?tab=people")
        assert page.get_by_role("tab", name="Plan and ledger").get_attribute("aria-selected") == "true"
        other.at("jobs")
        page.get_by_role("heading", name="No jobs").wait_for()
        assert page.get_by_role("button", name="Pause the queue").count() == 0


def test_jobs_wait_move_up_are_cancelled_tried_again_and_forgotten(operator: Visitor, studio: Any) -> None:
    page = operator.at("jobs")
    page.get_by_role("button", name="Pause the queue").click()
    page.get_by_text("Paused: no more jobs are begun").wait_for()
    with studio.client() as own:
        for words in ("a first in line", "a second in line"):
            body = {"task": "imagine", "model": "echo", "prompt": words, "width": 64, "height": 64}
            own.post(f"{API}/jobs", json=body).raise_for_status()
        page.reload()
        second = page.locator(".jb-job", has_text="a second in line")
        second.get_by_label("Priority of: a second in line").select_option("Priority: high")
        page.get_by_text("Its priority is high now.").wait_for()
        waiting = own.get(f"{API}/jobs?status=queued").json()["data"]
        told = {job["request"]["prompt"]: job["priority"] for job in waiting}
        assert told == {"a first in line": "normal", "a second in line": "high"}
        page.get_by_role("button", name="Cancel: a first in line").click()
        page.get_by_role("button", name="Try again: a first in line").click()
        page.locator(".jb-job", has_text="a first in line").locator("text=waiting").first.wait_for()
        page.get_by_role("button", name="Forget it: a first in line").click()
        page.get_by_text("Forgotten. Its pictures stay").wait_for()
        page.get_by_role("button", name="Go on").click()
        page.locator(".jb-job", has_text="a second in line").locator("text=done").wait_for()
        page.locator(".jb-job", has_text="a first in line").locator("text=done").wait_for()
        first = page.locator(".jb-job", has_text="a first in line")
        assert first.count() == 1
        assert first.locator("img").count() == 1
        assert not own.get(f"{API}/jobs?status=queued").json()["data"]


def test_rules_a_refusal_its_appeal_and_the_decision(operator: Visitor, studio: Any) -> None:
    page = operator.at("account?tab=rules")
    with studio.client() as own:
        policy = own.get(f"{API}/policy").json()
        page.get_by_text(policy["hash"]).wait_for()
        assert page.locator(".ac-table tbody tr").count() == len(policy["rules"])
        page.get_by_label("Text", exact=True).fill("a cat on a wall")
        page.get_by_role("button", name="Judge it").click()
        page.get_by_text("Allowed: no rule refuses this text.").wait_for()
        words = "a bloody corpse"
        page.get_by_label("Text", exact=True).fill(words)
        page.get_by_role("button", name="Judge it").click()
        page.get_by_text("Refused by").wait_for()
        refused = own.post(f"{API}/imagine", json={"prompt": words})
        assert refused.status_code == 403
        operator.at("account?tab=refusals")
        mine = page.locator("section", has=page.get_by_role("heading", name="What was refused you"))
        mine.get_by_label("Why this was wrong").first.fill("it is for a class on the law")
        mine.get_by_role("button", name="Appeal").first.click()
        page.get_by_text("Appealed: it is for a class on the law").first.wait_for()
        waiting = page.locator("section", has=page.get_by_role("heading", name="Appeals of everybody that wait"))
        one = waiting.locator("li.card", has_text="it is for a class on the law")  # others may wait, too
        one.get_by_label("Your reason").fill("parody in class")
        one.get_by_role("button", name="Allow exactly this text").click()
        one.wait_for(state="detached")
        assert own.post(f"{API}/imagine/quote", json={"prompt": words}).status_code == 200


def test_a_person_gets_a_token_once_and_loses_it(operator: Visitor, studio: Any) -> None:
    page = operator.at("account?tab=people")
    page.get_by_label("Name").fill("bea")
    page.get_by_label("Plan", exact=True).select_option("standard")
    page.get_by_role("button", name="Add", exact=True).click()
    card = page.locator('[data-name="bea"]')
    card.get_by_text("Tokens of bea").click()
    card.get_by_label("Label").fill("laptop")
    card.get_by_role("button", name="Issue a token").click()
    token = page.locator("[data-token]").inner_text()
    with studio.client(token) as bea:
        assert bea.get(f"{API}/account").json()["plan"] == "standard"
        page.get_by_role("button", name="I have kept it").click()
        assert token not in page.content()
        card.get_by_label("Plan of bea").select_option("pro")
        page.wait_for_function("() => document.querySelector('[data-name=bea] select')?.disabled === false")
        assert bea.get(f"{API}/account").json()["plan"] == "pro"
        card.get_by_role("button", name="Revoke the token laptop of bea").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        card.get_by_text("revoked").wait_for()
        assert bea.get(f"{API}/account").status_code == 401


def test_ledger_and_energy(seen: Visitor, cars: list[str], client: httpx.Client) -> None:
    page = seen.at("account")
    left = client.get(f"{API}/account").json()["left"]
    words = f"{left:,.3f}".rstrip("0").rstrip(".")
    page.get_by_text(f"{words} credits left").wait_for()
    lines = client.get(f"{API}/ledger?limit=30").json()["data"]
    page.locator(".ac-table tbody tr").first.wait_for()
    assert page.locator(".ac-table tbody tr").count() == len(lines)
    page.get_by_role("button", name="Add up the newest pictures").click()
    page.get_by_text("Wh for the newest").wait_for()


def test_models_are_shown_with_licence_and_hash(seen: Visitor, client: httpx.Client) -> None:
    id = client.post(f"{API}/imagine?wait=true", json={"prompt": "a red rose", "seed": 8}).json()["artifacts"][0]
    weights = client.get(f"{API}/gallery/{id}/receipt").json()["ran"]["weights"]
    page = seen.at("library?tab=models")
    page.get_by_text(weights[0]["sha256"]).wait_for()
    assert page.locator(".lb-card").count() == len(client.get(f"{API}/models").json()["data"])
    assert "Apache License 2.0" in page.locator(".lb-card").first.inner_text()


def test_adapters_are_shown_with_what_they_change_and_whose_they_are(seen: Visitor, studio: Any) -> None:
    page = seen.at("library?tab=adapters")
    page.get_by_text("No adapters yet").wait_for()
    told = {
        "name": "pomo",
        "title": "Pomo the dog",
        "file": "x.safetensors",
        "sha256": "5" * 64,
        "data_sha256": "6" * 64,
    }
    licence = Licence(spdx="CC-BY-4.0", name="Creative Commons Attribution 4.0", commercial=True, attribution="by Ann")
    made = Adapter(
        **told, base="embedded", family="embedded", method="lora", ranks=(8,), parts=("unet",), layers=32,
        trigger=("pomo",), licence=licence, consent="I took these photos", created="2026-01-02T03:04:05+00:00",
    )  # fmt: skip
    folder = studio.home / "adapters"
    folder.mkdir(exist_ok=True)
    (folder / "pomo.json").write_text(made.model_dump_json())
    page.reload()
    card = page.locator(".lb-card")
    card.wait_for()
    words = card.inner_text()
    for part in (
        "Pomo the dog",
        "Creative Commons",
        "commercial use allowed",
        "32 layers of embedded; lora, rank 8",
        "5" * 64,
    ):
        assert part in words
    assert "I took these photos" in words
    assert not seen.seen()
    (folder / "pomo.json").unlink()


@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious(chrome: Any, studio: Any, cars: list[str], width: int) -> None:
    places = ["library", *(f"library?tab={tab}" for tab in ("verify", "models", "adapters", "personalise")), "jobs"]
    places += ["account", *(f"account?tab={tab}" for tab in ("rules", "refusals", "people", "queue"))]
    size = {"width": width, "height": 900}
    with visitor(chrome, studio.url, TOKEN, viewport=size, locale="es-ES") as seen:
        for place, theme in zip(places, ("light", "dark") * len(places), strict=False):
            seen.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            seen.at(place)
            seen.page.wait_for_timeout(250)
            assert not seen.seen(), place
            assert seen.wide() <= 0, place
