"""Phrases: what a pattern finds, what evasion does not hide, and that places are those of the original text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.policy.phrases import Index, Span, _trimmed, bases, compile_name, compile_phrase, fold, tokenise
from fantascope.policy.pieces import MOST, WINDOW, pieces

LISTS = {"animal": ("cat", "polar bear")}


def found(pattern: str, text: str) -> list[str]:
    index: Index[str] = Index()
    for phrase in compile_phrase(pattern, LISTS):
        index.add("x", phrase)
    spans = {span for tokens in tokenise(text) for _, span, _, _ in index.find(tokens)}
    return [text[span.start : span.end] for span in sorted(spans, key=lambda span: (span.start, span.end))]


@pytest.mark.parametrize(
    ("pattern", "text", "words"),
    [
        ("stab", "he was stabbing, stabs and stabbed", ["stabbing", "stabs", "stabbed"]),
        ("stab", "a stable with establishment", []),
        ("=rat", "rats rated a rat", ["rat"]),
        ("carry", "she carries and carried", ["carries", "carried"]),
        ("make", "making a maker", ["making"]),
        ("big {cat|dog}", "a big dog and a bigger cat", ["big dog"]),
        ("feed <animal>", "feeding polar bears", ["feeding polar bears"]),
        ("{two|} cat", "two cats", ["two cats", "cats"]),
        ("red ... cat", "a red and very old cat", ["red and very old cat"]),
        ("red ... cat", "a red one two three four five cat", []),
        ("red ... cat", "It is red. Cats sleep", []),
        ("red ...... cat", "It is red. Cats sleep", ["red. Cats"]),
        ("self harm", "self-harm", ["self-harm"]),
        ("driver's licence", "my driver's licence", ["driver's licence"]),
    ],
)
def test_patterns(pattern: str, text: str, words: list[str]) -> None:
    assert found(pattern, text) == words


@pytest.mark.parametrize(
    "text",
    [
        "cat",
        "CAT",
        "c a t",
        "c.a.t",
        "c-a-t",
        "c_a_t",
        "ca-t",
        "c4t",
        "c@t",
        "caaaat",
        "ｃａｔ",
        "𝐜𝐚𝐭",
        "ⓒⓐⓣ",
        "с\u0430t",
        "c\u200ba\u200bt",
        "c\u0301a\u0308t",
        "ca\u00adt",
        "Cat's",
    ],
)
def test_evasion_is_seen_through(text: str) -> None:
    around = f"a big {text}, please"
    assert text.removesuffix("'s") in found("cat", around)[0]


@pytest.mark.parametrize("text", ["concatenate", "scat", "ca t", "a b c d", "c t a", "category"])
def test_other_words_are_not_the_word(text: str) -> None:
    assert found("cat", text) == []


@pytest.mark.parametrize(("pattern", "said"), [("a <nobody>", "nobody"), ("... cat", "starts"), ("cat ...", "ends")])
def test_malformed_pattern(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        compile_phrase(pattern, LISTS)


@given(st.text("aé1-@$_.", min_size=1, max_size=8))
def test_edges_of_a_word(chunk: str) -> None:
    """The loops do what two expressions say, which take quadratic time."""
    lead, trail = re.match(r"[^\w@$]*", chunk), re.search(r"\W*$", chunk)
    assert lead is not None and trail is not None
    expected = chunk[lead.end() : trail.start() or None] if lead.end() < len(chunk) else ""
    start, end = _trimmed(f"({chunk})", 1, 1 + len(chunk))
    assert f"({chunk})"[start:end] == expected


def test_a_name_takes_no_endings() -> None:
    index: Index[str] = Index()
    index.add("x", compile_name("Gaudí"))
    assert [span for _, span, _, _ in index.find(tokenise("a gaudi house")[0])] == [Span(2, 7)]
    assert not list(index.find(tokenise("gaudis gauding")[0]))


def test_bases_undo_the_usual_endings() -> None:
    assert {"stab", "stabbing"} <= bases("stabbing")
    assert "city" in bases("cities")
    assert bases("as") == {"as", "a"}


@given(st.text(max_size=60))
def test_tokens_lie_in_the_text_in_order(text: str) -> None:
    folded, places = fold(text)
    assert len(folded) == len(places)
    for tokens in tokenise(text):
        assert all(0 <= token.start < token.end <= len(text) for token in tokens)
        assert [token.start for token in tokens] == sorted(token.start for token in tokens)


@given(st.text(max_size=400) | st.lists(st.sampled_from(["cat", "dog,", "house."]), max_size=900).map(" ".join))
def test_pieces_are_few_and_cover_every_word(text: str) -> None:
    spans = pieces(text)
    assert len(spans) <= MOST
    for start, end in ((token.start, token.end) for token in tokenise(text)[0] if text.isascii()):
        assert any(span.start <= start and end <= span.end for span in spans)


def test_a_short_text_is_one_piece() -> None:
    text = " ".join(["word"] * WINDOW)
    assert pieces(text) == [Span(0, len(text))]
    assert len(pieces(text + " more")) > 1
