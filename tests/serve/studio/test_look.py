"""Search by look in a browser: dropped, named by a picture, by keys; days as filters; nothing found of others."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.serve.own.test_search import drawn
from tests.serve.studio.hands import Visitor, drop, visitor
from tests.serve.studio.pages import chromium

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium() is None, reason="no chromium is here")]

API = "/v1/fantascope"
SHAPES = [(form, colour) for form in ("ellipse", "rectangle", "polygon") for colour in ("red", "blue", "green")]


@pytest.fixture(scope="module")
def token(studio: Any) -> str:
    """Somebody with drawings."""
    return str(studio.user("look"))


@pytest.fixture(scope="module")
def drawings(studio: Any, token: str) -> dict[tuple[str, str], str]:
    """Form and colour -> id of a drawing in the gallery."""
    with studio.client(token) as client:
        return {
            shape: client.post(f"{API}/gallery", content=drawn(*shape)).raise_for_status().json()["id"]
            for shape in SHAPES
        }


@pytest.fixture
def seen(chrome: Any, studio: Any, token: str, drawings: Any) -> Iterator[Visitor]:
    """That person, new to this browser."""
    with visitor(chrome, studio.url, token) as made:
        yield made


def shown(page: Any) -> list[str]:
    """Return the ids of the pictures that are shown, once all were looked at."""
    page.wait_for_function("() => !document.querySelector('.lb-asked [role=status]').textContent.includes('…')")
    found: list[str] = page.evaluate("[...document.querySelectorAll('.lb-tile')].map((one) => one.dataset.id)")
    return found


def test_a_dropped_picture_finds_what_looks_like_it(seen: Visitor, drawings: dict[tuple[str, str], str]) -> None:
    page = seen.at("library")
    copy = drawn("ellipse", "green", format="JPEG", quality=40)
    drop(page, ".lb-look", ("a copy.jpg", "image/jpeg", copy))
    page.get_by_role("heading", name="What looks like a copy.jpg").wait_for()
    page.locator(".lb-tile").first.wait_for()
    ids = shown(page)
    assert ids[0] == drawings["ellipse", "green"] and set(ids) == set(drawings.values())
    said = page.locator(".lb-distance").all_inner_texts()
    assert [float(one.removeprefix("distance ")) for one in said] == sorted(
        float(one.removeprefix("distance ")) for one in said
    )
    assert not seen.seen()
    page.get_by_role("button", name="Check what the file says of itself").click()
    page.get_by_text("This file says nothing of where it came from").wait_for()


def test_more_like_one_by_mouse_keys_and_address(seen: Visitor, drawings: dict[tuple[str, str], str]) -> None:
    page = seen.at("library")
    id = drawings["polygon", "red"]
    tile = page.locator(f'[data-id="{id}"]')
    tile.hover()
    tile.get_by_role("button", name="More like this").click()
    page.get_by_role("heading", name="What looks like this").wait_for()
    page.locator(".lb-tile").first.wait_for()
    first = shown(page)
    assert id not in first and len(first) == len(drawings) - 1
    page.reload()
    page.locator(".lb-tile").first.wait_for()
    assert shown(page) == first
    page.locator(".lb-tile .picture-open").first.focus()
    page.keyboard.press("l")
    page.wait_for_function("(id) => location.hash.includes(encodeURIComponent(id))", arg=first[0])
    page.locator(f'[data-id="{id}"]').wait_for()
    page.go_back()
    page.wait_for_function("(id) => document.querySelector('.lb-tile')?.dataset.id === id", arg=first[0])
    page.get_by_role("button", name="Show all pictures").click()
    page.get_by_text(f"That is all: {len(drawings)} pictures.").wait_for()
    seen.at(f"picture/{id}")
    page.locator(".pi-more summary").click()
    page.get_by_role("button", name="More like this").click()
    page.get_by_role("heading", name="What looks like this").wait_for()


def test_filters_limit_it_and_what_is_removed_goes(seen: Visitor, token: str, studio: Any) -> None:
    page = seen.at("library")
    with studio.client(token) as client:
        extra = client.post(f"{API}/gallery", content=drawn("polygon", "orange")).json()["id"]
    drop(page, ".lb-look", ("o.png", "image/png", drawn("polygon", "orange")))
    page.locator(f'[data-id="{extra}"]').wait_for()
    assert shown(page)[0] == extra
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Made or handed in").select_option("made here")
    page.get_by_text("No other picture of yours fits.").wait_for()
    page.get_by_role("button", name="Clear the filters").click()
    page.locator(f'[data-id="{extra}"] .picture-open').focus()
    page.keyboard.press("x")
    page.keyboard.press("Delete")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_text("1 removed.").wait_for()
    assert page.locator(f'[data-id="{extra}"]').count() == 0


def test_what_cannot_be_read_is_said(seen: Visitor) -> None:
    page = seen.at("library")
    drop(
        page, ".lb-look", ("evil.svg", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
    )
    page.get_by_text("evil.svg is no picture that can be read here").wait_for()
    good = drawn("ellipse", "red")
    drop(page, ".lb-look", ("cut.png", "image/png", good[: len(good) // 2]))
    page.locator(".error-note").wait_for()
    assert "cut off" in page.locator(".error-note").inner_text()
    page.get_by_role("button", name="Show all pictures").click()
    page.locator(".lb-tile").first.wait_for()
    assert page.locator(".error-note").count() == 0


def test_days_are_asked_of_the_server_in_the_time_of_this_place(chrome: Any, studio: Any, token: str) -> None:
    with visitor(chrome, studio.url, token, timezone_id="Asia/Kolkata") as made:
        asked: list[str] = []
        made.page.on("request", lambda one: asked.append(one.url))
        page = made.at("library")
        page.get_by_text("Filters", exact=True).click()
        page.get_by_label("From day").fill("2026-01-02")
        page.get_by_label("To day").fill("2026-01-03")
        page.get_by_text("No picture fits these filters.").wait_for()
        query = httpx.URL(next(url for url in asked[::-1] if "until=" in url)).params
        assert query["since"] == "2026-01-01T18:30:00.000Z" and query["until"] == "2026-01-03T18:30:00.000Z"


@pytest.mark.parametrize("width", [390, 1024, 1600])
def test_it_fits_and_axe_finds_nothing_serious(
    chrome: Any, studio: Any, token: str, drawings: dict[tuple[str, str], str], width: int
) -> None:
    size = {"width": width, "height": 900}
    for theme, words in (("light", "en-US"), ("dark", "es-ES")):
        with visitor(chrome, studio.url, token, viewport=size, locale=words, color_scheme=theme) as seen:
            seen.at(f"library?like={drawings['ellipse', 'red']}")
            seen.page.locator(".lb-tile").first.wait_for()
            assert not seen.seen()
            assert seen.wide() <= 0


def test_an_adapter_shows_its_grid_and_the_size_of_its_file(
    seen: Visitor, studio: Any, drawings: dict[tuple[str, str], str]
) -> None:
    from fantascope.adapter import Adapter
    from fantascope.spec import Licence

    file = io.BytesIO()
    Image.new("RGB", (96, 64), (200, 40, 90)).save(file, "PNG")
    with studio.client() as own:
        grid = own.post(f"{API}/gallery", content=file.getvalue()).json()["id"]
    folder = studio.home / "adapters"
    (folder / "files").mkdir(parents=True, exist_ok=True)
    (folder / "files" / "x.safetensors").write_bytes(b"x" * 3 * 2**20)
    told = {"name": "grown", "title": "Grown", "file": "x.safetensors", "sha256": "5" * 64, "data_sha256": "6" * 64}
    made = Adapter(**told, base="embedded", family="embedded", method="lora", ranks=(8,), parts=("unet",), layers=3,
                   licence=Licence(spdx="CC0-1.0"), samples=grid)  # fmt: skip
    (folder / "grown.json").write_text(made.model_dump_json())
    try:
        page = seen.at("library?tab=adapters")
        card = page.locator(".lb-card", has_text="Grown")
        card.wait_for()
        assert "3 MiB" in card.inner_text()
        picture = card.get_by_alt_text("Sample grid of grown")
        picture.wait_for()
        page.wait_for_function("() => document.querySelector('.lb-grown img').naturalWidth === 96")
    finally:
        (folder / "grown.json").unlink()
