"""Make the pictures of docs/studio.md: the real page on a real server, in both themes and at three widths.

python docs/make_screens.py          needs Chromium (apt-get install chromium) and playwright
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).parent / "pictures"
PROMPT = "a pink elephant on a blue background, warm light"
FIRST = ("an astronaut walking through a galaxy of sunflowers", 3)
TURNS = ("change the astronaut to a cat", "add a moon in the background")
WIDTHS = {390: 844, 1024: 768, 1600: 1000}


def post(page: Any, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask our API as the page does, and return the answer."""
    code = """async ([path, body]) => (await fetch('/v1/fantascope' + path, {method: 'POST', body: JSON.stringify(body),
      headers: {'X-Fantascope': '1', 'Content-Type': 'application/json'}})).json()"""
    found: dict[str, Any] = page.evaluate(code, [path, body])
    return found


def prepare(page: Any) -> dict[str, str]:
    """Fill the gallery, and return the addresses of what is shown."""
    for prompt, n in (("four strawberries", 1), ("a red car in front of a house", 2), ("a lion, pixel art", 2)):
        post(page, "/imagine?wait=true", {"prompt": prompt, "n": n, "seed": 7})
    made = post(page, "/imagine?wait=true", {"prompt": FIRST[0], "seed": FIRST[1]})["artifacts"][0]
    for words in TURNS:
        made = post(page, "/edit?wait=true", {"picture": made, "instruction": words, "seed": FIRST[1]})["artifacts"][0]
    return {"converse": f"#/converse/{made}", "picture": f"#/picture/{made}", "canvas": f"#/canvas/{made}"}


def paint(page: Any) -> None:
    """Paint from the page's own prompt box, so that a run stands on it."""
    page.locator("textarea").first.fill(PROMPT)
    page.keyboard.press("Control+Enter")
    page.locator("main img").nth(3).wait_for(timeout=60_000)
    page.wait_for_timeout(6000)


def shoot(browser: Any, login: str, home: str) -> None:
    """Take every picture."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000}, color_scheme="light")
    page = context.new_page()
    page.goto(login)
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="Understood").click()
    places = prepare(page)
    paint(page)
    shots = [("imagine", "", 1600, "light"), ("imagine", "", 390, "dark"), ("library", "#/library", 1600, "dark")]
    shots += [("converse", places["converse"], 1024, "light"), ("converse", places["converse"], 390, "light")]
    shots += [("canvas", places["canvas"], 1600, "dark"), ("canvas", places["canvas"], 390, "light")]
    shots += [("picture", places["picture"], 1024, "dark"), ("jobs", "#/jobs", 1024, "light")]
    shots += [("account", "#/account", 1024, "dark")]
    for name, place, width, theme in shots:
        page.set_viewport_size({"width": width, "height": WIDTHS[width]})
        page.emulate_media(color_scheme=theme)
        page.goto(home + "/" + (place or "#/imagine"))
        page.wait_for_timeout(3500)
        file = PICTURES / f"studio-{name}-{width}-{theme}"
        page.screenshot(path=f"{file}.png")
        Image.open(f"{file}.png").convert("RGB").save(f"{file}.jpg", quality=82)
        Path(f"{file}.png").unlink()
        print(file.name)
    context.close()


def main() -> None:
    place = tempfile.mkdtemp(prefix="fantascope-screens-")
    words = [sys.executable, "-m", "fantascope", "studio", "--no-browser", "--json", "--port", "0"]
    process = subprocess.Popen(
        words, env=os.environ | {"FANTASCOPE_HOME": place}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    try:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            shoot(browser, told["login"], told["url"])
            browser.close()
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
