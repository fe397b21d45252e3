"""A subject and another thing, cut out and laid side by side, told in the order they stand."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.personal.test_photos import SIZES, drawing

from fantascope.core.colour import COLOURS
from fantascope.data.vocabulary import read_vocabulary
from fantascope.personal.beside import THINGS, side_by_side, thing_prompts
from fantascope.personal.photos import cut_out, plain_ground, read_album

CAPTION = r"an? (pomo robot|\w+) (?:and|next to|beside) an? (pomo robot|\w+) on an? (\w+) background"


def painted(colour: str) -> np.ndarray:
    """A thing on white, as the base would paint it."""
    picture = Image.new("RGB", (128, 128), "#fbfbfb")
    ImageDraw.Draw(picture).ellipse((24, 34, 104, 94), fill=colour)
    return np.array(picture)


@pytest.fixture
def subjects(tmp_path: Path) -> list[np.ndarray]:
    for k in range(2):
        drawing(k).save(tmp_path / f"{k}.png")
    found = [cut_out(photo) for photo in read_album([tmp_path], SIZES).photos]
    assert all(thing is not None for thing in found)
    return [thing for thing in found if thing is not None]


THINGS_PAINTED = [(painted("#8c42be"), f"{what} on a white background") for what in ("a dog", "an apple", "a rose") * 4]


def test_both_are_there_as_the_caption_says(subjects: list[np.ndarray]) -> None:
    made = side_by_side(subjects, THINGS_PAINTED, "pomo robot", 128, seed=4)
    assert len(made) == len(THINGS_PAINTED)
    sides, grounds = set(), set()
    for (pixels, captions), (_, prompt) in zip(made, THINGS_PAINTED, strict=True):
        assert pixels.shape == (128, 128, 3) and len(captions) == 3
        told = {tuple(found.groups()) for found in (re.fullmatch(CAPTION, text) for text in captions) if found}
        assert len(told) == 1
        first, second, ground = told.pop()
        other = prompt.split()[1]
        assert {first, second} == {"pomo robot", other} and plain_ground(pixels) == ground
        thing = np.abs(pixels.astype(int) - np.array(COLOURS["purple"])).sum(2) < 90
        halves = thing[:, :64].sum(), thing[:, 64:].sum()
        assert max(halves) > 500 and (halves[0] > halves[1]) == (first == other)
        orange = np.abs(pixels.astype(int) - np.array((255, 165, 0))).sum(2) < 60
        assert (orange[:, :64].sum() > orange[:, 64:].sum()) == (first == "pomo robot")
        sides.add(first == other)
        grounds.add(ground)
    assert sides == {True, False} and len(grounds) > 2 and "purple" not in grounds


def test_the_seed_decides(subjects: list[np.ndarray]) -> None:
    one, same, other = (side_by_side(subjects, THINGS_PAINTED, "pomo robot", 128, seed=k) for k in (4, 4, 5))
    assert all(np.array_equal(a[0], b[0]) and a[1] == b[1] for a, b in zip(one, same, strict=True))
    assert any(a[1] != b[1] for a, b in zip(one, other, strict=True))


def test_what_is_not_told_from_its_ground_is_left_out(subjects: list[np.ndarray]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3)).astype(np.uint8)
    plain = np.full((128, 128, 3), 250, np.uint8)
    things = [(noise, "a dog on a white background"), (plain, "a house on a white background"), THINGS_PAINTED[1]]
    made = side_by_side(subjects, things, "pomo robot", 128, seed=0)
    assert len(made) == 1 and "apple" in made[0][1][0]
    assert side_by_side([], things, "pomo robot", 128, seed=0) == []


def test_things_are_known_and_are_not_those_of_the_benchmark() -> None:
    known = {name for concept in read_vocabulary().values() for name in concept.names}
    assert set(THINGS) <= known
    spec = importlib.util.spec_from_file_location("bench_personal", Path(__file__).parents[2] / "bench" / "personal.py")
    assert spec is not None and spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    assert not set(THINGS) & set(bench.COMPANIONS)
    assert not any("dog" in prompt for prompt in thing_prompts("dog", 40)) and len(thing_prompts("cat", 30)) == 30
