"""The studio in Spanish, in a real browser on the real server: what the server says, and prompts in Spanish."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.serve.conftest import TOKEN
from tests.serve.studio.hands import Visitor, visitor
from tests.serve.studio.pages import chromium

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium() is None, reason="no chromium is here")]

PLACES = ("imagine", "converse", "canvas", "library", "jobs", "account")
ASKED = """async ([path, body]) => {
  const { api } = await import("/js/api.js");
  try { await api(path, { body }); } catch (error) { window.failed = error; return [error.message, error.hint || ""]; }
  return ["", ""];
}"""
SMALL = """() => [...document.querySelectorAll('button, a[href], input, select, textarea, summary, [tabindex="0"]')]
  .filter((one) => one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && !one.disabled)
  .filter((one) => !one.closest('p, .unseen, .skip'))
  .map((one) => [one.closest('label') || one, one]).map(([area, one]) => [area.getBoundingClientRect(), one])
  .filter(([box, one]) => box.width > 0 && (box.width < 24 || box.height < 24) )
  .map(([box, one]) => `${one.outerHTML.slice(0, 100)} ${Math.round(box.width)}x${Math.round(box.height)}`)"""
"""What is smaller than 24 pixels and can be touched; links inside of sentences may be."""
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return '';
  const name = one.getAttribute('aria-label') || one.textContent.trim().slice(0, 40) || one.id || one.className;
  return `${one.tagName} ${name}`;
}"""


@pytest.fixture
def ana(chrome: Any, studio: Any) -> Iterator[Visitor]:
    """Somebody whose browser speaks Spanish."""
    with visitor(chrome, studio.url, TOKEN, locale="es-ES") as made:
        made.at("imagine")
        made.page.wait_for_function("async () => (await import('/js/say.js')).called('tasks', 'edit') === 'Editar'")
        yield made


WRONG = [
    ("/imagine", {"prompt": "a cat", "steps": 0}, "«Pasos»: tiene que ser 1 o más (se dio 0)."),
    ("/imagine", {"prompt": "a cat", "steps": 1.5}, "«Pasos»: es un número, y tiene que ser un número entero."),
    ("/imagine", {"prompt": ""}, "«Prompt»: está vacío; diga qué debe mostrar la imagen."),
    ("/imagine", {}, "Falta «Prompt»."),
    (
        "/imagine",
        {"prompt": "a cat", "sampler": "eulr"},
        "No hay ningún muestreador «eulr». ¿Quiso decir euler",
    ),
    ("/imagine", {"prompt": "a cat", "width": 100}, "cada lado tiene que ir de 64 a 256 en pasos de 32"),
    ("/imagine", {"prompt": "a cat", "guidance": 1, "negative_prompt": "x"}, "Un prompt negativo actúa con una guía"),
    ("/imagine", {"prompt": "a cat", "adapters": [{"name": "x"}]}, "No hay ningún adaptador «x»."),
    ("/imagine", {"prompt": "a cat by Greg Rutkowski"}, "El texto pide el estilo de Greg Rutkowski, artista que vive."),
    ("/imagine", {"prompt": "a naked child"}, "El contenido sexual o la desnudez con un menor se rechazan"),
    ("/edit", {"picture": "nope", "instruction": "x"}, "«Imagen»: «nope» no es el identificador de una imagen."),
    ("/jobs/nope/cancel", {}, "No hay ningún trabajo «nope»."),
    ("/users", {"name": "ann", "plan": "gold"}, "No hay ningún plan «gold». Hay: free, local, pro, standard."),
]


def test_the_server_is_heard_in_spanish_and_in_the_language_of_now(ana: Visitor) -> None:
    for path, body, want in WRONG:
        message, hint = ana.page.evaluate(ASKED, [path, body])
        assert want in message, (path, body, message)
        assert not re.search(r"\b(?:the|is|not|must)\b|fantascope |--\w", message + hint), (message, hint)
    ana.page.evaluate(ASKED, ["/imagine", {"prompt": "a cat", "steps": 0}])
    ana.page.get_by_label("Idioma").select_option("en")
    assert ana.page.evaluate("window.failed.message") == "steps: input should be greater than or equal to 1 (given: 0)."


def test_an_instruction_that_is_not_clear_asks_in_spanish(ana: Visitor, studio: Any) -> None:
    with studio.client() as client:
        made = client.post("/v1/fantascope/imagine?wait=true", json={"prompt": "a cat on a house", "seed": 1}).json()
    page = ana.at(f"converse/{made['artifacts'][0]}")
    page.locator(".cv-line textarea").fill("change the dog to a horse")
    page.keyboard.press("Enter")
    page.wait_for_selector(".error-note")
    told = page.inner_text(".error-note")
    assert "nada se llama «the dog»" in told and "Dígalo como una de estas" in told
    assert "cambiar «a cat» por «a horse»" in page.locator(".readings button").all_inner_texts()
    page.locator(".cv-line textarea").fill("cambia el gato por un perro")
    page.locator(".in-english button").click()
    assert page.locator(".cv-line textarea").input_value() == "change the cat to a dog"
    assert page.locator(".in-english button").count() == 0
    assert not ana.seen()


def test_what_looks_like_a_sentence_and_is_none_is_not_taken_for_one(ana: Visitor) -> None:
    said = "async text => { const found = (await import('/js/say.js')).say(text); return [found.text, found.lang]; }"
    for text in ("qq ww, ee rr; tt yy or uu ii.", "zz: ww.", "a. " * 2000, "{name}", "$& $1 \\"):
        assert ana.page.evaluate(said, text) == [text, "en"]
    assert ana.page.evaluate(said, "There is no job '$& {id}'.") == ["No hay ningún trabajo «$& {id}».", None]


def test_a_sentence_that_nobody_translated_says_that_it_is_english(ana: Visitor) -> None:
    body = {"error": {"code": "invalid_value", "message": "Quite <b>another</b> sentence.", "hint": "Do this."}}
    ana.page.route("**/v1/fantascope/jobs", lambda route: route.fulfill(status=400, json=body))
    ana.page.locator("main textarea").first.fill("a cat")
    ana.page.keyboard.press("Control+Enter")
    ana.page.wait_for_selector(".error-note")
    assert ana.page.inner_text(".error-message") == "Un valor no vale."
    english = ana.page.locator(".error-note [lang=en]").all_inner_texts()
    assert english == ["Quite <b>another</b> sentence.", "Do this."]


def test_only_a_rule_that_can_be_appealed_against_offers_it(ana: Visitor, studio: Any) -> None:
    page = ana.page
    page.locator("main textarea").first.fill("a naked child")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".error-note")
    assert "Esta regla es final" in page.inner_text(".error-note")
    assert page.get_by_role("button", name="Apelar").count() == 0
    page.locator("main textarea").first.fill("a car in the style of Greg Rutkowski")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Apelar").click()
    page.get_by_label("Por qué debería permitirse").fill("Es para una clase.")
    page.get_by_role("button", name="Enviar la apelación").click()
    page.wait_for_selector("text=La apelación se ha enviado.")
    with studio.client() as client:
        assert client.get("/v1/fantascope/refusals").json()["data"][0]["appeal"] == "Es para una clase."


def test_a_job_that_failed_says_why_in_spanish(ana: Visitor, studio: Any) -> None:
    import io

    from PIL import Image

    plain = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(plain, "PNG")
    with studio.client() as client:
        given = client.post("/v1/fantascope/gallery", content=plain.getvalue(), headers={"Content-Type": "image/png"})
        job = client.post("/v1/fantascope/cutout?wait=true", json={"picture": given.json()["id"]}).json()
        assert job["error"]["message"] == "Nothing stands out from the background."
    page = ana.at("jobs")
    page.wait_for_selector("text=Nada destaca del fondo.")
    page.wait_for_selector("text=Baje la tolerancia")
    assert "Recortar" in page.locator("main .tag").all_inner_texts()


SPANISH = {
    "un gato rojo": "a red cat",
    "tres perros azules en la playa, acuarela": "three blue dogs on a beach, watercolor",
    "un elefante rosa sobre un fondo azul": "a pink elephant on a blue background",
    "una casa azul con una puerta roja": "a blue house with a red door",
    "pintura al óleo de un búho": "oil painting of an owl",
    "un astronauta caminando por una galaxia de girasoles": "an astronaut walking through a galaxy of sunflowers",
    "un xilófono y un gato": "a xilófono and a cat",
    "a red car": None,
    "a pan on a stove": None,
    "qwe rty uio": None,
    "": None,
    "<b>gato</b>": None,
}
ORDERS = {
    "cambia el astronauta por un gato": "change the astronaut to a cat",
    "¡Añade una luna al fondo!": "add a moon in the background",
    "quita el perro": "remove the dog",
    "hazlo de noche": "make it night",
    "pinta el coche de rojo": "make the car red",
    "mueve el gato a la izquierda": "move the cat to the left",
    "remove the moon": None,
    "quita el qwerty asdf": None,
}
SAID = """async ([text, order]) => {
  const { dictionary, inEnglish } = await import("/js/english.js");
  return inEnglish(text, await dictionary(), order);
}"""


def test_spanish_prompts_are_offered_in_english(ana: Visitor) -> None:
    for order, texts in ((False, SPANISH), (True, ORDERS)):
        for text, want in texts.items():
            assert ana.page.evaluate(SAID, [text, order]) == want, text
    ana.page.locator("main textarea").first.fill("un gato rojo")
    ana.page.get_by_role("button", name="Escribirlo en inglés: a red cat").click()
    assert ana.page.locator("main textarea").first.input_value() == "a red cat"
    ana.page.keyboard.press("Control+z")
    assert ana.page.locator("main textarea").first.input_value() == "un gato rojo", "it can be taken back"
    ana.page.get_by_label("Idioma").select_option("en")
    ana.page.wait_for_selector(".in-english button", state="detached")


def test_the_dictionary_says_names_that_the_model_knows() -> None:
    from tests.serve.studio.scripts import PAGE

    from fantascope.prompt.known import embedded_vocabulary

    told = json.loads((PAGE / "lang/es/english.json").read_text("utf-8"))
    names = embedded_vocabulary().names
    assert len(told["nouns"]) > 400
    assert not [english for english in told["nouns"].values() if english.lower() not in names]
    assert not [english for english in told["plurals"] if english not in told["nouns"].values()]


@pytest.mark.parametrize("width", [390, 1024])
def test_every_place_is_in_order_in_spanish(ana: Visitor, width: int) -> None:
    ana.page.set_viewport_size({"width": width, "height": 800})
    findings = {}
    for place in PLACES:
        ana.go(place)
        ana.page.wait_for_timeout(500)
        found = (ana.seen(), ana.wide(), ana.page.evaluate(SMALL))
        if found != ([], 0, []):
            findings[place] = found
    assert not findings


def test_a_picture_with_all_its_papers_open_is_no_wider_than_the_window(ana: Visitor, studio: Any) -> None:
    with studio.client() as client:
        made = client.post("/v1/fantascope/imagine?wait=true", json={"prompt": "a cat", "seed": 1}).json()
    for width in (390, 1024, 1600):
        ana.page.set_viewport_size({"width": width, "height": 900})
        page = ana.at(f"picture/{made['artifacts'][0]}")
        page.wait_for_selector(".pi-verdict")
        page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        assert ana.wide() <= 0, width
    told = page.inner_text(".pi-side")
    assert "Firmado por" in told and "Marca invisible" in told and "pi.claim" not in told
    assert not re.search(r"\b(?:the|whose|unchanged)\b", page.inner_text(".pi-checks"))
    page = ana.at("picture/sha256:" + "0" * 64)
    page.wait_for_selector("text=Esta imagen no está aquí")


def test_the_keyboard_goes_through_the_page_and_out_again(ana: Visitor) -> None:
    page = ana.page
    ana.go("imagine")
    page.evaluate(
        "() => { document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex'); }"
    )
    seen: list[str] = []
    for _ in range(90):
        page.keyboard.press("Tab")
        now = page.evaluate(FOCUSED)
        if now == "" or (seen and now == seen[0]):
            break
        seen.append(now)
    else:
        raise AssertionError(seen[-20:])
    assert seen[0] == "A Saltar al contenido"
    assert any("Pintar" in one or "TEXTAREA" in one for one in seen)
    assert len(seen) == len(set(seen)) or len(seen) > 20
