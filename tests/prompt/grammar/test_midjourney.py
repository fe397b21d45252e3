"""Midjourney's grammar: ranges and aliases of its parameters, and the requests that they become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from tests.prompt.grammar.strategies import messy, midjourneys

from fantascope.errors import PromptError, RequestError
from fantascope.prompt.grammar.midjourney import NAMES, PARAMETERS, Midjourney, Piece, parse, show, table
from fantascope.prompt.grammar.surface import read_dynamic, read_midjourney
from fantascope.prompt.grammar.wildcards import Wildcards
from fantascope.request import Blend, Imagine, Tile, Vary
from fantascope.spec import SPECS

DOCS = Path(__file__).parents[3] / "docs" / "prompts.md"

RANGES = {
    "chaos": (0, 100), "stylize": (0, 1000), "weird": (0, 3000), "seed": (0, 4294967295), "iw": (0, 3),
    "stop": (10, 100), "repeat": (1, 40), "sw": (0, 1000), "cw": (0, 100), "ow": (1, 1000), "sv": (1, 6),
    "exp": (0, 100),
}  # fmt: skip
ALIASES = {"aspect": "ar", "c": "chaos", "s": "stylize", "w": "weird", "q": "quality", "r": "repeat", "version": "v"}


def read(text: str, model: str = "embedded", **given: Any) -> list[Any]:
    return list(read_midjourney(text, SPECS[model], SPECS, given).requests)


def one(text: str, **given: Any) -> Any:
    (request,) = read(text, **given)
    return request


@pytest.mark.parametrize("name", RANGES)
def test_ranges(name: str) -> None:
    low, high = RANGES[name]
    front = "a.png a" if name == "iw" else "a"
    for value in (low, high):
        assert parse(f"{front} --{name} {value}").number(name) == value
    for value in (low - 1, high + 1, "x", "", "1e3", "5 5", "nan"):
        with pytest.raises(PromptError):
            parse(f"{front} --{name} {value}")


@pytest.mark.parametrize("name", ALIASES)
def test_aliases(name: str) -> None:
    assert NAMES[name] == ALIASES[name]
    value = {"ar": "3:2", "quality": "1", "v": "6"}.get(ALIASES[name], "0")
    told = value if name != "r" else "2"
    assert parse(f"a --{name} {told}") == parse(f"a --{ALIASES[name]} {told}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a --ar 1.39:1", "W:H"),
        ("a --ar 0:1", "W:H"),
        ("a --ar", "W:H"),
        ("a --quality 3", "0.25"),
        ("a --niji 4", "5, 6"),
        ("a --v 4", "5 to 8.9"),
        ("a --foo", "no parameter --foo"),
        ("a --chao 3", "nearest: --chaos"),
        ("a --tile b", "no value"),
        ("a --seed 1 --seed 2", "twice"),
        ("a --s 1 --stylize 2", "twice"),
        ("a --no", "words"),
        ("a::2 b --v 7", "no :: "),
        ("a --v 7 --q .5", "version 7"),
        ("a --v 6 --q 4", "version 6"),
        ("a --iw 1", "none stands before"),
        ("a.png a --iw 3 --v 5", "0 to 2"),
        ("a::1 b::-1", "more than 0"),
        ("a::11 b", "-10 to 10"),
        ("::2 b", "says nothing"),
        ("a:: " * 17, "16 pieces"),
        ("a.png " * 6 + "b", "at most 5"),
        ("a" * 40_000, "characters"),
    ],
)
def test_what_breaks_the_rules_is_named(text: str, why: str) -> None:
    with pytest.raises(PromptError) as caught:
        parse(text)
    assert why in caught.value.message


def test_pictures_text_and_parameters_stand_in_this_order() -> None:
    told = parse("https://x.org/a b.png a cat, c.png and -- hats --no dogs, big cars --ar 3:2 —tile")
    assert told.pictures == ("https://x.org/a", "b.png")
    assert told.pieces == (Piece("a cat, c.png and -- hats"),)
    assert dict(told.parameters) == {"ar": "3:2", "no": "dogs, big cars", "tile": ""}


def test_pieces_and_their_weights() -> None:
    assert parse("hot:: dog").pieces == (Piece("hot"), Piece("dog"))
    assert parse("a::2 b::-.5 c").pieces == (Piece("a", 2), Piece("b", -0.5), Piece("c"))
    assert parse("a::10 b::-9").several


@profile(max_examples=100, deadline=None)
@given(midjourneys)
def test_what_is_printed_is_read_again(prompt: Midjourney) -> None:
    assert parse(show(prompt)) == prompt


@profile(max_examples=80, deadline=None)
@given(messy)
def test_nothing_but_a_request_error_is_raised(text: str) -> None:
    try:
        assert parse(show(parse(text))) == parse(text)
    except PromptError:
        pass
    try:
        read(text)
    except RequestError:
        pass


def test_plain_parameters_become_fields() -> None:
    request = one("a (red:1.3) cat --ar 3:2 --seed 7 --no hats, shoes --q .5 --stop 40 --c 0")
    assert isinstance(request, Imagine) and request.prompt == "a (red:1.3) cat" and request.grammar == "plain"
    assert (request.width, request.height, request.n, request.seed) == (768, 512, 4, 7)
    assert (request.negative_prompt, request.steps, request.stop, request.chaos) == ("hats, shoes", 10, 0.4, 0.3)
    assert one("a cat").model_dump() == Imagine(prompt="a cat", n=4).model_dump(), "defaults are the model's own"


@pytest.mark.parametrize(("told", "guidance"), [("0", 4.9), ("100", None), ("1000", 2.5), ("550", 3.25)])
def test_stylize_scales_guidance(told: str, guidance: float | None) -> None:
    assert one(f"a --s {told}").guidance == guidance


def test_stylize_above_its_default_adds_what_the_prompt_leaves_open() -> None:
    told = ("a cat", "a cat --s 100", "a cat --s 550", "a cat --s 1000", "a::1 b::1 --s 1000")
    read = [read_midjourney(text, SPECS["embedded"], SPECS, {}).expansions for text in told]
    assert read == [(0.0,), (0.0,), (0.5,), (1.0,), (0.0,)]


def test_raw_is_stylize_0() -> None:
    assert one("a --raw").guidance == one("a --style raw").guidance == one("a --s 0").guidance
    assert one("a --raw --s 1000").guidance == 2.5


def test_several_pieces_guide_together() -> None:
    request = one("a (cat)::3 b AND c::1 --no d AND e")
    assert (request.prompt, request.grammar) == (r"a \(cat\) :0.75 AND b \AND c :0.25", "a1111")
    assert request.negative_prompt == r"d \AND e"


def test_pictures_become_variations_blends_and_tiles() -> None:
    vary, blend, tile = one("a.png a cat --iw 2"), one("a.png b.png c"), one("a cat --tile")
    assert isinstance(vary, Vary) and (vary.picture, vary.strength, vary.prompt) == ("a.png", 0.4, "a cat")
    assert isinstance(blend, Blend) and (blend.pictures, blend.strength) == (("a.png", "b.png"), 0.7)
    assert isinstance(tile, Tile) and isinstance(one("a.png a --tile"), Tile)
    assert one("a.png").prompt is None


def test_repeats_and_permutations_multiply() -> None:
    requests = read("{red, green} cat --seed 5 --repeat 2")
    assert [(each.prompt, each.seed) for each in requests] == [
        ("red cat", 5), ("red cat", 9), ("green cat", 5), ("green cat", 9)
    ]  # fmt: skip
    with pytest.raises(PromptError, match="64 requests"):
        read("{a, b} --repeat 40")


def test_draft_is_the_model_of_four_steps() -> None:
    assert one("a --draft").model == "embedded-few"
    with pytest.raises(PromptError, match="no version of four steps"):
        read("a --draft", model="sd15")
    with pytest.raises(PromptError, match="takes none"):
        read("a --draft --s 500")


@pytest.mark.parametrize(
    "text",
    ["a --sref 12", "a --cref x.png", "a --oref x.png", "a --p", "a --p abc", "a --sw 5", "a --weird 1", "a --exp 5",
     "https://x.org/a.png a", "a.png a --ar 3:2", "a.png b.png a --tile"],
)  # fmt: skip
def test_what_is_not_done_is_refused_by_name(text: str) -> None:
    with pytest.raises(PromptError) as caught:
        read(text)
    assert any(word in caught.value.message for word in ("nearest", "belongs", "save it", "--", "one picture"))


def test_versions_are_said_to_change_nothing() -> None:
    reading = read_midjourney("a --v 6.1 --fast --turbo --weird 0", SPECS["embedded"], SPECS, {})
    assert [note.split(":")[0] for note in reading.notes] == ["--v 6.1", "--fast", "--turbo"]
    assert reading.requests[0].model_dump() == Imagine(prompt="a", n=4).model_dump()


def test_what_is_given_beside_the_prompt_holds() -> None:
    request = one("a --q 2 --seed 3", steps=7, n=1, guidance=None)
    assert (request.steps, request.seed, request.n) == (7, 3, 1)


@pytest.mark.parametrize("model", ["embedded", "sd15", "sdxl", "flux-schnell"])
@pytest.mark.parametrize("ratio", ["1:1", "3:2", "2:3", "16:9", "21:9", "100:1"])
def test_shapes_are_sizes_the_model_paints(model: str, ratio: str) -> None:
    spec = SPECS[model]
    (request,) = read(f"a --ar {ratio}", model=model)
    wide, high = (side / spec.defaults.upscale for side in (request.width, request.height))
    assert all(side % spec.sizes.multiple == 0 and spec.sizes.min <= side <= spec.sizes.max for side in (wide, high))
    told, due = wide / high, eval(ratio.replace(":", "/"))
    assert 0.9 < told / due < 1.1 or ratio in ("21:9", "100:1")


def test_the_table_of_the_docs_is_the_code() -> None:
    assert table() in DOCS.read_text("utf-8")
    assert all(f"`--{name}`" in table() for name in NAMES) and len(table().splitlines()) == len(PARAMETERS) + 2


def test_dynamic_prompts_become_one_request_a_picture(tmp_path: Path) -> None:
    (tmp_path / "colours.txt").write_text("red\nblue\n", "utf-8")
    cards = Wildcards(tmp_path)
    drawn = read_dynamic("a __colours__ {cat|dog}", cards, {"n": 3, "seed": 5, "steps": 4}).requests
    assert [request.seed for request in drawn] == [5, 6, 7] and all(each.n == 1 and each.steps == 4 for each in drawn)
    again = read_dynamic("a __colours__ {cat|dog}", cards, {"n": 1, "seed": 6}).requests[0]
    assert again.prompt == drawn[1].prompt
    loose = [read_dynamic("{a|b}", cards, {}).requests[0] for _ in range(20)]
    assert len({each.seed for each in loose}) > 1 and len({each.prompt for each in loose}) == 2
    every = read_dynamic("a __colours__ {cat|dog}", cards, {"seed": 5}, every=True).requests
    assert [each.prompt for each in every] == ["a red cat", "a red dog", "a blue cat", "a blue dog"]
    assert {each.seed for each in every} == {5}
