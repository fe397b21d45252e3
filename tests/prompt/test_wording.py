"""Expanding, shortening and describing, as values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.errors import InvalidValue, LanguageModelFailed
from fantascope.prompt import Embed
from fantascope.prompt.anatomy import PARTS, parse_anatomy, read_lexicon
from fantascope.prompt.describe import Guess, SeenPicture, SeenThing, readings
from fantascope.prompt.expand import expand, expand_with_model, lacking
from fantascope.prompt.known import embedded_vocabulary
from fantascope.prompt.shorten import shorten, without

LEXICON = read_lexicon()


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("prompt", ["a cat", "two red cars in the snow, 4k", "A castle at night."])
def test_what_was_written_stays_word_for_word(prompt: str, strength: float, embed: Embed) -> None:
    found = expand(prompt, LEXICON, embed, strength=strength, seed=5)
    assert found.prompt.startswith(prompt.rstrip("."))
    gaps = lacking(prompt, parse_anatomy(prompt, LEXICON))
    assert [one.part for one in found.added] == list(gaps[: max(round(strength * len(gaps)), strength > 0)])
    assert (found.prompt == prompt) == (strength == 0)


def test_the_same_seed_adds_the_same_and_another_may_not(embed: Embed) -> None:
    prompts = [expand("a cat", LEXICON, embed, strength=1, seed=seed).prompt for seed in (1, 1, 2, 3, 4)]
    assert prompts[0] == prompts[1]
    assert len(set(prompts)) > 1


def test_only_taught_words_are_added_and_only_as_many_as_fit(embed: Embed) -> None:
    known = embedded_vocabulary()
    for seed in range(6):
        found = expand("a cat", LEXICON, embed, strength=1, seed=seed, taught=known.phrases, most_words=8)
        assert found.added
        assert set(found.prompt.replace(",", "").split()) <= known.captions | {"cat"}
        assert len(found.prompt.split()) <= 8


def test_additions_are_the_parts_that_they_say(embed: Embed) -> None:
    found = expand("a cat", LEXICON, embed, strength=1)
    anatomy = parse_anatomy(found.prompt, LEXICON)
    assert anatomy.subject == "a cat"
    assert all(one.phrase in anatomy.of(one.part) for one in found.added)
    assert not anatomy.artist and not anatomy.website


@pytest.mark.parametrize(("prompt", "strength"), [("", 0.5), ("a", -0.1), ("a", 1.1), ("a" * 3000, 0.5)])
def test_what_cannot_be_expanded_is_refused(prompt: str, strength: float, embed: Embed) -> None:
    with pytest.raises(InvalidValue):
        expand(prompt, LEXICON, embed, strength=strength)


class Model:
    """Answers what it is told to; the wire of the real one is tested in test_language.py."""

    model = "told"

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def answer(self, task: str, question: str) -> str:
        assert "JSON" in task and "a cat" in question
        return self._answer


def test_a_language_model_may_only_add() -> None:
    found = expand_with_model("a cat", Model('{"prompt": "a cat, warm light, a meadow"}'), LEXICON)  # type: ignore[arg-type]
    assert found.prompt == "a cat, warm light, a meadow"
    assert [(one.part, one.phrase) for one in found.added] == [("lighting", "warm light"), ("details", "a meadow")]
    assert found.by == "told"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        "{}",
        '{"prompt": 3}',
        '{"prompt": "a dog, warm light"}',
        '{"prompt": "a caterpillar"}',
        '{"prompt": "a cat, \\u202e x"}',
    ],
)
def test_other_answers_are_refused(answer: str) -> None:
    with pytest.raises(LanguageModelFailed):
        expand_with_model("a cat", Model(answer), LEXICON)  # type: ignore[arg-type]


WEIGHTS = {"cat": 4.0, "red": 2.0, "sharp": 0.05, "very": 0.0, "nice": 0.1}


def predict(texts: Sequence[str]) -> Any:
    """A model whose prediction is a sum of what it knows: what each word weighs is known, so the answer can be told."""
    axes = list(WEIGHTS)
    return np.array([[WEIGHTS[w] * (w in t.replace(",", "").split()) for w in axes] for t in texts])


def test_weights_are_what_the_prediction_loses() -> None:
    found = shorten("a very nice red cat, sharp", predict, tolerance=0.1)
    whole = float(np.linalg.norm(list(WEIGHTS.values())))
    assert {w.text: w.weight for w in found.words} == pytest.approx(
        {w: WEIGHTS.get(w, 0) / whole for w in ["a", "very", "nice", "red", "cat", "sharp"]}
    )
    assert found.prompt == "red cat"
    assert found.change == pytest.approx(float(np.linalg.norm([0.05, 0.1])) / whole)
    assert shorten("a very nice red cat, sharp", predict, tolerance=1).prompt == "cat"
    assert shorten("cat", predict).prompt == "cat"


@given(st.lists(st.sampled_from([*WEIGHTS, "a", "of", "dog,"]), min_size=1, max_size=9).map(" ".join), st.floats(0, 1))
def test_a_shortened_prompt_moves_no_more_than_allowed(prompt: str, tolerance: float) -> None:
    found = shorten(prompt, predict, tolerance)
    full, empty, short = predict([prompt, "", found.prompt])
    assert np.linalg.norm(short - full) <= tolerance * np.linalg.norm(empty - full) + 1e-9
    assert found.prompt.replace(",", "").split() == [w.text for w in found.words if w.kept]


def test_without_tidies_up() -> None:
    assert without("a red cat, sharp, 4k", [(2, 5), (11, 16)]) == "a cat, 4k"


@pytest.mark.parametrize(("prompt", "tolerance"), [("", 0.1), (" , ", 0.1), ("a " * 200, 0.1), ("a", 2.0)])
def test_nothing_to_shorten_is_refused(prompt: str, tolerance: float) -> None:
    with pytest.raises(InvalidValue):
        shorten(prompt, predict, tolerance)


CAT = SeenThing((Guess("cat", 0.8), Guess("dog", 0.15)))
CARS = SeenThing((Guess("car", 0.9),), 2, "red")


def test_readings_say_what_was_seen_likeliest_first() -> None:
    seen = SeenPicture(
        (CAT, CARS), (Guess("on a white background", 0.9),), (Guess("flat style", 0.7), Guess("3d style", 0.2))
    )
    found = readings(seen)
    assert found[0].prompt == "a cat and two red cars on a white background, flat style"
    assert len({one.prompt for one in found}) == len(found) == 4
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_a_picture_without_things_is_its_ground() -> None:
    (first, *_) = readings(SeenPicture(grounds=(Guess("in the snow", 0.6), Guess("at sea", 0.3))))
    assert first.prompt == "the snow"
    assert readings(SeenPicture()) == ()


def test_parts_are_nine() -> None:
    assert len(PARTS) == 9
    assert len(list(itertools.chain(*(LEXICON.offered(part) for part in PARTS)))) > 200
