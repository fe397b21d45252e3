"""A1111's grammar: what its own documentation says, the round trip, bounds, and that nothing else is ever raised."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import settings as profile
from tests.prompt.grammar.strategies import messy, prompts

from fantascope.errors import PromptError, RequestError
from fantascope.prompt.grammar import is_explicit, parse, readings, show, states
from fantascope.prompt.grammar.a1111 import adapters, without_adapters
from fantascope.prompt.grammar.tree import DOWN, Adapter, Alternate, Break, Group, Prompt, Schedule, Text


def pieces(text: str, step: int = 1, steps: int = 10) -> list[tuple[str, float]]:
    """Return what one part says at a step, weights rounded."""
    (state,) = states(parse(text), steps)[step - 1]
    return [(words, round(weight, 6)) for section in state.sections for words, weight in section]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("normal text", [("normal text", 1)]),
        ("an (important) word", [("an ", 1), ("important", 1.1), (" word", 1)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        (r"\(literal\]", [("(literal]", 1)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        ),
        ("[a]", [("a", round(DOWN, 6))]),
        ("((a:2):0.5)", [("a", 1)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("(a:-0.5)", [("a", -0.5)]),
        ("a) b] c", [("a) b] c", 1)]),
        ("[a:b:c:0.5]", [("a:b:c:0.5", round(DOWN, 6))]),
        ("(a: 1.3 )", [("a", 1.3)]),
        (r"C:\\x", [("C:\\x", 1)]),
    ],
)
def test_weights_are_what_a1111_says(text: str, said: list[tuple[str, float]]) -> None:
    assert pieces(text) == said


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("[a:b:0.5]", "aaaaabbbbb"),
        ("[a:b:3]", "aaabbbbbbb"),
        ("[a::3]", "aaa......."),
        ("[:b:3]", "...bbbbbbb"),
        ("[b:3]", "...bbbbbbb"),
        ("[a:b:0]", "bbbbbbbbbb"),
        ("[a:b:1]", "abbbbbbbbb"),
        ("[a:b:99]", "aaaaaaaaaa"),
        ("[a|b]", "ababababab"),
        ("[a|b|c]", "abcabcabca"),
        ("[a|]", "a.a.a.a.a."),
        ("[[a|b]:c:0.4]", "ababcccccc"),
        ("[a:[b:c:6]:3]", "aaabbbcccc"),
        (r"[a\:b:c:0.1]", "a:b,c*9"),
    ],
)
def test_changes_on_the_way(text: str, at: str) -> None:
    told = [state.plain or "." for (state,) in states(parse(text), 10)]
    assert told == (["a:b"] + ["c"] * 9 if "*" in at else list(at))


def test_weights_reach_into_changes() -> None:
    assert pieces("([a:b:5]:1.5) c", 1) == [("a", 1.5), (" c", 1)]
    assert pieces("[(a:1.3):(b:0.7):5]", 6) == [("b", 0.7)]


def test_and_puts_parts_together() -> None:
    prompt = parse("a cat :1.5 AND (a dog:1.2) AND ratio 16:9 :-0.5")
    assert [part.weight for part in prompt.parts] == [1.5, 1, -0.5]
    assert [state.plain for state in states(prompt, 1)[0]] == ["a cat", "a dog", "ratio 16:9"]
    assert parse("ratio 16:9").parts[0].weight == 1
    assert len(parse("BRANDY AND SODA").parts) == 2 and len(parse("BRANDY ANDES").parts) == 1
    assert len(parse("a AND b", negative=True).parts) == 1
    assert parse(r"a \AND b").parts[0].nodes == (Text("a AND b"),)


def test_break_begins_a_section() -> None:
    (state,) = states(parse("a (b BREAK c:2) d"), 1)[0]
    assert state.sections == ((("a ", 1.0), ("b", 2.0)), (("c", 2.0), (" d", 1.0)))


def test_adapters_are_found_and_taken_out() -> None:
    text = "a <lora:ink:0.8> cat (in <lora:film> snow:1.2) <lora:ink:0.5>"
    assert adapters(parse(text)) == [Adapter("ink", 0.5), Adapter("film")]
    assert without_adapters(text) == "a  cat (in  snow:1.2)"
    assert readings(text, "a1111")[0] == "a  cat in  snow "


@pytest.mark.parametrize(
    "text", ["<lora:>", "<lora:a:b>", "<lora:a:1:2>", "<lora:a:9>", "(a:11)", "((" * 17 + "a", "a AND " * 16]
)
def test_what_has_no_meaning_is_refused(text: str) -> None:
    with pytest.raises(PromptError) as caught:
        parse(text)
    assert caught.value.param == "prompt" and isinstance(caught.value, RequestError)
    assert caught.value.near and caught.value.as_dict()["at"] == caught.value.at


def test_an_adapter_has_no_place_in_a_negative_prompt() -> None:
    with pytest.raises(PromptError, match="not in the negative prompt"):
        parse("<lora:a>", negative=True, param="negative_prompt")


@pytest.mark.parametrize(
    ("text", "at"), [("a (b", 2), ("a [b", 2), ("a) b", 1), ("a ]", 2), ("[a:b:c]", 0), ("(a]", 2)]
)
def test_strict_names_what_does_not_pair(text: str, at: int) -> None:
    parse(text)
    with pytest.raises(PromptError) as caught:
        parse(text, strict=True)
    assert caught.value.at == at


@pytest.mark.parametrize(
    ("text", "explicit"),
    [
        ("a cat (asleep)", False), ("a cat [asleep]", False), ("a AND", False), ("tea and cake", False),
        ("CATS AND DOGS", False),
        ("at 10:30", False),
        ("(see fig: 3 below)", False), (r"\(a:1.3)", False), ("[note: x]", False),
        ("(a:1.3)", True), ("[a:b:0.5]", True), ("[a|b]", True), ("a AND b", True), ("a BREAK b", True),
        ("<lora:x:1>", True), ("((a:1.2) b)", True), ("[(a)|b]", True), ("[a::5]", True),
    ],
)  # fmt: skip
def test_only_explicit_marks_call_for_the_grammar(text: str, explicit: bool) -> None:
    assert is_explicit(text) is explicit


@profile(max_examples=100, deadline=None)
@given(prompts)
def test_what_is_printed_is_read_again(prompt: Prompt) -> None:
    assert parse(show(prompt)) == prompt
    assert parse(str(prompt), strict=True) == prompt


@profile(max_examples=80, deadline=None)
@given(messy)
def test_nothing_but_a_prompt_error_is_raised(text: str) -> None:
    for strict in (False, True):
        try:
            prompt = parse(text, strict=strict)
            assert parse(show(prompt)) == prompt
            told = states(prompt, 7)
            assert len(told) == 7 and all(len(each) == len(prompt.parts) for each in told)
            assert isinstance(readings(text, "a1111"), list)
        except PromptError:
            pass


@profile(max_examples=100, deadline=None)
@given(prompts)
def test_no_word_is_hidden_from_judging(prompt: Prompt) -> None:
    """Whatever is said at any step stands in a reading, and so does every word that stands anywhere."""
    text = show(prompt)
    try:
        told = readings(text, "a1111", steps=9)
        said = {state.plain for each in states(parse(text), 9) for state in each}
    except PromptError:
        return
    assert {one for one in said if one.strip()} <= set(told)
    everything = "".join(told)
    for part in prompt.parts:
        for node in part.nodes:
            match node:
                case Text(text=words):
                    assert "".join(words.split()) in "".join(everything.split())
                case Alternate(options=options):
                    for option in options:
                        assert all(
                            "".join(n.text.split()) in "".join(everything.split())
                            for n in option
                            if isinstance(n, Text)
                        )


def test_words_spread_over_marks_are_read_together() -> None:
    assert "nude" in readings("(n:1.2)(u:1.1)(de:1)", "a1111")
    assert "nude" in readings("[nu|nu]de", "a1111")
    assert {"a cat", "a dog"} <= set(readings("a [cat|dog]", "a1111"))
    assert "a child a lamp" in readings("a child AND a lamp", "a1111")
    assert readings("(a:1.3)", "plain") == ["(a:1.3)"]


def test_states_are_bounded() -> None:
    many = "|".join("abcdefghij" * 7)
    with pytest.raises(PromptError, match="64 different texts"):
        states(parse(f"[{many}]"), 100)
    assert len({state for (state,) in states(parse(f"[{many}]"), 64)}) == 10
    with pytest.raises(PromptError, match="weigh less than 1"):
        states(parse("".join(f"(a:0.{k + 1})b" for k in range(70))), 1)
    with pytest.raises(PromptError, match="multiply"):
        states(parse("(((a:10):10):10)"), 1)
    with pytest.raises(PromptError, match="characters"):
        parse("a" * 40_000)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 30 + "a" * 30_000,
        "A" * 32_000,
        "[a|" * 30 + "|" * 30_000,
        "a:" * 16_000,
        "<lora:" * 5_000,
        "(:" * 15 + ":1" * 15_000,
        "\\" * 31_999,
        " AND" * 8 + ")" * 30_000,
    ],
)
def test_long_texts_are_read_in_no_time(text: str) -> None:
    started = time.process_time()
    is_explicit(text)
    try:
        readings(text, "a1111")
    except PromptError:
        pass
    assert time.process_time() - started < 2


def test_printing_is_canonical() -> None:
    assert show(parse("[b:7]")) == "[:b:7]"
    assert show(parse("(a:1.1)")) == "(a)"
    assert show(parse("(a")) == "(a)"
    assert parse("a BREAK b").parts[0].nodes == (Text("a"), Break(), Text("b"))
    assert parse("[a:b:.5]").parts[0].nodes == (Schedule((Text("a"),), (Text("b"),), 0.5),)
    assert parse("(a)").parts[0].nodes == (Group((Text("a"),), 1.1),)


def test_what_is_said_in_a_shorter_run_is_read_too() -> None:
    """At 20 steps the two halves never meet; over half of them they do."""
    text = "[x|nu][de:y:0.14]"
    assert "nude" not in {state.plain for (state,) in states(parse(text), 12)}
    assert "nude" in {state.plain for (state,) in states(parse(text), 20)}
    assert "nude" in readings(text, "a1111", steps=40, share=0.5)
    assert "nude" not in readings(text, "a1111", steps=12)
