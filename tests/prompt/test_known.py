"""Words a checkpoint does not know: read as known ones where that is sure, named where it is not, else left alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.data import caption
from fantascope.data.figure import POSES, WEAR, WHO
from fantascope.data.vocabulary import read_vocabulary
from fantascope.prompt import Embed
from fantascope.prompt.known import THESAURUS, embedded_vocabulary, reword, strange_words, told

KNOWN = embedded_vocabulary()
CONCEPTS = read_vocabulary()


def test_the_thesaurus_is_made_of_this_vocabulary() -> None:
    """A vocabulary that changed needs `recipes/thesaurus.py` again."""
    names = {name.lower() for c in CONCEPTS.values() for name in (*c.names, *c.plurals)}
    assert set(KNOWN.names) == names
    assert list(KNOWN.usual) == list(CONCEPTS)
    assert all(KNOWN.usual[key] == (c.names[0], c.plurals[0]) for key, c in CONCEPTS.items())
    assert KNOWN.vectors is not None
    assert KNOWN.vectors.shape == (len(CONCEPTS), 384)
    assert THESAURUS.stat().st_size < 300_000


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("a kitty in an automobile", "a cat in a car"),
        ("a couple of puppies on the grass", "two puppies on the grass"),
        ("a trio of red automobiles at night", "three red cars at night"),
        ("a quartet of penguins", "four penguins"),
        ("a motorcar beside a jetliner", "a car beside an airplane"),
        ("(kitty:1.3) in a [automobile|truck]", "(cat:1.3) in a [car|truck]"),
        ("the kitty sits on a sofa", "the cat sits on a sofa"),
        ("an image of two red bunnies", "an image of two red rabbits"),
    ],
)
def test_words_for_known_things_are_read_as_them(prompt: str, read: str, embed: Embed) -> None:
    assert reword(prompt, KNOWN, embed).prompt == read


@pytest.mark.parametrize(
    "prompt",
    [
        "cat food on a plate",
        "the lion king",
        "a cat burglar",
        "automobile race",
        "a pair of gloves",
        "a pair of red scissors",
        "a hot dog",
        "a Jaguar car",
        "<lora:kitty:1> and __automobile__",
        "a kitty's toy",
        "a majestic xylophone on the beach",
        "a poodle",
        "fir green, oil painting, in the snow, warm and inviting",
        "",
        "???",
    ],
)
def test_all_else_stays(prompt: str, embed: Embed) -> None:
    found = reword(prompt, KNOWN, embed)
    assert found.prompt == prompt
    assert found.changes == ()


def test_what_is_not_known_is_named_with_the_nearest(embed: Embed) -> None:
    (unknown,) = reword("a xylophone on the beach", KNOWN, embed).unknown
    assert unknown.words == "xylophone"
    assert set(unknown.nearest) & {"flute", "piano", "saxophone", "accordion", "guitar"}


def test_trigger_words_of_adapters_stay(embed: Embed) -> None:
    assert reword("a kitty", KNOWN, embed, keep=("kitty",)).prompt == "a kitty"


def test_changes_say_where_and_why(embed: Embed) -> None:
    prompt = "a kitty and a couple of automobiles"
    found = reword(prompt, KNOWN, embed)
    assert [(prompt[c.start : c.end], c.read, c.why) for c in found.changes] == [
        ("kitty", "cat", "encoder"),
        ("a couple of", "two", "number"),
        ("automobiles", "cars", "thesaurus"),
    ]
    assert told(prompt, found.prompt) == "kitty read as cat; a couple of automobiles read as two cars"


WORDS = st.sampled_from(
    sorted(KNOWN.captions)
    + sorted(KNOWN.names)[::7]
    + sorted(KNOWN.sure)[::60]
    + sorted(KNOWN.maybe)[::120]
    + ["a couple of", "a trio of", "(", ")", ",", "xylophone", "<lora:x:1>", "Kitty", "é", "__a__", "--ar 1:2", "1.2"]
)


@given(st.lists(WORDS, max_size=9).map(" ".join))
def test_rewording_again_changes_nothing_and_the_changes_explain_it(prompt: str) -> None:
    embed = _embed()
    once = reword(prompt, KNOWN, embed)
    at, rebuilt = 0, ""
    for change in once.changes:
        assert prompt[change.start : change.end] == change.said
        rebuilt += prompt[at : change.start] + change.read
        at = change.end
    assert rebuilt + prompt[at:] == once.prompt
    assert reword(once.prompt, KNOWN, embed).prompt == once.prompt


@given(st.lists(st.sampled_from(sorted(KNOWN.captions) + sorted(KNOWN.names)), max_size=8).map(" ".join))
def test_words_of_captions_are_never_touched(prompt: str) -> None:
    def never(texts: object) -> None:
        raise AssertionError(f"the encoder was asked about {texts}")

    assert reword(prompt, KNOWN, never).prompt == prompt  # type: ignore[arg-type]


def test_every_caption_table_is_known() -> None:
    text = " ".join(
        row
        for table in (caption.GROUNDS, caption.SCENERY, caption.WORDS, caption.LIGHT_WORDS)
        for row in sum(table.values(), ())
    )
    assert set(re.findall(r"[a-z0-9-]+", text.lower())) <= KNOWN.captions
    assert strange_words("a red cat in front of a sunset, painted in oil", KNOWN) == []


def _embed() -> Embed:
    from fantascope.engines.words import shared_words
    from fantascope.settings import Settings

    return shared_words(Settings(threads=1)).embed


def test_every_word_of_the_training_captions_is_known() -> None:
    """People's poses and clothes are in no vocabulary, and in captions."""
    said = {word for words in WEAR.values() for text in words for word in text.replace("{}", "").split()}
    said |= {word for _, words in POSES.values() for text in words for word in text.split()}
    assert said <= KNOWN.captions and set(WHO) <= KNOWN.captions
