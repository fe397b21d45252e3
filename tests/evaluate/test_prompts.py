"""The benchmark's prompts: deterministic, in GenEval's shape, and never training captions."""

from __future__ import annotations

from collections import Counter

import pytest

from fantascope.core.colour import COLOURS
from fantascope.data.caption import FRAME
from fantascope.data.scene import plan
from fantascope.data.vocabulary import Concept, core, read_vocabulary
from fantascope.errors import InvalidValue
from fantascope.evaluate.prompts import (
    PARTS,
    RELATIONS,
    Asked,
    Want,
    benchmark,
    in_other_words,
    some,
    whole_vocabulary,
)

CONCEPTS = read_vocabulary()
OBJECTS = core(CONCEPTS)[:90]
ASKED = benchmark(OBJECTS, CONCEPTS)


def test_the_shape_is_genevals() -> None:
    found = Counter(one.part for one in ASKED)
    assert list(found) == list(PARTS)
    assert len(ASKED) >= 553
    assert all(found[part] >= size for part, size in PARTS.items())
    assert {one.wants[0].kind for one in ASKED if one.part == "single object"} == set(OBJECTS)
    assert len({one.id for one in ASKED}) == len(ASKED) == len({one.prompt for one in ASKED})


def test_few_objects_are_counted_more_often() -> None:
    asked = benchmark(OBJECTS[:60], CONCEPTS)
    found = Counter(one.part for one in asked)
    assert found["single object"] == 60 and found["counting"] == 100 and len(asked) == 553


def test_wants_say_what_the_prompt_says() -> None:
    for one in ASKED:
        for want in one.wants:
            concept = CONCEPTS[want.kind]
            noun = concept.plurals[0] if want.count > 1 else concept.names[0]
            assert noun.split()[-1] in one.prompt
            assert want.colour is None or f" {want.colour} " in one.prompt
        if one.part == "counting":
            assert {2: "two", 3: "three", 4: "four"}[one.wants[0].count] in one.prompt
        assert (one.part == "position") == bool(one.relation)
        assert not one.relation or f" {RELATIONS[one.relation]} " in one.prompt
    assert {want.colour for one in ASKED for want in one.wants} == {None, *COLOURS}
    assert {one.relation for one in ASKED} == {"", *RELATIONS}


def test_examples() -> None:
    concepts = {key: CONCEPTS[key] for key in ("cat", "dog", "apple", "umbrella")}
    prompts = [one.prompt for one in benchmark(list(concepts), concepts)]
    assert prompts[:4] == [f"an image of {thing}" for thing in ("a cat", "a dog", "an apple", "an umbrella")]
    assert "an image of a cat to the left of a dog" in prompts


def test_the_list_is_the_same_every_time_and_another_seed_is_another() -> None:
    assert benchmark(OBJECTS, CONCEPTS) == ASKED
    assert benchmark(OBJECTS, CONCEPTS, seed=1) != ASKED
    one = ASKED[7]
    assert one.seed(0, 1) == one.seed(0, 0) + 1 != one.seed(1, 1)
    seeds = {asked.seed(0, sample) for asked in ASKED for sample in range(4)}
    assert len(seeds) > 0.999 * 4 * len(ASKED)


def test_no_training_caption_is_or_contains_a_prompt() -> None:
    captions = [plan(seed, CONCEPTS).caption.lower() for seed in range(4000)]
    every = [*ASKED, *in_other_words(ASKED, CONCEPTS), *whole_vocabulary(CONCEPTS, list(CONCEPTS))]
    assert all(one.prompt.startswith(f"{FRAME} ") for one in every)
    assert not any(FRAME in caption for caption in captions)
    joined = "\n".join(captions)
    assert not any(one.prompt.lower() in joined for one in every)


def test_other_words_are_never_in_captions_and_want_the_same() -> None:
    free = in_other_words(ASKED, CONCEPTS)
    before = {one.id: one for one in ASKED}
    assert len(free) > 100
    captions = "\n".join(plan(seed, CONCEPTS).caption.lower() for seed in range(3000))
    for one in free:
        same = before[one.id.removeprefix("free-")]
        assert one.wants == same.wants and one.relation == same.relation and one.prompt != same.prompt
        words = [name for want in one.wants for name in (*CONCEPTS[want.kind].free, *CONCEPTS[want.kind].free_plurals)]
        assert any(name in one.prompt for name in (*words, "a couple of", "a trio of"))
    assert "a couple of" not in captions and "a trio of" not in captions


def test_whole_vocabulary_asks_for_every_concept_the_detector_knows() -> None:
    kinds = [concept.kind for concept in CONCEPTS.values()][:50]
    asked = whole_vocabulary(CONCEPTS, kinds)
    assert {one.wants[0].kind for one in asked} == set(kinds)
    assert len(asked) >= 50 and len({one.id for one in asked}) == len(asked)


def test_some_takes_the_parts_in_turn() -> None:
    few = some(ASKED, 12)
    assert Counter(one.part for one in few) == dict.fromkeys(PARTS, 2)
    assert some(ASKED, None) == ASKED == some(ASKED, 10_000)


def test_words_without_an_article() -> None:
    rain = Concept("rain", ("rain",), ("rain",), kind="rain", bare="mass")
    concepts = {"rain": rain} | {key: CONCEPTS[key] for key in ("cat", "dog", "owl")}
    asked = benchmark(list(concepts), concepts)
    assert asked[0] == Asked("single-object-000", "single object", "an image of rain", (Want("rain"),))
    assert all(one.wants[0].kind != "rain" for one in asked if one.part == "counting")


@pytest.mark.parametrize("objects", [[], ["cat", "dog", "owl"], ["cat", "dog", "owl", "no such thing"]])
def test_what_cannot_be_asked(objects: list[str]) -> None:
    with pytest.raises(InvalidValue):
        benchmark(objects, CONCEPTS)
