"""Scenes: the same seed gives the same scene, and captions say what is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fantascope.data.batches import fingerprint
from fantascope.data.caption import Concept
from fantascope.data.card import contact_sheet, data_card
from fantascope.data.compose import CANVAS, COLOURS, GRID, Composer, Scene, plan, plan_dense, read_vocabulary, recolour
from fantascope.data.sources import read_iconify
from fantascope.errors import LicenceMissing

CONCEPTS = {
    "disc": Concept("disc", ("disc",), ("discs",)),
    "box": Concept("box", ("box",), ("boxes",), 3.0),
    "leaf": Concept("leaf", ("leaf",), ("leaves",)),
}


def scenes(count: int = 400) -> list[Scene]:
    return [plan(seed, CONCEPTS) for seed in range(count)]


def test_the_same_seed_gives_the_same_scene() -> None:
    assert scenes(50) == scenes(50)
    assert len({scene.caption for scene in scenes(50)}) > 30


def test_captions_say_what_is_there() -> None:
    for scene in scenes():
        caption = scene.caption.lower()
        concept = CONCEPTS[scene.things[0].concept]
        names = concept.plurals if scene.layout in ("copies", "row") else concept.names
        assert any(name in caption for name in names), scene
        for thing in scene.things:
            assert thing.colour is None or thing.colour in caption, scene
        if scene.background != "white":
            assert scene.background in caption, scene
        for number, words in {2: ("two ", "2 "), 3: ("three ", "3 "), 4: ("four ", "4 ")}.items():
            if caption.startswith(words):
                assert len(scene.things) == number, scene


def test_scenes_stay_on_the_canvas_and_on_the_grid() -> None:
    for scene in scenes():
        assert len({thing.left % GRID for thing in scene.things} | {thing.top % GRID for thing in scene.things}) == 1
        for thing in scene.things:
            assert 0 <= thing.left <= CANVAS - thing.side and 0 <= thing.top <= CANVAS - thing.side
            assert thing.colour != scene.background


def test_every_layout_occurs_in_its_share() -> None:
    layouts = [scene.layout for scene in scenes()]
    shares = {name: layouts.count(name) / len(layouts) for name in ("one", "pair", "copies", "row")}
    assert shares == pytest.approx({"one": 0.65, "pair": 0.15, "copies": 0.10, "row": 0.10}, abs=0.06)


def test_the_shipped_vocabulary() -> None:
    concepts = read_vocabulary()
    assert len(concepts) >= 50
    assert all(len(concept.names) == len(concept.plurals) for concept in concepts.values())
    assert concepts["elephant"].weight == max(concept.weight for concept in concepts.values())


def test_drawing_is_deterministic_and_scales(package: Path) -> None:
    pytest.importorskip("pyvips")
    one, two = (Composer(read_iconify(package)) for _ in range(2))
    scene = plan(3, CONCEPTS)
    small = one.pixels(scene)
    assert small.shape == (3, 128, 128) and small.min() >= -1 and small.max() <= 1
    assert np.array_equal(small, two.pixels(scene))
    large = one.pixels(scene, 512).reshape(3, 128, 4, 128, 4).mean((2, 4))
    assert np.abs(large - small).mean() < 0.02
    assert one.render(plan_dense(3, CONCEPTS)).size == (128, 128)


def test_a_sprite_that_may_not_be_trained_on_is_not_drawn(package: Path) -> None:
    pytest.importorskip("pyvips")
    sprites = [replace(sprite, licence="CC-BY-NC-4.0") for sprite in read_iconify(package, ["box"])]
    with pytest.raises(LicenceMissing, match="sprite box may not be trained on: non-commercial"):
        Composer(sprites)


def test_the_fingerprint_follows_drawings_words_and_crowds(package: Path) -> None:
    pytest.importorskip("pyvips")
    one, two = Composer(read_iconify(package)), Composer(read_iconify(package, ["box", "leaf"]))
    renamed = CONCEPTS | {"box": replace(CONCEPTS["box"], names=("crate",))}
    found = [fingerprint(one, CONCEPTS), fingerprint(two, CONCEPTS), fingerprint(one, renamed)]
    assert len({*found, fingerprint(one, CONCEPTS, 0.5)}) == 4
    assert fingerprint(Composer(read_iconify(package)), CONCEPTS) == found[0]


def test_the_card_counts_what_was_planned(package: Path) -> None:
    pytest.importorskip("pyvips")
    planned = scenes(100)
    card = data_card(planned, ["Ann, MIT", "Ann, MIT"])
    assert card.count("- Ann, MIT") == 1 and card.startswith("# Data card\n\n100 scenes of ")
    ones = sum(scene.layout == "one" for scene in planned)
    assert f"| one | {ones} | {ones}.0% |" in card
    boxes = sum(thing.concept == "box" for scene in planned for thing in scene.things)
    assert f"| box | {boxes} | " in card
    composer = Composer(read_iconify(package))
    sheet = contact_sheet(composer, planned[:3], columns=2)
    assert sheet.size == (2 * 132 + 4, 2 * 132 + 4)
    assert sheet.crop((136, 4, 264, 132)).tobytes() == composer.render(planned[1]).tobytes()


def test_recolouring_gives_the_colour_and_keeps_contrast() -> None:
    rgba = np.full((8, 8, 4), 255, np.uint8)
    rgba[..., :3] = (150, 150, 150)
    rgba[:2, :2, :3] = 20
    rgba[6:, 6:, :3] = 250
    for colour in COLOURS.values():
        out = recolour(rgba, colour)
        assert tuple(out[4, 4, :3]) == colour
        assert out[0, 0, :3].sum() < out[4, 4, :3].sum() < out[7, 7, :3].sum()
        assert np.array_equal(out[..., 3], rgba[..., 3])
