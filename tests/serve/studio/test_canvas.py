"""The canvas in a real browser, on the real server and the embedded checkpoint."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.serve.conftest import TOKEN
from tests.serve.studio.canvases import API, FULL, HASHES, Canvas, easel
from tests.serve.studio.conftest import Studio

from fantascope.annotate.joints import COLOURS, JOINTS, LIMBS
from fantascope.annotate.segments import palette

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium here")]

PAGE = Path(__file__).parents[3] / "src/fantascope/serve/page"
NAMES = """() => [...document.querySelectorAll(".canvas button")]
  .map((one) => one.getAttribute("aria-label") || one.textContent.trim())"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def canvas(browser: Any, studio: Studio) -> Iterator[Callable[..., Canvas]]:
    with easel(browser, studio.url, TOKEN) as opened:
        yield opened


def usual() -> list[str]:
    """Return the names of regions that are offered first."""
    found = re.search(r"USUAL = (\[.*?\]);", (PAGE / "js/canvas/palette.js").read_text(), re.S)
    assert found is not None
    names: list[str] = json.loads(found[1])
    return names


def array(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def painted(it: Canvas) -> None:
    """Paint a bit with everything: soft and hard, thin colours, mask, scribble, regions, a person."""
    it.tool("b", size=60, softness=0.8, colour="#c0392b")
    it.drag((60, 80), (300, 120), (420, 400))
    it.tool("b", size=7, softness=0, colour="#2f6fd0")
    it.drag((30, 500), (200, 330), (480, 490))
    it.tool("e", size=30, softness=0.5)
    it.drag((250, 60), (260, 300))
    it.tool("m", size=50, softness=1)
    it.drag((100, 300), (200, 350))
    it.tool("s")
    it.drag((300, 300), (350, 420), (420, 300))
    it.tool("g", size=40)
    it.drag((40, 200), (140, 260))
    it.tool("p")


def test_palette_and_joints_are_those_of_the_server() -> None:
    text = (PAGE / "js/canvas/palette.js").read_text()
    rows = re.findall(r'\["([^"]+)", "#([0-9a-f]{6})"\]', text)
    assert [(name, tuple(bytes.fromhex(colour))) for name, colour in rows] == list(palette().items())
    assert set(usual()) <= set(palette())
    text = (PAGE / "js/canvas/pose.js").read_text()
    assert tuple(re.findall(r'"([a-z_]+)"', text.partition("JOINTS = [")[2].partition("];")[0])) == JOINTS
    colours = re.findall(r'"#([0-9a-f]{6})"', text.partition("COLOURS = [")[2].partition("];")[0])
    assert tuple(tuple(bytes.fromhex(one)) for one in colours) == COLOURS
    limbs = re.findall(r"\[(\d+), (\d+)\]", text.partition("LIMBS = [")[2].partition("];")[0])
    assert tuple((int(one), int(other)) for one, other in limbs) == LIMBS


def test_words_are_complete_in_both_languages() -> None:
    english, _, spanish = (PAGE / "js/canvas/words.js").read_text().partition("  es: {")
    keys = [set(re.findall(r'"(canvas\.[\w.]+)":', part)) for part in (english, spanish)]
    assert keys[0] == keys[1]
    sources = [*(PAGE / "js/canvas").glob("*.js"), PAGE / "js/views/canvas.js"]
    used = {key for path in sources for key in re.findall(r't\("(canvas\.[\w.]+)"', path.read_text())}
    said = {f"canvas.joint.{name}" for name in JOINTS} | {f"canvas.class.{name}" for name in usual()}
    assert used | said <= keys[0]


def test_undo_and_redo_are_exact_also_from_disk(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.js("fantascope.desk.history.most = 200000")  # so that nearly every step is put away
    seen = [it.hashes()]
    it.js("fantascope.desk.addEventListener('step', () => {})")
    for work in (
        lambda: (it.tool("b", size=60, softness=0.8, colour="#c0392b"), it.drag((60, 80), (300, 120))),
        lambda: (it.tool("b", size=9, softness=0, colour="#2f6fd0"), it.drag((60, 400), (300, 120), (400, 420))),
        lambda: (it.tool("e", size=40, softness=0.6), it.drag((200, 60), (210, 300))),
        lambda: (it.tool("r"), it.drag((150, 150), (350, 300)), it.page.keyboard.press("Enter")),
        lambda: it.page.keyboard.press("Delete"),
    ):
        work()
        seen.append(it.hashes())
    assert len({json.dumps(one) for one in seen}) == len(seen)
    for expected in reversed(seen[:-1]):
        it.page.keyboard.press("Control+z")
        it.js("fantascope.desk.history.queue")
        assert it.hashes() == expected
    assert it.js("fantascope.desk.history.steps.some((one) => one.away !== undefined)")
    for expected in seen[1:]:
        it.page.keyboard.press("Control+Shift+z")
        it.js("fantascope.desk.history.queue")
        assert it.hashes() == expected


def test_a_project_is_saved_to_one_file_and_opens_again_exactly(canvas: Callable[..., Canvas], tmp_path: Path) -> None:
    it = canvas(600, 520)
    painted(it)
    it.page.get_by_role("tab", name="Layers").click()
    it.page.get_by_label("Name of the layer").fill("Ann")
    it.page.get_by_label("Name of the layer").press("Enter")
    before, order = it.hashes(), it.layers()
    facts = "fantascope.desk.project.layers.map(({ id, raster, tiles, ...rest }) => rest)"
    told = it.js(facts)
    with it.page.expect_download() as coming:
        it.page.get_by_role("button", name="Save as a file").click()
    file = tmp_path / coming.value.suggested_filename
    coming.value.save_as(file)
    data = json.loads(file.read_text())
    assert file.suffix == ".fantascope" and (data["format"], data["version"]) == ("fantascope-canvas", 1)
    first = it.page.url
    with it.page.expect_file_chooser() as choosing:
        it.page.get_by_role("button", name="Open", exact=True).click()
    choosing.value.set_files(file)
    it.page.wait_for_url(lambda url: url != first)
    it.ready()
    it.until("location.hash.endsWith(fantascope.desk?.project.id)")
    assert it.hashes() == before and it.layers() == order and len(before) == 5
    assert it.js(facts) == told


def test_a_refresh_keeps_all(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    painted(it)
    before, order = it.hashes(), it.layers()
    strokes = "fantascope.desk.project.layers.map((one) => one.strokes)"
    lines = it.js(strokes)
    it.kept()
    it.page.reload()
    it.ready()
    assert it.hashes() == before and it.layers() == order and it.js(strokes) == lines
    it.tool("b", size=20)
    it.drag((50, 50), (80, 60))
    after = it.hashes()
    it.page.reload()  # at once: what is not written yet is written on the way out
    it.ready()
    assert it.hashes() == after
    it.tool("b", size=20, softness=0.5)
    it.drag((150, 50), (180, 60))
    after = it.hashes()
    it.page.goto(f"{it.url}/#/canvas")  # also within the page
    it.page.get_by_text("Recent projects").wait_for()
    it.page.locator(".canvas-recent a").first.click()
    it.ready()
    assert it.hashes() == after
    place = it.page.url
    with it.page.expect_event("crash"), contextlib.suppress(sync_api.Error):
        it.page.goto("chrome://crash", timeout=5000)
    it.page = it.opened()
    it.page.goto(place)
    it.ready()
    assert it.page.url == place and it.hashes() == after


def test_scribble_to_picture(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.tool("s", size=10)
    it.drag((150, 260), (160, 180), (230, 150), (300, 190), (310, 280), (230, 330), (150, 260), steps=6)
    it.drag((160, 180), (120, 240), (150, 260))
    it.make("From drawing", "a dog on the grass")
    id = it.result()
    receipt = it.context.request.get(f"{it.url}{API}/gallery/{id}/receipt").json()
    assert receipt["request"]["prompt"] == "a dog on the grass"
    (control,) = receipt["request"]["controls"]
    assert control["kind"] == "scribble"
    drawn = it.context.request.get(f"{it.url}{API}/gallery/{control['picture']}/receipt").json()["request"]
    document = json.loads(drawn["document"])
    assert drawn["kind"] == "sketch" and [line["width"] for line in document["strokes"]] == [10, 10]
    x, y = document["strokes"][0]["points"][0]
    assert abs(x - 150) <= 1 and abs(y - 260) <= 1
    file = array(it.context.request.get(f"{it.url}{API}/gallery/{id}/file").body())
    assert np.array_equal(it.flat()[..., :3], file), "the result lies in place, pixel for pixel"
    assert it.js("fantascope.desk.active.kind") == "picture"
    guide = "fantascope.desk.project.layers.find((one) => one.kind === 'sketch').visible"
    assert it.js(guide) is False, "the lines would lie over the picture"
    it.page.get_by_role("button", name="Again").click()
    it.until(f"fantascope.desk.pending && fantascope.desk.pending.pending.artifact !== {json.dumps(id)}")
    it.page.get_by_role("button", name="Discard").click()
    it.until("!fantascope.desk.pending")
    assert (it.flat()[..., :3] == 255).all() and it.js(guide) is True


def test_filling_changes_the_mask_alone(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.tool("b", size=200, softness=0.9, colour="#27ae60")
    it.drag((100, 420), (420, 430))
    it.tool("r")
    it.drag((150, 140), (360, 340))
    it.page.locator('[data-tool="rect"]').click()
    it.page.get_by_role("button", name="Selection to mask").click()
    it.page.keyboard.press("Escape")
    before = it.flat()
    it.make("Fill the mask", "a red apple")
    after = it.flat()
    inside = np.zeros((512, 512), bool)
    inside[139:341, 149:361] = True
    assert np.array_equal(before[~inside], after[~inside]) and not np.array_equal(before[inside], after[inside])
    id = it.result()
    receipt = it.context.request.get(f"{it.url}{API}/gallery/{id}/receipt").json()
    assert receipt["kept"] is not None and receipt["request"]["task"] == "fill"
    it.page.get_by_role("button", name="Accept").click()
    it.kept()
    it.page.reload()
    it.ready()
    assert np.array_equal(it.flat(), after)
    it.page.goto(f"{it.url}/#/canvas/{id}")  # a picture of the gallery becomes a project
    it.until("fantascope.desk?.project.layers.length === 1 && location.hash.endsWith(fantascope.desk.project.id)")
    assert np.array_equal(it.flat(), after) and it.js("fantascope.desk.active.kind") == "picture"


def test_a_dragged_joint_is_sent(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.tool("p")
    wrist = JOINTS.index("left_wrist")
    start = it.js(f"fantascope.desk.active.people[0][{wrist}]")
    it.page.wait_for_timeout(50)
    it.drag(tuple(start), (400, 90))
    moved = it.js("fantascope.desk.active.people[0]")
    assert moved[wrist] == pytest.approx([400, 90], abs=1.5)
    it.page.keyboard.press("ArrowRight")
    assert it.js(f"fantascope.desk.active.people[0][{wrist}][0]") == pytest.approx(moved[wrist][0] + 1, abs=0.05)
    people = it.js("fantascope.desk.active.people[0]")
    it.make("From drawing", "a chef on a teal background")
    receipt = it.context.request.get(f"{it.url}{API}/gallery/{it.result()}/receipt").json()
    (control,) = receipt["request"]["controls"]
    drawn = it.context.request.get(f"{it.url}{API}/gallery/{control['picture']}/receipt").json()["request"]
    (sent,) = json.loads(drawn["document"])["people"]
    assert control["kind"] == "pose" and [sent[name] for name in JOINTS] == people
    back = """async (document) => (await import("/js/canvas/pose.js")).peopleOf(document, 1024, 256)"""
    doubled = it.js(back, json.loads(drawn["document"]))
    assert doubled[0][wrist] == pytest.approx([people[wrist][0] * 2, people[wrist][1] / 2], abs=0.06)


def test_pose_from_a_picture_says_what_is_missing(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.page.locator('[data-tool="pose"]').click()
    it.page.get_by_role("button", name="Find in the picture").click()
    told = it.page.locator(".error-note")
    told.wait_for()
    assert "pose_detection.tflite" in told.inner_text()


def test_expanding_by_the_frame(canvas: Callable[..., Canvas]) -> None:
    it = canvas(256, 256)
    it.tool("b", size=120, colour="#27ae60")
    it.drag((40, 200), (220, 210))
    before = it.flat()
    it.page.get_by_role("tab", name="Make").click()
    it.page.get_by_label("What to make").select_option(label="Expand")
    it.until("fantascope.desk.frame")
    it.page.wait_for_timeout(50)
    it.drag((256, 128), (320, 128))
    sides = it.js("fantascope.desk.frame")
    box = it.page.locator(".canvas-stage").bounding_box()
    x, y = (round(a - box[side]) for a, side in zip(it.at(300, 128), "xy", strict=True))
    screen = "fantascope.desk.board.base.getNativeCanvasElement().getContext('2d')"
    red, green, blue, _ = it.js(f"(at) => [...{screen}.getImageData(...at, 1, 1).data]", [x, y])
    assert green > red and green > blue and green - red > 15, "what is added has the accent's colour"
    assert sides["right"] == pytest.approx(64, abs=2) and (sides["left"], sides["top"], sides["bottom"]) == (0, 0, 0)
    it.page.get_by_label("Left").fill("32")
    it.page.get_by_label("Left").press("Enter")
    it.make("Expand", "grass")
    after = it.flat()
    assert after.shape[:2] == (256, 288 + sides["right"])
    assert np.array_equal(after[:, 32:288], before), "what was there keeps its pixels"
    request = it.context.request.get(f"{it.url}{API}/gallery/{it.result()}/receipt").json()["request"]
    assert (request["left"], request["right"]) == (32, sides["right"])
    it.page.get_by_role("button", name="Discard").click()
    it.until("fantascope.desk.project.width === 256")
    assert np.array_equal(it.flat(), before)


def test_regions_are_sent_in_exactly_the_palettes_colours(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.tool("g", size=200)
    it.drag((0, 80), (511, 80))
    it.page.locator('[data-tool="segment"]').click()
    it.page.get_by_role("button", name="grass").click()
    it.drag((0, 420), (511, 430))
    it.make("From drawing", "a meadow")
    receipt = it.context.request.get(f"{it.url}{API}/gallery/{it.result()}/receipt").json()
    (control,) = receipt["request"]["controls"]
    sent = array(it.context.request.get(f"{it.url}{API}/gallery/{control['picture']}/file").body())
    colours = {tuple(map(int, one)) for one in np.unique(sent.reshape(-1, 3), axis=0)}
    assert control["kind"] == "segmentation" and colours == {(0, 0, 0), palette()["sky"], palette()["grass"]}


def test_a_sketch_is_varied_and_a_refresh_meanwhile_loses_nothing(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.tool("b", size=180, softness=0.4, colour="#c0392b")
    it.drag((180, 260), (330, 270))
    it.make("From sketch", "a red apple", wait=False)
    it.until("fantascope.desk.project.job")
    it.js("fantascope.desk.saver.now()")
    it.page.reload()
    it.ready()
    it.page.get_by_role("button", name="Accept").wait_for(timeout=60000)
    receipt = it.context.request.get(f"{it.url}{API}/gallery/{it.result()}/receipt").json()
    assert receipt["request"]["task"] == "vary" and receipt["request"]["strength"] == 0.6
    first = it.result()
    it.page.get_by_role("button", name="Again").click()
    it.until(f"fantascope.desk.pending && fantascope.desk.pending.pending.artifact !== {json.dumps(first)}")
    assert len(it.layers()) == 2


def test_two_tabs_on_one_project(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.tool("b", size=20)
    it.drag((50, 50), (300, 300))
    it.kept()
    first = it.page.url
    other = it.opened()
    other.goto(first)
    other.get_by_text("open in another tab").wait_for()
    it.ready(other)
    it.until("location.hash.endsWith(fantascope.desk?.project.id)", other)
    assert other.url != first and list(other.evaluate(HASHES).values()) == list(it.hashes().values())
    it.page.close()
    it.page = it.opened()
    it.page.goto(first)  # the lock ended with the tab
    it.ready()
    assert it.page.url == first


def test_bad_files_and_sizes_are_said(canvas: Callable[..., Canvas], tmp_path: Path) -> None:
    it = canvas(64, 64)
    said = it.page.locator(".toast.bad")

    def open_(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        with it.page.expect_file_chooser() as choosing:
            it.page.get_by_role("button", name="Open", exact=True).click()
        choosing.value.set_files(tmp_path / name)
        said.last.wait_for()
        text: str = said.last.inner_text()
        said.last.get_by_role("button").last.click()
        said.last.wait_for(state="detached")
        return text

    head = {"format": "fantascope-canvas", "version": 1, "width": 64, "height": 64, "name": "x"}
    layer = {"id": "a", "kind": "paint", "name": "a", "visible": True, "opacity": 1, "png": "AAAA"}
    assert "no picture" in open_("words.png", b"these are words")
    assert "no picture" in open_(
        "drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    )
    assert "no project" in open_("a.fantascope", b"{]")
    assert "another version" in open_("b.fantascope", json.dumps(head | {"version": 9}).encode())
    assert "at most 4096" in open_("c.fantascope", json.dumps(head | {"width": 16384}).encode())
    assert "png" in open_("d.fantascope", json.dumps(head | {"layers": [layer]}).encode())
    assert "magic" in open_("e.fantascope", json.dumps(head | {"layers": [layer | {"magic": 1}]}).encode())
    it.page.goto(f"{it.url}/#/canvas")
    large = io.BytesIO()
    Image.new("RGB", (5000, 50), "teal").save(large, "PNG")
    (tmp_path / "large.png").write_bytes(large.getvalue())
    with it.page.expect_file_chooser() as choosing:
        it.page.get_by_role("button", name="Open a project or a picture").click()
    choosing.value.set_files(tmp_path / "large.png")
    it.page.get_by_text("at most 4096 a side").wait_for()
    it.until("fantascope.desk?.project.width === 4096 && fantascope.desk.project.height === 41")
    it.page.goto(f"{it.url}/#/canvas")
    it.page.get_by_label("Width, pixels").fill("16384")
    assert "at most 4096" in it.page.locator("p.wrong").inner_text()
    assert it.page.get_by_role("button", name="Create").is_disabled()


def test_a_full_storage_is_said_and_the_file_can_still_be_saved(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.kept()
    it.js(FULL)
    it.tool("b", size=30, softness=0.5)
    it.drag((50, 50), (300, 300))
    it.page.locator(".toast.bad").wait_for()
    assert it.js("fantascope.desk.state.kind") == "full"
    with it.page.expect_download() as coming:
        it.page.locator(".toast.bad").get_by_role("button", name="Save as a file").click()
    assert json.loads(Path(coming.value.path()).read_text())["layers"][0]["png"]
    it.js("roomy()")
    it.drag((50, 300), (300, 50))
    it.kept()
    before = it.hashes()
    it.page.reload()
    it.ready()
    assert it.hashes() == before, "what could not be kept was kept as soon as there was room"
    it.js(FULL)
    it.page.get_by_role("button", name="Projects").click()
    it.page.get_by_role("button", name="Create").click()
    it.until("fantascope.desk && fantascope.desk.project.layers.length === 1")
    it.tool("b", size=30)
    it.drag((50, 50), (300, 300))
    assert not (it.flat()[..., :3] == 255).all(), "a new canvas opens all the same"
    it.js("roomy()")
    it.js("fantascope.desk.saver.now()")
    it.kept()


def test_pen_and_touch(canvas: Callable[..., Canvas]) -> None:
    it = canvas(512, 512, has_touch=True)
    line = it.context.new_cdp_session(it.page)

    def pen(kind: str, x: float, y: float, force: float) -> None:
        sx, sy = it.at(x, y)
        told = {"type": kind, "x": sx, "y": sy, "button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen"}
        line.send("Input.dispatchMouseEvent", told | {"force": force})

    it.tool("b", size=40, softness=0, colour="#000000")
    pen("mousePressed", 100, 100, 0.25)
    pen("mouseMoved", 300, 100, 0.25)
    pen("mouseReleased", 300, 100, 0)
    rows = np.flatnonzero((it.flat()[:, 200, :3] < 128).all(1))
    assert 8 <= len(rows) <= 12, "a quarter of the pressure is a quarter of the width"

    def touch(kind: str, *points: tuple[float, float]) -> None:
        found = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(it.at(*point) for point in points)]
        line.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": found})

    touch("touchStart", (100, 300))
    touch("touchMove", (300, 300))
    touch("touchEnd")
    assert (it.flat()[300, 110:290, :3] < 128).all()
    before, view = it.hashes(), it.js("({ ...fantascope.desk.board.view })")
    a, b = it.at(200, 200), it.at(300, 200)
    line.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": a[0], "y": a[1], "id": 0}]})
    both = [{"x": a[0], "y": a[1], "id": 0}, {"x": b[0], "y": b[1], "id": 1}]
    line.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": both})
    apart = [{"x": a[0] - 50, "y": a[1], "id": 0}, {"x": b[0] + 50, "y": b[1], "id": 1}]
    line.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": apart})
    line.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    wide = (b[0] - a[0] + 100) / (b[0] - a[0])
    assert it.js("fantascope.desk.board.view.k") == pytest.approx(view["k"] * wide, rel=0.02)
    assert it.hashes() == before, "two fingers paint nothing"


def test_moving_layers_and_masks(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.tool("r")
    it.drag((100, 100), (200, 200))
    it.page.keyboard.press("Enter")
    it.page.keyboard.press("Escape")
    before = it.flat()
    it.tool("v")
    it.page.wait_for_timeout(80)
    it.drag((150, 150), (250, 180))
    after, box = it.flat(), it.js("fantascope.desk.active.raster.bounds()")
    first = np.argwhere((before[..., :3] != 255).any(2)).min(0)
    second = np.argwhere((after[..., :3] != 255).any(2)).min(0)
    dy, dx = second - first
    assert dx == pytest.approx(100, abs=2) and dy == pytest.approx(30, abs=2) and box["x"] == second[1]
    assert np.array_equal(before[95:210, 95:210], after[95 + dy : 210 + dy, 95 + dx : 210 + dx])
    it.tool("m", size=60, softness=0)
    it.drag((256, 256), (258, 258))
    marked = "fantascope.desk.active.raster.pixels().data.filter((_, i) => i % 4 === 3).reduce((a, b) => a + b, 0)"
    some = it.js(marked)
    it.page.locator('[data-tool="mask"]').click()
    it.page.get_by_role("button", name="Invert").click()
    assert it.js(marked) == 512 * 512 * 255 - some
    it.page.get_by_role("button", name="Invert").click()
    it.page.get_by_role("button", name="Feather", exact=True).click()
    assert it.js(marked) == pytest.approx(some, rel=0.01)
    levels = it.js("[...new Set(fantascope.desk.active.raster.pixels().data.filter((_, i) => i % 4 === 3))].length")
    assert levels > 60


def test_it_works_on_a_phone_in_spanish_and_for_a_screen_reader(canvas: Callable[..., Canvas]) -> None:
    it = canvas(512, 512, viewport={"width": 390, "height": 844})
    box = it.page.locator(".canvas-tools").bounding_box()
    stage = it.page.locator(".canvas-stage").bounding_box()
    assert box["y"] > stage["y"] + stage["height"] - 2 and box["width"] <= 390 and stage["height"] > 300
    assert it.js("document.documentElement.scrollWidth") <= 390
    axe = PAGE.parents[3] / "tests/serve/studio/vendor/axe.min.js"
    it.js(axe.read_text() + "; undefined")
    for theme, panel in (("light", "Make"), ("dark", "Tool"), ("dark", "Layers")):
        it.page.emulate_media(color_scheme=theme)
        it.page.get_by_role("tab", name=panel).click()
        found = it.js("axe.run('.canvas', { resultTypes: ['violations'] })")["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
    it.page.locator(".language select").select_option("es")
    it.page.get_by_role("tab", name="Capas").wait_for()
    names = it.js(NAMES)
    assert all(names) and not [name for name in names if name.startswith("canvas.")]


def test_hash_of_nothing_is_not_the_hash_of_something(canvas: Callable[..., Canvas]) -> None:
    it = canvas(64, 64)
    empty = hashlib.sha256(bytes(64 * 64 * 4)).hexdigest()
    assert list(it.hashes().values()) == [empty]
    it.tool("b", size=20)
    it.drag((20, 20), (40, 40))
    assert list(it.hashes().values()) != [empty]
