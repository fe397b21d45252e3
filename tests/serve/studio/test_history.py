"""The history of a canvas outlives the page: steps can be taken back after a refresh, exactly, and it stays bounded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.serve.conftest import TOKEN
from tests.serve.studio.canvases import Canvas, easel
from tests.serve.studio.conftest import Studio
from tests.serve.studio.pages import chromium

pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium() is None, reason="no chromium is here")]

KEPT = """async () => {
  const promised = (asked) => new Promise((good) => { asked.onsuccess = () => good(asked.result); });
  const name = (await indexedDB.databases()).map((one) => one.name).find((one) => one.startsWith("fantascope-canvas"));
  const db = await promised(indexedDB.open(name));
  const keys = await promised(db.transaction("undo").objectStore("undo").getAllKeys());
  db.close();
  return keys.filter(([id]) => id === fantascope.desk.project.id).map(([, kind, step]) => [kind, step]);
}"""
"""Kinds and numbers of what is kept of the history."""

FACTS = """JSON.stringify((({ name, width, height, layers }) => [name, width, height, layers.map(
  ({ id, kind, name, visible, opacity, strokes, people }) => [id, kind, name, visible, opacity, strokes, people])]
)(fantascope.desk.project))"""

NO_STEPS = """() => {
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function (...given) {
    if (this.name === "undo") throw new DOMException("no room", "QuotaExceededError");
    return put.apply(this, given);
  };
}"""
"""A database in which there is room for pictures only."""


@pytest.fixture
def canvas(chrome: Any, studio: Studio) -> Iterator[Callable[..., Canvas]]:
    with easel(chrome, studio.url, TOKEN) as opened:
        yield opened


def state(it: Canvas) -> tuple[str, dict[str, str]]:
    """Return all that is in the project: facts, and hashes of pixels."""
    return it.js(FACTS), it.hashes()


def again(it: Canvas) -> None:
    """Load the page again, once all is kept."""
    it.kept()
    it.page.reload()
    it.ready()


def back(it: Canvas) -> None:
    """Take a step back."""
    it.page.keyboard.press("Control+z")
    it.js("fantascope.desk.history.queue")


def forth(it: Canvas) -> None:
    """Take a step forth."""
    it.page.keyboard.press("Control+Shift+z")
    it.js("fantascope.desk.history.queue")


def stroke(it: Canvas, k: int) -> None:
    """Paint the k-th stroke."""
    it.drag((40, 60 + 70 * k), (250, 90 + 60 * k), (470, 60 + 70 * k))


def test_five_strokes_a_refresh_and_five_steps_back(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    seen = [state(it)]
    it.tool("b", size=40, softness=0.6, colour="#c0392b")
    for k in range(5):
        stroke(it, k)
        seen.append(state(it))
    again(it)
    assert state(it) == seen[5]
    assert it.page.get_by_role("button", name="Undo").is_enabled()
    for expected in reversed(seen[:5]):
        back(it)
        assert state(it) == expected
    assert (it.flat()[..., :3] == 255).all(), "nothing is left"
    assert it.page.get_by_role("button", name="Undo").is_disabled()
    again(it)  # what was taken back can be done again, also after another refresh
    for expected in seen[1:]:
        forth(it)
        assert state(it) == expected
    assert it.page.get_by_role("button", name="Redo").is_disabled()


def test_every_kind_of_step_outlives_a_refresh(canvas: Callable[..., Canvas]) -> None:
    it = canvas(600, 520)
    works: list[Callable[[], Any]] = [
        lambda: (it.tool("b", size=60, softness=0.8, colour="#c0392b"), it.drag((60, 80), (560, 500))),
        lambda: (it.tool("e", size=30), it.drag((250, 60), (260, 300))),
        lambda: (it.tool("m", size=50), it.drag((100, 300), (200, 350))),
        lambda: it.js("fantascope.desk.invertMask()"),
        lambda: it.js("fantascope.desk.featherMask(9)"),
        lambda: (it.tool("s"), it.drag((300, 300), (350, 420), (420, 300))),
        lambda: it.drag((30, 300), (35, 420)),
        lambda: it.js("fantascope.desk.clearLayer(fantascope.desk.active)"),
        lambda: (it.tool("g", size=40), it.drag((40, 200), (140, 260))),
        lambda: it.tool("p"),
        lambda: it.js("fantascope.desk.setJoint(fantascope.desk.active, 0, 4, [100, 120])"),
        lambda: it.js("fantascope.desk.set(fantascope.desk.active, 'opacity', 0.3)"),
        lambda: it.js("fantascope.desk.set(fantascope.desk.active, 'name', 'Ann')"),
        lambda: it.js("fantascope.desk.rename('A project of Ann')"),
        lambda: it.js("fantascope.desk.shift(fantascope.desk.project.layers[0], 1)"),
        lambda: it.js("fantascope.desk.copy(fantascope.desk.project.layers.find((one) => one.kind === 'paint'))"),
        lambda: it.js("fantascope.desk.remove(fantascope.desk.project.layers.find((one) => one.kind === 'paint'))"),
        lambda: it.js("fantascope.desk.remove(fantascope.desk.project.layers.find((one) => one.kind === 'sketch'))"),
    ]
    seen, at = [state(it)], [0]
    for work in works:
        work()
        seen.append(state(it))
        at.append(it.js("fantascope.desk.history.at"))
    assert at == sorted(set(at)), "each of them is a step"
    steps = dict(zip(at, seen, strict=True))
    again(it)
    assert state(it) == seen[-1]
    for count in range(at[-1] - 1, -1, -1):
        back(it)
        if count % 7 == 3:
            again(it)
        if count in steps:
            assert state(it) == steps[count], f"back at step {count}"
    for count in range(1, at[-1] + 1):
        forth(it)
        if count % 7 == 3:
            again(it)
        if count in steps:
            assert state(it) == steps[count], f"forth at step {count}"


def test_a_step_just_before_the_page_goes_is_kept(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    empty = state(it)
    it.tool("b", size=30)
    stroke(it, 0)
    first = state(it)
    it.kept()
    stroke(it, 1)
    second = state(it)
    it.page.reload()  # at once
    it.ready()
    assert state(it) == second
    back(it)
    assert state(it) == first
    it.page.mouse.move(*it.at(300, 300))
    it.page.mouse.down()
    it.page.mouse.move(*it.at(400, 350), steps=4)
    it.page.reload()  # in the middle of a stroke: it ends there
    it.page.mouse.up()
    it.ready()
    assert state(it) not in (first, second, empty)
    back(it)
    assert state(it) == first
    back(it)
    assert state(it) == empty


def test_it_stays_bounded_and_a_branch_that_was_left_is_forgotten(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.tool("b", size=12)
    it.js("fantascope.desk.history.mostSteps = 4")
    for k in range(6):
        stroke(it, k)
        it.kept()
    last = state(it)
    stroke(it, 0)  # what was dropped leaves the database with the next change
    it.kept()
    kept = it.js(KEPT)
    assert {step for _, step in kept} == {4, 5, 6, 7} and len(kept) == 8
    again(it)
    back(it)
    assert state(it) == last
    for _ in range(9):
        back(it)
    assert not it.js("fantascope.desk.history.canUndo")
    assert not (it.flat()[..., :3] == 255).all(), "the first strokes can be taken back no more"
    forth(it)
    stroke(it, 5)
    it.kept()
    assert {step for _, step in it.js(KEPT)} == {4, 8}
    again(it)
    assert it.js("fantascope.desk.history.steps.map((one) => one.id)") == [4, 8]
    assert not it.js("fantascope.desk.history.canRedo")


def test_pixels_leave_the_memory_and_steps_whose_pixels_are_lost_are_no_steps(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.js("fantascope.desk.history.most = 100000")
    it.tool("b", size=60, softness=0.8)
    seen = [state(it)]
    for k in range(5):
        stroke(it, k)
        seen.append(state(it))
        it.kept()
    assert it.js("fantascope.desk.history.steps.map((one) => one.away > 0)") == [True] * 4 + [False]
    assert it.js("fantascope.desk.history.bytes") < 400_000
    for expected in (seen[4], seen[3]):
        back(it)
        assert state(it) == expected
    it.js("import('/js/canvas/saves.js').then((saves) => saves.past.clear(fantascope.desk.project.id))")
    back(it)
    assert state(it) == seen[3] and not it.js("fantascope.desk.history.canUndo")
    forth(it)
    assert state(it) == seen[4], "what is still in memory can be done again"
    it.kept()
    again(it)
    assert state(it) == seen[4]


def test_a_canvas_that_grew_is_as_large_as_before_also_after_a_refresh(canvas: Callable[..., Canvas]) -> None:
    it = canvas(256, 256)
    it.tool("b", size=120, colour="#27ae60")
    it.drag((40, 200), (220, 210))
    before = state(it)
    it.page.get_by_role("tab", name="Make").click()
    it.page.get_by_label("What to make").select_option(label="Expand")
    it.until("fantascope.desk.frame")
    it.page.get_by_label("Left").fill("64")
    it.page.get_by_label("Left").press("Enter")
    it.make("Expand", "grass")
    it.page.get_by_role("button", name="Accept").click()
    after = state(it)
    assert json.loads(after[0])[1] == 320
    again(it)
    back(it)
    assert state(it) == before
    again(it)
    forth(it)
    assert state(it) == after


def test_where_there_is_no_room_the_picture_goes_before_its_history(canvas: Callable[..., Canvas]) -> None:
    it = canvas()
    it.tool("b", size=90, softness=0.7)
    for k in range(3):
        stroke(it, k)
        it.kept()
    assert len(it.js(KEPT)) == 6
    it.js(NO_STEPS)
    stroke(it, 3)
    painted = state(it)
    it.kept()
    assert it.js(KEPT) == []
    back(it)
    assert state(it) != painted, "what is in memory can be taken back all the same"
    forth(it)
    again(it)
    assert state(it) == painted and not it.js("fantascope.desk.history.canUndo")
    stroke(it, 4)
    it.kept()
    assert len(it.js(KEPT)) == 2, "and it begins anew"
