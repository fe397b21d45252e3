"""Permutations: they multiply and nest, escape, are bounded, and come back from print."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as profile
from tests.prompt.grammar.strategies import messy, patterns

from fantascope.errors import PromptError
from fantascope.prompt.grammar.permute import Pattern, count, expand, parse, show


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a {red, green} {cat, dog}", ["a red cat", "a red dog", "a green cat", "a green dog"]),
        ("{a, b {c, d}}", ["a", "b c", "b d"]),
        (r"{a\, b, c}", ["a, b", "c"]),
        ("a, b", ["a, b"]),
        ("a {b", ["a {b"]),
        ("a} b", ["a} b"]),
        (r"\{a, b\}", ["{a, b}"]),
        ("{a}", ["a"]),
        ("{, a} b", [" b", "a b"]),
        ("{ {a,b} --ar {1:1, 3:2}, c }", ["a --ar 1:1", "a --ar 3:2", "b --ar 1:1", "b --ar 3:2", "c"]),
        (r"\(x\)", [r"\(x\)"]),
    ],
)
def test_expansions(text: str, told: list[str]) -> None:
    assert expand(text) == told and count(parse(text)) == len(told)


@profile(max_examples=100, deadline=None)
@given(patterns)
def test_what_is_printed_is_read_again(pattern: Pattern) -> None:
    assert parse(show(pattern)) == pattern
    if count(pattern) <= 64:
        assert len(expand(show(pattern))) == count(pattern)


@profile(max_examples=80, deadline=None)
@given(messy)
def test_nothing_but_a_prompt_error_is_raised(text: str) -> None:
    for strict in (False, True):
        try:
            assert parse(show(parse(text, strict=strict))) == parse(text)
            assert len(expand(text, strict=strict)) >= 1
        except PromptError:
            pass


@pytest.mark.parametrize(
    "text", ["{a,b}" * 7, "{a,b}" * 6_000, "{" * 17 + "}" * 17, "a" * 40_000, "{a," * 9_000 + "}" * 4_000]
)
def test_sizes_are_bounded(text: str) -> None:
    with pytest.raises(PromptError):
        expand(text)


@pytest.mark.parametrize("text", ["{a", "a}"])
def test_strict_wants_pairs(text: str) -> None:
    with pytest.raises(PromptError, match="no partner"):
        expand(text, strict=True)
