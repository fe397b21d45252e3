"""Dynamic prompts: every form, the same texts as the peer, seeds, wildcards that stay in their folder, bounds."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as profile
from tests.prompt.grammar.strategies import dynamics, messy

from fantascope.errors import PromptError
from fantascope.prompt.grammar.dynamic import Book, Pattern, count, every, parse, pick, show
from fantascope.prompt.grammar.wildcards import Wildcards

NONE = Wildcards(None).lines
FORMS = {
    "{a|b|c}": ["a", "b", "c"],
    "{2$$a|b|c}": ["a,b", "a,c", "b,c"],
    "{1-2$$ and $$a|b|c}": ["a", "b", "c", "a and b", "a and c", "b and c"],
    "{3::a|1::b}": ["a", "b"],
    "x {a|{b|c} d}": ["x a", "x b d", "x c d"],
    "{0-1$$a}": ["", "a"],
    "{2-$$a|b|c}": ["a,b", "a,c", "b,c", "a,b,c"],
    "{-1$$a|b}": ["", "a", "b"],
    "{5$$a|b}": ["a,b"],
    "{2$$ and $$a|{b|c}}": ["a and b", "a and c"],
    "a # not said\nb": ["a\nb"],
    r"\{a\|b\} \# \__x\__": ["{a|b} # __x__"],
    "a {b": ["a {b"],
    "a $$ b | c": ["a $$ b | c"],
    "snake_case __ x": ["snake_case __ x"],
}


def folder(home: Path, **files: str) -> Wildcards:
    for name, text in files.items():
        path = home / f"{name.replace('__', '/')}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return Wildcards(home)


@pytest.mark.parametrize("text", FORMS)
def test_every_text_and_none_else_is_drawn(text: str) -> None:
    pattern = parse(text)
    assert every(pattern, NONE) == FORMS[text]
    assert count(pattern, Book(NONE)) == len(FORMS[text])
    drawn = {pick(pattern, seed, NONE) for seed in range(120)}
    order = {frozenset(one.replace(" and ", ",").split(",")) for one in drawn}
    assert order == {frozenset(one.replace(" and ", ",").split(",")) for one in FORMS[text]}


@pytest.mark.parametrize("text", ["{a|b|c}", "{2$$a|b|c}", "{1-2$$ and $$a|b|c}", "x {a|{b|c} d} {e|f}", "{3::a|1::b}"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_peer_gives_the_same_texts(text: str) -> None:
    """dynamicprompts lists a set in every order; what is in the sets is the same."""
    generators = pytest.importorskip("dynamicprompts.generators")

    def sets(texts: list[str]) -> set[tuple[str, ...]]:
        return {tuple(sorted(one.replace(" and ", ",").split(","))) for one in texts}

    theirs = list(generators.CombinatorialPromptGenerator().generate(text, 100))
    assert sets(theirs) == sets(every(parse(text), NONE))


def test_the_seed_says_what_is_drawn() -> None:
    pattern = parse("{a|b|c|d} {2$$e|f|g} {1-3$$h|i|j}")
    assert [pick(pattern, seed, NONE) for seed in range(9)] == [pick(pattern, seed, NONE) for seed in range(9)]
    assert [pick(parse("{a|b|c|d}"), seed, NONE) for seed in range(8)] == list("dddcacda"), "draws changed: old seeds"


def test_weights_are_shares() -> None:
    found = Counter(pick(parse("{3::a|1::b}"), seed, NONE) for seed in range(2000))
    assert 1400 < found["a"] < 1600


def test_wildcards_are_lines_of_files(tmp_path: Path) -> None:
    cards = folder(tmp_path, colours="red\n# none\n\n 2::blue \n", animals__dog="{big|small} dog in __colours__\n")
    pattern = parse("a __animals/dog__")
    texts = ["a big dog in red", "a big dog in blue", "a small dog in red", "a small dog in blue"]
    assert every(pattern, cards.lines) == texts
    assert {pick(pattern, seed, cards.lines) for seed in range(60)} == set(texts)
    assert cards.names() == ["animals/dog", "colours"]
    with pytest.raises(PromptError, match="Did you mean __colours__"):
        pick(parse("__colour__"), 1, cards.lines)


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/etc/passwd", "a/..", "", "a__b", ".hidden", "link"])
def test_wildcards_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret", "utf-8")
    cards = folder(tmp_path / "cards", a="x")
    (tmp_path / "cards" / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(PromptError):
        cards.lines(name)
    try:
        assert "secret" not in pick(parse(f"__{name}__"), 1, cards.lines).replace(f"__{name}__", "")
    except PromptError:
        pass


def test_files_are_bounded_and_cycles_found(tmp_path: Path) -> None:
    cards = folder(tmp_path, loop="__loop__", big="x" * (2**20 + 1), many="a\n" * 10_001, none="# only\n",
                   bomb="__b1__", b1="__b2__ " * 90, b2="__b3__ " * 90, b3="x " * 90)  # fmt: skip
    (tmp_path / "raw.txt").write_bytes(b"\xff\xfe\x00")
    for name in ("loop", "big", "many", "none", "raw", "bomb"):
        for use in (lambda p: pick(p, 1, cards.lines), lambda p: every(p, cards.lines)):
            with pytest.raises(PromptError):
                use(parse(f"__{name}__"))


@pytest.mark.parametrize(
    "text", ["{a|b}" * 9, "{2-1$$a|b}", "{99$$a|b}", "{0::a|b}", "${x=a} b", "a" * 40_000, "{" * 17 + "}" * 17]
)
def test_what_is_impossible_is_refused(text: str) -> None:
    with pytest.raises(PromptError):
        every(parse(text), NONE)


def test_strict_wants_pairs() -> None:
    for text in ("{a", "a}"):
        with pytest.raises(PromptError, match="no partner"):
            parse(text, strict=True)


def test_huge_counts_are_counted_not_made() -> None:
    started = time.process_time()
    for text in ("{1-32$$" + "|".join("ab" * 40) + "}", "{a|b}" * 6_000, "{0$$" + "{a|b}" * 300 + "|c}"):
        try:
            assert every(parse(text), NONE) == [""]
        except PromptError as error:
            assert "stands for" in error.message
    assert time.process_time() - started < 3


@profile(max_examples=100, deadline=None)
@given(dynamics)
def test_what_is_printed_is_read_again(pattern: Pattern) -> None:
    assert parse(show(pattern)) == pattern
    assert parse(show(pattern), strict=True) == pattern


@profile(max_examples=80, deadline=None)
@given(messy)
def test_nothing_but_a_prompt_error_is_raised(text: str) -> None:
    for strict in (False, True):
        try:
            pattern = parse(text, strict=strict)
            assert parse(show(pattern)) == pattern
            assert pick(pattern, 7, NONE) == pick(pattern, 7, NONE)
            assert every(pattern, NONE)
        except PromptError:
            pass
