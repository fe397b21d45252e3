"""Scenes of the shipped vocabulary: the same seed gives the same scene, and captions say exactly what is there."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tokenizers import Tokenizer

from fantascope.core.colour import COLOURS
from fantascope.data import style
from fantascope.data.backdrop import PLAIN, SCENERIES, backdrop
from fantascope.data.caption import FRAME, GROUNDS, SCENERY, WORDS, article, noun
from fantascope.data.scene import CANVAS, DRAWN, LAYOUTS, PLACES, STYLES, Placed, Scene, plan, plan_dense
from fantascope.data.vocabulary import core, read_vocabulary
from fantascope.errors import InvalidValue, UnknownName
from fantascope.spec import EMBEDDED

VOCABULARY = read_vocabulary()
SCENES = [plan(seed, VOCABULARY) for seed in range(3000)]
SLIDES = {"elephant", "astronaut", "sunflower", "rose", "moon", "cat", "dog", "bear", "panda", "koala", "lion"}
SLIDES |= {"hippo", "car", "chef", "house", "castle", "old-man"}


def said(scene: Scene, thing: Placed) -> bool:
    """Whether the caption names a thing, in its colour."""
    concept, caption = VOCABULARY[thing.concept], scene.caption.lower()
    words = {noun(name, thing.colour) for name in (*concept.names, *concept.plurals)}
    return any(word in caption for word in words)


def test_the_vocabulary_is_large_and_holds_what_people_try_first() -> None:
    assert len(VOCABULARY) >= 600
    assert len({name for concept in VOCABULARY.values() for name in concept.names}) >= 700
    assert set(core(VOCABULARY)) >= SLIDES
    assert all(VOCABULARY[key].weight == 8 for key in SLIDES)
    assert {"galaxy", "room", "kitchen"} <= set(PLACES)
    assert len(COLOURS) == 12
    for concept in VOCABULARY.values():
        assert set(DRAWN[:3]) <= set(concept.draw), concept.key
        assert concept.kind in VOCABULARY, concept.key
        assert not set(concept.free) & {name for other in VOCABULARY.values() for name in other.names}, concept.key


def test_a_row_with_a_typing_error_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("words") / "vocabulary.toml"
    path.write_text('[cat]\nnames = ["cat"]\nplural = ["cats"]\n', "utf-8")
    with pytest.raises(InvalidValue, match="plural"):
        read_vocabulary(path)
    path.write_text('[cat]\nnames = ["cat", "kitten"]\nplurals = ["cats"]\n', "utf-8")
    with pytest.raises(InvalidValue, match="another number"):
        read_vocabulary(path)


def test_the_same_seed_gives_the_same_scene() -> None:
    assert [plan(seed, VOCABULARY) for seed in range(100)] == SCENES[:100]
    assert [plan_dense(seed, VOCABULARY) for seed in range(20)] == [plan_dense(seed, VOCABULARY) for seed in range(20)]
    assert len({scene.caption for scene in SCENES}) > 2500


def test_captions_name_everything_that_is_there() -> None:
    for scene in SCENES:
        caption = scene.caption.lower()
        for thing in scene.things:
            assert said(scene, thing), scene
        if scene.style != "flat":
            assert any(all(part in caption for part in words.lower().split("{}")) for words in WORDS[scene.style]), (
                scene
            )
        if scene.backdrop in GROUNDS and scene.layout not in ("empty", "among"):
            assert any(words in caption for words in GROUNDS[scene.backdrop]), scene
        if scene.layout == "empty":
            assert any(words in caption for words in SCENERY[scene.backdrop]), scene
        if scene.backdrop in COLOURS and scene.backdrop != "white":
            assert f"{scene.backdrop} background" in caption, scene
        if scene.backdrop.startswith("gradient:"):
            assert all(colour in caption for colour in scene.backdrop.split(":")[1:]), scene


def test_counts_are_what_captions_say() -> None:
    words = {2: "(two|2)", 3: "(three|3)", 4: "(four|4)"}
    for scene in SCENES:
        for number, pattern in words.items():
            counted = re.search(rf"\b{pattern} ", scene.caption.lower())
            if scene.layout == "copies" and counted:
                assert len(scene.things) == number, scene
    assert {len(s.things) for s in SCENES if s.layout == "copies"} == {2, 3, 4}


@pytest.mark.parametrize(
    ("words", "sign", "axis"),
    [
        (r"(left of|on the left of) ", -1, "left"),
        (r"(right of|on the right of) ", 1, "left"),
        (r" (above|over|on top of) ", -1, "top"),
        (r" (below|under|beneath) ", 1, "top"),
        (r" (and|next to|beside) ", -1, "left"),
    ],
)
def test_places_are_what_captions_say(words: str, sign: int, axis: str) -> None:
    seen = 0
    for scene in SCENES:
        caption = re.split(r" under (the stars|a night)", scene.caption.lower())[0]
        found = re.search(words, caption)
        if scene.layout != "pair" or found is None or scene.things[0].concept == scene.things[1].concept:
            continue
        if words.startswith(" (and") and re.search(r"left|right|above|below|over|under|top of|beneath", caption):
            continue
        first = [t for t in scene.things if any(n in caption[: found.start() + 1] for n in _names(t))]
        other = [t for t in scene.things if any(n in caption[found.end() :] for n in _names(t))]
        if len(first) == len(other) == 1 and first != other:
            assert sign * (getattr(first[0], axis) - getattr(other[0], axis)) > 0, scene
            seen += 1
    assert seen > 40


def _names(thing: Placed) -> tuple[str, ...]:
    return VOCABULARY[thing.concept].names


def test_captions_leave_the_wordings_of_the_benchmark_alone() -> None:
    free = {word for concept in VOCABULARY.values() for word in concept.free}
    for scene in SCENES:
        caption = scene.caption.lower()
        assert FRAME not in caption
        assert "a couple of" not in caption and "a trio of" not in caption
        named = {name for thing in scene.things for name in (*_names(thing), *VOCABULARY[thing.concept].plurals)}
        own = {word for thing in scene.things for word in VOCABULARY[thing.concept].free}
        for word in own & free:
            inside = any(word in name for name in named)
            assert inside or not re.search(rf"\b{re.escape(word)}\b", caption), scene


def test_captions_fit_the_text_encoder() -> None:
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    lengths = [len(tokenizer.encode(scene.caption).ids) for scene in SCENES]
    assert max(lengths) <= 48
    assert np.mean(np.array(lengths) > 32) < 0.01


def test_things_stay_on_the_canvas_and_can_be_told_from_the_backdrop() -> None:
    for scene in SCENES:
        for thing in scene.things:
            assert thing.left >= 0 and thing.left + thing.side <= CANVAS, scene
            assert thing.top >= 0 and thing.top + thing.side <= CANVAS, scene
            assert thing.colour is None or thing.colour not in scene.backdrop.split(":"), scene


def test_layouts_and_styles_occur_in_their_shares() -> None:
    for told, wanted in ((Counter(s.layout for s in SCENES), LAYOUTS), (Counter(s.style for s in SCENES), STYLES)):
        assert set(told) == set(wanted)
        for name, share in wanted.items():
            assert told[name] / len(SCENES) == pytest.approx(share, abs=0.05), name


@given(st.integers(0, 2**40))
def test_any_seed_plans(seed: int) -> None:
    assert plan(seed, VOCABULARY).caption


def test_articles_and_colours_of_nouns() -> None:
    assert [article(word) for word in ("owl", "unicorn", "ufo", "hourglass", "cat")] == [
        "an owl",
        "a unicorn",
        "a ufo",
        "an hourglass",
        "a cat",
    ]
    assert noun("green apple", "red") == "red apple" and noun("orange", "red") == "red orange"


@pytest.mark.parametrize("name", [*PLAIN, *SCENERIES, "gradient:red:blue"])
def test_backdrops_look_the_same_at_every_size(name: str) -> None:
    small, large = (np.asarray(backdrop(name, 5, size), np.float32) for size in (128, 512))
    assert np.array_equal(small, np.asarray(backdrop(name, 5, 128)))
    shrunk = large.reshape(128, 4, 128, 4, 3).mean((1, 3))
    assert np.abs(shrunk - small).mean() < 4


def test_an_unknown_backdrop_is_named() -> None:
    with pytest.raises(UnknownName, match="mars"):
        backdrop("mars", 0, 128)


@pytest.mark.parametrize("name", list(style.STYLES))
@pytest.mark.parametrize("size", [128, 512])
def test_filters_change_the_picture_and_keep_its_size(name: str, size: int) -> None:
    picture = backdrop("grass", 3, size)
    picture.paste((220, 38, 38), (size // 4, size // 4, size // 2, size // 2))
    one, two = (style.STYLES[name](picture.copy(), 9) for _ in range(2))
    assert one.size == picture.size and one.mode == "RGB"
    assert np.array_equal(np.asarray(one), np.asarray(two))
    assert np.abs(np.asarray(one, float) - np.asarray(picture, float)).mean() > 1


def test_lights_and_finishes() -> None:
    gray = Image.new("RGB", (128, 128), (140, 144, 150))
    red, _, blue = np.asarray(style.lit(gray, "warm"))[0, 0].astype(int)
    assert red > blue
    assert np.asarray(style.lit(gray, "dim")).mean() < 80
    edge = Image.new("RGB", (128, 128), "white")
    edge.paste((0, 0, 0), (0, 0, 61, 128))
    assert len(np.unique(np.asarray(style.blurred(edge)))) > 4
    assert np.asarray(style.sparkled(gray, 1)).max() == 255
