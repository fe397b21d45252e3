"""The nine parts of a prompt: reading them, writing them, and that one undoes the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.errors import InvalidValue, UnknownName
from fantascope.policy import Policy
from fantascope.prompt.anatomy import PARTS, Anatomy, dissect, parse_anatomy, read_lexicon

ARTISTS = tuple(artist.name for artist in Policy.load().data.artists if artist.free(Policy.load().data.date.year))
LEXICON = read_lexicon(ARTISTS)

TEXT = st.lists(
    st.sampled_from(
        [
            "a",
            "an",
            "the",
            "red",
            "cat",
            "dog",
            "of",
            "by",
            "in",
            "on",
            "with",
            ",",
            ",",
            ",",
            "oil",
            "painting",
            "pixel",
            "art",
            "warm",
            "light",
            "style",
            "(",
            ")",
            "[",
            "]",
            "1.2",
            ":",
            "artstation\n",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "trending",
            "monet",
            "at",
            "night",
            "the",
            "4k",
            "high",
            "resolution",
            "colors",
            "palette",
            "background",
            "sky",
            "portrait",
            "À",
            "猫",
            "\n",
        ]
    ),
    max_size=24,
).map(" ".join)


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a cat", {"subject": "a cat"}),
        (
            "an oil painting of a red cat, warm light",
            {"subject": "a red cat", "medium": "oil painting", "lighting": "warm light"},
        ),
        ("a castle at night", {"subject": "a castle", "lighting": "at night"}),
        ("a castle by the sea", {"subject": "a castle by the sea"}),
        ("a boat by a river by claude monet", {"subject": "a boat by a river", "artist": "claude monet"}),
        ("a frog by the Brothers Grimm", {"subject": "a frog", "artist": "the Brothers Grimm"}),
        ("two cats by candlelight", {"subject": "two cats", "lighting": "by candlelight"}),
        ("a city by night, watercolor", {"subject": "a city by night", "medium": "watercolor"}),
        ("a dog by Claude Monet", {"subject": "a dog", "artist": "Claude Monet"}),
        ("a dog, in the style of impressionism", {"subject": "a dog", "style": "in the style of impressionism"}),
        (
            "a dog, trending on artstation, 4k",
            {"subject": "a dog", "website": "trending on artstation", "resolution": "4k"},
        ),
        ("a bowl of apples, pastel colors", {"subject": "a bowl of apples", "colour": "pastel colors"}),
        ("a cat, bokeh, a purple palette", {"subject": "a cat", "details": "bokeh", "colour": "a purple palette"}),
        ("pixel art", {"medium": "pixel art"}),
        ("(a cat, a dog:1.2), sharp", {"subject": "(a cat, a dog:1.2)", "resolution": "sharp"}),
    ],
)
def test_words_are_the_part_they_are(prompt: str, parts: dict[str, str]) -> None:
    anatomy = parse_anatomy(prompt, LEXICON)
    assert {part: ", ".join(anatomy.of(part)) for part in PARTS if anatomy.of(part)} == parts


@given(TEXT)
def test_what_is_read_and_written_reads_the_same(prompt: str) -> None:
    once = parse_anatomy(prompt, LEXICON)
    assert parse_anatomy(once.prompt(), LEXICON) == once


def _some(part: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(LEXICON.offered(part)), max_size=3, unique=True).map(tuple)


@given(
    st.sampled_from(["a cat", "two red cars", "a bowl of apples", "the king of spades"]),
    st.tuples(*map(_some, PARTS[1:])),
)
def test_every_term_reads_as_its_own_part(subject: str, phrases: tuple[tuple[str, ...], ...]) -> None:
    anatomy = Anatomy(subject, *phrases)
    assert parse_anatomy(anatomy.prompt(), LEXICON) == anatomy


@given(TEXT)
def test_pieces_are_the_words_of_the_prompt_in_order(prompt: str) -> None:
    at = 0
    for piece in dissect(prompt, LEXICON):
        assert prompt[piece.start : piece.end] == piece.text
        if not piece.inside:
            assert piece.start >= at
            at = piece.end


def test_what_is_missing_is_said_and_a_red_cat_has_a_colour() -> None:
    assert parse_anatomy("a red cat, 4k", LEXICON).missing() == (
        "medium", "style", "artist", "website", "details", "lighting",
    )  # fmt: skip
    assert "colour" in parse_anatomy("a cat", LEXICON).missing()


def test_without_takes_one_part_away() -> None:
    anatomy = parse_anatomy("an oil painting of a cat, warm light", LEXICON)
    assert anatomy.without("medium").prompt() == "a cat, warm light"
    assert anatomy.without("subject").prompt() == "oil painting, warm light"


def test_a_phrase_holds_no_comma() -> None:
    with pytest.raises(InvalidValue, match="lighting"):
        Anatomy("a cat", lighting=("warm, cold",))
    with pytest.raises(UnknownName, match="lighting"):
        Anatomy("a cat").of("lightning")


def test_nobody_alive_or_protected_is_offered() -> None:
    data = Policy.load().data
    protected = {artist.name for artist in data.artists if not artist.free(data.date.year)}
    assert protected
    assert not protected & set(LEXICON.offered("artist"))
    assert "Vincent van Gogh" in LEXICON.offered("artist")


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_a_question_and_a_source(part: str) -> None:
    words = LEXICON.parts[part]
    assert words.says.endswith("?")
    assert words.source
    assert len(set(words.terms) | set(words.also)) == len(words.terms) + len(words.also)
    assert all(term == term.lower() and "," not in term for term in (*words.terms, *words.also))


def test_no_term_belongs_to_two_parts() -> None:
    terms = [term for part in PARTS for term in (*LEXICON.parts[part].terms, *LEXICON.parts[part].also)]
    assert sorted(terms) == sorted(set(terms))
