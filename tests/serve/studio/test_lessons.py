"""A subject is taught in the page: photos dropped and looked at, watched over a refresh, used in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.studio.conftest import TOKEN, Studio
from tests.serve.studio.hands import Visitor, drop, visitor
from tests.serve.studio.pages import chromium

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("playwright")

from tests.engines import tiny
from tests.serve.own.test_lessons import photo

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium() is None, reason="no Chromium here")]

PATIENCE = 240_000
FEW = {"Steps": "30", "Pictures of the class": "3", "Beside other things": "0", "Steps between sheets": "10"}
FEW |= {"Sample pictures": "2", "Pictures a step": "2"}


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with a tiny model that can be taught."""
    home: Path = tmp_path_factory.mktemp("lessons") / "home"
    models = home / "models"
    models.mkdir(parents=True)
    spec = tiny.spec_of(tiny.embedded(), "embedded", name="small")
    (models / "small.json").write_text(spec.model_dump_json(), "utf-8")
    running = Studio(home, env={"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"})
    yield running
    running.stop()


def filled(seen: Visitor, name: str, steps: str = "30") -> Any:
    """Drop three photos, one that is no picture and one that is there twice, and fill the form."""
    page = seen.at("library?tab=personalise")
    page.locator(".vf-drop").wait_for()
    page.get_by_label("Model to teach").select_option("tiny")
    files = [(f"robot {k}.png", "image/png", photo(k)) for k in range(3)]
    drop(page, ".vf-drop", *files, ("text.png", "image/png", b"no picture"), ("twin.png", "image/png", photo(1)))
    page.locator(".ps-photo[data-verdict=broken]", has_text="text.png").wait_for()
    page.get_by_label("Word for the subject").fill(name)
    page.get_by_label("What the subject is").fill("robot")
    page.get_by_label("Licence of the photos").fill("CC0-1.0")
    page.get_by_label("Who says yes to this").fill("I drew them")
    page.get_by_text("More settings").click()
    for label, value in (FEW | {"Steps": steps}).items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_text("All is ready.").wait_for(timeout=PATIENCE)
    return page


def test_dropped_judged_learnt_and_used(chrome: Any, school: Studio) -> None:
    with visitor(chrome, school.url, school.user("lea")) as seen:
        page = seen.at("library?tab=personalise")
        page.locator(".vf-drop").wait_for()
        drop(page, ".vf-drop", ("robot 0.png", "image/png", photo(0)))
        page.get_by_text("Give the subject a word").wait_for(timeout=PATIENCE)
        assert page.get_by_role("button", name="Teach it").is_disabled()
        page.get_by_role("button", name="Take out robot 0.png").click()
        filled(seen, "pomo")
        verdicts = [one.get_attribute("data-verdict") for one in page.locator(".ps-photo").all()]
        assert verdicts == ["good", "good", "good", "broken", "same"]
        page.get_by_text("It costs 2 credits").wait_for()
        page.get_by_role("button", name="Teach it").click()
        page.get_by_role("heading", name="pomo, the robot").wait_for(timeout=PATIENCE)
        page.locator(".ps-sheet img").wait_for(timeout=PATIENCE)
        page.reload()
        page.get_by_role("heading", name="pomo, the robot").wait_for(timeout=PATIENCE)
        page.get_by_text("pomo is learnt").wait_for(timeout=PATIENCE)
        page.locator(".ps-samples img").wait_for()
        assert not seen.seen() and seen.wide() <= 0
        page.get_by_role("button", name="Use it").click()
        page.locator("textarea").first.wait_for()
        assert page.locator("textarea").first.input_value() == "a pomo robot in the snow"
        page.get_by_text("Adapters").first.click()
        page.get_by_text("say: pomo").wait_for()
        seen.at("library?tab=adapters")
        page.locator(".lb-card", has_text="pomo").first.wait_for()


def test_cancelled_in_spanish_on_a_phone_in_the_dark(chrome: Any, school: Studio) -> None:
    look = {"viewport": {"width": 390, "height": 844}, "locale": "es-ES", "color_scheme": "dark"}
    token = school.user("eva")
    with visitor(chrome, school.url, token) as seen:
        page = filled(seen, "zorbo", "3000")
        page.get_by_role("button", name="Teach it").click()
        page.locator(".ps-lesson").wait_for(timeout=PATIENCE)
    with visitor(chrome, school.url, token, **look) as seen:
        page = seen.at("library?tab=personalise")
        page.get_by_role("heading", name="zorbo, clase robot").wait_for(timeout=PATIENCE)
        page.get_by_text("Aprendiendo, paso").wait_for(timeout=PATIENCE)
        assert not seen.seen() and seen.wide() <= 0
        seen.at("jobs")
        page.get_by_role("button", name="Mostrar la lección: Lección: zorbo, clase robot").click()
        page.get_by_role("button", name="Cancelar la lección").click()
        page.get_by_text("La lección se canceló").wait_for(timeout=PATIENCE)
        page.get_by_role("button", name="Volver a las fotos").click()
        page.get_by_text("Suelte aquí de tres a veinte fotos").wait_for()


def test_a_lesson_goes_on_under_an_open_page_when_the_server_dies(chrome: Any, school: Studio) -> None:
    with visitor(chrome, school.url, TOKEN) as seen:
        page = filled(seen, "wumbo", "200")
        page.get_by_role("button", name="Teach it").click()
        page.get_by_text("Learning, step").wait_for(timeout=PATIENCE)
        school.kill()
        page.get_by_text("The server does not answer; the lesson goes on").wait_for(timeout=PATIENCE)
        school.start()
        page.get_by_text("wumbo is learnt").wait_for(timeout=PATIENCE)
        page.get_by_role("button", name="Use it").wait_for()
        seen.wrong = [one for one in seen.wrong if "ERR_" not in one and "network error" not in one]
